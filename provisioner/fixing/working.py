"""The file that is being fixed: the sheet, or failures.csv once something was changed; kept in step with the disk."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

import anyio

from provisioner import run_folder
from provisioner.checking import check_prepared
from provisioner.errors import SheetError
from provisioner.events import NullListener
from provisioner.fixing.belonging import refuse_foreign
from provisioner.fixing.opening import by_sheet_row, find, from_table, watched
from provisioner.fixing.storing import FailuresFile, storing
from provisioner.fixing.verdicts import Category
from provisioner.journal import Fact, Journal
from provisioner.stages.failures_files import (
    added_cells,
    edited_files,
    failures_options,
    look_of,
    remember_typed,
    set_aside,
)
from provisioner.stages.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provisioner.fixing.rows import Rows
    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions


class WorkingFile:
    """What is to be run, with its rows in memory. Not for several threads at once."""

    def __init__(self, options: SheetOptions) -> None:
        """Read and validate it. What a check writes follows in a thread. Raises UnusableError."""
        self._options = options
        self._put_back: Path | None = None
        """The file that was put back, until its rows are in failures.csv: its user has another copy."""
        self._open()

    def _open(self) -> None:
        opened = find(self._options)
        self.folder: RunFolder = opened.folder
        self.notes: list[str] = opened.notes
        self.rows: Rows = opened.rows
        self.sheet_changed = opened.sheet_changed
        """Whether the sheet was changed since it was checked, and is not what is to be run."""
        self._complete = opened.complete
        """Whether the rows stand in one file."""
        self._source = self.rows.sheet.path
        """The file that says what is to be run."""
        self._checked = False
        """Whether the journal has each row of the sheet as it was read."""
        self._file: FailuresFile | None = None
        """failures.csv, once it is what is fixed."""
        self._next: tuple[Rows, FailuresFile] | None = None
        """The same, made ready before the first change."""
        self._trouble: Exception | None = None
        """What went wrong in the thread."""
        self._seen = opened.seen
        self._thread = Thread(target=self._write_first, name="check", daemon=True)
        # What a run has left stays as it is until something is fixed.
        if not self._complete or not (self.rows.sheet.is_failures or self.folder.log.exists()):
            self._thread.start()

    def _write_first(self) -> None:
        """Do what can be done without waiting for a change."""
        try:
            if self._complete:
                self._check()
                self._next = self._gathered()
            else:
                with self._hold():
                    self.take_over()
                    self.write({})
        except Exception as error:  # noqa: BLE001 - raised as soon as somebody asks for what was to be written
            self._trouble = error

    def _check(self) -> None:
        """Write what a check writes. Raises UnusableError and StoppedError."""
        anyio.run(partial(check_prepared, self.rows.prepared, NullListener(), started=time.perf_counter()))
        self._checked = True
        self._look()

    def _settle(self) -> None:
        """Wait for the thread. Raises what went wrong in it, unless a second try goes well."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._trouble is not None:
            self._trouble = None
            self._write_first()
        if self._trouble is not None:
            raise self._trouble

    @contextmanager
    def _hold(self) -> Iterator[None]:
        with run_folder.hold(self.folder) as warning:
            if warning is not None and warning not in self.notes:
                self.notes.append(warning)
            yield

    def journal(self) -> closing[Journal]:
        """The journal of the run folder. Raises RunFolderError."""
        return closing(Journal(self.folder.journal))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep runs out of the folder, and read again what was changed in it.

        Raises RunFolderError while a run is under way, UnusableError, StoppedError.
        """
        while True:
            self._settle()
            if self._differs():
                self._open()
                continue
            if not (self.rows.sheet.is_failures or self._checked):
                self._check()
                continue
            with self._hold():
                if not self._differs():
                    yield
                    return

    @property
    def is_writing(self) -> bool:
        """Whether the thread works that writes what a check writes."""
        return self._thread.is_alive()

    def refresh(self) -> bool:
        """Read everything again if a file was changed; returns whether one was. Raises UnusableError."""
        if self.is_writing or not self._differs():
            return False
        self._open()
        return True

    def _differs(self) -> bool:
        """Whether a file is not as it was read, or written here. Raises FilesError."""
        with storing(self.folder):
            changed = [path for path, seen in self._seen.items() if look_of(path) != seen]
            if changed == [self.folder.failures] and self._file is not None and self._file.is_on_disk():
                self._look()
                return False
        return bool(changed)

    def _look(self) -> None:
        """Note how the files of the folder are now, since it was written to."""
        self._seen |= {path: look_of(path) for path in watched(self.folder)}

    def to_run(self) -> SheetOptions:
        """How the file is read that is to be run, once everything is written. Raises UnusableError, StoppedError."""
        self._settle()
        if self._source == self._options.sheet:
            return self._options
        return failures_options(self._options, self.folder, self._source)

    def take_over(self) -> None:
        """Have all rows that are not done in memory as failures.csv is to hold them. Raises JournalError."""
        if self._file is None:
            self.rows, self._file = self._next or self._gathered()
            self._next = None

    def _gathered(self) -> tuple[Rows, FailuresFile]:
        rows = self.rows
        if self._source != self.folder.failures:
            with self.journal() as journal:
                if rows.sheet.is_failures:
                    rows.note_workbook()
                    table = rows.all_cells()
                else:
                    left = journal.retriable(of_failures=True)
                    table = [[*rows.sheet.own_cells(row.file_row or 0), *added_cells(row)] for row in left]
                rows = from_table(rows.prepared, table, list(journal.rows()), rows.typed)
        rows.make_ready()
        return rows, FailuresFile(self.folder, rows)

    def write(self, changes: Mapping[int, Sequence[str] | None]) -> None:
        """Replace failures.csv, with other cells in the rows at some positions; None leaves a row out.

        Other failures files that somebody changed are kept under another name. Raises FilesError, JournalError; then
        no row is changed.
        """
        assert self._file is not None
        if not self._file.is_written:
            with storing(self.folder), self.journal() as journal:
                self._set_aside(path for path in edited_files(journal, self.folder) if path != self._source)
        self._file.write(changes, self._remember if self.rows.typed else None)
        if self._source in self.folder.failures_files and self._source != self.folder.failures:
            with storing(self.folder):
                self._set_aside([self._source])
        self._source, self._put_back = self.folder.failures, None
        self._look()

    def read_entangled(self) -> bool:
        """Read the file again that was just written, if one row of it tells how others are read; whether it was."""
        if not self.rows.table.is_entangled:
            return False
        self._open()
        return True

    def _remember(self, digests: list[str]) -> None:
        with self.journal() as journal:
            remember_typed(journal, self.folder.failures, digests, self.rows.typed)

    def insert(self, cells: Sequence[str]) -> None:
        """Put a row into failures.csv, as it was there before. Raises FilesError, JournalError."""
        table = sorted([*self.rows.all_cells(), cells], key=by_sheet_row)
        with self.journal() as journal:
            rows = from_table(self.rows.prepared, table, list(journal.rows()), self.rows.typed)
        self.rows, self._file = rows, FailuresFile(self.folder, rows)
        self.write({})

    def use_sheet(self) -> None:
        """Have the sheet be what is to be run, as it is now. Failures files are kept under other names.

        Raises as `held` does, FilesError, JournalError.
        """
        with self.held(), storing(self.folder), self.journal() as journal:
            kept = _kept({self.folder.failures, *edited_files(journal, self.folder)})
            journal.set_fact(Fact.KEPT, "")
        self._open()
        self.notes.extend(kept)

    def fixed_rows(self) -> Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]:
        """The cells, by key, of the rows that were fixed here and are ready: as the sheet has them, and as they are.

        There are none if the sheet is what is to be run, or cannot be read.
        """
        if self._source == self._options.sheet:
            return {}
        try:
            sheet = prepare(self._options).sheet
        except SheetError:
            return {}
        table, numbers = self.rows.table, set(sheet.rows)
        pairs = (
            (table.keys[position], (dict(zip(sheet.keys, sheet.own_cells(number), strict=True)), table.cells(position)))
            for position in self.rows.positions(Category.READY)
            if (number := table.number(position)) in numbers
        )
        return {key: (before, now) for key, (before, now) in pairs if before != now}

    def put_back(self, file: Path) -> None:
        """Have a failures file that was fixed elsewhere be what is to be run. Those that are here are kept.

        Raises SheetError if it is none of this sheet, as `held` does, FilesError; then nothing is changed.
        """
        with self.held(), storing(self.folder):
            refuse_foreign(failures_options(self._options, self.folder, file), self.rows)
            kept = _kept(self.folder.failures_files)
            self._put_back = file.replace(self.folder.failures.with_suffix(file.suffix))
        self._open()
        self.notes.extend(kept)

    def _set_aside(self, paths: Iterable[Path]) -> None:
        for path in list(paths):
            kept = set_aside(path)
            if path != self._put_back:
                self.notes.append(f"{path.name} was changed by hand; it is kept as {kept}.")


def _kept(paths: Iterable[Path]) -> list[str]:
    """Keep failures files under other names; returns what is said of them, if there are any. Raises OSError."""
    kept = [str(set_aside(path)) for path in sorted(paths) if path.exists()]
    return [f"What was in the failures files before is kept: {', '.join(kept)}."] if kept else []
