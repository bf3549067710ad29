"""The time left, against simulated services whose end is known."""

from __future__ import annotations

import heapq
import math
from random import Random
from typing import TYPE_CHECKING

import pytest

from provisioner.progress import WARM_UP, Progress, range_in_words
from provisioner.records import Exchange, Status

if TYPE_CHECKING:
    from collections.abc import Callable

Estimates = list[tuple[float, "tuple[float, float] | None"]]
SENT, ASKED = (Exchange(method, "/api/mailboxes/", 202, 0.1) for method in ("POST", "GET"))


def grows(moment: float) -> float:
    """The rate that is found: from 5 requests a second up to 20."""
    return min(20.0, 5.0 * math.pow(1.2, moment / 1.5))


def simulate(clock: list[float], rows: int, rate: Callable[[float], float], latency: float) -> Estimates:
    """What is estimated after each request, and when: creates go first, one question in ten comes between."""
    chance = Random(1)
    now, sent, finished, turn = 0.0, 0, 0, 0
    tasks: list[tuple[float, float]] = []
    progress, estimates = Progress(), []
    progress.planned(to_send=rows, to_poll=0, done=0, invalid=0)
    while finished < rows:
        now, turn = now + 1 / rate(now), turn + 1
        asks = tasks and tasks[0][0] <= now and (sent == rows or turn % 10 == 0)
        if sent < rows and not asks:
            clock[0], sent = now, sent + 1
            heapq.heappush(tasks, (now + latency, now + latency * chance.uniform(0.5, 2.0)))
            progress.answered(SENT)
            progress.sent()
        elif tasks:
            due, ready = heapq.heappop(tasks)
            clock[0] = now = max(now, due)
            progress.answered(ASKED)
            if ready <= now:
                finished += 1
                progress.finished(Status.CREATED)
            else:
                heapq.heappush(tasks, (now + 2.0, ready))
        estimates.append((now, progress.estimate(now)))
    return estimates


@pytest.mark.parametrize(
    ("rows", "rate", "latency"),
    [(400, grows, 3.0), (5000, grows, 3.0), (400, lambda _: 5.0, 3.0), (60, lambda _: 1.0, 20.0)],
    ids=["400 rows", "5,000 rows", "a fixed rate", "a slow service"],
)
def test_the_end_lies_in_the_range(
    rows: int, rate: Callable[[float], float], latency: float, clock: list[float]
) -> None:
    """Of all estimates of a run nearly each one holds what came then, and the ranges become narrower."""
    estimates = simulate(clock, rows, rate, latency)
    end = estimates[-1][0]
    told = [(at, *found) for at, found in estimates if found is not None]
    right = sum(least <= end - at <= most for at, least, most in told)
    assert right / len(told) > 0.95
    widths = [next(most - least for at, least, most in told if at >= part * end) for part in (0.25, 0.6, 0.95)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 4


def test_nothing_is_said_before_anything_is_known(clock: list[float]) -> None:
    """Neither in the first seconds, nor before some rows are finished; the speed is known earlier."""
    for at, found in simulate(clock, 400, grows, 3.0):
        if at < WARM_UP:
            assert found is None
    clock[0] = 0.0
    progress = Progress()
    progress.planned(to_send=100, to_poll=0, done=0, invalid=0)
    for _ in range(60):
        progress.sent()
        progress.answered(SENT)
    clock[0] = 60.0
    assert progress.outlook == "1.0 requests a second"
    for _ in range(10):
        progress.finished(Status.CREATED)
        progress.answered(ASKED)
        progress.answered(ASKED)
    clock[0] = 80.0
    # 80 requests in 80 s; 40 creates and 90 rows of one or two questions each are left, give or take a quarter.
    assert progress.outlook == "1.0 requests a second, 1 min to 5 min left"


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (3.0, 50.0, "less than a minute left"),
        (30.0, 170.0, "less than 3 min left"),
        (130.0, 290.0, "2 min to 5 min left"),
        (120.0, 120.0, "about 2 min left"),
        (3600.0, 7300.0, "1 h to 2 h 2 min left"),
    ],
)
def test_a_range_is_said_in_words(least: float, most: float, said: str) -> None:
    """In whole minutes, never more exact than it is."""
    assert range_in_words(least, most) == said
