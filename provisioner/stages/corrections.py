"""What a failures file means for the journal: which rows it corrects, and which it settles by leaving them out.

It names for each of its rows the row of the original sheet, its status and its task. Those tell which row a correction
corrects, and a correction from the mailbox of another row.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from provisioner.journal import Dropped, Superseded, Written, address_key, password_check
from provisioner.records import GAP, SENT_COLUMNS, Fault, Problem, Status, sent_columns
from provisioner.secret import Secret
from provisioner.stages.conversions import is_converted
from provisioner.stages.matching import FORGETTABLE, SheetMatcher, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.journal import JournalRow, SheetChange
    from provisioner.records import Entry, RowId
    from provisioner.stages.matching import KnownRows


_DELETABLE: Final = "delete the row"
_SENT_SINCE: Final = (
    f"this corrects row {GAP} of the sheet, but that was sent since this file was written, as {GAP}; {_DELETABLE}, or "
    "clear its sheet_row and status if it is a further mailbox"
)
_OTHERS_MAILBOX: Final = f"this is the same mailbox as in row {GAP}; write another username, or {_DELETABLE}"
_CONVERTED: Final = f"“{GAP}” was “{GAP}”: spreadsheet programs change such cells of a CSV file by themselves"
_FIX_ELSEWHERE: Final = f"write “{GAP}” in failures.xlsx or in the sheet, and run that"
_WRITE_AGAIN: Final = f"write “{GAP}” again, or “{GAP}” in the sheet if that is meant"
_LOST_BLANK: Final = "the password lost the blank at its beginning or end; write it again, or write another"


Typed = Mapping[int, Collection[str]]
"""By sheet row, the columns whose cells are as somebody typed them: no spreadsheet program has changed those."""


class FailuresMatcher(SheetMatcher):
    """A failures file: it changes the rows that it holds, and leaves the rest of the record alone."""

    is_failures = True

    def __init__(
        self,
        known: KnownRows,
        cell_name: Callable[[Entry, str], str],
        *,
        is_workbook: bool,
        misaligned: Container[int] = (),
        typed: Typed = MappingProxyType({}),
    ) -> None:
        """`cell_name` names the cell of an entry in a column; `typed`: the cells that no program converted.

        `misaligned`: the rows of the file whose cells are not shown.
        """
        super().__init__(known)
        self._cell_name = cell_name
        self._is_workbook = is_workbook
        self._misaligned = misaligned
        self._typed = typed
        self._places: dict[int, RowId] = {}
        """The row in each place of the original sheet, as far as the file holds it."""
        self._bases: dict[RowId, JournalRow] = {}
        """Of each new row, the row that it corrects."""
        self._ready: set[str] = set()
        """All that the rows without a problem may be known by."""
        self._under_way: set[str] = set()
        """The keys of rows that were begun elsewhere."""

    def match(self, entry: Entry) -> tuple[JournalRow, Entry]:
        """As for a sheet. A row that names another row's mailbox, or that a program converted, is invalid."""
        row, problem = self._claim(entry)
        base = row or self.known.corrected_by(entry)
        if problem is None and base is not None and (row is base or base.id not in self.known.taken):
            problem = self._conversion(base, entry)
            if problem is not None or entry.file_row in self._misaligned:
                # Its cells are not what anybody wrote, or are not shown: the row stays the one that it was.
                self.known.taken.add(base.id)
                row, entry = base, replace(entry, cells=base.cells, **sent_columns(base))
            else:
                entry = _with_further_cells_of(base, entry, self._typed_in(entry))
        if problem is None and base is None:
            problem = self._sent_since(entry)
        if problem is not None:
            entry = replace(entry, request=None, problems=(*entry.problems, problem))
        new = row is None
        row = row or self._begun_elsewhere(self.known.new_row(entry), entry)
        entry = replace(entry, sheet_row=self._place(entry, row, is_new=new))
        if new and base is not None:
            self._bases[row.id] = base
        if not entry.problems:
            self._ready.update(keys_of(entry))
        return row, entry

    def absent(self, row: JournalRow) -> SheetChange | None:
        """It was corrected by the row in its place, or settled by its deletion, or is simply not in this file."""
        correction = self._places.get(row.sheet_row) if row.sheet_row is not None else None
        if correction is not None and row.status in FORGETTABLE and not row.maybe_sent:
            return Superseded(row.id, correction)
        if row.status is Status.INVALID and self._is_settled(row):
            added_by_hand = row.sheet_row is None and not row.was_sent
            return Dropped(row.id) if added_by_hand else Written(row._replace(deleted=True, file_row=None))
        return None

    def base(self, row: JournalRow) -> JournalRow:
        """As for a sheet."""
        return self._bases.get(row.id, row)

    def own_password(self, row: JournalRow, password: Secret) -> Secret | None:
        """As for a sheet: it was fixed in this file, or in an earlier one."""
        base = self.base(row)
        in_sheet = password != row.password and password_check(password, base.id) == base.password_check
        return None if in_sheet else password

    def is_correction(self, row: JournalRow, entry: Entry, own_password: Secret | None) -> bool:
        """As for a sheet; a password that was generated for a blank cell corrects nothing."""
        fixed = entry.password is not None and own_password is not None
        return row.corrected or fixed or entry.cells != self.base(row).cells

    def _claim(self, entry: Entry) -> tuple[JournalRow | None, Problem | None]:
        """The known row for a row of the file; a problem if the row names the mailbox of another."""
        known = self.known
        row = known.take(entry)
        if row is None or row.sheet_row in (None, entry.sheet_row):
            return row, None
        if row.address_key is None:
            corrected = known.corrected_by(entry)
            if corrected is not None and corrected.id != row.id:
                # The row of another place only looks alike; this one says which it corrects.
                known.release(row)
                return None, None
            return row, None
        if entry.problems and entry.sheet_row is None:
            # What it says of its place cannot be relied on; its mailbox can.
            return row, None
        sorted_since = row.moved and not known.latest_file and entry.sheet_row is not None
        if sorted_since and known.corrected_by(entry) is None:
            return row, None
        known.release(row)
        return None, Problem(None, Fault(_OTHERS_MAILBOX, (str(row.sheet_row),)))

    def _sent_since(self, entry: Entry) -> Problem | None:
        """What to say of a new row that corrects one which was sent after the file was written; None of any other."""
        there = self.known.at(entry.sheet_row)
        if entry.earlier_status is None or there is None or there.moved or there.status in FORGETTABLE:
            return None
        return Problem(None, Fault(_SENT_SINCE, (str(there.sheet_row), there.address or there.email)))

    def _is_settled(self, row: JournalRow) -> bool:
        """Whether deleting an invalid row settled it: its fault says so, or another row has the same mailbox."""
        key = address_key(row.email, row.domain)
        other = self.known.with_address(key)
        has_twin = key in self._ready or (other is not None and other.id != row.id)
        return has_twin or any(_DELETABLE in problem.cause for problem in row.problems)

    def _place(self, entry: Entry, row: JournalRow, *, is_new: bool) -> int | None:
        """Which row of the original sheet a row of the file is; None if it is a new one, or cannot be told."""
        if not is_new and row.sheet_row is not None:
            if entry.sheet_row is None and self._places.get(row.sheet_row, row.id) != row.id:
                return None
            self._places[row.sheet_row] = row.id
            return row.sheet_row
        there = self.known.at(entry.sheet_row)
        if there is not None and there.id != row.id and self.known.corrected_by(entry) is None:
            return None
        if entry.sheet_row is None or self._places.setdefault(entry.sheet_row, row.id) != row.id:
            return None
        return entry.sheet_row

    def _begun_elsewhere(self, row: JournalRow, entry: Entry) -> JournalRow:
        """A new row, as far as a failures file from elsewhere says that it came.

        What the file says of a row that the journal knows was begun for that row's mailbox, not for its correction's.
        """
        begun = entry.earlier_status is not None and entry.earlier_status.under_way
        if not begun or self.known.corrected_by(entry) is not None or entry.key in self._under_way:
            return row
        self._under_way.add(entry.key)
        task = entry.earlier_task if entry.earlier_status is Status.UNFINISHED else None
        return row._replace(
            address_key=None if entry.key in self.known.by_key else entry.key,
            status=Status.UNFINISHED if task else Status.UNKNOWN,
            task_id=task,
            maybe_sent=True,
        )

    def _typed_in(self, entry: Entry) -> Collection[str]:
        """The columns of the row whose cells no program converted."""
        return self._typed.get(entry.sheet_row, ()) if entry.sheet_row is not None else ()

    def _conversion(self, row: JournalRow, entry: Entry) -> Problem | None:
        """What to say of a cell that a spreadsheet program seems to have changed; None if there is none."""
        typed = self._typed_in(entry)
        for column in SENT_COLUMNS:
            new = entry.cells.get(column, "")
            old = row.cells.get(column, new)
            if column in typed or old.strip() == new.strip() or not is_converted(old, new):
                continue
            cell = self._cell_name(entry, column)
            was_faulty = any(problem.cell == cell for problem in row.problems)
            if was_faulty and self._is_workbook:
                # It had to be fixed, and a workbook's cells stay as they are typed.
                continue
            if was_faulty:
                return Problem(cell, Fault(f"{_CONVERTED}; {_FIX_ELSEWHERE}", (new, old, new)))
            return Problem(cell, Fault(f"{_CONVERTED}; {_WRITE_AGAIN}", (new, old, old, new)))
        if entry.password is not None and "password" not in typed and _has_lost_blank(row, entry.password):
            return Problem(self._cell_name(entry, "password"), Fault(_LOST_BLANK))
        return None


def _has_lost_blank(row: JournalRow, password: Secret) -> bool:
    """Whether the password was the same with a blank at one of its ends."""
    if row.password_check in (None, password_check(password, row.id)):
        return False
    text = password.reveal()
    padded = (f"{text} ", f" {text}", f" {text} ")
    return any(password_check(Secret(each), row.id) == row.password_check for each in padded)


def may_be_converted(row: JournalRow, column: str, text: str) -> bool:
    """Whether a spreadsheet program may have made `text` of what the journal has for a cell of the row."""
    if column == "password":
        return bool(text) and _has_lost_blank(row, Secret(text))
    return is_converted(row.cells.get(column, text), text)


def _with_further_cells_of(row: JournalRow, entry: Entry, typed: Collection[str]) -> Entry:
    """The entry with the journal's cells for those that a program converted, of the columns that are not sent."""
    kept = {
        column: row.cells[column]
        for column, new in entry.cells.items()
        if column not in SENT_COLUMNS
        and column not in typed
        and column in row.cells
        and is_converted(row.cells[column], new)
    }
    return replace(entry, cells={**entry.cells, **kept}) if kept else entry
