"""What a run has done so far, and how long it still takes: for the screen and for the page.

The time left is a range, made only of what this run has shown. Requests are counted, not rows alone: creates go first,
so rows finish slowly at the beginning and fast at the end. The slow end of the range assumes that every row needs as
many questions as rows needed so far, at the lower of the speeds since the beginning and lately; the fast end one
question a row, at the higher. While the speed still grows, as it does at the beginning, there is no fast end.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from provisioner.events import NullListener
from provisioner.messages import MINUTE, duration, paused_until

if TYPE_CHECKING:
    from provisioner.records import Exchange, Status

WARM_UP: Final = 8.0
"""Seconds of a run in which the time left is not estimated."""
ENOUGH: Final = 5
"""Number of finished rows before which it is not."""
LATELY: Final = 4.0
"""Seconds over which the present speed is measured."""
GROWING: Final = 1.3
"""The speed grows if it is this many times that of the seconds before."""
DOUBT: Final = 0.1
"""The part by which the range is wider than what was measured; more while few rows are finished."""
READABLE: Final = 3.0
"""Seconds for which an estimate stands, so that it can be read."""


class Progress(NullListener):
    """Counts what one run announces."""

    def __init__(self) -> None:
        self._begin(to_send=0, to_poll=0, done=0, invalid=0)
        self._paused, self._paused_until = "", 0.0

    def _begin(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self.to_send, self.to_poll, self.done, self.invalid = to_send, to_poll, done, invalid
        self.sent_rows = 0
        self.ended: Counter[Status] = Counter()
        """The rows that reached their status in this run."""
        self._creates = self._questions = 0
        self._began = time.monotonic()
        self._marks = deque([(self._began, 0)])
        """When how many requests had been answered, about one mark a second."""
        self._estimate, self._estimated_at = "", float("-inf")

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        """The run begins to send now."""
        self._begin(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid)
        self.changed()

    def sent(self) -> None:
        self.sent_rows += 1
        self.changed()

    def finished(self, status: Status) -> None:
        self.ended[status] += 1
        self.changed()

    def paused(self, seconds: float, reason: str) -> None:
        """The longest of several pauses is the one that is told."""
        until = time.monotonic() + seconds
        if until > self._paused_until:
            self._paused, self._paused_until = paused_until(seconds, reason), until
        self.changed()

    def answered(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            self._creates += 1
        else:
            self._questions += 1
        now = time.monotonic()
        if now - self._marks[-1][0] >= 1.0:
            self._marks.append((now, self._requests))
            while self._marks[0][0] < now - 3 * LATELY:
                self._marks.popleft()
        self.changed()

    def changed(self) -> None:
        """Called whenever something was counted: for those who show it."""

    @property
    def to_finish(self) -> int:
        return self.to_send + self.to_poll

    @property
    def sent_of_planned(self) -> int:
        """A row that is sent again counts once."""
        return min(self.sent_rows, self.to_send)

    @property
    def finished_rows(self) -> int:
        return min(self.ended.total(), self.to_finish)

    @property
    def in_flight(self) -> int:
        """Rows that were sent and are not finished, those of earlier runs too."""
        return max(0, self.sent_of_planned + self.to_poll - self.finished_rows)

    @property
    def pause(self) -> str:
        """Why nothing is sent at this moment, and until when; empty if that is not so."""
        return self._paused if time.monotonic() < self._paused_until else ""

    @property
    def outlook(self) -> str:
        """The speed and the time left, as far as they are known."""
        elapsed = time.monotonic() - self._began
        speed = f"{self._requests / elapsed:.1f} requests a second" if elapsed > 1.0 and self._requests else ""
        return ", ".join(filter(None, (speed, self.time_left)))

    @property
    def time_left(self) -> str:
        """The range in words; empty as long as too little is known."""
        now = time.monotonic()
        if now - self._estimated_at >= READABLE:
            found = self.estimate(now)
            self._estimate, self._estimated_at = range_in_words(*found) if found else "", now
        return self._estimate if self.finished_rows < self.to_finish else ""

    def estimate(self, now: float) -> tuple[float, float] | None:
        """The least and the most seconds that the run still takes; None as long as too little is known."""
        finished, done = self.finished_rows, self._requests
        if now - self._began < WARM_UP or finished < ENOUGH or not done:
            return None
        overall, lately = done / (now - self._began), self._speed(now - LATELY, now)
        speeds = [speed for speed in (overall, lately) if speed > 0]
        open_rows = self.to_finish - finished
        creates = self.to_send - self.sent_of_planned
        again = max(1.0, self._creates / max(1, self.sent_of_planned))
        asked = max(1.0, self._questions / finished)
        doubt = DOUBT + 0.5 / math.sqrt(finished)
        least = (creates + open_rows) / max(speeds) * max(0.0, 1 - doubt)
        most = (creates * again + open_rows * asked) / min(speeds) * (1 + doubt)
        growing = lately > GROWING * self._speed(now - 2 * LATELY, now - LATELY)
        return (0.0 if growing else least), most

    @property
    def _requests(self) -> int:
        return self._creates + self._questions

    def _speed(self, start: float, end: float) -> float:
        """Requests a second between two moments."""
        return (self._answered_at(end) - self._answered_at(start)) / (end - start)

    def _answered_at(self, moment: float) -> int:
        """How many requests had been answered at a moment."""
        if moment >= self._marks[-1][0]:
            return self._requests
        return next((number for at, number in reversed(self._marks) if at <= moment), 0)


def range_in_words(least: float, most: float) -> str:
    """A range of seconds as people say it, in whole minutes."""
    low, high = math.floor(least / MINUTE) * MINUTE, math.ceil(most / MINUTE) * MINUTE
    if high <= MINUTE:
        return "less than a minute left"
    if low == 0:
        return f"less than {duration(high)} left"
    if low == high:
        return f"about {duration(high)} left"
    return f"{duration(low)} to {duration(high)} left"
