"""The pace, on both backends and in virtual time, but for the one test that needs a late clock of its own."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.pace import EASE_FACTOR, Lane, LaneClosedError, Pace
from provisioner.records import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Run = Callable[..., Any]


def busiest(times: Sequence[float], seconds: float) -> int:
    """The most grants in any window of so many seconds: one that begins with a grant is never beaten."""
    return max((bisect_left(times, first + seconds) - i for i, first in enumerate(times)), default=0)


async def granted(pace: Pace, lane: Lane, count: int, into: list[Any], *, workers: int = 1) -> None:
    """Take grants one after another with so many workers, and note when each came."""
    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(_take, pace, lane, count // workers, into)


async def _take(pace: Pace, lane: Lane, count: int, into: list[Any]) -> None:
    for _ in range(count):
        granted_at = await pace.grant(lane)
        into.append((granted_at, lane))


rates = st.lists(
    st.builds(Rate, st.integers(1, 30), st.sampled_from([1.0, 7.0, 60.0])), min_size=1, max_size=3, unique=True
)
pauses = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.2, 1.0, 5.0, 70.0]), min_size=1, max_size=150)


@given(rates=rates, pauses=pauses, asks=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_no_window_ever_holds_more_than_its_rate(
    in_virtual_time: Run, rates: list[Rate], pauses: list[float], asks: int
) -> None:
    """However requests arrive, no sliding window of any rate's length holds more grants than the rate allows."""
    times: list[float] = []

    async def one(pace: Pace, lane: Lane) -> None:
        times.append(await pace.grant(lane))

    async def arrive() -> None:
        pace = Pace(rates)
        async with anyio.create_task_group() as group:
            for number, pause in enumerate(pauses):
                await anyio.sleep(pause)
                group.start_soon(one, pace, Lane.ASK if asks and number % asks == 0 else Lane.CREATE)

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
@settings(max_examples=30, deadline=None)
def test_the_rate_is_used_while_there_is_work(in_virtual_time: Run, rates: list[Rate], workers: int) -> None:
    """While somebody waits, at least 98 % of what the strictest rate allows is granted, whatever the workers."""
    strictest = min(rates, key=lambda rate: rate.count / rate.seconds)
    count = strictest.count * 5 + workers
    times: list[Any] = []

    async def work() -> None:
        await granted(Pace(rates), Lane.CREATE, count // workers * workers, times, workers=workers)

    in_virtual_time(work)
    # Counted in whole periods of the strictest rate, since a second rate lets it be used in bursts within one.
    periods = (times[-1][0] - times[0][0]) / strictest.seconds
    assert len(times) - 1 >= 0.98 * strictest.count * int(periods)


def test_a_longer_rate_is_used_up_at_the_pace_of_the_shorter_one(in_virtual_time: Run) -> None:
    """With 5/s and 20/min the first 20 leave within five seconds, and the 21st a minute after the first."""
    times: list[Any] = []
    in_virtual_time(lambda: granted(Pace([Rate(5, 1.0), Rate(20, 60.0)]), Lane.CREATE, 21, times))
    start = times[0][0]
    assert times[19][0] - start < 4
    assert 60 <= times[20][0] - start < 60.5


def test_grants_are_spaced_evenly_after_idling_too(in_virtual_time: Run) -> None:
    """What was not used while idle is not made up for by a burst."""
    times: list[Any] = []

    async def idle_then_work() -> None:
        pace = Pace([Rate(10, 1.0)])
        await pace.grant(Lane.CREATE)
        await anyio.sleep(3600)
        await granted(pace, Lane.CREATE, 5, times, workers=5)

    in_virtual_time(idle_then_work)
    gaps = [later[0] - sooner[0] for sooner, later in pairwise(times)]
    assert gaps == pytest.approx([0.1015] * 4)


def test_creates_go_first_and_asks_keep_a_tenth(in_virtual_time: Run) -> None:
    """While both wait, nine creates go for each ask; when no create waits, asks have all of it."""
    order: list[Any] = []

    async def both() -> None:
        pace = Pace([Rate(10, 1.0)])
        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(granted, pace, Lane.ASK, 1, order)
            await anyio.lowlevel.checkpoint()
            group.start_soon(lambda: granted(pace, Lane.CREATE, 100, order, workers=10))

    in_virtual_time(both)
    lanes = [lane for _, lane in order]
    contested = lanes[2 : lanes.index(Lane.CREATE) + 100]
    assert 0.08 <= contested.count(Lane.ASK) / len(contested) <= 0.12
    assert set(lanes[-15:]) == {Lane.ASK}


def test_a_lane_is_served_in_the_order_of_arrival(in_virtual_time: Run) -> None:
    """First come, first served, within a lane."""
    order: list[int] = []

    async def one(pace: Pace, number: int) -> None:
        await pace.grant(Lane.CREATE)
        order.append(number)

    async def queue_up() -> None:
        pace = Pace([Rate(3, 1.0)])
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, pace, number)
                await anyio.sleep(0.001)

    in_virtual_time(queue_up)
    assert order == list(range(20))


