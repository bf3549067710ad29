"""How long to keep trying, reckoned in time that costs none."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from provisioner.errors import ServiceDownError
from provisioner.records import Rate
from provisioner.secret import Secret
from provisioner.service.rate_limiter import LimiterClosedError, Priority, RateLimiter
from provisioner.service.recovery import LONGEST_THROTTLE, Recovery
from provisioner.settings import Connection


class Service:
    """Answers every question, and refuses every create with 429, unless told otherwise."""

    def __init__(self, listener: Any, *, retry_after: float | None = None) -> None:
        connection = Connection(api_key=Secret("k3y"), rates=(Rate(5, 1.0),))
        self.limiter = RateLimiter(connection.rates)
        self.recovery = Recovery(connection, self.limiter, listener)
        self.retry_after = retry_after
        self.refuses = True
        self.announcing = anyio.Semaphore(2)
        """As at this rate the submitter has it: no more creates than this wait for a permit."""
        self.asked: list[float] = []
        self.tried: list[float] = []

    async def ask(self) -> None:
        await self.limiter.acquire(Priority.QUERY)
        self.asked.append(anyio.current_time())
        self.recovery.answered(Priority.QUERY)

    async def create(self) -> None:
        while True:
            async with self.announcing:
                await self.recovery.create_allowed()
                permit = await self.limiter.acquire(Priority.CREATE)
            self.tried.append(anyio.current_time())
            await anyio.sleep(0.05)
            if not self.refuses:
                self.recovery.answered(Priority.CREATE)
                return
            self.recovery.throttled(self.retry_after, permit, Priority.CREATE, "slow down")


async def ask_until_stopped(service: Service) -> None:
    try:
        while True:
            await service.ask()
            await anyio.sleep(1.0)
    except LimiterClosedError:
        return


@pytest.mark.parametrize("retry_after", [None, 20.0])
def test_creates_that_are_refused_without_end_do_not_hold_up_questions(
    in_virtual_time: Any, listener: Any, retry_after: float | None
) -> None:
    """Questions go on, and their answers do not start the quarter of an hour anew, after which the run ends."""

    async def go() -> Service:
        service = Service(listener, retry_after=retry_after)
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(ask_until_stopped, service)
            for _ in range(8):
                group.start_soon(create, service)
        assert anyio.current_time() - began < LONGEST_THROTTLE + 2
        return service

    async def create(service: Service) -> None:
        try:
            await service.create()
        except ServiceDownError:
            service.limiter.close(*Priority)
        except LimiterClosedError:
            pass

    service = in_virtual_time(go)
    assert service.tried[-1] - service.tried[0] > LONGEST_THROTTLE - 60
    gaps = [after - before for before, after in zip(service.asked, service.asked[1:], strict=False)]
    first, *later = gaps
    # The creates that waited for their turn already are refused once each.
    assert first < (5.0 if retry_after is None else 5 * retry_after)
    assert max(later) < (5.0 if retry_after is None else retry_after + 2)
    assert len(service.asked) >= (700 if retry_after is None else 40)
    assert len(service.tried) < 120, "one create at a time tries whether it is over"


def test_creates_go_on_together_once_one_is_taken(in_virtual_time: Any, listener: Any) -> None:
    """Whoever waited begins within a second or so."""

    async def go() -> Service:
        service = Service(listener)
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(service.create)
            await anyio.sleep(100.0)
            service.refuses = False
        return service

    service = in_virtual_time(go)
    *_, first, second, _third, _fourth, _fifth, _sixth, _seventh, last = service.tried
    assert second - first <= 1.3
    assert last - first < 4


def test_a_single_refusal_holds_no_create_back_for_long(in_virtual_time: Any, listener: Any) -> None:
    """What is refused once for its speed goes on when the pause is over."""

    async def go() -> float:
        service = Service(listener, retry_after=1.0)
        permit = await service.limiter.acquire(Priority.CREATE)
        service.recovery.throttled(1.0, permit, Priority.CREATE, "slow down")
        service.refuses = False
        began = anyio.current_time()
        for _ in range(5):
            await service.create()
        return anyio.current_time() - began

    assert in_virtual_time(go) < 1.0 + 5 * 0.25 + 0.1
