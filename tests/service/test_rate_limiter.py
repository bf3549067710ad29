"""The pace, on both backends and in virtual time, but for the one test that needs a late clock of its own."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.records import AutoRate, Rate
from provisioner.service.rate_limiter import LimiterClosedError, Permit, Priority, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[..., Any]


def busiest(times: Sequence[float], seconds: float) -> int:
    """The most grants in any window of so many seconds: one that begins with a grant is never beaten."""
    return max((bisect_left(times, first + seconds) - i for i, first in enumerate(times)), default=0)


async def granted(limiter: RateLimiter, priority: Priority, count: int, into: list[Any], *, workers: int = 1) -> None:
    """Take grants one after another with so many workers, and note when each came."""
    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(_take, limiter, priority, count // workers, into)


async def _take(limiter: RateLimiter, priority: Priority, count: int, into: list[Any]) -> None:
    for _ in range(count):
        acquired_at = await limiter.acquire(priority)
        into.append((acquired_at, priority))


rates = st.lists(
    st.builds(Rate, st.integers(1, 30), st.sampled_from([1.0, 7.0, 60.0])), min_size=1, max_size=3, unique=True
)
pauses = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.2, 1.0, 5.0, 70.0]), min_size=1, max_size=150)


@given(rates=rates, pauses=pauses, asks=st.integers(0, 5))
def test_no_window_ever_holds_more_than_its_rate(
    in_virtual_time: Run, rates: list[Rate], pauses: list[float], asks: int
) -> None:
    """However requests arrive, no sliding window of any rate's length holds more grants than the rate allows."""
    times: list[float] = []

    async def one(limiter: RateLimiter, priority: Priority) -> None:
        times.append(await limiter.acquire(priority))

    async def arrive() -> None:
        limiter = RateLimiter(rates)
        async with anyio.create_task_group() as group:
            for number, pause in enumerate(pauses):
                await anyio.sleep(pause)
                group.start_soon(one, limiter, Priority.QUERY if asks and number % asks == 0 else Priority.CREATE)

    in_virtual_time(arrive)
    assert len(times) == len(pauses)
    for rate in rates:
        assert busiest(times, rate.seconds) <= rate.count


@given(
    rates=st.lists(
        st.builds(Rate, st.integers(1, 40), st.sampled_from([1.0, 60.0])),
        min_size=1,
        max_size=2,
        unique_by=lambda rate: rate.seconds,
    ),
    workers=st.integers(1, 30),
)
def test_the_rate_is_used_while_there_is_work(in_virtual_time: Run, rates: list[Rate], workers: int) -> None:
    """While somebody waits, at least 98 % of what the strictest rate allows is granted, whatever the workers."""
    strictest = min(rates, key=lambda rate: rate.count / rate.seconds)
    count = strictest.count * 5 + workers
    times: list[Any] = []

    async def work() -> None:
        await granted(RateLimiter(rates), Priority.CREATE, count // workers * workers, times, workers=workers)

    in_virtual_time(work)
    # Counted in whole periods of the strictest rate, since a second rate lets it be used in bursts within one.
    periods = (times[-1][0] - times[0][0]) / strictest.seconds
    assert len(times) - 1 >= 0.98 * strictest.count * int(periods)


def test_a_longer_rate_is_used_up_at_the_pace_of_the_shorter_one(in_virtual_time: Run) -> None:
    """With 5/s and 20/min the first 20 leave within five seconds, and the 21st a minute after the first."""
    times: list[Any] = []
    in_virtual_time(lambda: granted(RateLimiter([Rate(5, 1.0), Rate(20, 60.0)]), Priority.CREATE, 21, times))
    start = times[0][0]
    assert times[19][0] - start < 4
    assert 60 <= times[20][0] - start < 60.5


def test_grants_are_spaced_evenly_after_idling_too(in_virtual_time: Run) -> None:
    """What was not used while idle is not caught up on by a burst."""
    times: list[Any] = []

    async def idle_then_work() -> None:
        limiter = RateLimiter([Rate(10, 1.0)])
        await limiter.acquire(Priority.CREATE)
        await anyio.sleep(3600)
        await granted(limiter, Priority.CREATE, 5, times, workers=5)

    in_virtual_time(idle_then_work)
    gaps = [later[0] - sooner[0] for sooner, later in pairwise(times)]
    assert gaps == pytest.approx([0.1015] * 4)


def test_creates_go_first_and_asks_keep_a_tenth(in_virtual_time: Run) -> None:
    """While both wait, nine creates go for each ask; when no create waits, asks have all of it."""
    order: list[Any] = []

    async def both() -> None:
        limiter = RateLimiter([Rate(10, 1.0)])
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(granted, limiter, Priority.QUERY, 1, order)
            await anyio.lowlevel.checkpoint()
            group.start_soon(lambda: granted(limiter, Priority.CREATE, 100, order, workers=10))

    in_virtual_time(both)
    priorities = [priority for _, priority in order]
    contested = priorities[2 : priorities.index(Priority.CREATE) + 100]
    assert 0.08 <= contested.count(Priority.QUERY) / len(contested) <= 0.12
    assert set(priorities[-15:]) == {Priority.QUERY}


def test_a_lane_is_served_in_the_order_of_arrival(in_virtual_time: Run) -> None:
    """First come, first served, within a lane."""
    order: list[int] = []

    async def one(limiter: RateLimiter, number: int) -> None:
        await limiter.acquire(Priority.CREATE)
        order.append(number)

    async def queue_up() -> None:
        limiter = RateLimiter([Rate(3, 1.0)])
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, limiter, number)
                await anyio.sleep(0.001)

    in_virtual_time(queue_up)
    assert order == list(range(20))


