"""How a run in progress looks: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from provisioner.console.terminal import is_terminal, size, wrap, write
from provisioner.events import NullListener
from provisioner.messages import MINUTE, visible
from provisioner.wording import paused_until

if TYPE_CHECKING:
    from provisioner.records import Exchange, Status

PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where there is no terminal; more, the longer the run has lasted."""

PLAIN_SHARE = 10
"""After some time, one line each time the run has become longer by a tenth."""

STATUS_INTERVAL = 0.2
"""Seconds between two changes of the line below the bars."""

TELLING = 5
"""Number of finished rows from which the time left is estimated."""


class Progress(NullListener):
    """Counts what a run announces, and shows nothing."""

    def __init__(self) -> None:
        self._begin(to_send=0, to_end=0)

    def _begin(self, *, to_send: int, to_end: int) -> None:
        self.to_send, self.to_end = to_send, to_end
        self.sent_rows = self.worked = self.failed = 0
        self._creates = self._questions = 0
        self._began = time.monotonic()

    @property
    def ended_rows(self) -> int:
        return self.worked + self.failed

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:  # noqa: ARG002 - the preview shows them
        self._begin(to_send=to_send, to_end=to_send + to_poll)

    def sent(self) -> None:
        self.sent_rows += 1

    def finished(self, status: Status) -> None:
        if status.has_mailbox:
            self.worked += 1
        else:
            self.failed += 1

    def answered(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            self._creates += 1
        else:
            self._questions += 1

    def close(self) -> None:
        """Remove from the screen what is not to stay there."""

    def counts(self) -> str:
        """How the rows ended so far, the speed and the time left."""
        return "; ".join(filter(None, (self.results(), self.outlook())))

    def results(self) -> str:
        """How the rows ended so far, and how many the service is still working on."""
        waiting = self.sent_rows + self.to_end - self.to_send - self.ended_rows
        pending = f"; {waiting:,} sent, waiting for the service" if waiting > 0 else ""
        return f"{self.worked:,} created, {self.failed:,} not created{pending}"

    def outlook(self) -> str:
        """The speed of requests and the time left; empty while too few rows are finished to estimate it.

        Creates go first, so rows finish slowly at the beginning and fast at the end: the estimate counts requests, as
        many for each row as a row took so far.
        """
        elapsed = time.monotonic() - self._began
        if self.ended_rows < TELLING or elapsed < 1.0:
            return ""
        rate = (self._creates + self._questions) / elapsed
        creates = max(0, self.to_send - self.sent_rows) * self._creates / max(1, self.sent_rows)
        questions = max(0, self.to_end - self.ended_rows) * self._questions / self.ended_rows
        if not rate:
            return ""
        return f"{rate:.1f} requests a second, {_time_left((creates + questions) / rate)}"


class PlainProgress(Progress):
    """Lines at intervals, for pipes, files and CI."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._opened = time.monotonic()
        self._next = self._opened + PLAIN_INTERVAL
        self._paused_until = 0.0

    def answered(self, exchange: Exchange) -> None:
        super().answered(exchange)
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + max(PLAIN_INTERVAL, (now - self._opened) / PLAIN_SHARE)
        sent = f"{self.sent_rows:,} of {self.to_send:,} sent; " if self.to_send else ""
        line = f"{time.strftime('%H:%M:%S')} {sent}{self.ended_rows:,} of {self.to_end:,} finished: {self.counts()}."
        write(self._stream, [line])  # one line, however long, to be found in a log

    def paused(self, seconds: float, reason: str) -> None:
        """Printed once for a pause, not again for each request that is refused during it."""
        now = time.monotonic()
        if now >= self._paused_until:
            self.note(f"{paused_until(seconds, reason)}.")
        self._paused_until = max(self._paused_until, now + seconds + PLAIN_INTERVAL)

    def note(self, sentence: str) -> None:
        write(self._stream, wrap(sentence, size(self._stream)[0]))


class BarProgress(Progress):
    """Two bars on a terminal, rows sent and rows finished; below them a line of counts, and one of speed or a pause.

    Events only count; all lines are drawn together, from the same numbers.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._sent: tqdm[Any] | None = None
        self._finished: tqdm[Any] | None = None
        self._below: list[tqdm[Any]] = []
        self._told_at = 0.0
        self._paused_until = 0.0
        self._paused = ""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        super().planned(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid)
        self.close()
        if to_send:
            self._sent = self._bar("Sent", to_send)
        if to_send + to_poll:
            self._finished = self._bar("Finished", to_send + to_poll)
            self._below = [
                tqdm(total=0, bar_format="{desc}", file=self._stream, dynamic_ncols=True, leave=False) for _ in range(2)
            ]

    def sent(self) -> None:
        super().sent()
        self._draw_when_due(at_once=self.sent_rows == self.to_send)

    def finished(self, status: Status) -> None:
        super().finished(status)
        self._draw_when_due(at_once=self.ended_rows >= self.to_end)

    def paused(self, seconds: float, reason: str) -> None:
        until = time.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until, self._paused = until, paused_until(seconds, reason)
        self._draw()

    def answered(self, exchange: Exchange) -> None:
        super().answered(exchange)
        self._draw_when_due()

    def note(self, sentence: str) -> None:
        self._draw()
        tqdm.write(textwrap.fill(visible(sentence), size(self._stream)[0]), file=self._stream)

    def close(self) -> None:
        """Remove the bars, so that what follows begins where they stood."""
        for bar in (*reversed(self._below), self._finished, self._sent):
            if bar is not None:
                bar.close()
        self._sent = self._finished = None
        self._below = []

    def _draw_when_due(self, *, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._told_at >= STATUS_INTERVAL:
            self._draw()

    def _draw(self) -> None:
        """Draw all lines with the numbers of this moment; the counts stay in place during a pause."""
        self._told_at = time.monotonic()
        paused = self._told_at < self._paused_until
        texts = (self.results(), self._paused if paused else self.outlook())
        for line, text in zip(self._below, texts, strict=False):
            line.set_description_str(text, refresh=False)
        for bar, number in ((self._sent, self.sent_rows), (self._finished, self.ended_rows)):
            if bar is not None:
                bar.n = min(number, bar.total or 0)
        for drawn in (*self._below, self._finished, self._sent):  # a bar last: it leaves the cursor within its line
            if drawn is not None:
                drawn.refresh()

    def _bar(self, name: str, total: int) -> tqdm[Any]:
        width = len(f"{total:,}")
        numbers = f"{{n:{width},}} of {{total:,}}"
        return tqdm(
            total=total,
            file=self._stream,
            # The cursor is left within the line: the ^C that a terminal writes there must not begin another.
            bar_format=f"{name:<9}{{bar}} {numbers}   \x1b[3D",
            dynamic_ncols=True,
            leave=False,
            colour=None,
        )


def make_progress(*, quiet: bool = False, stream: TextIO | None = None) -> Progress:
    """Return bars on a terminal, plain lines elsewhere, and nothing if `quiet`."""
    stream = stream or sys.stderr
    if quiet:
        return Progress()
    return BarProgress(stream) if is_terminal(stream) else PlainProgress(stream)


def _time_left(seconds: float) -> str:
    if seconds < MINUTE:
        return "less than a minute left"
    minutes = math.ceil(seconds / MINUTE)
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min left" if hours else f"about {minutes} min left"
