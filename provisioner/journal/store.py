"""The journal of a run folder: committing changes together, and reading what is known."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import RLock
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from provisioner.errors import JournalError, RunFolderError
from provisioner.journal.changes import Change, Event, SheetChange
from provisioner.journal.tables import COLUMNS, KEEP_IT, explained, open_database, row_from
from provisioner.records import RowId, Status
from provisioner.settings import PRACTICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from provisioner.journal.rows import JournalRow


class Fact(StrEnum):
    """What a journal remembers of the run as a whole, as texts."""

    SHEET = "sheet"
    """The path of the original sheet."""
    TAB = "tab"
    """Which sheet of a workbook it is; otherwise empty."""
    CHOSEN_TAB = "chosen tab"
    """The same, if it had to be named; otherwise empty."""
    CONTENT = "content of the sheet"
    """SHA-256 of the original sheet when it was last read."""
    DELIMITER = "delimiter"
    """Of the files."""
    COLUMNS = "columns"
    """What unclear headers of the sheet mean, as JSON: `SheetOptions.columns`."""
    HEADERS = "headers"
    """The sheet's own headers but those of secret columns, as JSON: [[header, column], …]."""
    FURTHER = "further columns"
    """The sheet's columns that the schema does not know, in the same form."""
    OF_FAILURES = "of a failures file"
    """Whether the latest file that was read was a failures file: `yes` or empty."""
    KEPT = "kept failures file"
    """The name of the failures file that was renamed last, as it held fixes that no other file does."""
    SERVICE = "service"
    """Which service the mailboxes are at, as `Journal.belong_to` was told."""
    RATE = "rate"
    """What the service allows, as far as it was found out."""
    SERVERS = "mail servers"
    """The account's, as JSON."""


_IN_RESULTS = "superseded_by IS NULL AND NOT deleted"
_MAILBOXES = f"('{Status.CREATED}', '{Status.EXISTS}')"
_NOT_CREATED = f"{_IN_RESULTS} AND status NOT IN {_MAILBOXES}"
_LEFT = f"{_NOT_CREATED} AND status <> '{Status.VALID}'"
_IS_CORRECTION = "(corrected OR id IN (SELECT superseded_by FROM rows))"
_STATUSES = f"SELECT status, count(*) FROM rows WHERE {_IN_RESULTS} GROUP BY status"  # noqa: S608 - a constant
_SHEET_ORDER = "ORDER BY sheet_row IS NULL, sheet_row, id"


