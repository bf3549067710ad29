"""The one pace of everything that is sent.

Requests leave evenly spaced, and an exact sliding window over each rate stands behind the spacing, so that no
window of the rate's length ever holds more than the rate allows. All waiting of the program is done here: a refusal
for speed or a service that is down *holds* the pace, and so holds back every worker at once.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NewType

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.records import Rate

MARGIN, LARGEST_MARGIN = 0.015, 0.25
"""A part of the rate's period, and seconds: so much longer is each period taken, since networks bunch what was sent
evenly. They do so by milliseconds, whatever the period."""
CATCH_UP = 0.1
"""Seconds of schedule made up for after waking late; a process that slept for an hour does not rush."""
ASK_SHARE = 10
"""While both wait, one grant of so many goes to the lane that asks."""
EASE_FACTOR = 0.7
EASE_FLOOR = 0.1
RECOVERY = 60.0
"""Seconds in which the pace recovers from nothing to its full rate."""


Permit = NewType("Permit", float)
"""Leave to send one request; the moment at which it was given, on the pace's clock."""


class Priority(Enum):
    """What a request is for. Creates go first; what only asks keeps a small share."""

    CREATE = "create"
    QUERY = "ask"


class LimiterClosedError(Exception):
    """The lane is closed, or was while a grant was waited for: the request must not be sent."""


class _Waiter:
    __slots__ = ("acquired_at", "closed", "priority", "wake")

    def __init__(self, priority: Priority) -> None:
        self.priority = priority
        self.wake = anyio.Event()
        self.acquired_at: float | None = None
        self.closed = False


class _Window:
    """The latest grants, as many as the rate allows in its period."""

    def __init__(self, rate: Rate) -> None:
        margin = min(rate.seconds * MARGIN, LARGEST_MARGIN)
        # A third of the margin is left to the clock: grants that come late must not make all later ones late for good.
        self._length = rate.seconds + margin * 2 / 3
        self.spacing = (rate.seconds + margin) / rate.count
        self.permits: deque[float] = deque(maxlen=rate.count)

    def drop(self, permit: Permit) -> bool:
        """Count a grant no more. Answers whether it was counted still: if not, others have its room by now."""
        counted = permit in self.permits
        if counted:
            self.permits.remove(permit)
        return counted

    def free_at(self) -> float:
        """When the window next has room."""
        full = len(self.permits) == self.permits.maxlen
        return self.permits[0] + self._length if full else float("-inf")