def test_a_hold_keeps_everyone_waiting(in_virtual_time: Run) -> None:
    """During a hold nothing is granted, to those that wait already and to those that come; then spacing goes on."""
    times: list[Any] = []

    async def hold_it() -> None:
        pace = Pace([Rate(10, 1.0)])
        await pace.grant(Lane.CREATE)
        async with anyio.create_task_group() as group:
            group.start_soon(granted, pace, Lane.CREATE, 3, times)
            await anyio.lowlevel.checkpoint()
            started = anyio.current_time()
            assert pace.hold(30)
            await anyio.sleep(10)
            group.start_soon(granted, pace, Lane.ASK, 1, times)
        times.append(started)

    in_virtual_time(hold_it)
    started = times.pop()
    assert [time - started for time, _ in times] == pytest.approx([30, 30.1015, 30.203, 30.3045])


def test_a_hold_is_lengthened_and_never_shortened(in_virtual_time: Run) -> None:
    """A shorter hold within a longer one changes nothing and says so."""

    async def hold_twice() -> float:
        pace = Pace([Rate(10, 1.0)])
        started = anyio.current_time()
        assert pace.hold(20)
        assert not pace.hold(5)
        assert pace.hold(25)
        return await pace.grant(Lane.CREATE) - started

    assert in_virtual_time(hold_twice) == pytest.approx(25)


def test_an_eased_pace_recovers_to_the_given_rate_and_no_further(in_virtual_time: Run) -> None:
    """After a refusal grants come more slowly, then step by step at the old pace again."""
    times: list[Any] = []

    async def ease() -> None:
        pace = Pace([Rate(10, 1.0)])
        pace.ease(await pace.grant(Lane.CREATE))
        await granted(pace, Lane.CREATE, 400, times)

    in_virtual_time(ease)
    gaps = [later[0] - sooner[0] for sooner, later in pairwise(times)]
    assert gaps[0] == pytest.approx(0.1015 / EASE_FACTOR, rel=0.02)
    assert all(later <= sooner + 1e-3 for sooner, later in pairwise(gaps))
    assert gaps[-50:] == pytest.approx([0.1015] * 50)
    slow = sum(gap > 0.1016 for gap in gaps)
    assert 100 < slow < 300


def test_one_refusal_of_many_in_flight_lowers_the_pace_once(in_virtual_time: Run) -> None:
    """What left before the pace was lowered says nothing new when it is refused as well; what left later does."""

    async def refuse() -> list[float]:
        pace = Pace([Rate(100, 1.0)])
        sent = [await pace.grant(Lane.CREATE) for _ in range(20)]
        for granted_at in sent:
            pace.ease(granted_at)
        gaps = []
        for _ in range(2):
            first, second = await pace.grant(Lane.CREATE), await pace.grant(Lane.CREATE)
            gaps.append(second - first)
            pace.ease(second)
        return gaps

    once, twice = in_virtual_time(refuse)
    assert once == pytest.approx(0.01015 / EASE_FACTOR, rel=0.02)
    assert twice == pytest.approx(0.01015 / EASE_FACTOR**2, rel=0.02)


