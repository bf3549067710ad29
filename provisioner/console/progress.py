"""How a run in progress looks: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from provisioner.console.terminal import is_terminal, size, wrap, write
from provisioner.messages import paused_until, visible
from provisioner.progress import Progress

if TYPE_CHECKING:
    from provisioner.records import Exchange, Status

PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where there is no terminal; more, the longer the run has lasted."""

PLAIN_SHARE = 10
"""After some time, one line each time the run has become longer by a tenth."""

STATUS_INTERVAL = 0.2
"""Seconds between two changes of the line below the bars."""


class ScreenProgress(Progress):
    """Counts, and shows nothing."""

    def close(self) -> None:
        """Remove from the screen what is not to stay there."""

    def results(self) -> str:
        """How the rows ended so far, and how many the service is still working on."""
        created = sum(number for status, number in self.ended.items() if status.has_mailbox)
        pending = f"; {self.in_flight:,} sent, waiting for the service" if self.in_flight else ""
        return f"{created:,} created, {self.ended.total() - created:,} not created{pending}"


class PlainProgress(ScreenProgress):
    """Lines at intervals, for pipes, files and CI."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._opened = time.monotonic()
        self._next = self._opened + PLAIN_INTERVAL
        self._silent_until = 0.0

    def answered(self, exchange: Exchange) -> None:
        super().answered(exchange)
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + max(PLAIN_INTERVAL, (now - self._opened) / PLAIN_SHARE)
        sent = f"{self.sent_rows:,} of {self.to_send:,} sent; " if self.to_send else ""
        said = "; ".join(filter(None, (self.results(), self.outlook)))
        line = f"{time.strftime('%H:%M:%S')} {sent}{self.finished_rows:,} of {self.to_finish:,} finished: {said}."
        write(self._stream, [line])  # one line, however long, to be found in a log

    def paused(self, seconds: float, reason: str) -> None:
        """Printed once for a pause, not again for each request that is refused during it."""
        now = time.monotonic()
        if now >= self._silent_until:
            self.note(f"{paused_until(seconds, reason)}.")
        self._silent_until = max(self._silent_until, now + seconds + PLAIN_INTERVAL)

    def note(self, sentence: str) -> None:
        write(self._stream, wrap(sentence, size(self._stream)[0]))


class BarProgress(ScreenProgress):
    """Two bars on a terminal, rows sent and rows finished; below them a line of counts, and one of speed or a pause.

    Events only count; all lines are drawn together, from the same numbers.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._bars: list[tqdm[Any]] = []
        """That of rows sent, if there are any to send, and that of rows finished."""
        self._below: list[tqdm[Any]] = []
        self._told_at = 0.0

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        super().planned(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid)
        self.close()
        if to_send:
            self._bars.append(self._bar("Sent", to_send))
        if self.to_finish:
            self._bars.append(self._bar("Finished", self.to_finish))
            self._below = [
                tqdm(total=0, bar_format="{desc}", file=self._stream, dynamic_ncols=True, leave=False) for _ in range(2)
            ]

    def changed(self) -> None:
        if time.monotonic() - self._told_at >= STATUS_INTERVAL:
            self._draw()

    def sent(self) -> None:
        super().sent()
        if self.sent_rows == self.to_send:
            self._draw()

    def finished(self, status: Status) -> None:
        super().finished(status)
        if self.finished_rows == self.to_finish:
            self._draw()

    def paused(self, seconds: float, reason: str) -> None:
        super().paused(seconds, reason)
        self._draw()

    def note(self, sentence: str) -> None:
        self._draw()
        tqdm.write(textwrap.fill(visible(sentence), size(self._stream)[0]), file=self._stream)

    def close(self) -> None:
        """Remove the bars, so that what follows begins where they stood."""
        for bar in reversed([*self._bars, *self._below]):
            bar.close()
        self._bars, self._below = [], []

    def _draw(self) -> None:
        """Draw all lines with the numbers of this moment; the counts stay in place during a pause."""
        self._told_at = time.monotonic()
        room = size(self._stream)[0] - 1
        for line, text in zip(self._below, (self.results(), self.pause or self.outlook), strict=False):
            line.set_description_str(textwrap.shorten(text, room, placeholder=" …"), refresh=False)
        for bar, number in zip(reversed(self._bars), (self.finished_rows, self.sent_of_planned), strict=False):
            bar.n = number
        for drawn in (*self._below, *reversed(self._bars)):  # a bar last: it leaves the cursor within its line
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


def make_progress(*, quiet: bool = False, stream: TextIO | None = None) -> ScreenProgress:
    """Return bars on a terminal, plain lines elsewhere, and nothing if `quiet`."""
    stream = stream or sys.stderr
    if quiet:
        return ScreenProgress()
    return BarProgress(stream) if is_terminal(stream) else PlainProgress(stream)
