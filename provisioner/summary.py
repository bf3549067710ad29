"""What a run tells people: what it is about to do, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.records import Actor, LoginState, RequestCounts, Status, TaskId


@dataclass(frozen=True, slots=True)
class LoginCounts:
    """How many mailboxes could be logged in to."""

    ok: int
    """Over both IMAP and SMTP."""
    failed: int
    untried: int
    """Whose address or password is not known here."""


@dataclass(frozen=True, slots=True)
class LoginGroup:
    """Created mailboxes that cannot be logged in to, for one reason."""

    state: LoginState | None
    """None: they were not tried."""
    reason: str
    """Without what belongs to one mailbox alone."""
    mailboxes: int
    examples: tuple[str, ...]
    """The addresses of the first of them."""


@dataclass(frozen=True, slots=True)
class RunPreview:
    """What a run is about to do; counts are rows."""

    to_send: int
    """A mailbox each."""
    to_poll: int
    """Sent by an earlier run, to be followed up."""
    to_look_up: int
    """Sent by an earlier run without a clear answer: a mailbox each, if they are not there."""
    done: int
    invalid: int
    held_back: int
    """Ready, and beyond the limit of this run."""
    service: str
    """The origin they go to."""
    practice: bool
    """It is on this computer: nothing costs money."""
    seconds: float
    """It takes at least so long to create them and to ask about each once."""
    results: str
    failures: str


@dataclass(frozen=True, slots=True)
class Example:
    """A row that is left, as it is pointed out to a reader."""

    place: str
    """Such as `D17`, or `row 17` where the whole row is meant."""
    email: str
    sentence: str
    """What the group is about, as it is said of this row."""
    task_id: TaskId | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that are left for one cause."""

    actor: Actor
    status: Status
    cause: str
    rows: int
    examples: tuple[Example, ...]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run or a check ended."""

    sheet: str
    """The file that was read."""
    run_folder: str
    results: str
    failures: str
    report: str
    """Empty if it was not written: a check leaves the report of an earlier run."""
    statuses: Mapping[Status, int]
    """Count by status; a status without rows is absent."""
    to_retry: int
    """How many rows failures.csv holds: those that are left, but for rows that the sheet of this run did not hold."""
    requests: RequestCounts
    seconds: float
    logins: LoginCounts | None = None
    """None where no mailbox was logged in to."""
    original: str = ""
    """The sheet that the latest failures file came from, or this one."""
    read: int = 0
    """How many rows the file has that was read, which may be a failures file."""
    existing: tuple[str, ...] = ()
    """The addresses of the first mailboxes that existed before, unless their passwords proved right."""
    by: str = ""
    """The header of the column whose values rows are counted by; empty if they are not."""
    counts_by: Mapping[str, Mapping[Status, int]] = field(default_factory=dict)
    """Number of rows by value of that column, and by status."""

    failures_workbook: str = ""
    """The same rows as in `failures`, as a workbook; empty if the sheet is none, or if no row is left."""

    @property
    def to_fix(self) -> str:
        """The failures file to name to people: whoever works with workbooks is to fix one."""
        return self.failures_workbook or self.failures

    @property
    def rows(self) -> int:
        return sum(self.statuses.values())
