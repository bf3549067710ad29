"""What can change in the journal, by a sheet that was read and by what happens to a row, and how it is written.

`write` stores a change. That of a change which happens to a row returns the event's kind and detail.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from provisioner.journal.rows import password_check, sent_cells
from provisioner.journal.tables import COLUMNS, FIELDS, values_of
from provisioner.records import Status

if TYPE_CHECKING:
    from sqlite3 import Connection

    from provisioner.journal.rows import JournalRow
    from provisioner.records import Job, RowId, TaskId
    from provisioner.resources import LoginState

STILL_UNCONFIRMED = "an earlier create had no clear answer, and it was not sent again"

_INSERT = (
    f"INSERT INTO rows ({COLUMNS}) VALUES ({', '.join('?' * len(FIELDS))})"  # noqa: S608 - constants
    f" ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in FIELDS[1:])}"
)
_FINISH = """
    UPDATE rows SET
        status = :status,
        explanation = :error,
        reason = coalesce(nullif(:reason, ''), reason),
        finished_at = :finished_at,
        maybe_sent = maybe_sent OR :status = 'unknown',
        mailbox_id = coalesce(:mailbox_id, mailbox_id),
        address = coalesce(nullif(:address, ''), address),
        timeouts = timeouts + (:status = 'unfinished'),
        -- A password that was never sent is not that of a mailbox which was there before.
        password = iif(:status = 'exists' AND sends = 0, NULL, password)
    WHERE id = :row_id
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A new row, or a known one whose content the sheet now decides."""

    row: JournalRow

    def write(self, database: Connection) -> None:
        database.execute(_INSERT, values_of(self.row))


@dataclass(frozen=True, slots=True)
class Moved:
    """A known row keeps everything but its place."""

    row_id: RowId
    sheet_row: int | None
    file_row: int | None

    def write(self, database: Connection) -> None:
        query = "UPDATE rows SET moved = moved OR coalesce(sheet_row <> ?, 0), sheet_row = ?, file_row = ? WHERE id = ?"
        database.execute(query, (self.sheet_row, self.sheet_row, self.file_row, self.row_id))


@dataclass(frozen=True, slots=True)
class Superseded:
    """A row is corrected by another."""

    row_id: RowId
    by: RowId

    def write(self, database: Connection) -> None:
        query = "UPDATE rows SET superseded_by = ?, address_key = NULL WHERE id = ?"
        database.execute(query, (self.by, self.row_id))


@dataclass(frozen=True, slots=True)
class Dropped:
    """The row was never sent, and no sheet holds it any more."""

    row_id: RowId

    def write(self, database: Connection) -> None:
        database.execute("DELETE FROM rows WHERE id = ?", (self.row_id,))


SheetChange = Written | Moved | Superseded | Dropped
"""One step of bringing the journal in step with a sheet, before anything is sent."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A create is about to be sent: the row holds what it says, and that nothing is known of its answer."""

    job: Job
    at: float

    @property
    def row_id(self) -> RowId:
        return self.job.row_id

    def write(self, database: Connection) -> tuple[str, str]:
        request = self.job.request
        database.execute(
            "UPDATE rows SET status = ?, explanation = ?, reason = '', task_id = NULL, finished_at = NULL,"
            " submitted_at = ?, sends = sends + 1, maybe_sent = maybe_sent OR ?, relay_server = ?, project = ?,"
            " reply_to = ?, password_check = ?, password = ? WHERE id = ?",
            (
                Status.UNKNOWN,
                "sent, and no answer was seen",
                self.at,
                self.job.maybe_sent,
                *sent_cells(request),
                password_check(request.password, self.row_id),
                request.password.reveal() if request.password and self.job.keeps_password else None,
                self.row_id,
            ),
        )
        return "sending", ""


@dataclass(frozen=True, slots=True)
class SendCancelled:
    """The create that was about to be sent was not sent, or certainly not carried out."""

    row_id: RowId
    at: float

    def write(self, database: Connection) -> tuple[str, str]:
        # An earlier create of a maybe_sent row may have been carried out: it is looked up again before it is sent.
        query = (
            "UPDATE rows SET status = iif(maybe_sent, ?, ?), explanation = iif(maybe_sent, ?, ''),"
            " sends = sends - 1, submitted_at = iif(sends > 1, submitted_at, NULL) WHERE id = ?"
        )
        database.execute(query, (Status.UNKNOWN, Status.UNSENT, STILL_UNCONFIRMED, self.row_id))
        return "cancelled", ""


@dataclass(frozen=True, slots=True)
class TaskAccepted:
    """The service accepted the create as a task."""

    row_id: RowId
    task_id: TaskId
    at: float

    def write(self, database: Connection) -> tuple[str, str]:
        query = "UPDATE rows SET status = ?, explanation = '', task_id = ?, timeouts = 0 WHERE id = ?"
        database.execute(query, (Status.UNFINISHED, self.task_id, self.row_id))
        return "accepted", self.task_id


@dataclass(frozen=True, slots=True)
class Finished:
    """The row reached a status; `error` says why if the status alone does not."""

    row_id: RowId
    status: Status
    at: float
    error: str = ""
    mailbox_id: str | None = None
    address: str = ""
    reason: str = ""
    """What the service said that a later look-up must not forget; empty leaves what is known."""

    def write(self, database: Connection) -> tuple[str, str]:
        values = {**asdict(self), "status": self.status.value, "finished_at": self.at if self.status.ends else None}
        database.execute(_FINISH, values)
        return self.status.value, self.error


@dataclass(frozen=True, slots=True)
class LoginChecked:
    """The mailbox was logged in to, or that could not be tried."""

    row_id: RowId
    at: float
    imap: LoginState | None
    smtp: LoginState | None
    error: str | None = None

    def write(self, database: Connection) -> tuple[str, str]:
        query = "UPDATE rows SET imap = ?, smtp = ?, login_error = ? WHERE id = ?"
        database.execute(query, (self.imap, self.smtp, self.error, self.row_id))
        return "log-in", self.error or ""


Change = Sending | SendCancelled | TaskAccepted | Finished | LoginChecked


@dataclass(frozen=True, slots=True)
class Event:
    """A change that was stored, when it is read back."""

    row_id: RowId
    at: float
    """On the wall clock, in seconds since 1970."""
    kind: str
    """`sending`, `cancelled`, `accepted`, `log-in`, or the status that the row reached."""
