"""What happened to each row, as it happens: every SQL statement of the program.

The journal always says what would be true if the process died at this instant. A create's intent is stored as
`unknown` before it is sent and its task as `unfinished` when it is accepted, so nothing needs repair after a crash.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from operator import attrgetter
from threading import Lock
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from provisioner.errors import JournalError, RunFolderError
from provisioner.records import Actor, Job, LoginState, Problem, Request, RowId, Status, TaskId
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MIGRATIONS = (
    """
    CREATE TABLE rows (
        id             INTEGER PRIMARY KEY,
        sheet_row      INTEGER,           -- NULL: no sheet holds the row any more
        file_row       INTEGER,           -- its row in the latest run's file; NULL: that does not hold it
        address_key    TEXT,              -- username and domain, case-folded; NULL: the row cannot be sent
        email          TEXT NOT NULL,
        domain         TEXT NOT NULL,
        relay_server   TEXT NOT NULL,
        project        TEXT NOT NULL,
        reply_to       TEXT NOT NULL,
        address        TEXT NOT NULL DEFAULT '',
        status         TEXT NOT NULL,
        error          TEXT NOT NULL DEFAULT '',
        task_id        TEXT,
        mailbox_id     TEXT,
        password       TEXT,              -- only one that this program generated
        password_check INTEGER,
        sends          INTEGER NOT NULL DEFAULT 0,
        maybe_sent       INTEGER NOT NULL DEFAULT 0,  -- a create of it may have been carried out unseen
        superseded_by  INTEGER REFERENCES rows (id),
        submitted_at   REAL,
        finished_at    REAL
    );
    -- The database itself refuses to hold one address twice.
    CREATE UNIQUE INDEX one_row_an_address ON rows (address_key);
    CREATE TABLE facts (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
    );
    CREATE TABLE events (
        id     INTEGER PRIMARY KEY,
        row_id INTEGER NOT NULL,
        at     REAL NOT NULL,
        status TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    """,
    """
    -- Of an invalid row, JSON: [[cell, sentence, cause], …]
    ALTER TABLE rows ADD COLUMN problems TEXT NOT NULL DEFAULT '';
    """,
    """
    ALTER TABLE rows ADD COLUMN imap TEXT;         -- what came of the latest log-in; NULL: none was tried
    ALTER TABLE rows ADD COLUMN smtp TEXT;
    ALTER TABLE rows ADD COLUMN login_error TEXT;  -- why that is not ok
    """,
    """
    ALTER TABLE rows ADD COLUMN corrected INTEGER NOT NULL DEFAULT 0;  -- what was sent stands in a failures file
    """,
)
"""Each brings the tables one version up; the version is SQLite's user_version."""

STILL_IN_DOUBT = "an earlier create had no clear answer, and it was not sent again"

SHEET_FACT, DELIMITER_FACT = "sheet", "delimiter"
"""Facts: the path of the whole sheet of the latest run, and what separates the cells of its files."""

COLUMNS = (
    "id, sheet_row, file_row, address_key, email, domain, relay_server, project, reply_to, address, status, error,"
    " task_id, mailbox_id, password, password_check, sends, maybe_sent, superseded_by, submitted_at, finished_at,"
    " problems, imap, smtp, login_error, corrected"
)


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What is known of one row. Times are on the wall clock, in seconds since 1970."""

    id: RowId
    sheet_row: int | None
    """None where no sheet holds the row any more."""
    file_row: int | None
    """Its row in the file of the latest run, which may be a failures file; None where that does not hold it."""
    address_key: str | None
    """Username and domain, case-folded; None where the row cannot be sent as it stands."""
    email: str
    domain: str
    relay_server: str
    project: str
    reply_to: str
    address: str = ""
    status: Status = Status.UNSENT
    error: str = ""
    task_id: TaskId | None = None
    mailbox_id: str | None = None
    password: Secret | None = None
    """Only one that this program generated."""
    password_check: int | None = None
    sends: int = 0
    maybe_sent: bool = False
    """A create of it may have been carried out without our seeing the answer."""
    superseded_by: RowId | None = None
    """The row that corrects this one."""
    submitted_at: float | None = None
    finished_at: float | None = None
    problems: tuple[Problem, ...] = ()
    """Of an invalid row: what `error` says, one by one."""
    imap: LoginState | None = None
    """What came of the latest log-in; None where none was tried."""
    smtp: LoginState | None = None
    login_error: str | None = None
    """Why a log-in is not ok, or was not tried."""
    corrected: bool = False
    """What was sent last came from a failures file, so the sheet may still say something else."""

    @property
    def actor(self) -> Actor:
        """Who must act before the row can be created; of no meaning where it is done."""
        if self.status in (Status.INVALID, Status.REJECTED):
            return Actor.SHEET
        return Actor.SUPPORT if self.status is Status.FAILED and self.sends > 1 else Actor.NEXT_RUN

    @property
    def was_sent(self) -> bool:
        return self.sends > 0


@dataclass(frozen=True, slots=True)
class Written:
    """A new row, or a known one whose content the sheet now decides."""

    row: JournalRow


@dataclass(frozen=True, slots=True)
class Moved:
    """A known row keeps all but its place."""

    row_id: RowId
    sheet_row: int | None
    file_row: int | None


@dataclass(frozen=True, slots=True)
class Superseded:
    """A row is corrected by another."""

    row_id: RowId
    by: RowId


@dataclass(frozen=True, slots=True)
class Dropped:
    """The row was never sent, and no sheet holds it any more."""

    row_id: RowId


SheetChange = Written | Moved | Superseded | Dropped
"""One step of bringing the journal in step with a sheet, before anything is sent."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A create is about to be sent."""

    job: Job
    at: float


@dataclass(frozen=True, slots=True)
class SendCancelled:
    """The create that was about to be sent was not sent, or certainly not carried out."""

    row_id: RowId
    at: float


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """The service accepted the create as a task."""

    row_id: RowId
    task_id: TaskId
    at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The row reached a status; `error` says why where that is not plain."""

    row_id: RowId
    status: Status
    at: float
    error: str = ""
    mailbox_id: str | None = None
    address: str = ""


@dataclass(frozen=True, slots=True)
class LoginChecked:
    """The mailbox was logged in to, or that could not be tried."""

    row_id: RowId
    at: float
    imap: LoginState | None
    smtp: LoginState | None
    error: str | None = None


Change = Sending | SendCancelled | TaskAccepted | Finished | LoginChecked


@dataclass(frozen=True, slots=True)
class Event:
    """A change that was stored, as it is told afterwards."""

    row_id: RowId
    at: float
    """On the wall clock, in seconds since 1970."""
    kind: str
    """`sending`, `withdrawn`, `accepted`, or the status that the row reached."""


def address_key(email: str, domain: object) -> str:
    """What a row is known by: its username and domain, whatever their case."""
    return f"{email.casefold()}@{str(domain).casefold()}"


def password_check(password: Secret | None, row_id: RowId) -> int | None:
    """16 bits of a password: enough to notice that it changed, too few to find it by trying."""
    if password is None:
        return None
    digest = hashlib.blake2b(password.reveal().encode(), digest_size=2, salt=int(row_id).to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


class Journal:
    """The journal of one run folder. `record` may be awaited by many tasks of one event loop at once."""

    def __init__(self, path: Path) -> None:
        """Open the journal, new or of an older version. Raises RunFolderError where that cannot be done."""
        self._path = path
        self._lock = Lock()
        self._turn = anyio.Lock()
        self._batch = _Batch()
        with _explained(path):
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                _prepare(self._database, path)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Write what is still to be written, and let go of the file."""
        try:
            if self._batch.changes:
                self.apply(self._batch.changes)
        finally:
            self._database.close()

    def belong_to(self, service: str) -> None:
        """Remember which service this journal's mailboxes are at.

        Raises RunFolderError where it is another: a row that is done there is not done here. Raises JournalError.
        """
        known = self.fact("service")
        if known is None:
            self.set_fact("service", service)
        elif known != service:
            raise RunFolderError(
                f"The run folder {self._path.parent} holds a run against another service ({known}), not {service}.",
                remedy="Name another folder with --out; or, if that was only for practice, delete the folder.",
            )

    def fact(self, name: str) -> str | None:
        """Something remembered about the run as a whole; None where it never was."""
        return next((value for (value,) in self._read("SELECT value FROM facts WHERE name = ?", (name,))), None)

    def set_fact(self, name: str, value: str) -> None:
        """Remember something about the run as a whole. Raises JournalError."""
        with self._transaction() as database:
            query = (
                "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            )
            database.execute(query, (name, value))

    def rows(self) -> Iterator[JournalRow]:
        """Every row there is, superseded ones too, in no order that means anything."""
        for fields in self._read(f"SELECT {COLUMNS} FROM rows"):  # noqa: S608 - a constant of this module
            yield _row(fields)

    def record_rows(self) -> Iterator[JournalRow]:
        """The rows of results.csv in its order: by sheet row, those that no sheet holds last."""
        query = f"SELECT {COLUMNS} FROM rows WHERE superseded_by IS NULL ORDER BY {_SHEET_ORDER}"  # noqa: S608 - constants of this module
        for fields in self._read(query):
            yield _row(fields)

    def statuses(self) -> dict[Status, int]:
        """How many rows of results.csv have each status; a status without rows is absent."""
        query = "SELECT status, count(*) FROM rows WHERE superseded_by IS NULL GROUP BY status"
        counted = {Status(status): count for status, count in self._read(query)}
        return {status: counted[status] for status in Status if status in counted}

    def open_corrections(self) -> bool:
        """Whether a row that was fixed in a failures file is not done: no other file holds what is to be sent."""
        query = f"SELECT 1 FROM rows WHERE {_LEFT} AND id IN (SELECT superseded_by FROM rows) LIMIT 1"  # noqa: S608 - a constant of this module
        return any(True for _ in self._read(query, (False,)))

    def retriable(self, *, of_failures: bool) -> Iterator[JournalRow]:
        """The rows of failures.csv, in the order of the file of the latest run.

        `of_failures`: that was a failures file, whose rows stay in it until they are made: no other file has them.
        """
        query = f"SELECT {COLUMNS} FROM rows WHERE {_LEFT} AND file_row IS NOT NULL ORDER BY file_row"  # noqa: S608 - constants of this module
        for fields in self._read(query, (of_failures,)):
            yield _row(fields)

    def retriable_count(self, *, of_failures: bool) -> int:
        """How many rows failures.csv has."""
        query = f"SELECT count(*) FROM rows WHERE {_LEFT} AND file_row IS NOT NULL"  # noqa: S608 - a constant of this module
        ((number,),) = self._read(query, (of_failures,))
        return int(number)

    def left(self) -> Iterator[JournalRow]:
        """The rows of results.csv that are not done, by sheet row, those that no sheet holds last."""
        query = f"SELECT {COLUMNS} FROM rows WHERE {_LEFT} ORDER BY {_SHEET_ORDER}"  # noqa: S608 - constants of this module
        for fields in self._read(query, (False,)):
            yield _row(fields)

    def latest_event(self) -> int:
        """The number of the latest event; 0 where there is none."""
        ((number,),) = self._read("SELECT coalesce(max(id), 0) FROM events")
        return int(number)

    def events(self, after: int) -> Iterator[Event]:
        """What happened since the event of that number, in order."""
        for row_id, at, kind in self._read("SELECT row_id, at, status FROM events WHERE id > ? ORDER BY id", (after,)):
            yield Event(RowId(row_id), at, kind)

    def slowest(self, since: float) -> float:
        """Seconds from its create to its end of the slowest row that was created after `since`; 0 where none was."""
        query = "SELECT coalesce(max(finished_at - submitted_at), 0) FROM rows WHERE status = ? AND finished_at >= ?"
        return float(next(seconds for (seconds,) in self._read(query, (Status.CREATED, since))))

    def apply_sheet(self, steps: Iterable[SheetChange]) -> None:
        """Bring the rows in step with a sheet, in one transaction. Raises JournalError."""
        with self._transaction() as database:
            database.execute("UPDATE rows SET file_row = NULL WHERE file_row IS NOT NULL")
            for step in steps:
                _apply_sheet(database, step)

    def apply(self, changes: Iterable[Change]) -> None:
        """Store the changes and the record of them in one transaction. Raises JournalError."""
        with self._transaction() as database:
            for change in changes:
                _apply(database, change)

    async def record(self, *changes: Change) -> None:
        """Return when the changes are on the disk, all or none of them. Raises JournalError.

        Whoever comes while a commit is under way shares the next one, so many workers cost few commits.
        """
        if not changes:
            return
        batch = self._batch
        leads = not batch.changes
        batch.changes.extend(changes)
        if leads:
            # Not even a cancelled leader leaves the others waiting.
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    self._batch = _Batch()
                    try:
                        await anyio.to_thread.run_sync(self._commit, batch)
                    finally:
                        batch.settled.set()
        else:
            await batch.settled.wait()
        if batch.error is not None:
            raise JournalError(batch.error.message, remedy=batch.error.remedy) from batch.error

    def _commit(self, batch: _Batch) -> None:
        try:
            self.apply(batch.changes)
        except JournalError as error:
            batch.error = error
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may believe that the change is stored
            batch.error = JournalError(
                f"The journal {self._path} did not take a change ({type(error).__name__}), so nothing more is sent.",
                remedy="Run again: what was sent is looked up first. If it happens again, ask for help.",
            )

    def _read(self, query: str, values: tuple[object, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows from a snapshot of its own, so that reading never keeps a commit waiting."""
        try:
            with closing(sqlite3.connect(self._path)) as database:
                yield from database.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise JournalError(
                f"The journal {self._path} cannot be read ({error}).",
                remedy="Keep the folder as it is and ask for help: results.csv beside it still holds what was known.",
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError):
                    raise JournalError(
                        f"The journal {self._path} cannot be written ({error}), so nothing more is sent.",
                        remedy="Make room on the disk or give the folder back its write permission, then run again.",
                    ) from error
                raise


class _Batch:
    """Changes that share one commit."""

    __slots__ = ("changes", "error", "settled")

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.error: JournalError | None = None
        self.settled = anyio.Event()


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA journal_mode = WAL")
    # A computer may lose its power between the intent and the answer.
    database.execute("PRAGMA synchronous = FULL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise RunFolderError(
            f"The journal {path} was written by a newer version of this program.",
            remedy="Update the program, or name another folder with --out. The journal was not changed.",
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        database.executescript(f"BEGIN; {statements} PRAGMA user_version = {number}; COMMIT;")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What goes wrong at the opening, in this program's words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise RunFolderError(
            f"The journal {path} cannot be read ({error}).",
            remedy="Nothing was sent or changed. Keep the folder as it is and ask for help: results.csv beside it "
            "still holds what was known.",
        ) from error
    except OSError as error:
        raise RunFolderError(
            f"The journal {path} cannot be opened: {error.strerror}.",
            remedy="Name a folder that you may write to with --out.",
        ) from error


_LEFT = (
    f"superseded_by IS NULL AND status NOT IN ('{Status.CREATED}', '{Status.EXISTS}')"
    f" AND (status <> '{Status.VALID}' OR ?)"
)
"""Of the rows that are left; its value says whether those that were found valid are among them."""
_SHEET_ORDER = "sheet_row IS NULL, sheet_row, id"
_FIELDS = COLUMNS.split(", ")
_STATUS, _MAYBE_SENT, _CORRECTED, _PASSWORD, _PROBLEMS, *_LOGINS = map(
    _FIELDS.index, ("status", "maybe_sent", "corrected", "password", "problems", "imap", "smtp")
)
_all_fields = attrgetter(*_FIELDS)
_WRITE = (
    f"INSERT INTO rows ({COLUMNS}) VALUES ({', '.join('?' * len(_FIELDS))})"  # noqa: S608 - constants
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _FIELDS[1:])}"
)


def _apply_sheet(database: sqlite3.Connection, step: SheetChange) -> None:
    match step:
        case Written(row):
            database.execute(_WRITE, _fields(row))
        case Moved(row_id, sheet_row, file_row):
            database.execute("UPDATE rows SET sheet_row = ?, file_row = ? WHERE id = ?", (sheet_row, file_row, row_id))
        case Superseded(row_id, by):
            database.execute("UPDATE rows SET superseded_by = ?, address_key = NULL WHERE id = ?", (by, row_id))
        case Dropped(row_id):
            database.execute("DELETE FROM rows WHERE id = ?", (row_id,))


def _apply(database: sqlite3.Connection, change: Change) -> None:
    match change:
        case Sending(job, at):
            _sending(database, job, at)
            event = (job.row_id, at, "sending", "")
        case SendCancelled(row_id, at):
            # An earlier create of a maybe_sent row may have been carried out: it is looked up again before it is sent.
            query = (
                "UPDATE rows SET status = iif(maybe_sent, ?, ?), error = iif(maybe_sent, ?, ''), sends = sends - 1,"
                " submitted_at = iif(sends > 1, submitted_at, NULL) WHERE id = ?"
            )
            database.execute(query, (Status.UNKNOWN, Status.UNSENT, STILL_IN_DOUBT, row_id))
            event = (row_id, at, "withdrawn", "")
        case TaskAccepted(row_id, task_id, at):
            query = "UPDATE rows SET status = ?, error = '', task_id = ? WHERE id = ?"
            database.execute(query, (Status.UNFINISHED, task_id, row_id))
            event = (row_id, at, "accepted", task_id)
        case Finished(row_id, status, at, error, mailbox_id, address):
            database.execute(
                "UPDATE rows SET status = ?, error = ?, finished_at = ?, maybe_sent = maybe_sent OR ?,"
                " mailbox_id = coalesce(?, mailbox_id), address = coalesce(nullif(?, ''), address) WHERE id = ?",
                (status, error, at if status.ends else None, status is Status.UNKNOWN, mailbox_id, address, row_id),
            )
            event = (row_id, at, status.value, error)
        case LoginChecked(row_id, at, imap, smtp, error):
            query = "UPDATE rows SET imap = ?, smtp = ?, login_error = ? WHERE id = ?"
            database.execute(query, (imap, smtp, error, row_id))
            event = (row_id, at, "log-in", error or "")
    database.execute("INSERT INTO events (row_id, at, status, detail) VALUES (?, ?, ?, ?)", event)


def _sending(database: sqlite3.Connection, job: Job, at: float) -> None:
    """The row holds what this create says, and that nothing is known of its answer."""
    request = job.request
    database.execute(
        "UPDATE rows SET status = ?, error = ?, task_id = NULL, finished_at = NULL, submitted_at = ?,"
        " sends = sends + 1, maybe_sent = maybe_sent OR ?, relay_server = ?, project = ?, reply_to = ?,"
        " password_check = ?,"
        # A password that was generated earlier is kept only if it is the one that is sent.
        " password = iif(password = ?, password, NULL) WHERE id = ?",
        (
            Status.UNKNOWN,
            "sent, and no answer was seen",
            at,
            job.maybe_sent,
            *sent_cells(request),
            password_check(request.password, job.row_id),
            request.password.reveal() if request.password else None,
            job.row_id,
        ),
    )


def sent_cells(request: Request) -> tuple[str, str, str]:
    """Relay server, project and reply address of a request, as text."""
    project = "" if request.project is None else str(request.project)
    return str(request.relay_server), project, request.reply_to or ""


def _row(fields: tuple[Any, ...]) -> JournalRow:
    values = list(fields)
    values[_STATUS] = Status(values[_STATUS])
    values[_MAYBE_SENT] = bool(values[_MAYBE_SENT])
    values[_CORRECTED] = bool(values[_CORRECTED])
    if values[_PASSWORD] is not None:
        values[_PASSWORD] = Secret(values[_PASSWORD])
    problems = values[_PROBLEMS]
    values[_PROBLEMS] = tuple(Problem(*problem) for problem in json.loads(problems)) if problems else ()
    for login in _LOGINS:
        values[login] = LoginState(values[login]) if values[login] else None
    return JournalRow(*values)


def _fields(row: JournalRow) -> tuple[object, ...]:
    values = list(_all_fields(row))
    values[_PASSWORD] = row.password.reveal() if row.password else None
    problems = [astuple(problem) for problem in row.problems]
    values[_PROBLEMS] = json.dumps(problems, ensure_ascii=False) if problems else ""
    return tuple(values)
