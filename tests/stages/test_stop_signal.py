"""Telling a run to stop."""

from __future__ import annotations

import anyio
import pytest

from provisioner.errors import InterruptedRunError, SameFailureError, ServiceDownError, StoppedError
from provisioner.stages.stop_signal import FailureStreak, StopSignal

pytestmark = pytest.mark.anyio


async def test_the_first_reason_counts() -> None:
    """Listeners are told once, at once, and a later reason changes nothing."""
    heard: list[StoppedError] = []
    stop_signal = StopSignal()
    stop_signal.on_set(heard.append)
    first = ServiceDownError("nothing answers")
    stop_signal.set(first)
    stop_signal.set(InterruptedRunError("interrupted"))
    assert stop_signal.reason is first
    assert heard == [first]


async def test_whoever_waits_is_woken() -> None:
    """`wait` returns when the run is told to stop, and at once ever after."""
    stop_signal = StopSignal()
    woken: list[str] = []

    async def wait() -> None:
        await stop_signal.wait()
        woken.append("woken")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        stop_signal.set(ServiceDownError("nothing answers"))
    await stop_signal.wait()
    assert woken == ["woken"]


async def test_failures_in_a_row_with_one_cause_stop_the_run() -> None:
    """The row that makes the number full stops the run, and the message says how often and why."""
    stop_signal = StopSignal()
    streak = FailureStreak(stop_signal, 3)
    streak.failed("the domain is not verified")
    streak.failed("the domain is not verified")
    assert stop_signal.reason is None
    streak.failed("the domain is not verified")
    assert isinstance(stop_signal.reason, SameFailureError)
    assert stop_signal.reason.message == "3 rows in a row failed with the same cause: the domain is not verified"
    assert "--stop-after" in stop_signal.reason.remedy


@pytest.mark.parametrize("between", ["a success", "another cause"])
async def test_what_comes_between_starts_the_count_again(between: str) -> None:
    """One success, or one failure of another kind, and the next failure is the first again."""
    stop_signal = StopSignal()
    streak = FailureStreak(stop_signal, 2)
    for _ in range(5):
        streak.failed("no such domain")
        if between == "a success":
            streak.succeeded()
        else:
            streak.failed("no such relay server")
    assert stop_signal.reason is None


async def test_a_limit_of_nothing_never_stops() -> None:
    """With 0 the run goes on whatever happens."""
    stop_signal = StopSignal()
    streak = FailureStreak(stop_signal, 0)
    for _ in range(1000):
        streak.failed("no such domain")
    assert stop_signal.reason is None
