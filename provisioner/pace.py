"""The one pace of everything that is sent.

Requests leave evenly spaced, and an exact sliding window over each rate stands behind the spacing, so that no
window of the rate's length ever holds more than the rate allows. All waiting of the program is done here: a refusal
for speed or a service that is down *holds* the pace, and so holds back every worker at once.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.records import Rate

MARGIN = 1.015
"""Networks bunch what was sent evenly: every window is kept this much longer than asked."""
CATCH_UP = 0.1
"""Seconds of schedule made up for after waking late; a process that slept for an hour does not rush."""
ASK_SHARE = 10
"""While both wait, one grant of so many goes to the lane that asks."""
EASE_FACTOR = 0.5
EASE_FLOOR = 0.1
RECOVERY = 60.0
"""Seconds in which the pace recovers from nothing to its full rate."""


class Lane(Enum):
    """What a request is for. Creates go first; what only asks keeps a small share."""

    CREATE = "create"
    ASK = "ask"


class LaneClosedError(Exception):
    """The lane was closed while a grant was waited for: the request must not be sent."""


class _Waiter:
    __slots__ = ("closed", "granted", "lane", "wake")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.wake = anyio.Event()
        self.granted = False
        self.closed = False


class _Window:
    """The latest grants, as many as the rate allows in its period."""

    def __init__(self, rate: Rate) -> None:
        self.length = rate.seconds * MARGIN
        self.spacing = self.length / rate.count
        self.grants: deque[float] = deque(maxlen=rate.count)

    def free_at(self) -> float:
        """When the window next has room."""
        full = len(self.grants) == self.grants.maxlen
        return self.grants[0] + self.length if full else float("-inf")


class Pace:
    """Grants leave to send, first come first served within a lane. For one event loop; works on any of anyio's."""

    def __init__(self, rates: Sequence[Rate], *, clock: Callable[[], float] = anyio.current_time) -> None:
        self._clock = clock
        self._windows = [_Window(rate) for rate in rates]
        self._spacing = min(window.spacing for window in self._windows)
        self._slot = float("-inf")
        self._held_until = float("-inf")
        self._ease = 1.0
        self._eased_at = float("-inf")
        self._queues: dict[Lane, deque[_Waiter]] = {lane: deque() for lane in Lane}
        self._closed: set[Lane] = set()
        self._leader: _Waiter | None = None
        self._changed = anyio.Event()
        self._creates_in_a_row = 0

    async def grant(self, lane: Lane) -> None:
        """Wait until one request may be sent. Raises LaneClosedError when the lane is or becomes closed."""
        if lane in self._closed:
            raise LaneClosedError
        if self._leader is None and self._next_at() <= self._clock():
            self._stamp(lane, self._clock())
            return
        waiter = _Waiter(lane)
        self._queues[lane].append(waiter)
        try:
            await self._wait(waiter)
        finally:
            if not waiter.granted and not waiter.closed:
                self._queues[lane].remove(waiter)
            self._pass_lead_from(waiter)

    def hold(self, seconds: float, *, ease: bool = False) -> bool:
        """Send nothing for so many seconds; with `ease`, go on at a lower pace that recovers by itself.

        Answers False where the pace was held for at least as long already.
        """
        now = self._clock()
        if ease and now >= self._held_until:
            self._ease = max(EASE_FLOOR, self._eased(now) * EASE_FACTOR)
        if now + seconds <= self._held_until:
            return False
        self._held_until = now + seconds
        self._eased_at = self._held_until
        self._announce_change()
        return True

    def close(self, *lanes: Lane) -> None:
        """Grant nothing more in these lanes; whoever waits there is told so."""
        self._closed.update(lanes)
        for lane in lanes:
            for waiter in self._queues[lane]:
                waiter.closed = True
                waiter.wake.set()
            self._queues[lane].clear()
        self._announce_change()

    async def _wait(self, waiter: _Waiter) -> None:
        """Wait for the own grant; one of the waiters leads: it alone sleeps, and serves the others."""
        if self._leader is None:
            self._leader = waiter
        while not waiter.granted:
            if self._leader is waiter:
                await self._sleep_until_next()
            else:
                await waiter.wake.wait()
                waiter.wake = anyio.Event()
            if waiter.closed:
                raise LaneClosedError
            if self._leader is waiter:
                self._serve_one()

    def _serve_one(self) -> None:
        due = self._next_at()
        now = self._clock()
        if due > now:
            return
        chosen = self._choose()
        self._stamp(chosen.lane, max(due, now - CATCH_UP))
        chosen.granted = True
        chosen.wake.set()

    def _choose(self) -> _Waiter:
        creates, asks = self._queues[Lane.CREATE], self._queues[Lane.ASK]
        asks_turn = bool(asks) and self._creates_in_a_row >= ASK_SHARE - 1
        return (creates if creates and not asks_turn else asks).popleft()

    def _pass_lead_from(self, waiter: _Waiter) -> None:
        if self._leader is not waiter:
            return
        self._leader = next((queue[0] for queue in self._queues.values() if queue), None)
        if self._leader is not None:
            self._leader.wake.set()

    async def _sleep_until_next(self) -> None:
        """Until the next grant is due, or something changed that may move it."""
        seconds = self._next_at() - self._clock()
        if seconds > 0:
            self._changed = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._changed.wait()

    def _announce_change(self) -> None:
        self._changed.set()

    def _next_at(self) -> float:
        spacing = self._spacing / self._eased(self._clock())
        return max(self._slot + spacing, self._held_until, *(window.free_at() for window in self._windows))

    def _eased(self, now: float) -> float:
        """The share of the full rate that is used now, after an earlier hold."""
        if self._ease < 1.0:
            self._ease = min(1.0, self._ease + max(0.0, now - self._eased_at) / RECOVERY)
            self._eased_at = max(now, self._eased_at)
        return self._ease

    def _stamp(self, lane: Lane, slot: float) -> None:
        now = self._clock()
        self._slot = slot
        for window in self._windows:
            window.grants.append(now)
        self._creates_in_a_row = self._creates_in_a_row + 1 if lane is Lane.CREATE else 0