def test_a_hold_keeps_everyone_waiting(in_virtual_time: Run) -> None:
    """During a hold nothing is granted, to those that wait already and to those that come; then spacing goes on."""
    times: list[Any] = []

    async def hold_it() -> None:
        limiter = RateLimiter([Rate(10, 1.0)])
        await limiter.acquire(Priority.CREATE)
        async with anyio.create_task_group() as group:
            group.start_soon(granted, limiter, Priority.CREATE, 3, times)
            await anyio.lowlevel.checkpoint()
            started = anyio.current_time()
            assert limiter.pause(30)
            await anyio.sleep(10)
            group.start_soon(granted, limiter, Priority.QUERY, 1, times)
        times.append(started)

    in_virtual_time(hold_it)
    started = times.pop()
    assert [time - started for time, _ in times] == pytest.approx([30, 30.1015, 30.203, 30.3045])


def test_a_hold_is_lengthened_and_never_shortened(in_virtual_time: Run) -> None:
    """A shorter hold within a longer one changes nothing and says so."""

    async def hold_twice() -> float:
        limiter = RateLimiter([Rate(10, 1.0)])
        started = anyio.current_time()
        assert limiter.pause(20)
        assert not limiter.pause(5)
        assert limiter.pause(25)
        return await limiter.acquire(Priority.CREATE) - started

    assert in_virtual_time(hold_twice) == pytest.approx(25)


def test_refused_once_a_fixed_rate_is_back_within_seconds(in_virtual_time: Run) -> None:
    """One refusal, as from requests that arrived bunched, costs a second or two, and the given rate is used again."""
    times: list[Any] = []

    async def refuse_one() -> None:
        limiter = RateLimiter([Rate(10, 1.0)])
        sent = [await limiter.acquire(Priority.CREATE) for _ in range(10)]
        limiter.refused(sent[-1], 1)
        limiter.pause(1)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(_answered, limiter, 60, times)

    in_virtual_time(refuse_one)
    assert times[int(9.5 * 20)] - times[0] <= 21
    assert (len(times) - 601) / (times[-1] - times[600]) == pytest.approx(10 / 1.015, rel=0.01)
    assert busiest(times, 1.0) <= 10


async def _answered(limiter: RateLimiter, count: int, into: list[float]) -> None:
    for _ in range(count):
        permit = await limiter.acquire(Priority.CREATE)
        into.append(permit)
        await anyio.sleep(0.1)
        limiter.answered(permit, Priority.CREATE)


