"""A row as the journal keeps it, and what it is known by."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from provisioner.records import Actor, Status
from provisioner.resources import LoginState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.records import Problem, Request, RowId, TaskId
    from provisioner.secret import Secret


class JournalRow(NamedTuple):
    """Everything the journal knows about one row. Times are on the wall clock, in seconds since 1970."""

    id: RowId
    sheet_row: int | None
    """Its number in the original sheet; None if no sheet holds the row any more."""
    file_row: int | None
    """Its number in the file of the latest run, which may be a failures file; None if that does not hold it."""
    address_key: str | None
    """Username and domain, case-folded; None if the row cannot be sent as it stands."""
    email: str
    domain: str
    relay_server: str
    project: str
    reply_to: str
    cells: Mapping[str, str] = {}
    """Every cell of the sheet but the secret ones, as it is written there, by column."""
    address: str = ""
    """The full address; empty if the domain's name is not known."""
    status: Status = Status.UNSENT
    explanation: str = ""
    """Why the row has its status; empty if the status or `problems` say it all."""
    reason: str = ""
    """What the service said of its latest create, where that is to be looked up."""
    task_id: TaskId | None = None
    mailbox_id: str | None = None
    password: Secret | None = None
    """Only one that the sheet does not hold."""
    password_check: int | None = None
    """Of the password that was sent last, or of the sheet's if none was sent."""
    sends: int = 0
    """How many creates were sent for it."""
    maybe_sent: bool = False
    """A create of it may have been carried out without our seeing the answer."""
    superseded_by: RowId | None = None
    """The row that corrects this one."""
    submitted_at: float | None = None
    """When its latest create was sent."""
    finished_at: float | None = None
    """When its status became final."""
    problems: tuple[Problem, ...] = ()
    """Why the row is invalid; empty if it is not."""
    imap: LoginState | None = None
    """The result of the latest log-in; None if none was tried."""
    smtp: LoginState | None = None
    login_error: str | None = None
    """Why a log-in is not ok, or was not tried."""
    corrected: bool = False
    """What was sent last came from a failures file, so the sheet may still say something else."""
    moved: bool = False
    """Its place in the sheet is not the one that an early failures file names."""
    deleted: bool = False
    """It was deleted from a failures file, as its remedy said, so that nothing is left to do."""
    timeouts: int = 0
    """How many runs asked about its task until the time was up."""

    @property
    def actor(self) -> Actor:
        """Who must act before the row can be created; meaningless if it is done."""
        if self.status.to_fix:
            return Actor.SHEET
        again = (self.status is Status.FAILED and self.sends > 1) or (
            self.status is Status.UNFINISHED and self.timeouts > 1
        )
        return Actor.SUPPORT if again else Actor.NEXT_RUN

    @property
    def error(self) -> str:
        """Why the row has its status; empty if the status says it all."""
        return "; ".join(map(str, self.problems)) or self.explanation

    @property
    def name(self) -> str:
        """What its mailbox is called in a sentence: the address, or as much of it as is known."""
        return self.address or self.email

    @property
    def place(self) -> str:
        """Which row of the original sheet it is, for a sentence."""
        return f"row {self.sheet_row}" if self.sheet_row is not None else "a row that is not in the sheet"

    @property
    def is_proven(self) -> bool:
        """Whether the mailbox accepted its log-in, over both protocols."""
        return self.imap is LoginState.OK and self.smtp is LoginState.OK

    @property
    def login_state(self) -> LoginState | None:
        """The worse of its two log-ins; None if they were not tried."""
        tried = (self.imap, self.smtp)
        failed = next((state for state in (LoginState.REFUSED, LoginState.UNREACHABLE) if state in tried), None)
        return failed or (LoginState.OK if self.is_proven else None)

    @property
    def was_sent(self) -> bool:
        """Whether a create was sent for it."""
        return self.sends > 0


def address_key(email: str, domain: object) -> str:
    """What a row is known by: its username and domain, whatever their case."""
    return f"{email.casefold()}@{str(domain).casefold()}"


def password_check(password: Secret | None, row_id: RowId) -> int | None:
    """16 bits of a password: enough to notice that it changed, too few to find it by trying."""
    if password is None:
        return None
    digest = hashlib.blake2b(password.reveal().encode(), digest_size=2, salt=int(row_id).to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def sent_cells(request: Request) -> tuple[str, str, str]:
    """Relay server, project and reply address of a request, as text."""
    project = "" if request.project is None else str(request.project)
    return str(request.relay_server), project, request.reply_to or ""
