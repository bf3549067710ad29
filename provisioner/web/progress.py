"""What a run has done so far, as the page shows it: a listener that counts."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio

from provisioner.records import Status
from provisioner.web.time_left import Counts, TimeLeft, words
from provisioner.wording import paused_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.records import Exchange

NOTES: Final = 20
"""How many of the latest notes are kept."""
LATELY: Final = 3.0
"""Seconds for which an estimate of the time left stands, so that it can be read."""


class Progress:
    """Counts what one run announces. `changed` is called after each change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self.to_send = self.to_poll = self.done = self.invalid = 0
        self.sent_rows = 0
        self.ended: Counter[Status] = Counter()
        """The rows that reached their status in this run."""
        self.notes: list[str] = []
        self.began_at = time.time()
        """On the wall clock."""
        self._changed = changed
        self._creates = self._questions = 0
        self._paused, self._paused_until = "", 0.0
        self._began = anyio.current_time()
        self._time_left = TimeLeft(self._began)
        self._estimate, self._estimated_at = "", float("-inf")

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        """The run begins to send now."""
        self.to_send, self.to_poll, self.done, self.invalid = to_send, to_poll, done, invalid
        self._creates = self._questions = 0
        self._began = anyio.current_time()
        self._time_left = TimeLeft(self._began)
        self._changed()

    def sent(self) -> None:
        self.sent_rows += 1
        self._changed()

    def finished(self, status: Status) -> None:
        self.ended[status] += 1
        self._changed()

    def paused(self, seconds: float, reason: str) -> None:
        until = anyio.current_time() + seconds
        if until > self._paused_until:
            self._paused, self._paused_until = f"{paused_until(seconds, reason)}.", until
            self._changed()

    def answered(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            self._creates += 1
        else:
            self._questions += 1
        self._time_left.note(anyio.current_time(), self._creates + self._questions)
        self._changed()

    def note(self, sentence: str) -> None:
        self.notes = [*self.notes, sentence][-NOTES:]
        self._changed()

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
    def unsent(self) -> int:
        return self.to_send - self.sent_of_planned

    @property
    def failed(self) -> int:
        """Rows of which something has to be said."""
        return self.ended[Status.REJECTED] + self.ended[Status.FAILED]

    @property
    def pause(self) -> str:
        """Why nothing is sent at this moment, and until when; empty if that is not so."""
        return self._paused if anyio.current_time() < self._paused_until else ""

    @property
    def speed(self) -> float:
        """Requests a second since the run began to send; 0 in the first second."""
        elapsed = anyio.current_time() - self._began
        return (self._creates + self._questions) / elapsed if elapsed > 1.0 else 0.0

    @property
    def time_left(self) -> str:
        """A range; empty as long as too little is known."""
        now = anyio.current_time()
        if now - self._estimated_at >= LATELY:
            counts = Counts(
                to_send=self.to_send,
                to_finish=self.to_finish,
                sent=self.sent_of_planned,
                finished=self.finished_rows,
                creates=self._creates,
                questions=self._questions,
            )
            found = self._time_left.range(now, counts)
            self._estimate, self._estimated_at = (words(*found) if found else ""), now
        return self._estimate if self.finished_rows < self.to_finish else ""