def test_after_a_refusal_the_pause_is_made_up_for_within_what_was_learned(in_virtual_time: Run) -> None:
    """What a refusal taught is kept in any window, and the second that Retry-After was rounded up to is not lost."""
    times: list[float] = []

    async def learn() -> None:
        limiter = RateLimiter(AutoRate())
        limiter.begin_at(Rate(4, 1.0))
        sent = [await limiter.acquire(Priority.CREATE) for _ in range(4)]
        limiter.refused(sent[-1], 1)
        limiter.pause(1)
        assert limiter.learned == Rate(3, 1.0)
        times.extend([await limiter.acquire(Priority.CREATE) for _ in range(12)])

    in_virtual_time(learn)
    assert busiest(times, 1.044) == 3
    assert times[2] - times[0] < 0.05
    assert times[-1] - times[0] < 3.2


def test_while_a_limit_is_being_found_a_pause_is_not_made_up_for(in_virtual_time: Run) -> None:
    """What leaves together is refused where what leaves evenly would not be, and so would tell too low a limit."""

    async def learn() -> list[float]:
        limiter = RateLimiter(AutoRate())
        sent = [await limiter.acquire(Priority.CREATE) for _ in range(4)]
        limiter.refused(sent[-1], 1)
        limiter.pause(1)
        return [await limiter.acquire(Priority.CREATE) for _ in range(4)]

    times = in_virtual_time(learn)
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([1.0465 / 3] * 3, abs=0.01)


def test_a_request_that_left_late_counts_from_then(in_virtual_time: Run) -> None:
    """A grant that was used half a second late keeps its place in the window for half a second more."""

    async def delay() -> list[float]:
        limiter = RateLimiter([Rate(2, 1.0)])
        first = await limiter.acquire(Priority.CREATE)
        await anyio.sleep(0.5)
        late = await limiter.renew(first, Priority.CREATE)
        assert late - first == pytest.approx(0.5)
        return [await limiter.acquire(Priority.CREATE) - first for _ in range(3)]

    times = in_virtual_time(delay)
    assert times == pytest.approx([0.5075, 1.51, 2.0175], abs=0.001)


@given(
    rates=st.lists(
        st.builds(Rate, st.integers(1, 8), st.sampled_from([1.0, 7.0])), min_size=1, max_size=2, unique=True
    ),
    requests=st.lists(
        st.tuples(st.sampled_from([0.0, 0.0, 0.05, 0.3]), st.sampled_from([0.0, 0.0, 0.1, 0.9, 1.1, 3.0, 10.0])),
        min_size=1,
        max_size=60,
    ),
)
def test_however_long_connections_take_no_window_holds_more(
    in_virtual_time: Run, rates: list[Rate], requests: list[tuple[float, float]]
) -> None:
    """With warm connections and slow ones mixed, what leaves in any window is never more than the rate allows."""
    left: list[float] = []

    async def one(limiter: RateLimiter, connecting: float) -> None:
        permit = await limiter.acquire(Priority.CREATE)
        if connecting:
            await anyio.sleep(connecting)
            await limiter.renew(permit, Priority.CREATE)
        left.append(anyio.current_time())

    async def arrive() -> None:
        limiter = RateLimiter(rates)
        async with anyio.create_task_group() as group:
            for pause, connecting in requests:
                await anyio.sleep(pause)
                group.start_soon(one, limiter, connecting)

    in_virtual_time(arrive)
    assert len(left) == len(requests)
    for rate in rates:
        assert busiest(sorted(left), rate.seconds) <= rate.count


def test_a_request_whose_room_went_to_others_waits_for_more(in_virtual_time: Run) -> None:
    """Five that connected for two seconds and those that did not meet at the door: they do not leave in one second."""
    left: list[float] = []

    async def connect(limiter: RateLimiter) -> None:
        permit = await limiter.acquire(Priority.CREATE)
        await anyio.sleep(2.0)
        await limiter.renew(permit, Priority.CREATE)
        left.append(anyio.current_time())

    async def mix() -> None:
        limiter = RateLimiter([Rate(5, 1.0)])
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(connect, limiter)
            await anyio.sleep(1.0)
            left.extend([await limiter.acquire(Priority.CREATE) for _ in range(10)])

    in_virtual_time(mix)
    assert busiest(sorted(left), 1.0) <= 5


