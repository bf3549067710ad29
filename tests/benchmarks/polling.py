"""How often tasks are asked about, and how late their end is noticed. All cases run at the same time."""

from __future__ import annotations

import statistics
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import lines, outcome, provision, serve, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES = [(20, 0.5), (20, 2.0), (20, 10.0), (100, 10.0), (100, 60.0)]
"""Requests a second, and the median duration of a task in seconds."""


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """A thousand tasks with log-normal durations, spread by 0.3, for each case; a quarter of them where in a hurry."""
    count = 1000 if full else 250
    cases = CASES if full else [(20, 0.5), (20, 2.0), (50, 10.0)]
    with ThreadPoolExecutor(len(cases)) as pool:
        for figures in pool.map(lambda case: list(_case(folder, count, *case)), cases):
            yield from figures


def _case(folder: Path, count: int, rate: int, median: float) -> Iterator[Figure]:
    sheet = write_sheet(folder / f"polling-{rate}-{median:g}.csv", count)
    with serve(folder, kept=True, latency=f"{median:g}s", seed=1) as service:
        told = outcome(provision(sheet, service, "--rate", f"{rate}/s"))
        arrived = [request["at"] for request in service.requests()]
    ends = service.ends()
    seen = [(line["finished_at"], *ends[line["task_id"]]) for line in lines(told)]
    late = statistics.median(max(0.0, noticed - end) for noticed, end, _ in seen)
    part = statistics.median(max(0.0, noticed - end) / duration for noticed, end, duration in seen)
    polls, creates = told["requests"]["poll"], count / rate
    longest = max(duration for _, _, duration in seen)
    by_rate = 2 * creates > creates + longest
    name = f"{count} tasks of {median:g} s at {rate}/s"
    yield Figure(
        group="polling", name=f"{name}, questions", measured=polls / count, unit="a mailbox",
        at_most=1.25 if by_rate else None,
    )  # fmt: skip
    if not by_rate:
        # A fifth of the duration or two seconds, whichever is more.
        aim = {"at_most": 0.2} if late > 2 else {"at_most": 1.0} if part > 0.2 else {"at_most": 0.2}
        yield Figure(group="polling", name=f"{name}, noticed late by", measured=part, unit="of its duration", **aim)
    yield Figure(
        group="polling", name=f"{name}, time", measured=arrived[-1] - arrived[0], unit="s",
        yardstick=max(2 * creates, creates + longest), of="the least possible", at_most=1.05,
    )  # fmt: skip
