"""Services that refuse what comes too fast, and programs that send to them with the real limiter, in virtual time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import anyio
from virtual_time import VirtualLoop

from provisioner.sandbox.throttle import Throttle
from provisioner.service.rate_limiter import LimiterClosedError, Priority, RateLimiter

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from provisioner.records import AutoRate, Rate

WORKERS = 40
"""Requests under way at once, as creates and questions together have them by default."""


class Door(Protocol):
    """Where a service counts requests."""

    def refusal(self, now: float) -> int | None:
        """Whole seconds to wait, or None if the request passes."""


class Open:
    """Refuses nothing."""

    def refusal(self, now: float) -> int | None:  # noqa: ARG002 - as every door
        return None


class FixedWindows:
    """Counts from one full second, minute or hour to the next, unlike the sandbox, whose window slides."""

    def __init__(self, count: int, seconds: float, phase: float = 0.0) -> None:
        self.count, self.seconds, self._phase = count, seconds, phase
        self._window, self._passed = -1, 0

    def refusal(self, now: float) -> int | None:
        window = math.floor((now + self._phase) / self.seconds)
        if window != self._window:
            self._window, self._passed = window, 0
        if self._passed < self.count:
            self._passed += 1
            return None
        return max(1, math.ceil((window + 1) * self.seconds - self._phase - now))


class Replaced:
    """One door until a moment, and then another: a limit that is changed, with what was sent before it counted."""

    def __init__(self, before: Door, after: Door, at: float) -> None:
        self._before, self._after, self._at = before, after, at

    def refusal(self, now: float) -> int | None:
        counted = self._after.refusal(now)
        return self._before.refusal(now) if now < self._at else counted


@dataclass
class Service:
    """A door behind a network, and the time that an answer takes."""

    door: Door
    draw: random.Random
    jitter: float = 0.05
    """Seconds that a request may be late on its way, at most."""
    answer: Callable[[float, random.Random], float] = lambda _, draw: draw.uniform(0.02, 0.5)
    """Seconds that an answer takes, for the moment at which the request arrives."""
    refused_within: tuple[float, float] = (0.02, 0.1)
    """Seconds that a refusal takes: no work is done for it."""
    cold_requests: int = 0
    cold_until: float = 0.0
    """The first requests wait until then, and arrive together."""
    _arrived: int = 0

    async def send(self, program: Program) -> int | None:
        """Send one request. Returns the seconds to wait, or None after an answer."""
        now = anyio.current_time()
        late = self.draw.uniform(0.0, self.jitter)
        if self._arrived < self.cold_requests:
            late = max(late, self.cold_until - now)
        self._arrived += 1
        await anyio.sleep(late)
        arrived = anyio.current_time()
        wait = self.door.refusal(arrived)
        (program.passed if wait is None else program.refused).append(arrived)
        took = self.answer(arrived, self.draw) if wait is None else self.draw.uniform(*self.refused_within)
        if wait is None:
            program.took.append(took)
        await anyio.sleep(took)
        return wait


@dataclass
class Program:
    """One program that always has more to send, and what the service saw of it."""

    rates: Sequence[Rate] | AutoRate
    begins: float = 0.0
    ends: float = math.inf
    remembered: Rate | None = None
    """What an earlier run found."""
    passed: list[float] = field(default_factory=list)
    """When requests arrived that were carried out."""
    refused: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds that each answer took."""
    fastest_at: float | None = None
    """When the fastest rate was reached."""

    async def run(self, service: Service) -> None:
        await anyio.sleep(self.begins)
        self.limiter = RateLimiter(self.rates)
        if self.remembered is not None:
            self.limiter.begin_at(self.remembered)
        with anyio.CancelScope(deadline=self.ends):
            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(self._work, service)

    async def _work(self, service: Service) -> None:
        while True:
            try:
                permit = await self.limiter.acquire(Priority.CREATE)
            except LimiterClosedError:
                return
            wait = await service.send(self)
            if wait is None:
                self.limiter.answered(permit, Priority.CREATE)
            else:
                self.limiter.refused(permit, wait)
                self.limiter.pause(wait)
            if self.fastest_at is None and self.limiter.spacing == self.limiter.shortest_spacing:
                self.fastest_at = anyio.current_time()

    def passed_between(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at in self.passed)


def simulate(service: Service, *programs: Program, seconds: float) -> None:
    """Let the programs send to the service for this long."""

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for program in programs:
                group.start_soon(program.run, service)
            await anyio.sleep(seconds)
            group.cancel_scope.cancel()

    anyio.run(work, backend="asyncio", backend_options={"loop_factory": VirtualLoop})


def sandbox_throttle(count: int, seconds: float) -> Throttle:
    """The sandbox's own throttle, whose window slides."""
    return Throttle(f"{count}/{ {1.0: 's', 60.0: 'min', 3600.0: 'h'}[seconds] }")


class Overloaded:
    """Refuses nothing, and answers in 50 ms up to 15 requests in a second; the more come, the slower, up to 2 s."""

    def __init__(self, slowest_at: int) -> None:
        """Answers take 2 s at this many requests in a second."""
        self._slowest_at = slowest_at
        self._arrived: deque[float] = deque()

    def refusal(self, now: float) -> int | None:
        self._arrived.append(now)
        while self._arrived[0] <= now - 1.0:
            self._arrived.popleft()
        return None

    def answer(self, _arrived: float, _draw: random.Random) -> float:
        beyond = max(0, len(self._arrived) - 15) / (self._slowest_at - 15)
        return 0.05 + 1.95 * min(1.0, beyond)
