"""The rows of a sheet in memory, each with its verdict: what a check says of it, kept up to date as cells change."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from provisioner.fixing.mailboxes import Mailboxes
from provisioner.fixing.table import OpenTable
from provisioner.fixing.verdicts import READY, SENT_AS_THEY_STAND, Category, Tally, Verdict, verdict_of
from provisioner.fixing.views import FixRefusedError, OpenRow, RowFault, StaleRowError, UnknownRowError
from provisioner.journal import Moved, Written
from provisioner.messages import WORDS
from provisioner.records import Problem, Status
from provisioner.sheets import UNCERTAIN, Sheet
from provisioner.stages.corrections import may_be_converted
from provisioner.stages.entries import RowBuilder
from provisioner.stages.failures_files import failures_header
from provisioner.stages.matching import KnownRows
from provisioner.stages.read import read_rows
from provisioner.stages.reconcile import WorkPlan, verdicts
from provisioner.stages.resolve import Resolver
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from provisioner.journal import JournalRow, SheetChange
    from provisioner.records import Entry, RowId
    from provisioner.stages.corrections import Typed
    from provisioner.stages.prepare import PreparedSheet


class Rows:
    """The rows of one file, by position. Not for several threads at once."""

    def __init__(self, prepared: PreparedSheet, known: Iterable[JournalRow] | None, typed: Typed) -> None:
        """`known` are the journal's rows, None if there is no journal yet; `typed` as in `FailuresMatcher`."""
        self.prepared = prepared
        self.schema = prepared.schema
        self.table = OpenTable(prepared.sheet)
        self.sheet = self.table.sheet
        self.typed: dict[int, set[str]] = {row: set(columns) for row, columns in typed.items()}
        self.known = KnownRows(known or (), latest_file=True)
        self.outside: Counter[Category] = Counter()
        """The rows of the record that the file does not hold."""
        self.missing: list[JournalRow] = []
        """Those of them that are to be run again: another file has their passwords."""
        self.plan = WorkPlan()
        self._ids: list[RowId] = []
        """The journal's IDs of the rows as they were when the file was opened; empty if there was no journal."""
        self._resolver = Resolver(None)
        self._shown: dict[int, set[str]] = defaultdict(set)
        """The columns of a row whose cells were typed here, so that no piece of a password can stand there."""
        self._verdicts: list[Verdict] = [READY] * len(self.sheet.rows)
        self._tally: Tally | None = None
        """Of the verdicts as they are now; None if they were changed since it was made."""
        if known is None:
            self._judge(self._suspects())
        else:
            self._judge_all()

    def make_ready(self) -> None:
        """Do before the first change what it would have to wait for."""
        _ = self._mailboxes

    def identities(self) -> Iterator[tuple[int, RowId]]:
        """The number in the file and the journal's ID of each row."""
        return zip(self.sheet.rows, self._ids, strict=True)

    @property
    def tally(self) -> Tally:
        """The rows of the file, counted."""
        if self._tally is None:
            self._tally = Tally(self._verdicts, self._faulty_texts)
        return self._tally

    def at(self, key: str) -> int:
        """The position of a row that is left. Raises UnknownRowError."""
        position = self.table.position(key)
        if position is None or self._verdicts[position].category in (Category.LEFT_OUT, Category.DONE):
            raise UnknownRowError
        return position

    def is_back(self, key: str, row_id: RowId | None) -> bool:
        """Whether a row that was left out here was taken in again elsewhere, so that it may be another by now."""
        if self.left_out_at(key) is not None:
            return False
        known = self.known.by_id.get(row_id) if row_id is not None else None
        return self.table.position(key) is not None or (known is not None and not known.deleted)

    def left_out_at(self, key: str) -> int | None:
        """The position of a row that was left out here; None if the rows were read again since."""
        position = self.table.position(key)
        return position if position is not None and self._verdicts[position].left_out else None

    def journal_id(self, position: int) -> RowId | None:
        """What the journal calls the row; None if it does not know it."""
        known = self.known.at(self.table.number(position))
        return known.id if known is not None else None

    def at_version(self, key: str, version: str) -> int:
        """The same, if the row still has the version. Raises StaleRowError, UnknownRowError."""
        position = self.at(key)
        if self.table.version(position) != version:
            raise StaleRowError(self.view(position))
        return position

    def view(self, position: int) -> OpenRow:
        """The row as it can be shown."""
        verdict = self._verdicts[position]
        cells = self.table.cells(position)
        hidden = self._hidden(position, cells)
        found = tuple(self._fault(position, problem) for problem in verdict.problems)
        alike = {}
        if verdict.category is Category.TO_FIX:
            alike = {
                fault.column: self.tally.texts[fault.column, cells[fault.column]] for fault in found if fault.column
            }
            if len(self._mailboxes.of([position])) > 1:
                # Another row is for the same mailbox: one username for both would be wrong again.
                alike.pop("email", None)
        return OpenRow(
            key=self.table.keys[position],
            number=self.table.number(position),
            version=self.table.version(position),
            status=verdict.status,
            cells={key: None if cell and key in hidden else cell for key, cell in cells.items()},
            faults=found,
            alike=alike,
        )

    def _hidden(self, position: int, cells: Mapping[str, str]) -> set[str]:
        """The columns of which nothing is shown: secret ones, and those where a piece of the password may stand."""
        return self.schema.secret | self._doubtful(position, cells)

    def _doubtful(self, position: int, cells: Mapping[str, str]) -> set[str]:
        """The columns in whose cells a piece of the row's password may stand."""
        row = self.sheet.rows[position]
        username = self.sheet.misaligned.get(row)
        if username is None:
            doubtful = set(self._builder.hidden(row, self._verdicts[position].problems))
        else:
            doubtful = {key for key in cells if key != "email" or cells[key] != username}
        doubtful -= self.schema.secret | self._shown.get(position, set())
        known = self.known.at(self.sheet.number(row)) if doubtful else None
        return {key for key in doubtful if cells[key] and not (known and known.cells.get(key) == cells[key])}

    @cached_property
    def _builder(self) -> RowBuilder:
        """Of the file as it was opened."""
        return RowBuilder(self.sheet, self.prepared.checked, self._resolver, known=self.known.by_id.values())

    def _fault(self, position: int, problem: Problem) -> RowFault:
        row = self.sheet.rows[position]
        if problem.cell is not None:
            return RowFault(self.table.column_of(problem.cell), problem.sentence)
        if row in self.sheet.unreadable:
            cells = self.table.cells(position)
            marked = [key for key, cell in cells.items() if UNCERTAIN in cell]
            # Where other cells may stand under a wrong header, all of them are to be looked at.
            if len(marked) == 1 and self._doubtful(position, cells) <= set(marked):
                return RowFault(marked[0], problem.sentence)
        return RowFault(None, problem.sentence)

    def all_cells(self) -> list[list[str]]:
        """All rows that are not left out, as a failures file has them."""
        return [self.table.row(position) for position, verdict in enumerate(self._verdicts) if not verdict.left_out]

    def positions(self, *categories: Category) -> list[int]:
        """The positions of the rows of these categories, in the file's order."""
        return [position for position, verdict in enumerate(self._verdicts) if verdict.category in categories]

    def found(self, position: int, text: str) -> bool:
        """Whether a cell of the row that may be shown holds `text`, whatever its case, or its key is that."""
        if text == self.table.keys[position]:
            return True
        columns, secret = self.sheet.columns, self.schema.secret
        keys = {key for key in self.sheet.keys if key not in secret and text in columns[key][position].casefold()}
        if not keys:
            return False
        return not keys <= self._hidden(position, self.table.cells(position))

    def has_cause(self, position: int, cause: str) -> bool:
        return any(problem.cause == cause for problem in self._verdicts[position].problems)

    def alike(self, position: int, column: str) -> list[int]:
        """The rows to fix that hold the same text in a column in which it is a fault, this one included."""
        text = self.table.text(position, column)
        return [
            other
            for other in self.positions(Category.TO_FIX)
            if self.table.text(other, column) == text
            and any(self._fault(other, problem).column == column for problem in self._verdicts[other].problems)
        ]

    def read(self, cells: Mapping[int, Mapping[str, str]]) -> Sheet:
        """The rows at some positions with other texts in some columns, as they will be read. Nothing changes yet.

        Raises FixRefusedError if one of them would be read as something else than a row.
        """
        rows = []
        for position in sorted(cells):
            row, keys = self.table.row(position), self.sheet.keys
            texts = [cells[position].get(key, text) for key, text in zip(keys, row, strict=False)]
            rows.append((self.sheet.rows[position], [*texts, *row[len(keys) :]]))
        part = read_rows(
            failures_header(self.sheet),
            rows,
            self.schema,
            delimiter=self.sheet.delimiter,
            fill=self.prepared.options.fill,
        )
        unmarked = {row for row, texts in rows if not any(UNCERTAIN in text for text in texts)}
        if len(part.rows) < len(rows) or unmarked & part.misaligned.keys():
            raise FixRefusedError(
                "With these cells the row would read as a header or as the template's example, not as a mailbox.",
                remedy="Write a mailbox's cells, or leave the row out.",
            )
        return part

    def note_typed(self, new: Mapping[int, Sequence[str]]) -> None:
        """Note what somebody types, so that it is not taken for what a program made of the cell that was there."""
        for position, cells in new.items():
            for key, before, text in zip(self.sheet.keys, self.table.own_cells(position), cells, strict=False):
                if text != before:
                    self._note_typed(position, key, text)

    def note_workbook(self) -> None:
        """Note that the cells stand in a workbook, whose cells are as they were typed but for those that are faulty."""
        for position in range(len(self.sheet.rows)):
            faulty = {self._fault(position, problem).column for problem in self._verdicts[position].problems}
            for key, text in zip(self.sheet.keys, self.table.own_cells(position), strict=True):
                if key not in faulty:
                    self._note_typed(position, key, text)

    def _note_typed(self, position: int, column: str, text: str) -> None:
        number = self.table.number(position)
        known = self.known.at(number)
        if number is not None and known is not None and may_be_converted(known, column, text):
            self.typed.setdefault(number, set()).add(column)

    def apply(self, part: Sheet) -> list[int]:
        """Take in rows that were read. Returns their positions, and those of rows that are judged otherwise now."""

        def put() -> None:
            for place, position in enumerate(changed):
                self._mailboxes.remove(position)
                self._shown[position] |= self.table.put(position, part, place)
                self._mailboxes.add(position)

        changed = [self.sheet.position(row) for row in part.rows]
        return self._judged_after(put, set(changed))

    def leave_out(self, position: int) -> list[int]:
        """Take a row out. Returns the positions of the rows that are judged otherwise now."""

        def remove() -> None:
            self._mailboxes.remove(position)
            self._verdicts[position] = replace(self._verdicts[position], left_out=True)

        return [other for other in self._judged_after(remove, {position}) if other != position]

    def take_back(self, position: int) -> list[int]:
        """Take a row in again that was left out, as it was. Returns as `apply` does."""

        def add() -> None:
            self._verdicts[position] = replace(self._verdicts[position], left_out=False)
            self._mailboxes.add(position)

        return self._judged_after(add, {position})

    def _judged_after(self, change: Callable[[], None], positions: set[int]) -> list[int]:
        """Change some rows, and judge them and those that are or were for the same mailboxes.

        Returns these positions, and those of the others that are judged otherwise now.
        """
        affected = positions | self._mailboxes.of(positions)
        change()
        affected |= self._mailboxes.of(positions)
        before = {position: self._verdicts[position] for position in affected}
        self._judge({position for position in affected if not self._verdicts[position].left_out})
        return [each for each in sorted(affected) if each in positions or before[each] != self._verdicts[each]]

    def refuse(self, position: int, *, leave_out: bool = False) -> None:
        """Raise FixRefusedError if a row must stay as it is, since its mailbox may exist."""
        verdict = self._verdicts[position]
        if verdict.status.under_way or (leave_out and verdict.maybe_sent):
            words = WORDS[verdict.status]
            raise FixRefusedError(
                f"Row {self.table.keys[position]} was sent, and its mailbox may exist: {words.meaning}.",
                remedy=f"{words.remedy}.",
            )

    @cached_property
    def _mailboxes(self) -> Mailboxes:
        return Mailboxes(self.sheet, set(self.positions(Category.LEFT_OUT)))

    def _suspects(self) -> set[int]:
        """The rows that may have a fault, in a sheet without a journal."""
        odd = (row for row, (email,) in self.sheet.cells("email") if "@" in email)
        return set(map(self.sheet.position, {*self.prepared.checked.invalid, *odd, *self._builder.duplicates}))

    def _judge_all(self) -> None:
        """Judge every row as a check of the whole file would, and count the rows that the file does not hold."""
        self.plan, changes = self._decided(self.known.expecting(self._builder.entries()))
        for position, change in enumerate(islice(changes, len(self.sheet.rows))):
            self._verdicts[position] = self._verdict(change)
            self._ids.append(change.row.id if isinstance(change, Written) else change.row_id)
        beyond = {row.id: row for row in self.known.unmatched()}
        for change in changes:
            match change:
                case Written(row):
                    beyond[row.id] = row
                case Moved():
                    pass
                case _:
                    beyond.pop(change.row_id, None)
        for row in beyond.values():
            category = verdict_of(row).category
            if category not in (Category.DONE, Category.LEFT_OUT):
                category = Category.OTHER
                self.missing.append(row)
            self.outside[category] += 1

    def _judge(self, positions: set[int]) -> None:
        """Judge rows anew."""
        self._tally = None
        if not positions:
            return
        ordered = sorted(positions)
        part = self.table.part(ordered)
        alike, same = self._mailboxes.duplicates(ordered)
        checked = validate(
            part, self.schema, blank_password_ok=self.prepared.options.generate_passwords, duplicates=alike
        )
        builder = RowBuilder(part, checked, self._resolver, duplicates=same, whole=self._builder)
        self.known.release_all()
        _, changes = self._decided(builder.entries())
        for position in ordered:
            self._verdicts[position] = self._verdict(next(changes))

    def _decided(self, entries: Iterable[Entry]) -> tuple[WorkPlan, Iterator[SheetChange]]:
        return verdicts(entries, self.prepared.matcher(self.known, self.typed), self.prepared.cell_name)

    def _verdict(self, change: SheetChange) -> Verdict:
        """What a change of the journal says of its row; `unsent` if a run of this file leaves it to a failures file."""
        if not isinstance(change, Written):
            return verdict_of(self.known.by_id[change.row_id])
        if change.row.status in SENT_AS_THEY_STAND and change.row.file_row is None:
            return Verdict(Status.UNSENT)
        return verdict_of(change.row)

    def _faulty_texts(self, position: int) -> list[tuple[str, str]]:
        """The texts of the row's faulty cells, by column."""
        columns = {self._fault(position, problem).column for problem in self._verdicts[position].problems}
        return [(column, self.table.text(position, column)) for column in columns if column]
