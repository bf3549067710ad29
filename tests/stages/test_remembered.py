"""The rate that was found is remembered with the run, and the next one begins there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provisioner.records import AutoRate, Rate
from provisioner.service.rate_limiter import Priority, RateLimiter
from provisioner.stages.remembered import remember_rate, remembered_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.journal import Journal

    Run = Callable[..., Any]


async def _refused_after(rates: Sequence[Rate] | AutoRate, passed: int, retry_after: float) -> RateLimiter:
    limiter = RateLimiter(rates)
    for _ in range(passed):
        await limiter.acquire(Priority.CREATE)
    limiter.refused(await limiter.acquire(Priority.CREATE), retry_after)
    return limiter


def _begin(journal: Journal, limiter: RateLimiter) -> None:
    """As a run begins."""
    rate = remembered_rate(journal)
    assert rate is not None
    limiter.begin_at(rate)


@pytest.mark.parametrize(("retry_after", "begins"), [(1, Rate(3, 1.0)), (45, Rate(60, 60.0))])
def test_the_next_run_begins_at_what_was_found(
    journal: Journal, in_virtual_time: Run, retry_after: float, begins: Rate
) -> None:
    """Its permits are as far apart as the found limit says, from the first one on."""
    remember_rate(journal, in_virtual_time(_refused_after, AutoRate(), begins.count, retry_after))

    limiter = RateLimiter(AutoRate(), clock=lambda: 0.0)
    _begin(journal, limiter)
    assert limiter.spacing == pytest.approx(begins.spacing, rel=0.05)


def test_a_limit_for_an_hour_and_a_fixed_rate_are_not_remembered(journal: Journal, in_virtual_time: Run) -> None:
    """An hour later all of it is there again; and a fixed rate is what the user says, not what was found."""
    remember_rate(journal, in_virtual_time(_refused_after, AutoRate(), 3, 3500))
    remember_rate(journal, in_virtual_time(_refused_after, [Rate(5, 1.0)], 3, 1))
    assert journal.fact("rate") is None


def test_a_fixed_rate_begins_as_it_says(journal: Journal) -> None:
    """What an earlier run found does not slow down a run with a rate of its own."""
    journal.set_fact("rate", "1/s")
    limiter = RateLimiter([Rate(10, 1.0)], clock=lambda: 0.0)
    _begin(journal, limiter)
    assert limiter.spacing < 0.11


def test_a_limiter_that_has_begun_is_left_alone(journal: Journal, in_virtual_time: Run) -> None:
    """Several sheets share one limiter: what it knows is newer than what the second sheet's folder remembers."""
    journal.set_fact("rate", "1/s")
    limiter = RateLimiter(AutoRate(), clock=lambda: 0.0)
    in_virtual_time(limiter.acquire, Priority.CREATE)
    _begin(journal, limiter)
    assert limiter.spacing < 0.3


def test_asking_for_the_account_is_no_beginning(journal: Journal, in_virtual_time: Run) -> None:
    """The page asks whose the key is before any run: the run begins where the one before found the limit."""
    journal.set_fact("rate", "1/s")
    limiter = RateLimiter(AutoRate(), clock=lambda: 0.0)
    in_virtual_time(limiter.share().acquire, Priority.QUERY)
    _begin(journal, limiter)
    assert limiter.spacing > 1
