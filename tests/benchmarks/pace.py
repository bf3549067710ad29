"""Whether the rate is kept, and used, as the service sees it at its door."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import provision, serve, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """Runs at a limit of its own, served by a stand-in that counts."""
    yield from _at(folder, "50/s", {1.0: 50}, 600)
    if full:
        yield from _at(folder, "20/s,600/min", {1.0: 20, 60.0: 600}, 900)


def _at(folder: Path, rate: str, windows: dict[float, int], rows: int) -> Iterator[Figure]:
    sheet = write_sheet(folder / f"pace-{rows}.csv", rows)
    with serve(folder, latency="100ms") as service:
        provision(sheet, service, "--rate", rate)
        arrived = [request["at"] for request in service.requests()]
    for seconds, allowed in windows.items():
        # Only as long as there was more work than the rate allowed: the last tasks are waited for.
        busy = [at for at, later in pairwise(arrived) if later - at < seconds / 2]
        used = (len(busy) - 1) / (busy[-1] - busy[0])
        most = max(bisect_left(arrived, at + seconds) - index for index, at in enumerate(arrived))
        window = f"any {seconds:g} s at the door"
        yield Figure(
            group="pace", name=f"{rate}: most in {window}", measured=most, unit="requests", yardstick=allowed,
            of="allowed", at_most=1.0,
        )  # fmt: skip
        if seconds == max(windows):
            yield Figure(
                group="pace", name=f"{rate}: used while there is work", measured=used, unit="requests/s",
                yardstick=_strictest(windows), of="the rate", at_least=0.98,
            )  # fmt: skip


def _strictest(windows: dict[float, int]) -> float:
    return min(count / seconds for seconds, count in windows.items())
