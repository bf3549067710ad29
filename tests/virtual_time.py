"""An event loop whose clock jumps whenever everything waits: hours pass in a moment."""

from __future__ import annotations

import asyncio
import selectors


class _VirtualSelector(selectors.DefaultSelector):
    """Finds that the time-out has passed as soon as nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that will never happen"
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Nothing that runs in it may use threads or the network, which its clock would not wait for."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)
        # The loop rounds its timers to this; a sum of many floats must not fall short of the hour it was to reach.
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.now
