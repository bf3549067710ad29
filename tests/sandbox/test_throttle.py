"""The throttle on a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.sandbox.throttle import Throttle, parse_rates

# Quarters of a second add up exactly.
GAPS = st.lists(st.integers(0, 12).map(lambda quarters: quarters / 4), max_size=80)
RATES = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["s", "min"])), min_size=1, max_size=2)
WINDOWS = {"s": 1, "min": 60}


@given(GAPS, RATES)
def test_no_window_holds_more_than_the_rate(gaps: list[float], rates: list[tuple[int, str]]) -> None:
    """Whatever the arrivals, no half-open window of any rate's length holds more passed requests than it allows."""
    throttle = Throttle(",".join(f"{number}/{period}" for number, period in rates))
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if throttle.refusal(now) is None:
            passed.append(now)
    for number, period in rates:
        for start in passed:
            assert sum(start <= at < start + WINDOWS[period] for at in passed) <= number


@given(GAPS, st.integers(1, 6))
def test_who_waits_as_told_passes(gaps: list[float], number: int) -> None:
    """With one rate, a refused request that comes back after the seconds it was told passes."""
    throttle = Throttle(f"{number}/min")
    now = 0.0
    for gap in gaps:
        now += gap
        wait = throttle.refusal(now)
        if wait is not None:
            assert 1 <= wait <= 60
            now += wait
            assert throttle.refusal(now) is None


def test_a_refused_request_does_not_count() -> None:
    """Knocking all the time does not push the next pass further away."""
    throttle = Throttle("1/s")
    assert throttle.refusal(0.0) is None
    assert [throttle.refusal(tenth / 10) for tenth in range(1, 10)] == [1] * 9
    assert throttle.refusal(1.0) is None


def test_a_request_refused_by_one_rate_counts_for_the_other() -> None:
    """Each of two rates is asked, as Django REST framework asks every throttle of a view."""
    throttle = Throttle("1/s,3/min")
    assert [throttle.refusal(at) for at in (0.0, 0.1, 0.2, 5.0)] == [None, 1, 1, 55]


def test_no_throttle_lets_everything_pass() -> None:
    """None means unthrottled."""
    throttle = Throttle(None)
    assert all(throttle.refusal(0.0) is None for _ in range(1000))


def test_rates_are_read() -> None:
    """A rate is a number and a period, several are parted by commas."""
    assert parse_rates("5/s, 200/min,1000/hour,9/d") == [(5, 1), (200, 60), (1000, 3600), (9, 86400)]
    assert parse_rates(None) == []


@pytest.mark.parametrize("text", ["", "5", "5/", "/s", "0/s", "-1/s", "5/w", "1.5/s", "5/s,", "5/2s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """Anything else is refused with how to write it."""
    with pytest.raises(ValueError, match="write NUMBER/PERIOD such as 20/s"):
        parse_rates(text)
