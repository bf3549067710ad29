"""The values that the sandbox keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Became = Literal["carried_out", "duplicate", "invalid", "error"]
"""What a create came to: done, refused as a duplicate, refused for its fields, or answered 5xx with nothing done."""
TaskState = Literal["pending", "started", "success", "failure"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The checked body of a create."""

    username: str
    domain: int
    domain_name: str
    relay_server: int
    password: str | None
    """None: the service generates one."""
    project: int | None
    reply_to: str | None

    @property
    def address(self) -> str:
        return f"{self.username}@{self.domain_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation(Wanted):
    """A create that was carried out: its task and, once that has succeeded, its mailbox.

    What it is at any moment follows from the clock alone; nothing has to wake up when a task is due.
    """

    id: int
    """The mailbox's ID."""
    task_id: str | None
    """None: there is no task, the mailbox was there at once."""
    created: float
    """Seconds of the wall clock, as `due`."""
    due: float | None
    """When its task ends; None: never."""
    error: str | None = None
    """With what sentence its task fails; None: it succeeds."""

    def state(self, now: float) -> TaskState:
        """Of its task. It counts as started after a quarter of its time."""
        if self.due is not None and now >= self.due:
            return "success" if self.error is None else "failure"
        started = self.due is not None and now >= self.created + (self.due - self.created) / 4
        return "started" if started else "pending"


@dataclass(slots=True)
class Received:
    """How often an address was asked for, and what that came to."""

    received: int = 0
    carried_out: int = 0
    duplicate: int = 0
    invalid: int = 0
    error: int = 0

    def count(self, became: Became) -> None:
        self.received += 1
        setattr(self, became, getattr(self, became) + 1)


@dataclass(slots=True)
class LoggedRequest:
    """One request as it arrived."""

    at: float
    """Seconds of the monotonic clock, at arrival."""
    method: str
    kind: str
    """What was asked for: `create`, `task`, `mailboxes` …; `other` for a path that is not there."""
    status: int = 0
    """Of the answer; 0 while there is none, and for good where the connection was cut."""
