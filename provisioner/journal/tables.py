"""The tables of the journal, and how a row is stored in them and read back."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import contextmanager
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from provisioner.errors import ProvisionerError, RunFolderError, os_errors_as
from provisioner.journal.rows import JournalRow
from provisioner.private_files import claim_database
from provisioner.records import Fault, Problem, Status
from provisioner.resources import LoginState
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    _Conversions = dict[int, Callable[[Any], Any]]

VERSION = 7
"""Of the tables; SQLite's user_version. A journal of another version is refused."""

TABLES = """
CREATE TABLE IF NOT EXISTS rows (        -- JournalRow explains each column
    id             INTEGER PRIMARY KEY,
    sheet_row      INTEGER,
    file_row       INTEGER,
    address_key    TEXT UNIQUE,           -- the database itself refuses to hold one address twice
    email          TEXT NOT NULL,
    domain         TEXT NOT NULL,
    relay_server   TEXT NOT NULL,
    project        TEXT NOT NULL,
    reply_to       TEXT NOT NULL,
    cells          TEXT NOT NULL,         -- JSON: {column: cell, …}
    address        TEXT NOT NULL,
    status         TEXT NOT NULL,
    explanation    TEXT NOT NULL,
    reason         TEXT NOT NULL,
    task_id        TEXT,
    mailbox_id     TEXT,
    password       TEXT,
    password_check INTEGER,
    sends          INTEGER NOT NULL,
    maybe_sent     INTEGER NOT NULL,
    superseded_by  INTEGER REFERENCES rows (id),
    submitted_at   REAL,
    finished_at    REAL,
    problems       TEXT NOT NULL,         -- JSON: [[cell, [cause, [detail, …], of_account]], …], as in Problem
    imap           TEXT,
    smtp           TEXT,
    login_error    TEXT,
    corrected      INTEGER NOT NULL,
    moved          INTEGER NOT NULL,
    deleted        INTEGER NOT NULL,
    timeouts       INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS facts (        -- about the run as a whole
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS events (        -- every change of a row, in order
    id     INTEGER PRIMARY KEY,
    row_id INTEGER NOT NULL,
    at     REAL NOT NULL,
    kind   TEXT NOT NULL,
    detail TEXT NOT NULL
);
"""

FIELDS = JournalRow._fields
COLUMNS = ", ".join(FIELDS)
"""Of the table of rows, in the order of JournalRow's fields."""

_encoded = json.JSONEncoder(ensure_ascii=False).encode


def _problems(text: str) -> tuple[Problem, ...]:
    found = json.loads(text)
    return tuple(Problem(cell, Fault(intern(cause), tuple(details), own)) for cell, (cause, details, own) in found)


def _by_place(**conversions: Callable[[Any], Any]) -> _Conversions:
    return {FIELDS.index(name): convert for name, convert in conversions.items()}


_READ = _by_place(
    cells=json.loads,
    status=Status,
    maybe_sent=bool,
    corrected=bool,
    moved=bool,
    deleted=bool,
    password=Secret,
    problems=_problems,
    imap=LoginState,
    smtp=LoginState,
)
_WRITE = _by_place(cells=_encoded, password=Secret.reveal, problems=_encoded)

CLOSE_IT = "Close the program that has it open, such as a database viewer, a backup or a sync program, then run again."
KEEP_IT = "Keep the folder as it is and ask for help: results.csv beside it still holds what was known."
BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_ATTEMPTS: Final = 100
_PAUSE: Final = 0.02
"""Seconds between two attempts."""


def row_from(values: Sequence[Any]) -> JournalRow:
    """A row of the table. `values` are in the order of COLUMNS."""
    return JournalRow(*_converted(values, _READ))


def values_of(row: JournalRow) -> list[Any]:
    """What the table holds of a row, in the order of COLUMNS."""
    return _converted(row, _WRITE)


def _converted(values: Sequence[Any], conversions: _Conversions) -> list[Any]:
    converted = list(values)
    for place, convert in conversions.items():
        if converted[place] is not None:
            converted[place] = convert(converted[place])
    return converted


def open_database(path: Path) -> sqlite3.Connection:
    """The journal at `path`, which is made if there is none. Raises RunFolderError if it cannot be used."""
    with _opening(path):
        claim_database(path)
        database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            _prepare(database, path)
        except BaseException:
            database.close()
            raise
        return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, VERSION):
        raise RunFolderError(
            f"The journal {path} was written by another version of this program. Nothing was sent or changed.",
            remedy="Continue with that version: the run.log beside it says which. If you do not have it, wait a "
            "quarter of an hour, so that what was sent is created, and run the failures.csv beside it with --out and a "
            "new folder: it knows what was sent. Do not run the sheet itself in a new folder: a mailbox that is still "
            "being created could be created twice.",
        )
    _log_ahead(database)
    # A computer may lose its power between the intent and the answer.
    database.execute("PRAGMA synchronous = FULL")
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")


def _log_ahead(database: sqlite3.Connection) -> None:
    """Turn on the write-ahead log. SQLite waits for locks, but not for another program that does the same just now."""
    for attempt in range(_ATTEMPTS):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if not is_locked(error) or attempt == _ATTEMPTS - 1:
                raise
        time.sleep(_PAUSE)


def is_locked(error: sqlite3.Error) -> bool:
    """Whether SQLite could not proceed because another program uses the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in BUSY


@contextmanager
def explained(path: Path, kind: type[ProvisionerError], done: str, remedy: str, *, so: str = "") -> Iterator[None]:
    """Turns an error of SQLite into one of `kind`: that the journal cannot be `done`, or is locked.

    `so` is what follows from that.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        sentence = f"cannot be {done} ({error}){so}."
        if is_locked(error):
            sentence = "is locked by another program."
            remedy = f"{CLOSE_IT} Nothing was sent." if kind is RunFolderError else CLOSE_IT
        raise kind(f"The journal {path} {sentence}", remedy=remedy) from error


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Turns what goes wrong while opening into RunFolderError."""
    with (
        os_errors_as(
            RunFolderError,
            f"The journal {path} cannot be opened",
            remedy="Name a folder that you may write to with --out.",
        ),
        explained(path, RunFolderError, "read", f"Nothing was sent or changed. {KEEP_IT}"),
    ):
        yield