def test_the_pace_is_never_eased_to_a_standstill(in_virtual_time: Run) -> None:
    """Refused again and again, the pace stays at a tenth of its rate."""

    async def refuse() -> float:
        pace = Pace([Rate(10, 1.0)])
        for _ in range(20):
            pace.ease(await pace.grant(Lane.CREATE))
        return await pace.grant(Lane.CREATE) - await pace.grant(Lane.CREATE)

    assert abs(in_virtual_time(refuse)) < 1.2


def test_recovery_begins_after_the_hold(in_virtual_time: Run) -> None:
    """The time during which nothing is sent does not count as recovery."""

    async def hold_long() -> float:
        pace = Pace([Rate(10, 1.0)])
        granted_at = await pace.grant(Lane.CREATE)
        pace.hold(600)
        pace.ease(granted_at)
        first = await pace.grant(Lane.CREATE)
        return await pace.grant(Lane.CREATE) - first

    assert in_virtual_time(hold_long) == pytest.approx(0.1015 / EASE_FACTOR, rel=0.01)


def test_a_request_that_left_late_counts_from_then(in_virtual_time: Run) -> None:
    """A grant that was used half a second late keeps its place in the window for half a second more."""

    async def delay() -> list[float]:
        pace = Pace([Rate(2, 1.0)])
        first = await pace.grant(Lane.CREATE)
        await anyio.sleep(0.5)
        late = await pace.delay(first, Lane.CREATE)
        assert late - first == pytest.approx(0.5)
        return [await pace.grant(Lane.CREATE) - first for _ in range(3)]

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
@settings(max_examples=60, deadline=None)
def test_however_long_connections_take_no_window_holds_more(
    in_virtual_time: Run, rates: list[Rate], requests: list[tuple[float, float]]
) -> None:
    """With warm connections and slow ones mixed, what leaves in any window is never more than the rate allows."""
    left: list[float] = []

    async def one(pace: Pace, connecting: float) -> None:
        grant = await pace.grant(Lane.CREATE)
        if connecting:
            await anyio.sleep(connecting)
            await pace.delay(grant, Lane.CREATE)
        left.append(anyio.current_time())

    async def arrive() -> None:
        pace = Pace(rates)
        async with anyio.create_task_group() as group:
            for pause, connecting in requests:
                await anyio.sleep(pause)
                group.start_soon(one, pace, connecting)

    in_virtual_time(arrive)
    assert len(left) == len(requests)
    for rate in rates:
        assert busiest(sorted(left), rate.seconds) <= rate.count


def test_a_request_whose_room_went_to_others_waits_for_more(in_virtual_time: Run) -> None:
    """Five that connected for two seconds and those that did not meet at the door: they do not leave in one second."""
    left: list[float] = []

    async def connect(pace: Pace) -> None:
        grant = await pace.grant(Lane.CREATE)
        await anyio.sleep(2.0)
        await pace.delay(grant, Lane.CREATE)
        left.append(anyio.current_time())

    async def mix() -> None:
        pace = Pace([Rate(5, 1.0)])
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(connect, pace)
            await anyio.sleep(1.0)
            left.extend([await pace.grant(Lane.CREATE) for _ in range(10)])

    in_virtual_time(mix)
    assert busiest(sorted(left), 1.0) <= 5


@pytest.mark.parametrize("closed_first", [True, False])
def test_a_request_whose_room_went_to_others_is_not_sent_into_a_closed_lane(
    in_virtual_time: Run, *, closed_first: bool
) -> None:
    """Closed while it connected, or while it waited once more: it is told so. One that still has its room may go."""

    async def close() -> None:
        pace = Pace([Rate(1, 1.0)])
        late = await pace.grant(Lane.CREATE)
        await anyio.sleep(2.0)
        in_time = await pace.grant(Lane.CREATE)
        async with anyio.create_task_group() as group:
            if closed_first:
                pace.close(Lane.CREATE)
            else:
                group.start_soon(_close_later, pace)
            with pytest.raises(LaneClosedError):
                await pace.delay(late, Lane.CREATE)
        assert await pace.delay(in_time, Lane.CREATE) >= in_time

    in_virtual_time(close)


async def _close_later(pace: Pace) -> None:
    await anyio.sleep(0.5)
    pace.close(Lane.CREATE)