class Journal:
    """The journal of one run folder. `record` may be awaited by many tasks of one event loop at once."""

    def __init__(self, path: Path) -> None:
        """Open the journal, or start a new one. Raises RunFolderError if that cannot be done."""
        self._path = path
        self._lock = RLock()
        self._turn = anyio.Lock()
        self._batch = _Batch()
        self._database = open_database(path)

    def close(self) -> None:
        """Write what is still to be written, and close the file. Raises JournalError."""
        # SQLite crashes if another thread is writing: one that asyncio's own cancellation left at work.
        with self._lock:
            try:
                if self._batch.changes:
                    self.apply(self._batch.changes)
            finally:
                self._database.close()

    def belong_to(self, service: str) -> None:
        """Remember which service this journal's mailboxes are at.

        Raises RunFolderError as `refuse_other_service` does. Raises JournalError.
        """
        self.refuse_other_service(service)
        self.set_fact(Fact.SERVICE, service)

    def refuse_other_service(self, service: str) -> None:
        """Raise RunFolderError if this journal belongs to another service: a row that is done there is not done here.

        Raises JournalError.
        """
        known = self.fact(Fact.SERVICE)
        if known not in (None, service):
            folder = self._path.parent
            if known == PRACTICE:
                raise RunFolderError(
                    f"The run folder {folder} was used for practice; a real run needs another folder.",
                    remedy="Name another folder with --out, or delete this one.",
                )
            held = f"The run folder {folder} holds a run at {known}"
            if service == PRACTICE:
                raise RunFolderError(
                    f"{held}; practice needs another folder.",
                    remedy="Leave out --sandbox to go on with that run, or name another folder with --out to practice.",
                )
            raise RunFolderError(
                f"{held}; a run at {service} needs another folder.", remedy="Name another folder with --out."
            )

    def fact(self, name: str) -> str | None:
        """Something remembered about the run as a whole; None if it never was."""
        return next((value for (value,) in self._read("SELECT value FROM facts WHERE name = ?", name)), None)

    def set_fact(self, name: str, value: str) -> None:
        """Remember something about the run as a whole. Raises JournalError."""
        self.set_facts({name: value})

    def set_facts(self, facts: Mapping[Any, str]) -> None:
        """Remember several things about the run as a whole, all or none of them. Raises JournalError."""
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", facts.items())

    def rows(self) -> Iterator[JournalRow]:
        """Every row, superseded ones too, in no particular order."""
        return self._rows("true")

    def record_rows(self) -> Iterator[JournalRow]:
        """The rows of results.csv in its order: by sheet row, those that no sheet holds last."""
        return self._rows(f"{_IN_RESULTS} {_SHEET_ORDER}")

    def done(self) -> Iterator[JournalRow]:
        """The rows of results.csv whose mailboxes exist, in its order."""
        return self._rows(f"{_IN_RESULTS} AND status IN {_MAILBOXES} {_SHEET_ORDER}")

    def left(self) -> Iterator[JournalRow]:
        """The rows of results.csv that are not done, in its order."""
        return self._rows(f"{_LEFT} {_SHEET_ORDER}")

    def failed_since(self, moment: float, most: int) -> list[JournalRow]:
        """The rows that were refused or failed since a moment, in seconds since 1970: the latest ones, latest first."""
        failed = f"status IN ('{Status.REJECTED}', '{Status.FAILED}')"
        condition = f"{_IN_RESULTS} AND {failed} AND finished_at >= ? ORDER BY finished_at DESC LIMIT ?"
        return list(self._rows(condition, moment, most))

    def retriable(self, *, of_failures: bool) -> Iterator[JournalRow]:
        """The rows of failures.csv, in the order of the file of the latest run.

        `of_failures`: that was a failures file, whose rows stay in it until they are created: no other file has them.
        """
        return self._rows(f"{_to_retry(of_failures=of_failures)} ORDER BY file_row")

    def retriable_count(self, *, of_failures: bool) -> int:
        """How many rows failures.csv has."""
        condition = _to_retry(of_failures=of_failures)
        return int(self._value(f"SELECT count(*) FROM rows WHERE {condition}"))  # noqa: S608 - made of constants

    def open_corrections(self, *, of_latest: bool) -> bool:
        """Whether a row that was fixed in a failures file is not created: no other file holds what is to be sent.

        `of_latest`: a row that the file of the latest run held, or one that it did not.
        """
        where = f"file_row IS {'NOT NULL' if of_latest else 'NULL'}"
        return any(True for _ in self._rows(f"{_NOT_CREATED} AND {_IS_CORRECTION} AND {where} LIMIT 1"))

    def statuses(self) -> dict[Status, int]:
        """How many rows of results.csv have each status; a status without rows is absent."""
        counted = dict(self._read(_STATUSES))
        return {status: counted[status] for status in Status if status in counted}

    def latest_event(self) -> int:
        """The number of the latest event; 0 if there is none."""
        return int(self._value("SELECT coalesce(max(id), 0) FROM events"))

    def events(self, after: int) -> Iterator[Event]:
        """What happened since the event of that number, in order."""
        for row_id, at, kind in self._read("SELECT row_id, at, kind FROM events WHERE id > ? ORDER BY id", after):
            yield Event(RowId(row_id), at, kind)

    def apply_sheet(self, changes: Iterable[SheetChange]) -> None:
        """Bring the rows in step with a sheet, in one transaction. Raises JournalError."""
        with self._transaction() as database:
            database.execute("UPDATE rows SET file_row = NULL WHERE file_row IS NOT NULL")
            for change in changes:
                change.write(database)

    def leave_out(self, row_id: RowId, *, left_out: bool) -> None:
        """Leave a row out, as if it had been deleted from a failures file, or take it in again. Raises JournalError."""
        with self._transaction() as database:
            database.execute("UPDATE rows SET deleted = ? WHERE id = ?", (left_out, row_id))

    def apply(self, changes: Iterable[Change]) -> None:
        """Store the changes and their events in one transaction. Raises JournalError."""
        with self._transaction() as database:
            for change in changes:
                event = (change.row_id, change.at, *change.write(database))
                database.execute("INSERT INTO events (row_id, at, kind, detail) VALUES (?, ?, ?, ?)", event)

    async def record(self, *changes: Change) -> None:
        """Return when the changes are on the disk, all or none of them. Raises JournalError.

        Calls that come while a commit is under way share the next one: a hundred workers need few commits.
        """
        if not changes:
            return
        batch = self._batch
        batch.changes.extend(changes)
        # Even if this call is cancelled, the others that share the commit must not go without it.
        with anyio.CancelScope(shield=True):
            async with self._turn:
                if batch is self._batch:
                    self._batch = _Batch()
                if not batch.ended:
                    await anyio.to_thread.run_sync(self._commit, batch)
        if batch.error is not None:
            raise JournalError(batch.error.message, remedy=batch.error.remedy) from batch.error

    def _commit(self, batch: _Batch) -> None:
        # asyncio's own cancellation can end the wait for a commit, which goes on in its thread: the next caller waits.
        with self._lock:
            if not batch.ended:
                batch.error = self._try(batch.changes)
                batch.ended = True

    def _try(self, changes: Iterable[Change]) -> JournalError | None:
        try:
            self.apply(changes)
        except JournalError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may believe that the change is stored
            return JournalError(
                f"The journal {self._path} did not take a change ({type(error).__name__}), so nothing more is sent.",
                remedy="Run again: what was sent is looked up first. If it happens again, ask for help.",
            )
        return None

    def _rows(self, condition: str, *values: object) -> Iterator[JournalRow]:
        query = f"SELECT {COLUMNS} FROM rows WHERE {condition}"  # noqa: S608 - every condition is a constant
        return map(row_from, self._read(query, *values))

    def _value(self, query: str, *values: object) -> Any:
        ((value,),) = self._read(query, *values)
        return value

    def _read(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Rows from a snapshot of its own, so that reading never keeps a commit waiting. Raises JournalError."""
        reading = explained(self._path, JournalError, "read", KEEP_IT)
        with reading, closing(sqlite3.connect(self._path)) as database:
            yield from database.execute(query, values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        remedy = "Make room on the disk or give the folder back its write permission, then run again."
        writing = explained(self._path, JournalError, "written", remedy, so=", so nothing more is sent")
        with self._lock, writing:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise


def _to_retry(*, of_failures: bool) -> str:
    return f"{_NOT_CREATED if of_failures else _LEFT} AND file_row IS NOT NULL"


@dataclass(slots=True)
class _Batch:
    """Changes that share one commit."""

    changes: list[Change] = field(default_factory=list)
    ended: bool = False
    """The commit was tried; `error` says whether it failed."""
    error: JournalError | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """What a journal says at a glance."""

    sheet: str
    """The path of the original sheet; empty if it is not known."""
    tab: str
    """Which sheet of a workbook, if it had to be named; otherwise empty."""
    practice: bool
    """Its mailboxes are in the sandbox."""
    statuses: Mapping[Status, int]
    """How many rows of results.csv have each status; a status without rows is absent."""
    content: str
    """SHA-256 of the original sheet when it was last read; empty if it is not known."""
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)

    def fact(self, name: str) -> str | None:
        """As `Journal.fact`, when the journal was looked at."""
        return self.facts.get(name)


def overview(path: Path) -> Overview | None:
    """Look at a journal without changing it, also while a run writes to it. None if it cannot be read now."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.2)) as database:
            facts = dict(database.execute("SELECT name, value FROM facts"))
            counted = dict(database.execute(_STATUSES))
    except sqlite3.DatabaseError:
        return None
    return Overview(
        facts.get(Fact.SHEET, ""),
        facts.get(Fact.CHOSEN_TAB, ""),
        facts.get(Fact.SERVICE) == PRACTICE,
        {status: counted[status] for status in Status if status in counted},
        facts.get(Fact.CONTENT, ""),
        facts,
    )
