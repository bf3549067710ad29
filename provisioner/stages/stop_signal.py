"""The one place that says a run is to end early, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from provisioner.errors import SameFailureError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable


class StopSignal:
    """Remembers the first reason to stop. For one event loop."""

    def __init__(self) -> None:
        self.reason: StoppedError | None = None
        self._called = anyio.Event()
        self._listeners: list[Callable[[StoppedError], None]] = []

    def on_set(self, listener: Callable[[StoppedError], None]) -> None:
        """Have `listener` called once, at once, when the run is told to stop."""
        self._listeners.append(listener)

    def set(self, reason: StoppedError) -> None:
        """Let no further create begin. A later reason than the first changes nothing."""
        if self.reason is not None:
            return
        self.reason = reason
        self._called.set()
        for listener in self._listeners:
            listener(reason)

    async def wait(self) -> None:
        """Until the run is told to stop."""
        await self._called.wait()


class FailureStreak:
    """Counts failures in a row with one cause, and stops the run when there are too many: the next would fail too."""

    def __init__(self, stop_signal: StopSignal, limit: int) -> None:
        """A `limit` of 0 never stops."""
        self._stop_signal = stop_signal
        self._limit = limit
        self._cause = ""
        self._length = 0

    def succeeded(self) -> None:
        self._length = 0

    def failed(self, cause: str) -> None:
        """`cause` is the reason without anything that belongs to one row alone."""
        self._length = self._length + 1 if cause == self._cause else 1
        self._cause = cause
        if self._limit and self._length >= self._limit:
            self._stop_signal.set(
                SameFailureError(
                    f"{self._length} rows in a row failed with the same cause: {cause}",
                    remedy="Mend the cause before more rows are sent, then run again. "
                    "--stop-after 0 goes on whatever happens.",
                )
            )
