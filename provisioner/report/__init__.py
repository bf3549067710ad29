"""Write report.html: how a run went, on one page that needs no network and may be passed on.

It holds no password. Whatever stands in a cell is text there: escaped, guarded as in the other files for those who
paste it into a spreadsheet, and shut out of running by a policy that knows the page's own script alone.
"""

from __future__ import annotations

import base64
import hashlib
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provisioner.messages import TASKS, WORDS, count, duration, login_remedy, visible
from provisioner.records import Status
from provisioner.sheets import escape_formula, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from provisioner.errors import StoppedError
    from provisioner.journal import Event
    from provisioner.records import RowId
    from provisioner.summary import Group, LoginGroup, Summary

Held = tuple[float, float, str]
"""From and until, on the wall clock in seconds since 1970, and why."""

POINTS: Final = 240
"""So many steps has a curve at most."""
BARS: Final = 24
TICKS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds between two marks of the time axis."""
MARKS: Final = 6
LISTED: Final = 3_000
"""So many rows are listed at most; failures.csv has them all."""


@dataclass(frozen=True, slots=True)
class Course:
    """A run over time: when each create was sent, each task accepted, each row finished, and how long tasks took."""

    sent: array[float] = field(default_factory=lambda: array("d"))
    accepted: array[float] = field(default_factory=lambda: array("d"))
    finished: array[float] = field(default_factory=lambda: array("d"))
    durations: array[float] = field(default_factory=lambda: array("d"))
    """Seconds from accepted to ended, of the tasks for which this run saw both."""


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


def report(
    path: Path,
    summary: Summary,
    groups: Sequence[Group],
    events: Iterable[Event],
    *,
    command: str = "",
    created: Mapping[str, Sequence[str]] = MappingProxyType({}),
    failed_logins: Sequence[LoginGroup] = (),
    paused: Sequence[Held] = (),
    stopped: StoppedError | None = None,
    finished_at: float,
) -> None:
    """Put the page in the place of `path` in one step. Raises OSError.

    `command` is what to go on with; empty where nothing is left. `created` are the addresses that were created, by
    the value of the column that rows are counted by.
    """
    course = follow(events)
    listed = list(_listed(groups))
    page = _environment().get_template("report.html.j2")
    content = page.render(
        summary=summary,
        finished_at=datetime.fromtimestamp(finished_at, UTC).strftime("%d %B %Y, %H:%M UTC"),
        stopped=stopped,
        words=WORDS,
        exists=Status.EXISTS,
        logins=summary.logins,
        unproved=summary.logins.failed + summary.logins.untried if summary.logins else 0,
        undone=sum(number for status, number in summary.statuses.items() if not status.done),
        tasks=TASKS,
        groups={actor: list(own) for actor, own in groupby(listed, attrgetter("actor"))},
        unlisted=sum(group.rows for group in groups) - sum(len(group.examples) for group in listed),
        command=command,
        created=created,
        created_count=sum(map(len, created.values())),
        counted=[status for status in Status if any(status in counts for counts in summary.counts_by.values())],
        failed_logins=failed_logins,
        login_remedy=login_remedy,
        picture=draw(course, paused),
        course=course,
        bars=_bars(course.durations),
        quantiles=_quantiles(course.durations),
        paused=paused,
    )
    replace_file(path, content.encode())


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


def draw(course: Course, paused: Sequence[Held]) -> Picture | None:
    """The course as curves over a common time; None where nothing was sent and nothing ended."""
    kinds = {"sent": course.sent, "accepted": course.accepted, "finished": course.finished}
    kinds = {name: array("d", sorted(moments)) for name, moments in kinds.items() if moments}
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


def _points(moments: array[float], start: float, span: float, top: int) -> str:
    """The cumulated count, as many steps as a screen can show."""
    steps = ((step, bisect_right(moments, start + span * step / POINTS)) for step in range(POINTS + 1))
    return " ".join(f"{1000 * step / POINTS:.1f},{100 - 100 * number / top:.2f}" for step, number in steps)


def _bands(paused: Sequence[Held], start: float, span: float) -> Iterator[tuple[float, float, str]]:
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


def _quantiles(durations: array[float]) -> list[tuple[str, str]]:
    if not durations:
        return []
    ordered = sorted(durations)
    at = {"Half of the tasks took at most": 0.5, "Nine in ten took at most": 0.9, "The slowest took": 1.0}
    return [(words, duration(ordered[round((len(ordered) - 1) * share)])) for words, share in at.items()]


def _bars(durations: array[float]) -> list[tuple[float, str]]:
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


def _listed(groups: Sequence[Group]) -> Iterator[Group]:
    """The groups, as many as a page can hold."""
    room = LISTED
    for group in groups:
        if room > 0:
            yield group
            room -= len(group.examples)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": lambda text: escape_formula(visible(text)),
        "hash": _hash,
        "count": count,
        "visible": visible,
    }
    environment.filters["duration"] = duration
    return environment


def _hash(script: str) -> str:
    """What a content security policy calls a script that may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()}"
