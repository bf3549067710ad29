"""The one place that says a run is to end early, and why."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import InterruptedRunError, SameFailureError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class StopSignal:
    """Stops one run, and remembers the first reason. Use it in the event loop of the run.

    From another thread, call `interrupt` through the loop: `loop.call_soon_threadsafe(stop_signal.interrupt)` with
    asyncio, `token.run_sync_soon(stop_signal.interrupt)` with Trio.
    """

    def __init__(self, how: str = "Press Ctrl-C again to stop at once.") -> None:
        """`how` is what people are told when the run was interrupted once; empty for nothing."""
        self.how = how
        self.reason: StoppedError | None = None
        self.interrupted, self.interrupted_again = anyio.Event(), anyio.Event()
        self._event = anyio.Event()
        self._callbacks: list[Callable[[StoppedError], None]] = []
        self._scopes: list[anyio.CancelScope] = []

    def on_set(self, callback: Callable[[StoppedError], None]) -> None:
        """Have `callback` called with the first reason, as soon as there is one."""
        self._callbacks.append(callback)

    def set(self, reason: StoppedError) -> None:
        """Let no further create begin. Only the first reason counts."""
        if self.reason is not None:
            return
        self.reason = reason
        self._event.set()
        for callback in self._callbacks:
            callback(reason)

    def interrupt(self) -> None:
        """Stop the run: gently the first time, at once the second.

        Gently: nothing more is sent, and tasks in flight are polled for some seconds. The files are written in both
        cases.
        """
        if self.interrupted.is_set():
            self.interrupted_again.set()
        self.interrupted.set()
        self.set(InterruptedRunError("The run was interrupted.", remedy="Run again to continue."))
        for scope in self._scopes:
            scope.cancel()

    async def wait(self) -> None:
        """Return when the run is told to stop."""
        await self._event.wait()

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Cancel what is awaited inside as soon as the run is interrupted, or at once if it was before."""
        with anyio.CancelScope() as scope:
            if self.interrupted.is_set():
                scope.cancel()
            self._scopes.append(scope)
            try:
                yield
            finally:
                self._scopes.remove(scope)


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
                    remedy="Fix the cause, then run again. --stop-after 0 sends the rest whatever happens.",
                )
            )