@pytest.mark.parametrize("closed_first", [True, False])
def test_a_request_whose_room_went_to_others_is_not_sent_into_a_closed_lane(
    in_virtual_time: Run, *, closed_first: bool
) -> None:
    """Closed while it connected, or while it waited once more: it is told so. One that still has its room may go."""

    async def close() -> None:
        limiter = RateLimiter([Rate(1, 1.0)])
        late = await limiter.acquire(Priority.CREATE)
        await anyio.sleep(2.0)
        in_time = await limiter.acquire(Priority.CREATE)
        async with anyio.create_task_group() as group:
            if closed_first:
                limiter.close(Priority.CREATE)
            else:
                group.start_soon(_close_later, limiter)
            with pytest.raises(LimiterClosedError):
                await limiter.renew(late, Priority.CREATE)
        assert await limiter.renew(in_time, Priority.CREATE) >= in_time

    in_virtual_time(close)


async def _close_later(limiter: RateLimiter) -> None:
    await anyio.sleep(0.5)
    limiter.close(Priority.CREATE)


def test_closing_a_lane_tells_whoever_waits(in_virtual_time: Run) -> None:
    """Those that wait in a closed lane are told, those that come later too; the other lane goes on."""
    heard: list[str] = []
    asks: list[Any] = []

    async def create(limiter: RateLimiter) -> None:
        try:
            await limiter.acquire(Priority.CREATE)
        except LimiterClosedError:
            heard.append("closed")

    async def close() -> None:
        limiter = RateLimiter([Rate(1, 60.0)])
        await limiter.acquire(Priority.CREATE)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(create, limiter)
            group.start_soon(granted, limiter, Priority.QUERY, 2, asks)
            await anyio.sleep(1)
            limiter.close(Priority.CREATE)
            await limiter.until_closed(Priority.CREATE)
            await anyio.sleep(0.1)
            assert heard == ["closed"] * 3
            await create(limiter)

    in_virtual_time(close)
    assert heard == ["closed"] * 4
    assert len(asks) == 2


@pytest.mark.parametrize("cancelled", [0, 1, 2])
def test_a_cancelled_waiter_costs_nobody_a_grant(in_virtual_time: Run, cancelled: int) -> None:
    """Whether the first in the queue, the middle or the last is cancelled, the others get their grants in time."""
    times: list[Any] = []

    async def wait(limiter: RateLimiter, scope: anyio.CancelScope) -> None:
        with scope:
            times.append(await limiter.acquire(Priority.CREATE))

    async def cancel() -> float:
        limiter = RateLimiter([Rate(1, 10.0)])
        start = await limiter.acquire(Priority.CREATE)
        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(wait, limiter, scope)
                await anyio.sleep(0.1)
            scopes[cancelled].cancel()
        return start

    start = in_virtual_time(cancel)
    assert [time - start for time in times] == pytest.approx([10.15, 20.3])