class RateLimiter:
    """Grants leave to send, first come first served within a lane. For one event loop at a time, any of anyio's."""

    def __init__(self, rates: Sequence[Rate], *, clock: Callable[[], float] = anyio.current_time) -> None:
        """All of the `rates`, one at least, are kept at once."""
        self._clock = clock
        self._windows = [_Window(rate) for rate in rates]
        # The shortest: a longer period's quota may be used up at the pace of the shorter one.
        self._spacing = min(window.spacing for window in self._windows)
        self._slot = float("-inf")
        self._paused_until = float("-inf")
        self._share = 1.0
        self._recovers_from = float("-inf")
        self._eased_at = float("-inf")
        self._creates_in_a_row = 0
        self.open()

    def open(self) -> None:
        """Open every lane, in an event loop that is new to it. What was granted before counts on, by the same clock."""
        self._queues: dict[Priority, deque[_Waiter]] = {priority: deque() for priority in Priority}
        self._closed = {priority: anyio.Event() for priority in Priority}
        self._leader: _Waiter | None = None
        self._changed = anyio.Event()

    @property
    def spacing(self) -> float:
        """Seconds from one grant to the next while nothing holds the pace back."""
        return self._spacing

    async def acquire(self, priority: Priority) -> Permit:
        """Wait until one request may be sent, and send it then.

        Raises LimiterClosedError when the lane is or becomes closed.
        """
        if self._closed[priority].is_set():
            raise LimiterClosedError
        now = self._clock()
        if self._leader is None and self._next_at(now) <= now:
            self._stamp(priority, now, slot=now)
            return Permit(now)
        waiter = _Waiter(priority)
        self._queues[priority].append(waiter)
        try:
            return await self._wait(waiter)
        finally:
            if waiter.acquired_at is None and not waiter.closed:
                self._queues[priority].remove(waiter)
            self._pass_lead_from(waiter)

    async def renew(self, permit: Permit, priority: Priority) -> Permit:
        """The request with this grant leaves only now: opening a connection took its time. Answers its new grant.

        A request that took so long that its room in a window went to others waits for another grant. Raises
        LimiterClosedError when the lane is or becomes closed meanwhile.
        """
        counted = [window.drop(permit) for window in self._windows]
        if not all(counted):
            return await self.acquire(priority)
        now = Permit(self._clock())
        for window in self._windows:
            window.permits.append(now)
        return now

    def pause(self, seconds: float) -> bool:
        """Send nothing for so many seconds. Answers False where that was so already."""
        now = self._clock()
        if now + seconds <= self._paused_until:
            return False
        self._share = self._share_at(now)
        self._paused_until = self._recovers_from = now + seconds
        self._changed.set()
        return True

    def slow_down(self, refused: Permit) -> None:
        """Go on at a lower pace, which recovers by itself: the request that was sent with this grant came too fast.

        Requests that left before the pace was last lowered say nothing new and lower it no further.
        """
        now = self._clock()
        if refused > self._eased_at:
            self._share = max(EASE_FLOOR, self._share_at(now) * EASE_FACTOR)
            self._eased_at = now
            self._recovers_from = max(now, self._paused_until)

    def close(self, *priorities: Priority) -> None:
        """Permit nothing more in these lanes; whoever waits there is told so."""
        for priority in priorities:
            self._closed[priority].set()
            for waiter in self._queues[priority]:
                waiter.closed = True
                waiter.wake.set()
            self._queues[priority].clear()
        self._changed.set()

    async def until_closed(self, priority: Priority) -> None:
        """Return when the lane is closed."""
        await self._closed[priority].wait()

    async def _wait(self, waiter: _Waiter) -> Permit:
        """Wait for the own grant; one of the waiters leads: it alone sleeps, and serves the others."""
        if self._leader is None:
            self._leader = waiter
        while waiter.acquired_at is None:
            if self._leader is waiter:
                await self._sleep_until_next()
            else:
                await waiter.wake.wait()
                waiter.wake = anyio.Event()
            if waiter.closed:
                raise LimiterClosedError
            if self._leader is waiter:
                self._serve_one()
        return Permit(waiter.acquired_at)

    def _serve_one(self) -> None:
        now = self._clock()
        due = self._next_at(now)
        if due > now:
            return
        chosen = self._choose()
        self._stamp(chosen.priority, now, slot=max(due, now - CATCH_UP))
        chosen.acquired_at = now
        chosen.wake.set()

    def _choose(self) -> _Waiter:
        creates, asks = self._queues[Priority.CREATE], self._queues[Priority.QUERY]
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
        now = self._clock()
        seconds = self._next_at(now) - now
        if seconds > 0:
            self._changed = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._changed.wait()

    def _next_at(self, now: float) -> float:
        spacing = self._spacing / self._share_at(now)
        return max(self._slot + spacing, self._paused_until, *(window.free_at() for window in self._windows))

    def _share_at(self, now: float) -> float:
        """The share of the full rate that is used now, after it was lowered."""
        return min(1.0, self._share + max(0.0, now - self._recovers_from) / RECOVERY)

    def _stamp(self, priority: Priority, now: float, *, slot: float) -> None:
        """One grant more, now. `slot` is where it stands in the even schedule, which the next one is counted from."""
        self._slot = slot
        for window in self._windows:
            window.permits.append(now)
        self._creates_in_a_row = self._creates_in_a_row + 1 if priority is Priority.CREATE else 0
