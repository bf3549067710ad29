"""How long a run still takes: a range, made only of what this run has shown. Knows no clock.

Requests are counted, not rows alone: creates go first, so rows finish slowly at the beginning and fast at the end. The
slow end of the range assumes that every row needs as many questions as rows needed so far, at the lower of the speeds
since the beginning and lately; the fast end one question a row, at the higher. While the speed still grows, as it does
at the beginning, there is no fast end.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from provisioner.messages import MINUTE

WARM_UP: Final = 8.0
"""Seconds of a run in which nothing is said."""
ENOUGH: Final = 5
"""Number of finished rows before which nothing is said."""
LATELY: Final = 4.0
"""Seconds over which the present speed is measured."""
GROWING: Final = 1.3
"""The speed grows if it is this many times that of the seconds before."""
DOUBT: Final = 0.1
"""The part by which the range is wider than what was measured; more while few rows are finished."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run has done up to now, and what it is to do."""

    to_send: int
    to_finish: int
    sent: int
    finished: int
    creates: int
    """Requests, those that were sent again too."""
    questions: int


class TimeLeft:
    """Estimates the time that one run still takes. Moments are seconds on any one clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._marks: deque[tuple[float, int]] = deque([(began, 0)])
        """When how many requests had been answered, about one mark a second."""

    def note(self, now: float, requests: int) -> None:
        """Note how many requests were answered up to now."""
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, requests))
            while self._marks[0][0] < now - 3 * LATELY:
                self._marks.popleft()

    def range(self, now: float, counts: Counts) -> tuple[float, float] | None:
        """The least and the most seconds; None as long as too little is known."""
        done = counts.creates + counts.questions
        if now - self._began < WARM_UP or counts.finished < ENOUGH or not done:
            return None
        overall, lately = done / (now - self._began), self._speed(now - LATELY, now, done)
        speeds = [speed for speed in (overall, lately) if speed > 0]
        open_rows = max(0, counts.to_finish - counts.finished)
        creates = max(0, counts.to_send - counts.sent)
        again = max(1.0, counts.creates / max(1, counts.sent))
        asked = max(1.0, counts.questions / counts.finished)
        doubt = DOUBT + 0.5 / math.sqrt(counts.finished)
        least = (creates + open_rows) / max(speeds) * max(0.0, 1 - doubt)
        most = (creates * again + open_rows * asked) / min(speeds) * (1 + doubt)
        growing = lately > GROWING * self._speed(now - 2 * LATELY, now - LATELY, done)
        return (0.0 if growing else least), most

    def _speed(self, start: float, end: float, done: int) -> float:
        """Requests a second between two moments."""
        return (self._at(end, done) - self._at(start, done)) / (end - start)

    def _at(self, moment: float, done: int) -> int:
        """How many requests had been answered at a moment."""
        if moment >= self._marks[-1][0]:
            return done
        return next((number for at, number in reversed(self._marks) if at <= moment), 0)


def words(least: float, most: float) -> str:
    """A range of seconds as people say it."""
    low, high = math.floor(least / MINUTE), math.ceil(most / MINUTE)
    if high <= 1:
        return "less than a minute left"
    if low == 0:
        return f"less than {_minutes(high)} left"
    if low == high:
        return f"about {_minutes(high)} left"
    return f"{_minutes(low)} to {_minutes(high)} left"


def _minutes(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours and rest else f"{hours} h" if hours else f"{rest} min"