@given(
    pauses=st.lists(st.sampled_from([0.0, 0.05, 0.3]), min_size=1, max_size=60),
    patience=st.lists(st.sampled_from([0.0, 0.1, 0.7, 3.0, 1e9]), min_size=60, max_size=60),
    trouble=st.lists(st.sampled_from(["", "", "hold", "refuse"]), min_size=60, max_size=60),
)
def test_whatever_is_cancelled_or_held_the_rest_is_served(
    in_virtual_time: Run, pauses: list[float], patience: list[float], trouble: list[str]
) -> None:
    """With waiters that give up, holds and refusals in any order, each who stays is served, never above the rate."""
    times: list[float] = []

    async def wait(limiter: RateLimiter, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            times.append(await limiter.acquire(Priority.CREATE))

    async def arrive() -> None:
        limiter = RateLimiter([Rate(5, 1.0)])
        async with anyio.create_task_group() as group:
            for number, pause in enumerate(pauses):
                await anyio.sleep(pause)
                group.start_soon(wait, limiter, patience[number])
                if trouble[number] == "hold":
                    limiter.pause(2.0)
                elif trouble[number] == "refuse":
                    limiter.refused(Permit(anyio.current_time()), 1)

    in_virtual_time(arrive)
    assert len(times) >= sum(seconds == 1e9 for seconds in patience[: len(pauses)])
    assert busiest(times, 1.0) <= 5


class LateClock:
    """Stands still for a while now and then, as a process does that gets no processor or a computer that sleeps."""

    def __init__(self) -> None:
        self.late = 0.0

    def __call__(self) -> float:
        return anyio.current_time() + self.late


def test_a_late_wake_keeps_the_schedule(in_virtual_time: Run) -> None:
    """Waking some milliseconds late again and again costs nothing in the long run, and no window is overfull."""

    async def wake_late() -> tuple[list[float], float]:
        clock = LateClock()
        limiter = RateLimiter([Rate(100, 1.0)], clock=clock)
        times: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: granted(limiter, Priority.CREATE, 2000, times, workers=5))
            while len(times) < 1900:
                await anyio.sleep(0.5)
                clock.late += 0.006
        return [time for time, _ in times], clock()

    times, end = in_virtual_time(wake_late)
    assert (len(times) - 1) / (end - times[0]) >= 98
    assert busiest(times, 1.0) <= 100


def test_a_computer_that_slept_does_not_rush(in_virtual_time: Run) -> None:
    """After an hour of standing still the schedule starts again, with no more than a tenth of a second caught up on."""

    async def sleep_long() -> list[float]:
        clock = LateClock()
        limiter = RateLimiter([Rate(50, 1.0)], clock=clock)
        times: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: granted(limiter, Priority.CREATE, 100, times, workers=10))
            await anyio.sleep(0.2)
            clock.late = 3600.0
        return [time for time, _ in times if time >= 3600]

    times = in_virtual_time(sleep_long)
    assert sum(time - times[0] < 0.001 for time in times) <= 6
    assert busiest(times, 1.0) <= 50


def test_an_estimate_is_what_it_takes_at_least() -> None:
    """A quota that the requests fit into does not slow them down, and an unknown limit may be the highest."""
    fast, hourly = Rate(5, 1.0), Rate(1000, 3600.0)
    assert RateLimiter([fast], clock=lambda: 0.0).duration(100) == pytest.approx(20, rel=0.1)
    assert RateLimiter([fast, hourly], clock=lambda: 0.0).duration(100) == pytest.approx(20, rel=0.1)
    assert RateLimiter([fast, hourly], clock=lambda: 0.0).duration(1001) >= 3600
    assert RateLimiter(AutoRate(), clock=lambda: 0.0).duration(200) == pytest.approx(10, rel=0.1)


def test_runs_that_share_a_rate_are_stopped_each_alone(in_virtual_time: Run) -> None:
    """Shares of a limiter keep its rates together; one that is closed gives none, and the others go on."""
    rate = Rate(10, 1.0)

    async def work() -> None:
        whole = RateLimiter([rate])
        one, other = whole.share(), whole.share()
        ones: list[Any] = []
        others: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(_until_closed, one, ones)
            group.start_soon(_take, other, Priority.CREATE, 50, others)
            await anyio.sleep(2.0)
            one.close(*Priority)
        both = sorted(moment for moment, _ in ones + others)
        assert busiest(both, 1.0) <= rate.count
        assert 9 <= len(ones) <= 11
        assert len(others) == 50
        assert (await whole.share().acquire(Priority.QUERY)) > both[-1]

    in_virtual_time(work)


async def _until_closed(limiter: RateLimiter, into: list[Any]) -> None:
    with pytest.raises(LimiterClosedError):
        await _take(limiter, Priority.CREATE, 1000, into)


def test_an_estimate_follows_the_rate_that_an_earlier_run_found() -> None:
    """A service that took 100 requests a minute will hardly take 20 a second now."""
    limiter = RateLimiter(AutoRate(), clock=lambda: 0.0)
    assert limiter.duration(1000) == pytest.approx(50, rel=0.02)
    limiter.begin_at(Rate(100, 60.0))
    assert limiter.duration(1000) == pytest.approx(600, rel=0.02)
