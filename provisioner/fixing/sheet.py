"""A sheet that is open for fixing: its rows and what is wrong with them, and every change stored as it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import RLock
from typing import TYPE_CHECKING, Final

from provisioner import passwords
from provisioner.fixing.verdicts import Category
from provisioner.fixing.views import (
    Cause,
    Changed,
    Counts,
    OpenRow,
    SheetColumn,
    StaleRowError,
    UnknownRowError,
    columns_of,
)
from provisioner.fixing.working import WorkingFile
from provisioner.messages import count
from provisioner.sheets import FAILURES_COLUMNS
from provisioner.sheets.text_workbook import MAX_CELLS, text_workbook
from provisioner.stages.failures_files import failures_header

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.fixing.rows import Rows
    from provisioner.records import RowId
    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions

_IN_FILE: Final = frozenset(Category) - {Category.LEFT_OUT}
"""The categories of the rows that a failures file holds."""
MOST_TOLD: Final = 100
"""How many further rows the answer to a change names at most."""


def is_current(folder: RunFolder) -> bool:
    """Whether failures.xlsx is there, and not older than fixes in failures.csv."""
    try:
        return folder.failures_workbook.stat().st_mtime_ns >= folder.failures.stat().st_mtime_ns
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class _Step:
    """A change that can be undone: the cells that rows had before, and the versions that it gave them."""

    key: str
    """The row that was changed first."""
    before: Mapping[str, Sequence[str]] = field(repr=False)
    """By key, as a failures file has them."""
    after: Mapping[str, str]
    """By key; empty if the row was left out."""
    row_id: RowId | None = None
    """What the journal calls a row that was left out; None if it does not know it."""


class OpenSheet:
    """One sheet. Its methods block, and may be called from several threads."""

    def __init__(self, options: SheetOptions) -> None:
        """Read and validate a sheet, and compare it with the journal of its run folder.

        What a check writes follows in a thread. Raises UnusableError.
        """
        self.options = options
        self._lock = RLock()
        self._steps: list[_Step] = []
        self._file = WorkingFile(options)

    @property
    def folder(self) -> RunFolder:
        return self._file.folder

    @property
    def is_changing(self) -> bool:
        """Whether another thread changes it at this moment, or writes what a check writes."""
        if not self._lock.acquire(blocking=False):
            return True
        self._lock.release()
        return self._file.is_writing

    @property
    def notes(self) -> Sequence[str]:
        """What a check says of the sheet, such as which columns are ignored."""
        return self._file.notes

    @property
    def _rows(self) -> Rows:
        return self._file.rows

    @property
    def columns(self) -> Sequence[SheetColumn]:
        return columns_of(self._rows.sheet, self._rows.schema)

    def counts(self) -> Counts:
        """How many rows stand where."""
        with self._lock:
            tally = self._rows.tally
            categories = tally.categories + self._rows.outside
        numbers = {category.name.lower(): categories[category] for category in Category}
        return Counts(rows=categories.total(), **numbers, of_account=tally.of_account)

    def causes(self) -> list[Cause]:
        """What is wrong with the rows to fix, the most frequent first."""
        with self._lock:
            return [Cause(sentence, rows) for sentence, rows in self._rows.tally.causes.most_common()]

    def rows(
        self, *, to_fix: bool = True, search: str = "", cause: str = "", after: str = "", start: int = 0, size: int = 50
    ) -> tuple[list[OpenRow], int]:
        """A page of the rows that are to be fixed, or of all that are left, and how many there are.

        `search` is a text that a shown cell holds, or a row's key; `cause` the sentence of one of `causes`.
        `after` is the key of a row behind which the page begins, even if that row is no longer listed.
        """
        with self._lock:
            rows = self._rows
            wanted = (Category.TO_FIX,) if to_fix else (Category.TO_FIX, Category.READY, Category.OTHER)
            text = search.strip().casefold()
            last = rows.table.position(after)
            found = [
                position
                for position in rows.positions(*wanted)
                if (last is None or position > last)
                and (not cause or rows.has_cause(position, cause))
                and (not text or rows.found(position, text))
            ]
            return [rows.view(position) for position in islice(found, start, start + size)], len(found)

    def row(self, key: str) -> OpenRow:
        """One row that is left. Raises UnknownRowError."""
        with self._lock:
            return self._rows.view(self._rows.at(key))

    def reveal(self, key: str, column: str) -> str:
        """What stands in a cell that is not shown. Raises UnknownRowError."""
        with self._lock:
            cells = self._rows.table.own_cells(self._rows.at(key))
            return cells[self._rows.sheet.keys.index(column)]

    def generated_password(self) -> str:
        """A new password that the schema accepts; it is not stored. Raises SchemaError if none can be generated."""
        schema = self._rows.schema
        return passwords.generator(lambda text: schema.accepts("password", text))().reveal()

    def change(self, key: str, version: str, cells: Mapping[str, str], *, alike: str | None = None) -> Changed:
        """Write other texts into some cells of a row, by column, and store that.

        `alike` is a column of `cells` whose text is for all rows to fix that hold the same there as this one did.
        Raises StaleRowError if the row has not the version any more, UnknownRowError, FixRefusedError, RunFolderError
        while a run is under way, FilesError, JournalError; then nothing is changed.
        """
        with self._lock, self._file.held():
            self._rows.at_version(key, version)
            self._file.take_over()
            rows = self._rows
            position = rows.at(key)
            wanted: dict[int, Mapping[str, str]] = {}
            if alike is not None:
                wanted = {other: {alike: cells[alike]} for other in rows.alike(position, alike)}
            changed, step = self._write(key, {**wanted, position: cells})
            self._steps.append(step)
            return changed

    def leave_out(self, key: str, version: str) -> Changed:
        """Leave a row out: it is not sent, and nothing is left to do for it. Raises as `change` does."""
        with self._lock, self._file.held():
            self._rows.refuse(self._rows.at_version(key, version), leave_out=True)
            self._file.take_over()
            rows = self._rows
            position = rows.at(key)
            step = _Step(key, {key: rows.table.row(position)}, {}, rows.journal_id(position))
            self._note_left_out(step, left_out=True)
            try:
                # If the program is killed now, the row is still in the file, and not left out.
                self._file.write({position: None})
            except Exception:
                self._note_left_out(step, left_out=False)
                raise
            self._steps.append(step)
            return self._told(None, [] if self._file.read_entangled() else rows.leave_out(position))

    @property
    def undoable(self) -> bool:
        """Whether there is a change to undo."""
        return bool(self._steps)

    def undo(self) -> Changed | None:
        """Undo the latest change as a whole; None if there is none. Raises as `change` does."""
        with self._lock:
            return self._undo(self._steps[-1]) if self._steps else None

    @property
    def left_out(self) -> list[str]:
        """The keys of the rows that were left out here and can be taken back, whatever was changed since."""
        return [step.key for step in self._steps if not step.after]

    def take_back(self, key: str) -> Changed:
        """Take back one of the rows of `left_out`. Raises as `change` does."""
        with self._lock:
            step = next((step for step in self._steps if step.key == key and not step.after), None)
            if step is None:
                raise UnknownRowError
            return self._undo(step)

    def _undo(self, step: _Step) -> Changed:
        with self._file.held():
            try:
                self._refuse_stale(step)
            except (StaleRowError, UnknownRowError):
                # It can never be undone; the others may.
                self._steps.remove(step)
                raise
            self._file.take_over()
            done = self._change_back(step) if step.after else self._take_back(step)
            self._steps.remove(step)
            return done

    def _refuse_stale(self, step: _Step) -> None:
        """Raise StaleRowError or UnknownRowError if a row is not any more as the step has left it."""
        for key, version in step.after.items():
            self._rows.at_version(key, version)
        if not step.after and self._rows.is_back(step.key, step.row_id):
            raise UnknownRowError

    def _change_back(self, step: _Step) -> Changed:
        rows = self._rows
        cells = {key: dict(zip(rows.sheet.keys, before, strict=True)) for key, before in step.before.items()}
        changed, _ = self._write(step.key, {rows.at(key): texts for key, texts in cells.items()})
        return changed

    def _take_back(self, step: _Step) -> Changed:
        """Put a row that was left out back into its place."""
        cells = step.before[step.key]
        position = self._rows.left_out_at(step.key)
        if position is None:
            affected: list[int] = []
            self._file.insert(cells)
        else:
            self._file.write({position: cells})
            affected = [] if self._file.read_entangled() else self._rows.take_back(position)
        self._note_left_out(step, left_out=False)
        return self._told(step.key, affected)

    def _note_left_out(self, step: _Step, *, left_out: bool) -> None:
        """Note in the journal whether the row of a step is left out. Raises JournalError."""
        if step.row_id is not None:
            with self._file.journal() as journal:
                journal.leave_out(step.row_id, left_out=left_out)

    def _write(self, key: str, wanted: Mapping[int, Mapping[str, str]]) -> tuple[Changed, _Step]:
        """Store other cells for rows, and judge them."""
        rows = self._rows
        for position in wanted:
            rows.refuse(position)
        before = {rows.table.keys[position]: rows.table.own_cells(position) for position in wanted}
        part = rows.read(wanted)
        new = rows.table.rows_of(part)
        rows.note_typed(new)
        self._file.write(new)
        affected = rows.apply(part)
        if self._file.read_entangled():
            rows, affected = self._rows, []
        after = {each: rows.table.version(rows.at(each)) for each in before}
        return self._told(key, affected), _Step(key, before, after)

    def _told(self, key: str | None, affected: Sequence[int]) -> Changed:
        rows = self._rows
        position = rows.at(key) if key is not None else None
        others = [rows.view(each) for each in affected[: MOST_TOLD + 1] if each != position][:MOST_TOLD]
        return Changed(rows.view(position) if position is not None else None, tuple(others))

    @property
    def has_workbook(self) -> bool:
        """Whether the rows to fix can be had as a workbook: there is one, or they are not too many for it."""
        with self._lock:
            held, counted = _IN_FILE if self._rows.sheet.is_failures else {Category.TO_FIX}, self._rows.tally.categories
            rows = sum(counted[category] for category in held)
            return rows * (len(self.columns) + len(FAILURES_COLUMNS)) <= MAX_CELLS or is_current(self.folder)

    def workbook(self) -> bytes:
        """The rows of failures.csv as they are now, as failures.xlsx has them. Raises OSError."""
        # If the program is killed meanwhile, what was written lies where only the owner looks.
        with self._lock, TemporaryDirectory(dir=self.folder.path) as folder:
            rows, path = self._rows, Path(folder) / self.folder.failures_workbook.name
            with text_workbook(path, "Failures", failures_header(rows.sheet), read_back=True) as add:
                for position in rows.positions(*_IN_FILE):
                    faulty = {fault.column for fault in rows.view(position).faults}
                    places = [place for place, key in enumerate(rows.sheet.keys) if key in faulty]
                    add(rows.table.row(position), places)
            return path.read_bytes()

    @property
    def sheet_changed(self) -> bool:
        """Whether the sheet was changed since it was checked, while the rows are those of a failures file."""
        return self._file.sheet_changed

    def use_sheet(self) -> None:
        """Take the rows from the sheet as it is now; failures files are kept under other names. No fix is undone then.

        Raises RunFolderError while a run is under way, UnusableError, FilesError, JournalError.
        """
        with self._lock:
            self._file.use_sheet()
            self._steps.clear()

    def put_back(self, file: Path) -> None:
        """Have a failures file that was fixed elsewhere, `.csv` or `.xlsx`, be what is to be run; it is moved.

        Those that are here are kept under other names, and no fix is undone then: a row that was fixed here and that
        the file has as the sheet has it, or not at all, stays fixed. Raises SheetError if it is none of this sheet,
        RunFolderError while a run is under way, UnusableError, FilesError.
        """
        with self._lock:
            fixed = self._file.fixed_rows()
            self._file.put_back(file)
            self._steps.clear()
            with self._file.held():
                self._fix_again(fixed)

    def _fix_again(self, fixed: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]) -> None:
        """Fix rows again that are as the sheet has them. `fixed` is as from `WorkingFile.fixed_rows`."""
        table = self._rows.table
        to_fix = {table.keys[position]: table.cells(position) for position in self._rows.positions(Category.TO_FIX)}
        again = [key for key, (before, _) in fixed.items() if to_fix.get(key) == before]
        if again:
            self._file.take_over()
            self._write(again[0], {self._rows.at(key): fixed[key][1] for key in again})
            self._file.notes.append(
                count(
                    len(again),
                    "row stays as it was fixed here; the file does not change it.",
                    "rows stay as they were fixed here; the file does not change them.",
                )
            )

    @property
    def working_file(self) -> SheetOptions:
        """What is to be run: the sheet, or failures.csv once something was fixed.

        Waits for what is still being written. Raises UnusableError, StoppedError if that failed.
        """
        with self._lock:
            return self._file.to_run()

    def refresh(self) -> bool:
        """Read everything again if a file was changed on the disk; returns whether one was. Raises UnusableError."""
        with self._lock:
            return self._file.refresh()
