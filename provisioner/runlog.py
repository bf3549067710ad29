"""run.log: what a run did, for whoever is asked for help.

It cannot leak by its making: it is told of no header, body, cell or option's value, but of methods, paths, statuses,
times, numbers, and the sentences that are shown on the screen.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from queue import SimpleQueue
from typing import TYPE_CHECKING, cast

from provisioner.errors import RunFolderError
from provisioner.wording import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import TextIOWrapper
    from pathlib import Path

    from provisioner.errors import StoppedError
    from provisioner.records import Exchange, Status, Summary

KEPT = 5
"""So many earlier runs keep their logs, as run.log.1 and on."""
LAG = 0.2
"""Seconds that a line may take to reach the file. Waking the writer for each line cost as much as a request does."""


class RunLog:
    """A listener that writes down what it hears. Writing happens on a thread of its own, so nobody waits for it."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.time) -> None:
        self._logger = logger
        self._clock = clock
        self.held_back: list[tuple[float, float, str]] = []
        """When the pace was held back: from and until on the wall clock, and why."""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self._logger.info(
            "planned: %d to send, %d to follow up, %d done already, %d invalid", to_send, to_poll, done, invalid
        )

    def sent(self) -> None:
        """Each request is logged with its answer."""

    def ended(self, status: Status) -> None:
        self._logger.info("a row is %s", status)

    def held(self, seconds: float, reason: str) -> None:
        now = self._clock()
        self.held_back.append((now, now + seconds, reason))
        self._logger.info("held back for %.1f s: %s", seconds, reason)

    def answered(self, exchange: Exchange) -> None:
        self._logger.info(
            "%s %s %s %.3f s", exchange.method, exchange.path, exchange.status or exchange.fault, exchange.seconds
        )

    def note(self, sentence: str) -> None:
        self._logger.info("%s", sentence)

    def end(self, summary: Summary, stopped: StoppedError | None) -> None:
        """How the run ended."""
        if stopped is not None:
            self._logger.info("stopped: %s", stopped.message)
        counts = ", ".join(f"{number} {status}" for status, number in summary.statuses.items())
        self._logger.info("ended after %.1f s: %s", summary.seconds, counts)


@contextmanager
def keep(path: Path, version: str) -> Iterator[RunLog]:
    """Write to `path`, readable by its owner alone, for as long as the context lasts; earlier logs move one up.

    Raises RunFolderError where it cannot be written.
    """
    try:
        earlier = path.exists()
        handler = _OwnersFile(path, backupCount=KEPT, encoding="utf-8")
        if earlier:
            handler.doRollover()
    except OSError as error:
        raise RunFolderError(
            f"The log {path} cannot be written: {error.strerror}.",
            remedy="Name a folder that you may write to with --out.",
        ) from error
    handler.setFormatter(_Formatter("%(asctime)s %(message)s"))
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    # It belongs to no tree of loggers, so nothing that a library configures can send these lines elsewhere.
    logger = _Logger("provisioner", logging.INFO)
    logger.addHandler(_Queue(queue))
    writer = _Writer(queue, handler)
    writer.start()
    logger.info("provisioner %s, Python %s, %s", version, platform.python_version(), platform.platform())
    try:
        yield RunLog(logger)
    except BaseException as error:
        logger.info("ended by %s", type(error).__name__)
        raise
    finally:
        writer.stop()
        handler.close()


class _Logger(logging.Logger):
    """Does not look up which line of the program logs: no line of the log says so, and each would pay for it."""

    def findCaller(self, *_: object, **__: object) -> tuple[str, int, str, None]:  # noqa: N802 - the library's name
        return "", 0, "", None


class _Queue(QueueHandler):
    """Leaves the formatting to the writer: what is logged never changes."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


class _Writer(QueueListener):
    """Looks for lines now and then, and writes all that there are."""

    def dequeue(self, block: bool) -> logging.LogRecord:  # noqa: FBT001 - the library's signature
        queue = cast("SimpleQueue[logging.LogRecord]", self.queue)
        while block and queue.empty():
            time.sleep(LAG)
        return queue.get(block)


class _OwnersFile(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return cast("TextIOWrapper", open(self.baseFilename, self.mode, encoding=self.encoding, opener=opener))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A full disk ends no run for the log's sake; the journal, which must be written, tells of it."""


class _Formatter(logging.Formatter):
    """One line for each record, with the time in UTC, as in the other files."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))
