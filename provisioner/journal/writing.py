"""How each change is written into the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.journal.changes import (
    Change,
    Dropped,
    Finished,
    LoginChecked,
    Moved,
    SendCancelled,
    Sending,
    SheetChange,
    Superseded,
    TaskAccepted,
    Written,
)
from provisioner.journal.rows import password_check, sent_cells
from provisioner.journal.tables import COLUMNS, FIELDS, values_of
from provisioner.records import Job, Status

if TYPE_CHECKING:
    import sqlite3

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


def write_sheet_change(database: sqlite3.Connection, change: SheetChange) -> None:
    """Store one change that a sheet brings."""
    match change:
        case Written(row):
            database.execute(_INSERT, values_of(row))
        case Moved(row_id, sheet_row, file_row):
            query = (
                "UPDATE rows SET moved = moved OR coalesce(sheet_row <> ?, 0), sheet_row = ?, file_row = ? WHERE id = ?"
            )
            database.execute(query, (sheet_row, sheet_row, file_row, row_id))
        case Superseded(row_id, by):
            database.execute("UPDATE rows SET superseded_by = ?, address_key = NULL WHERE id = ?", (by, row_id))
        case Dropped(row_id):
            database.execute("DELETE FROM rows WHERE id = ?", (row_id,))


def write_change(database: sqlite3.Connection, change: Change) -> None:
    """Store one change of a row, and the event."""
    match change:
        case Sending(job, at):
            _sending(database, job, at)
            event = (job.row_id, at, "sending", "")
        case SendCancelled(row_id, at):
            # An earlier create of a maybe_sent row may have been carried out: it is looked up again before it is sent.
            query = (
                "UPDATE rows SET status = iif(maybe_sent, ?, ?), explanation = iif(maybe_sent, ?, ''),"
                " sends = sends - 1, submitted_at = iif(sends > 1, submitted_at, NULL) WHERE id = ?"
            )
            database.execute(query, (Status.UNKNOWN, Status.UNSENT, STILL_UNCONFIRMED, row_id))
            event = (row_id, at, "cancelled", "")
        case TaskAccepted(row_id, task_id, at):
            query = "UPDATE rows SET status = ?, explanation = '', task_id = ?, timeouts = 0 WHERE id = ?"
            database.execute(query, (Status.UNFINISHED, task_id, row_id))
            event = (row_id, at, "accepted", task_id)
        case Finished(row_id, status, at, error):
            database.execute(_FINISH, _finish_values(change))
            event = (row_id, at, status.value, error)
        case LoginChecked(row_id, at, imap, smtp, error):
            query = "UPDATE rows SET imap = ?, smtp = ?, login_error = ? WHERE id = ?"
            database.execute(query, (imap, smtp, error, row_id))
            event = (row_id, at, "log-in", error or "")
    database.execute("INSERT INTO events (row_id, at, kind, detail) VALUES (?, ?, ?, ?)", event)


def _finish_values(change: Finished) -> dict[str, object]:
    return {
        "row_id": change.row_id,
        "status": change.status.value,
        "error": change.error,
        "reason": change.reason,
        "finished_at": change.at if change.status.ends else None,
        "mailbox_id": change.mailbox_id,
        "address": change.address,
    }


def _sending(database: sqlite3.Connection, job: Job, at: float) -> None:
    """The row holds what this create says, and that nothing is known of its answer."""
    request = job.request
    database.execute(
        "UPDATE rows SET status = ?, explanation = ?, reason = '', task_id = NULL, finished_at = NULL,"
        " submitted_at = ?, sends = sends + 1, maybe_sent = maybe_sent OR ?, relay_server = ?, project = ?,"
        " reply_to = ?, password_check = ?, password = ? WHERE id = ?",
        (
            Status.UNKNOWN,
            "sent, and no answer was seen",
            at,
            job.maybe_sent,
            *sent_cells(request),
            password_check(request.password, job.row_id),
            request.password.reveal() if request.password and job.keeps_password else None,
            job.row_id,
        ),
    )
