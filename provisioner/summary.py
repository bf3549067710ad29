"""What people are told of a run: what it is about to do, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioner.records import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.records import Actor, Rate, RequestCounts, TaskId
    from provisioner.resources import LoginState


@dataclass(frozen=True, slots=True)
class LoginCounts:
    """How many mailboxes could be logged in to."""

    ok: int
    """Over both IMAP and SMTP."""
    failed: int
    untried: int
    """Their address or password is not known here."""

    @property
    def unproved(self) -> int:
        return self.failed + self.untried


@dataclass(frozen=True, slots=True)
class LoginGroup:
    """Created mailboxes that cannot be logged in to, for one reason."""

    state: LoginState | None
    """None if they were not tried."""
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
    """Sent by an earlier run, and still to be polled."""
    to_look_up: int
    """Sent by an earlier run without a clear answer: a mailbox each, if they are not there."""
    done: int
    invalid: int
    beyond_limit: int
    """Ready, but not sent by this run because of its limit."""
    service: str
    """The origin they go to."""
    practice: bool
    """It is a stand-in, so nothing costs money."""
    seconds: float
    """The least time that creating them and asking about each once takes."""
    results: str
    failures: str
    account: str = ""
    """Who the key belongs to; empty if the service did not say."""
    by: str = ""
    """The header of the column whose values rows are counted by; empty if they are not."""
    by_value: Mapping[str, int] = field(default_factory=dict)
    """How many of the mailboxes each value of that column gets."""

    @property
    def mailboxes(self) -> int:
        """How many mailboxes it may create, at most."""
        return self.to_send + self.to_look_up


@dataclass(frozen=True, slots=True)
class Example:
    """A row that is not done, as people are shown it."""

    place: str
    """Such as `D17`, or `row 17` for the whole row."""
    email: str
    sentence: str
    """The cause, in the words for this row."""
    task_id: TaskId | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The rows that are not done for one cause."""

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
    """How many rows failures.csv holds: those that are not done, except rows that this run's sheet did not hold."""
    requests: RequestCounts
    seconds: float
    logins: LoginCounts | None = None
    """None if no mailbox was logged in to."""
    original: str = ""
    """The sheet that the latest failures file came from, or this one."""
    tab: str = ""
    """Which sheet of the workbook it is; empty if it did not have to be named."""
    kept: str = ""
    """The failures file that holds the fixes of rows which the file that was read did not hold; empty if there are no
    such rows."""
    read: int = 0
    """Number of rows in the file that was read, which may be a failures file."""
    existing: tuple[str, ...] = ()
    """The addresses of the first mailboxes that existed before, unless their passwords proved right."""
    of_failures: bool = False
    """The file that was read is a failures file, and not the sheet."""
    practice: bool = False
    """The run folder's mailboxes are in the sandbox."""
    by: str = ""
    """The header of the column whose values rows are counted by; empty if they are not."""
    counts_by: Mapping[str, Mapping[Status, int]] = field(default_factory=dict)
    """Number of rows by value of that column, and by status."""
    rate: Rate | None = None
    """What the service allows, if this run found a limit."""
    failures_workbook: str = ""
    """The same rows as in `failures`, as a workbook; empty if the sheet is none, or if no row is left."""

    @property
    def to_fix(self) -> str:
        """The failures file to name to people: a workbook for those who work with workbooks."""
        return self.failures_workbook or self.failures

    @property
    def name(self) -> str:
        """The file that was read and, if it had to be named, which sheet of it."""
        is_original = self.sheet not in (self.failures, self.failures_workbook)
        return f"{self.sheet}, sheet {self.tab}" if self.tab and is_original else self.sheet

    @property
    def rows(self) -> int:
        return sum(self.statuses.values())

    @property
    def is_sheet_done(self) -> bool:
        """Whether no row of the sheet is left: those that are were refused or failed, and are not in it any more."""
        left = {status for status in self.statuses if not status.done}
        return left <= {Status.REJECTED, Status.FAILED} and not (self.of_failures or self.to_retry or self.kept)

    @property
    def left(self) -> int:
        """How many of the rows are not done."""
        return sum(number for status, number in self.statuses.items() if not status.done)
