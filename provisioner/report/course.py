"""What happened in a run, sorted by time for the page to draw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from provisioner.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.journal import Event
    from provisioner.records import RowId


@dataclass(frozen=True, slots=True)
class Course:
    """A run over time: when each create was sent, each task accepted, each row finished, and how long tasks took."""

    sent: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    """Seconds from accepted to ended, of the tasks for which this run saw both."""


def follow(events: Iterable[Event]) -> Course:
    """Sort a run's events by what the page draws. A row that was finished twice counts from the first time."""
    course = Course()
    accepted: dict[RowId, float] = {}
    finished: set[RowId] = set()
    ends = {status.value for status in Status if status.ends}
    for event in events:
        if event.kind == "sending":
            course.sent.append(event.at)
        elif event.kind == "cancelled" and course.sent:
            course.sent.pop()
        elif event.kind == "accepted":
            course.accepted.append(event.at)
            accepted[event.row_id] = event.at
        elif event.kind in ends and event.row_id not in finished:
            finished.add(event.row_id)
            course.finished.append(event.at)
            if event.row_id in accepted:
                course.durations.append(max(0.0, event.at - accepted.pop(event.row_id)))
    return course
