"""The one place where requests wait for their turn.

Requests leave evenly spaced, and an exact sliding window over each rate stands behind the spacing, so that no window of
the rate's length ever holds more requests than the rate allows. What the service itself allows is learned from its
answers (see `learned_rate`) and kept in the same way. A refusal for speed, or a service that is down, pauses the
limiter, and so holds back every worker at once.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from enum import Enum
from typing import TYPE_CHECKING, NewType

import anyio

from provisioner.records import AutoRate
from provisioner.service.learned_rate import LearnedRate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.records import Rate

MARGIN, LARGEST_MARGIN = 0.015, 0.25
"""A part of the rate's period, and seconds: each period is taken this much longer, since networks bunch what was sent
evenly. They do so by milliseconds, whatever the period."""
CATCH_UP = 0.1
"""Seconds of schedule that are caught up on after waking late; a process that slept for an hour does not rush."""
CATCH_UP_WHEN_LEARNED, SMALLEST_GAP = 1.0, 0.002
"""Seconds of schedule that are caught up on within what the service is known to allow, as after a pause that it asked
for; and how far apart at least. Its Retry-After is rounded up to a whole second, which is lost otherwise with every
refusal."""
QUERY_SHARE = 10
"""While both wait, one permit of this many goes to a question."""

Permit = NewType("Permit", float)
"""Leave to send one request; the moment at which it was given, on the limiter's clock."""


class Priority(Enum):
    """What a request is for. Creates go first; questions keep a small share."""

    CREATE = "create"
    QUERY = "query"


class LimiterClosedError(Exception):
    """The priority is closed, or was closed while a permit was waited for: the request must not be sent."""


class _Waiter:
    __slots__ = ("acquired_at", "closed", "limiter", "priority", "wake")

    def __init__(self, priority: Priority, limiter: RateLimiter) -> None:
        self.priority = priority
        self.limiter = limiter
        self.wake = anyio.Event()
        self.acquired_at: float | None = None
        self.closed = False


class _Window:
    """The latest permits, as many as the rate allows in its period."""

    def __init__(self, rate: Rate, margin: float) -> None:
        # A third of the margin is left to the clock: permits that come late must not delay all later ones for good.
        self._length = rate.seconds + margin * 2 / 3
        self.spacing = (rate.seconds + margin) / rate.count
        self.permits: deque[float] = deque(maxlen=rate.count)

    def drop(self, permit: Permit) -> bool:
        """Stop counting a permit. Returns whether it was still counted: if not, its room went to others."""
        counted = permit in self.permits
        if counted:
            self.permits.remove(permit)
        return counted

    def least(self, requests: int) -> float:
        """Seconds from an empty window until it has had room for this many requests, at least."""
        return max(requests - 1, 0) // (self.permits.maxlen or 1) * self._length

    def free_at(self) -> float:
        """When the window next has room."""
        full = len(self.permits) == self.permits.maxlen
        return self.permits[0] + self._length if full else float("-inf")


class _Schedule:
    """When permits were given, and who waits for one: the same for all limiters that share it."""

    __slots__ = ("changed", "creates_in_a_row", "has_begun", "last", "leader", "paused_until", "queues", "slot")

    def __init__(self) -> None:
        self.slot = self.last = self.paused_until = float("-inf")
        self.creates_in_a_row = 0
        self.has_begun = False
        """Whether a create was sent; a few questions about the account teach nothing of the rate."""
        self.queues: dict[Priority, deque[_Waiter]] = {priority: deque() for priority in Priority}
        self.leader: _Waiter | None = None
        self.changed = anyio.Event()


