"""How often tasks are asked about, and how late their end is noticed. All cases run at the same time."""

from __future__ import annotations

import math
import statistics
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import lines, outcome, provision, serve, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASES = [(20, 0.5), (20, 2.0), (20, 10.0), (100, 10.0), (200, 10.0), (100, 60.0)]
"""Requests a second, and the median duration of a task in seconds."""
SPREAD = 0.3
"""Of the logarithm of a duration, as the stand-in has it."""
SHARE = 10
"""While mailboxes are created, one request of so many asks."""
LATE, LATE_SECONDS = 0.2, 2.0
WORTH = 0.3
"""How likely it must be for one who knows that a task has ended. Anything from 0.1 to 0.5 makes no difference."""


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
        # While mailboxes are created few requests may ask. Where that lasts as long as the tasks do, the rate is what
        # makes the answers late, and the aim is for those who are not held back by it.
        free = creates < median
        # A fifth of the duration or two seconds, whichever is more.
        at_most = (1.0 if part > LATE and late <= LATE_SECONDS else LATE) if free else None
        yield Figure(
            group="polling", name=f"{name}, noticed late by", measured=part, unit="of its duration", at_most=at_most
        )
        if not free:
            yield Figure(
                group="polling", name=f"{name}, noticed late by", measured=part, unit="of its duration",
                yardstick=knowing(count, rate, [duration for _, _, duration in seen], median),
                of="one who knows how long tasks take", at_most=1.2,
            )  # fmt: skip
    yield Figure(
        group="polling", name=f"{name}, time", measured=arrived[-1] - arrived[0], unit="s",
        yardstick=max(2 * creates, creates + longest), of="the least possible", at_most=1.05,
    )  # fmt: skip


def knowing(count: int, rate: int, durations: list[float], median: float) -> float:
    """How late, as part of their durations, tasks are noticed in the median by one who needs not learn anything.

    It knows how durations are distributed, and asks about whichever task is likeliest to have ended since it was last
    asked about, once that is likelier than not to be worth it; creates go before it as they do in this program.
    """
    ended_by = [statistics.NormalDist(math.log(median), SPREAD).cdf(math.log(age / 100)) for age in range(1, 100_000)]
    asked = [0.0] * count
    late: list[float] = []
    sent, row, slot, left = 0, 0, 0, set[int]()

    def hope(task: int) -> float:
        age = (slot - task_slot[task]) / rate
        known = ended_by[int(asked[task] * 100)] if asked[task] else 0.0
        return (ended_by[int(age * 100)] - known) / max(1e-9, 1 - known)

    task_slot: list[int] = []
    while sent < count or left:
        best = max(left, key=hope, default=None)
        asks = best is not None and hope(best) > WORTH
        if sent < count and not (asks and row >= SHARE - 1):
            left.add(sent)
            task_slot.append(slot)
            sent, row = sent + 1, row + 1
        elif asks:
            assert best is not None
            row, asked[best] = 0, (slot - task_slot[best]) / rate
            if durations[best] <= asked[best]:
                left.discard(best)
                late.append((asked[best] - durations[best]) / durations[best])
        slot += 1
    return statistics.median(late)
