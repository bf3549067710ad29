"""run.log: what a run did, for support.

It cannot leak a secret: it receives methods, paths, statuses, times, numbers and the sentences that are shown on the
screen, and never a header, a body, a cell or the value of an option.
"""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from contextlib import contextmanager, suppress
from itertools import pairwise
from threading import Event, Thread
from typing import IO, TYPE_CHECKING

from provisioner.errors import RunFolderError, os_errors_as
from provisioner.events import NullListener
from provisioner.messages import visible
from provisioner.private_files import open_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provisioner.errors import StoppedError
    from provisioner.records import Exchange, Status
    from provisioner.summary import Summary

KEPT = 5
"""How many logs of earlier runs are kept, as run.log.1 and on."""
LAG = 0.2
"""Seconds that a line may take to reach the file: writing each by itself costs a tenth of a request."""


class RunLog(NullListener):
    """A listener that writes down what it hears, on a thread of its own, so that nothing waits for the disk."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, str]] = deque()
        self.pauses: list[tuple[float, float, str]] = []
        """When nothing was sent: from and until, in seconds since 1970, and why."""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self.note(f"planned: {to_send} to send, {to_poll} to follow up, {done} done already, {invalid} invalid")

    def finished(self, status: Status) -> None:
        self.note(f"a row is {status}")

    def paused(self, seconds: float, reason: str) -> None:
        now = time.time()
        self.pauses.append((now, now + seconds, reason))
        self.note(f"paused for {seconds:.1f} s: {reason}")

    def answered(self, exchange: Exchange) -> None:
        outcome = exchange.status or exchange.fault
        self.note(f"{exchange.method} {exchange.path} {outcome} {exchange.seconds:.3f} s")

    def note(self, sentence: str) -> None:
        self._waiting.append((time.time(), sentence))

    def end(self, summary: Summary, stopped: StoppedError | None) -> None:
        """Log how the run ended."""
        if stopped is not None:
            self.note(f"stopped: {stopped.message} {stopped.technical}".rstrip())
        counts = ", ".join(f"{number} {status}" for status, number in summary.statuses.items())
        self.note(f"ended after {summary.seconds:.1f} s: {counts}")

    def take(self) -> str:
        """Return the lines that were not written yet, each with its time in UTC, as in the other files."""
        lines = []
        while self._waiting:
            at, text = self._waiting.popleft()
            second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
            lines.append(f"{second}.{int(at * 1000) % 1000:03d}Z {visible(text)}\n")
        return "".join(lines)


@contextmanager
def keep(path: Path, version: str) -> Iterator[RunLog]:
    """Write to `path`, readable by its owner alone, for as long as the context lasts; earlier logs move one up.

    Raises RunFolderError if it cannot be written.
    """
    with os_errors_as(
        RunFolderError,
        f"The log {path} cannot be written",
        remedy="Name a folder that you may write to with --out.",
    ):
        _move_up(path)
        file = os.fdopen(open_private(path), "wb", buffering=0)
    log, finished = RunLog(), Event()
    log.note(f"provisioner {version}, Python {platform.python_version()}, {platform.platform()}")
    writer = Thread(target=_write, args=(log, file, finished), daemon=True)
    writer.start()
    try:
        yield log
    except BaseException as error:
        log.note(f"ended by {type(error).__name__}")
        raise
    finally:
        finished.set()
        writer.join()


def _move_up(path: Path) -> None:
    names = [path, *(path.with_name(f"{path.name}.{age}") for age in range(1, KEPT + 1))]
    for earlier, later in reversed(list(pairwise(names))):
        if os.path.lexists(earlier):
            earlier.replace(later)


def _write(log: RunLog, file: IO[bytes], finished: Event) -> None:
    """Write what is waiting every moment, and at the end.

    A full disk does not end a run because of its log; the journal, which must be written, reports it.
    """
    with file:
        while not finished.wait(LAG):
            with suppress(OSError):
                file.write(log.take().encode())
        with suppress(OSError):
            file.write(log.take().encode())