class RateLimiter:
    """Gives permits to send, first come first served within a priority. For one event loop at a time."""

    def __init__(self, rates: Sequence[Rate] | AutoRate, *, clock: Callable[[], float] = anyio.current_time) -> None:
        """All of the `rates`, at least one, are kept at once; with an AutoRate the service's own limit is found."""
        self._clock = clock
        kept = (rates.most,) if isinstance(rates, AutoRate) else rates
        self._windows = [_Window(rate, min(rate.seconds * MARGIN, LARGEST_MARGIN)) for rate in kept]
        # The shortest: a longer period's quota may be used up at the pace of the shorter one.
        self.shortest_spacing = min(window.spacing for window in self._windows)
        """Seconds from one permit to the next at the fastest rate."""
        fastest = max(rate.count / rate.seconds for rate in kept)
        self._learned = LearnedRate(fastest, find=isinstance(rates, AutoRate))
        self._schedule = _Schedule()
        self.open()

    def open(self) -> None:
        """Open every priority."""
        self._closed = {priority: anyio.Event() for priority in Priority}

    def share(self) -> RateLimiter:
        """A limiter that keeps the rates together with this one, and is closed by itself: for one of several runs."""
        shared = copy(self)
        shared.open()
        return shared

    @property
    def spacing(self) -> float:
        """Seconds from one permit to the next while nothing is paused."""
        return max(self.shortest_spacing, self._learned.spacing if self._learned.is_known else 0.0)

    @property
    def learned(self) -> Rate | None:
        """What the service allows, if this limiter found a limit."""
        return self._learned.rate if self._learned.is_found and self._learned.is_known else None

    @property
    def to_remember(self) -> Rate | None:
        """Where the next run should begin; None if that is not known."""
        return self._learned.to_remember

    def duration(self, requests: int) -> float:
        """Seconds that this many requests take at least: at the rate that was found, or at the fastest if none was."""
        spacing = self.spacing if self._learned.is_settled else self.shortest_spacing
        return max(requests * spacing, *(window.least(requests) for window in self._windows))

    async def acquire(self, priority: Priority) -> Permit:
        """Wait until one request may be sent, and send it then.

        Raises LimiterClosedError if the priority is closed before or meanwhile.
        """
        if self._closed[priority].is_set():
            raise LimiterClosedError
        now = self._clock()
        if self._schedule.leader is None and self._next_at() <= now:
            self._give(priority, now, slot=now)
            return Permit(now)
        waiter = _Waiter(priority, self)
        self._schedule.queues[priority].append(waiter)
        try:
            return await self._wait(waiter)
        finally:
            if waiter.acquired_at is None and not waiter.closed:
                self._schedule.queues[priority].remove(waiter)
            self._pass_lead_from(waiter)

    async def renew(self, permit: Permit, priority: Priority) -> Permit:
        """Return a new permit for a request that leaves only now, because opening a connection took its time.

        A request that took so long that its room in a window went to others waits for another permit. Raises
        LimiterClosedError if the priority is closed meanwhile.
        """
        self._learned.withdrawn(permit)
        counted = [window.drop(permit) for window in self._windows]
        if not all(counted):
            return await self.acquire(priority)
        now = Permit(self._clock())
        self._count(now)
        return now

    @property
    def paused_for(self) -> float:
        """Seconds for which nothing is sent from now on, because of a pause; 0 if there is none."""
        return max(0.0, self._schedule.paused_until - self._clock())

    def pause(self, seconds: float) -> bool:
        """Send nothing for this many seconds. Returns False if that was so already."""
        now = self._clock()
        if now + seconds <= self._schedule.paused_until:
            return False
        self._schedule.paused_until = now + seconds
        self._schedule.changed.set()
        return True

    def answered(self, permit: Permit, priority: Priority) -> Rate | None:
        """The request that was sent with this permit was carried out, and the answer has just come.

        Returns what the service allows if that is news.
        """
        now = self._clock()
        self._learned.answered(permit, now - permit, now, kind=priority)
        return self._learned.news()

    def refused(self, permit: Permit, retry_after: float | None) -> None:
        """The request that was sent with this permit came too fast: learn from that.

        The caller pauses for as long as the service asks; this pauses only for longer if that was not enough before.
        """
        least = self._learned.refused(permit, retry_after, self._clock())
        if least:
            self.pause(least)

    def begin_at(self, rate: Rate) -> None:
        """Begin at a rate that an earlier run found, if one is to be found, no run has begun, and none was refused."""
        if self._learned.finds and not self._schedule.has_begun and not self._learned.is_settled:
            self._learned.begin_at(rate, self._clock())

    def close(self, *priorities: Priority) -> None:
        """Give no more permits of these priorities; a task that waits for one gets LimiterClosedError."""
        for priority in priorities:
            self._closed[priority].set()
            queue = self._schedule.queues[priority]
            for waiter in [waiter for waiter in queue if waiter.limiter is self]:
                waiter.closed = True
                waiter.wake.set()
                queue.remove(waiter)
        self._schedule.changed.set()

    async def until_closed(self, priority: Priority) -> None:
        """Return when the priority is closed."""
        await self._closed[priority].wait()

    async def _wait(self, waiter: _Waiter) -> Permit:
        """Wait for a permit. One of the waiters leads: it alone sleeps, and serves the others."""
        if self._schedule.leader is None:
            self._schedule.leader = waiter
        while waiter.acquired_at is None:
            if self._schedule.leader is waiter:
                await self._sleep_until_next()
            else:
                await waiter.wake.wait()
                waiter.wake = anyio.Event()
            if waiter.closed:
                raise LimiterClosedError
            if self._schedule.leader is waiter:
                self._serve_one()
        return Permit(waiter.acquired_at)

    def _serve_one(self) -> None:
        now = self._clock()
        due = self._next_at()
        if due > now:
            return
        chosen = self._choose()
        self._give(chosen.priority, now, slot=max(due, now - CATCH_UP))
        chosen.acquired_at = now
        chosen.wake.set()

    def _choose(self) -> _Waiter:
        schedule = self._schedule
        creates, queries = schedule.queues[Priority.CREATE], schedule.queues[Priority.QUERY]
        turn_of_query = bool(queries) and schedule.creates_in_a_row >= QUERY_SHARE - 1
        return (creates if creates and not turn_of_query else queries).popleft()

    def _pass_lead_from(self, waiter: _Waiter) -> None:
        schedule = self._schedule
        if schedule.leader is not waiter:
            return
        schedule.leader = next((queue[0] for queue in schedule.queues.values() if queue), None)
        if schedule.leader is not None:
            schedule.leader.wake.set()

    async def _sleep_until_next(self) -> None:
        """Sleep until the next permit is due, or something changed that may move it."""
        seconds = self._next_at() - self._clock()
        if seconds > 0:
            self._schedule.changed = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._schedule.changed.wait()

    def _next_at(self) -> float:
        schedule = self._schedule
        gap = schedule.last + min(SMALLEST_GAP, self.spacing)
        windows = (window.free_at() for window in self._windows)
        return max(schedule.slot + self.spacing, gap, schedule.paused_until, self._learned.free_at(), *windows)

    def _give(self, priority: Priority, now: float, *, slot: float) -> None:
        """Give one permit. `slot` is its place in the even schedule, from which the next one is counted."""
        schedule = self._schedule
        if self._learned.is_found and self._learned.is_known and not self._learned.is_restless:
            slot = max(schedule.slot + self.spacing, now - CATCH_UP_WHEN_LEARNED)
        schedule.slot, schedule.last = slot, now
        schedule.has_begun |= priority is Priority.CREATE
        self._count(now)
        schedule.creates_in_a_row = schedule.creates_in_a_row + 1 if priority is Priority.CREATE else 0

    def _count(self, now: float) -> None:
        """A request leaves now: it takes room in every window."""
        self._learned.sent(now)
        for window in self._windows:
            window.permits.append(now)
