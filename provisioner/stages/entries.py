"""Turn each row of the sheet into an entry: its request, or everything that is wrong with it."""

from __future__ import annotations

from functools import cached_property
from itertools import compress
from typing import TYPE_CHECKING, Any

from provisioner.records import GAP, SENT_COLUMNS, Entry, Fault, Problem
from provisioner.secret import Secret
from provisioner.stages.resolve import Resolver, written_plainly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from provisioner.journal import JournalRow
    from provisioner.sheets import Sheet
    from provisioner.stages.validate import Checked

_SENT = len(SENT_COLUMNS)
REQUIRED = ("email", "domain", "relay_server")
_WRITTEN_DIFFERENTLY = f"this is the same mailbox as in {GAP}; keep one of them and delete the rest"


class RowBuilder:
    """Builds the entries of one sheet."""

    def __init__(
        self,
        sheet: Sheet,
        checked: Checked,
        resolver: Resolver,
        *,
        duplicates: Mapping[int, Sequence[int]] | None = None,
        known: Iterable[JournalRow] = (),
        whole: RowBuilder | None = None,
    ) -> None:
        """`known`: the journal's rows. `whole`: the whole sheet's builder, if this is a part.

        `duplicates`: for each row that shares its mailbox with others, all rows for that mailbox; a part of a sheet
        cannot tell. None finds them, in a whole sheet.
        """
        self._sheet = sheet
        self._columns = [key for key in sheet.keys if key not in checked.secret]
        self._checked = checked
        self._resolver = resolver
        keys = list(sheet.keys)
        can_be_cut = "password" in keys and not sheet.is_workbook
        self._after_password = set(keys[keys.index("password") :]) if can_be_cut else set[str]()
        self.duplicates = self._written_differently() if duplicates is None else duplicates
        """Of each row that is not the only one for its mailbox, all rows for it."""
        self._known, self._whole = known, whole

    def entries(self) -> Iterator[Entry]:
        """Every row of the sheet in its order."""
        for row, cells in self._sheet.cells(*SENT_COLUMNS, "password", *self._columns):
            yield self._entry(row, cells)

    def hidden(self, row: int, problems: Sequence[Problem]) -> Collection[str]:
        """The columns whose cells may hold a piece of the row's password, cut off by a delimiter in it."""
        if not self._is_cut(row, problems):
            return ()
        position = self._sheet.position(row)
        return {
            column
            for column in self._after_password.difference(REQUIRED)
            if self._sheet.columns[column][position] not in self.sound.get(column, ())
        }

    @cached_property
    def sound(self) -> Mapping[str, Collection[str]]:
        """What may be shown in each column right of the password, since it is no piece of it.

        That is what rows without a problem hold there, and what results.csv shows already.
        """
        if self._whole is not None:
            return self._whole.sound
        invalid = set(self._checked.invalid)
        shown = [row not in invalid for row in self._sheet.rows]
        columns = self._after_password.intersection(self._columns)
        sound = {column: set(compress(self._sheet.columns[column], shown)) for column in columns}
        for row in self._known:
            for column in columns & row.cells.keys():
                sound[column].add(row.cells[column])
        return sound

    def _written_differently(self) -> Mapping[int, Sequence[int]]:
        """As `Sheet.sharing`. Rows that write one mailbox alike were found when they were validated."""
        if all(written_plainly(*cells) for _, cells in self._sheet.cells("email", "domain")):
            return {}
        return self._sheet.sharing(lambda email, domain: self._resolver.identity(email, domain).key)

    def _entry(self, row: int, cells: Sequence[str]) -> Entry:
        """`cells`: those of SENT_COLUMNS, the password, and all that are not secret."""
        password = Secret(cells[_SENT]) if cells[_SENT] else None
        cells, own = cells[:_SENT], cells[_SENT + 1 :]
        problems = self._problems(row, cells)
        origin = self._sheet.origins.get(row)
        hidden = self.hidden(row, problems)
        sent: dict[str, Any] = dict(zip(SENT_COLUMNS, _shown(SENT_COLUMNS, cells, hidden), strict=True))
        identity = self._resolver.identity(sent["email"], sent["domain"])
        return Entry(
            file_row=row,
            sheet_row=self._sheet.number(row),
            key=identity.key,
            **sent,
            request=None if problems else self._resolver.request(cells, password),
            problems=tuple(problems),
            address=identity.address,
            earlier_status=origin.status if origin else None,
            earlier_task=origin.task_id if origin else None,
            cells=dict(zip(self._columns, _shown(self._columns, own, hidden), strict=True)),
            password=password,
        )

    def _is_cut(self, row: int, problems: Sequence[Problem]) -> bool:
        """Whether something is wrong with the row's password, so that in a text file a piece may stand right of it."""
        if not problems or not self._after_password:
            return False
        password = self._sheet.cell_name(row, "password")
        return any(problem.cell == password for problem in problems)

    def _problems(self, row: int, cells: Sequence[str]) -> list[Problem]:
        """All that is wrong with a row: what breaks the schema, then what the account lacks; a cell is named once."""
        problems = list(self._checked.problems(row))
        told = {problem.cell for problem in problems}
        if None in told:
            return problems
        faults = self._resolver.faults(*cells[:4])
        if faults and self._is_cut(row, problems):
            faults = [(column, fault) for column, fault in faults if column not in self._after_password]
        if row in self.duplicates:
            rows = self._sheet.other_rows(row, self.duplicates[row])
            faults.append(("email", Fault(_WRITTEN_DIFFERENTLY, (rows,))))
        found = [Problem(self._sheet.cell_name(row, column), fault) for column, fault in faults]
        return problems + [problem for problem in found if problem.cell not in told]


def _shown(columns: Sequence[str], cells: Sequence[str], hidden: Collection[str]) -> Sequence[str]:
    """The cells of these columns, blank where they are hidden."""
    return ["" if name in hidden else cell for name, cell in zip(columns, cells, strict=True)] if hidden else cells
