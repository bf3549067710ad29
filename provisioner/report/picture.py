"""What happened in a run over time, and the curves and bars that the page draws of it, as numbers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from provisioner.messages import count, duration
from provisioner.records import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provisioner.journal import Event
    from provisioner.records import RowId

    Pause = tuple[float, float, str]
    """Start and end, on the wall clock in seconds since 1970, and the reason."""

POINTS: Final = 240
"""Maximum number of points in a curve."""
BARS: Final = 24
TICKS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
"""Possible distances between two marks of the time axis, in seconds."""
MARKS: Final = 6
"""Maximum number of marks of an axis."""


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


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    points: str
    """In a field of 1000 by 100, from the lower left."""
    total: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of an axis."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """What the page draws of a course."""

    curves: Sequence[Curve]
    times: Sequence[Mark]
    counts: Sequence[Mark]
    paused: Sequence[tuple[float, float, str]]
    """Left edge and width in per cent, and why."""


def draw(course: Course, paused: Sequence[Pause]) -> Picture | None:
    """The course as curves over a common time; None where nothing was sent and nothing ended."""
    kinds = {"sent": course.sent, "accepted": course.accepted, "finished": course.finished}
    kinds = {name: sorted(moments) for name, moments in kinds.items() if moments}
    if not kinds:
        return None
    start = min(moments[0] for moments in kinds.values())
    span = max(max(moments[-1] for moments in kinds.values()) - start, 1.0)
    top = max(map(len, kinds.values()))
    return Picture(
        curves=[Curve(name, _points(moments, start, span, top), len(moments)) for name, moments in kinds.items()],
        times=_time_marks(span),
        counts=_count_marks(top),
        paused=list(_bands(paused, start, span)),
    )


def _points(moments: Sequence[float], start: float, span: float, top: int) -> str:
    """The cumulated count, as many steps as a screen can show."""
    steps = ((step, bisect_right(moments, start + span * step / POINTS)) for step in range(POINTS + 1))
    return " ".join(f"{1000 * step / POINTS:.1f},{100 - 100 * number / top:.2f}" for step, number in steps)


def _bands(paused: Sequence[Pause], start: float, span: float) -> Iterator[tuple[float, float, str]]:
    for since, until, reason in paused:
        left, right = (min(max((at - start) / span, 0.0), 1.0) * 100 for at in (since, until))
        if right > left:
            yield round(left, 2), round(right - left, 2), reason


def _time_marks(span: float) -> list[Mark]:
    step = next((tick for tick in TICKS if span / tick <= MARKS), span / MARKS)
    return [Mark(round(100 * at * step / span, 2), _clock(at * step)) for at in range(int(span / step) + 1)]


def _count_marks(top: int) -> list[Mark]:
    step = next(step for power in range(12) for step in (10**power, 2 * 10**power, 5 * 10**power) if top / step < MARKS)
    return [Mark(round(100 - 100 * number / top, 2), f"{number:,}") for number in range(0, top + 1, step)]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if minutes and rest else f"{minutes} min" if minutes else f"{rest} s"


def duration_quantiles(durations: Sequence[float]) -> list[tuple[str, str]]:
    if not durations:
        return []
    ordered = sorted(durations)
    at = {"Half of the tasks took at most": 0.5, "Nine in ten took at most": 0.9, "The slowest took": 1.0}
    return [(words, duration(ordered[round((len(ordered) - 1) * share)])) for words, share in at.items()]


def duration_bars(durations: Sequence[float]) -> list[tuple[float, str]]:
    """How many tasks took how long: the height of each bar in per cent, and what it stands for."""
    if len(set(durations)) < BARS:
        return []
    width = max(durations) / BARS
    numbers = [0] * BARS
    for seconds in durations:
        numbers[min(int(seconds / width), BARS - 1)] += 1
    return [
        (
            round(100 * number / max(numbers), 1),
            f"{count(number, 'task', 'tasks')} of {duration(place * width)} to {duration((place + 1) * width)}",
        )
        for place, number in enumerate(numbers)
    ]
