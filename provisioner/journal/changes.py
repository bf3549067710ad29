"""What can change in the journal: by a sheet that was read, and by what happens to a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioner.journal.rows import JournalRow
    from provisioner.records import Job, RowId, Status, TaskId
    from provisioner.resources import LoginState


@dataclass(frozen=True, slots=True)
class Written:
    """A new row, or a known one whose content the sheet now decides."""

    row: JournalRow


@dataclass(frozen=True, slots=True)
class Moved:
    """A known row keeps everything but its place."""

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
    """The row reached a status; `error` says why if the status alone does not."""

    row_id: RowId
    status: Status
    at: float
    error: str = ""
    mailbox_id: str | None = None
    address: str = ""
    reason: str = ""
    """What the service said that a later look-up must not forget; empty leaves what is known."""


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
    """A change that was stored, when it is read back."""

    row_id: RowId
    at: float
    """On the wall clock, in seconds since 1970."""
    kind: str
    """`sending`, `cancelled`, `accepted`, `log-in`, or the status that the row reached."""