def test_closing_a_lane_tells_whoever_waits(in_virtual_time: Run) -> None:
    """Those that wait in a closed lane are told, those that come later too; the other lane goes on."""
    heard: list[str] = []
    asks: list[Any] = []

    async def create(pace: Pace) -> None:
        try:
            await pace.grant(Lane.CREATE)
        except LaneClosedError:
            heard.append("closed")

    async def close() -> None:
        pace = Pace([Rate(1, 60.0)])
        await pace.grant(Lane.CREATE)
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(create, pace)
            group.start_soon(granted, pace, Lane.ASK, 2, asks)
            await anyio.sleep(1)
            pace.close(Lane.CREATE)
            await pace.until_closed(Lane.CREATE)
            await anyio.sleep(0.1)
            assert heard == ["closed"] * 3
            await create(pace)

    in_virtual_time(close)
    assert heard == ["closed"] * 4
    assert len(asks) == 2


@pytest.mark.parametrize("cancelled", [0, 1, 2])
def test_a_cancelled_waiter_costs_nobody_a_grant(in_virtual_time: Run, cancelled: int) -> None:
    """Whether the first in the queue, the middle or the last is cancelled, the others get their grants in time."""
    times: list[Any] = []

    async def wait(pace: Pace, scope: anyio.CancelScope) -> None:
        with scope:
            times.append(await pace.grant(Lane.CREATE))

    async def cancel() -> float:
        pace = Pace([Rate(1, 10.0)])
        start = await pace.grant(Lane.CREATE)
        scopes = [anyio.CancelScope() for _ in range(3)]
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(wait, pace, scope)
                await anyio.sleep(0.1)
            scopes[cancelled].cancel()
        return start

    start = in_virtual_time(cancel)
    assert [time - start for time in times] == pytest.approx([10.15, 20.3])


@given(
    pauses=st.lists(st.sampled_from([0.0, 0.05, 0.3]), min_size=1, max_size=60),
    patience=st.lists(st.sampled_from([0.0, 0.1, 0.7, 3.0, 1e9]), min_size=60, max_size=60),
    trouble=st.lists(st.sampled_from(["", "", "hold", "ease"]), min_size=60, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_whatever_is_cancelled_or_held_the_rest_is_served(
    in_virtual_time: Run, pauses: list[float], patience: list[float], trouble: list[str]
) -> None:
    """With waiters that give up, holds and refusals in any order, each who stays is served, never above the rate."""
    times: list[float] = []

    async def wait(pace: Pace, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            times.append(await pace.grant(Lane.CREATE))

    async def arrive() -> None:
        pace = Pace([Rate(5, 1.0)])
        async with anyio.create_task_group() as group:
            for number, pause in enumerate(pauses):
                await anyio.sleep(pause)
                group.start_soon(wait, pace, patience[number])
                if trouble[number] == "hold":
                    pace.hold(2.0)
                elif trouble[number] == "ease":
                    pace.ease(anyio.current_time())

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
        pace = Pace([Rate(100, 1.0)], clock=clock)
        times: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: granted(pace, Lane.CREATE, 2000, times, workers=5))
            while len(times) < 1900:
                await anyio.sleep(0.5)
                clock.late += 0.006
        return [time for time, _ in times], clock()

    times, end = in_virtual_time(wake_late)
    assert (len(times) - 1) / (end - times[0]) >= 98
    assert busiest(times, 1.0) <= 100


def test_a_computer_that_slept_does_not_rush(in_virtual_time: Run) -> None:
    """After an hour of standing still the schedule starts again, with no more than a tenth of a second made up for."""

    async def sleep_long() -> list[float]:
        clock = LateClock()
        pace = Pace([Rate(50, 1.0)], clock=clock)
        times: list[Any] = []
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: granted(pace, Lane.CREATE, 100, times, workers=10))
            await anyio.sleep(0.2)
            clock.late = 3600.0
        return [time for time, _ in times if time >= 3600]

    times = in_virtual_time(sleep_long)
    assert sum(time - times[0] < 0.001 for time in times) <= 6
    assert busiest(times, 1.0) <= 50
