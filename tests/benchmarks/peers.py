"""The way that the vendor's guide shows, beside this program, on a service with a limit. Times are real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import outcome, provision, run, serve, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = "20/s"


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """Tasks of two seconds on a service that allows twenty requests a second."""
    few, many = (20, 500) if full else (5, 200)
    ours = {count: _ours(folder, count) for count in (few, many)}
    in_turn, at_once = _guide(folder, "guide_in_turn", few), _guide(folder, "guide_at_once", many)
    yield Figure(
        group="peers", name=f"{few} mailboxes, time", measured=ours[few][0], unit="s", yardstick=in_turn["wall"],
        of="the guide's way, one after the other",
    )  # fmt: skip
    yield Figure(
        group="peers", name=f"{many} mailboxes at a limit of {LIMIT}, confirmed", measured=ours[many][1],
        unit="mailboxes", yardstick=at_once["created"], of="the guide's way, all at once",
    )  # fmt: skip
    yield Figure(
        group="peers", name=f"{many} mailboxes at a limit of {LIMIT}, time", measured=ours[many][0], unit="s",
        yardstick=2 * many / 20, of="two requests each at the limit", at_most=1.2,
    )  # fmt: skip


def _ours(folder: Path, count: int) -> tuple[float, int]:
    with serve(folder, latency="2s", throttle=LIMIT) as service:
        cost = provision(write_sheet(folder / f"peers-{count}.csv", count), service, "--rate", LIMIT)
        return cost.wall, outcome(cost)["statuses"].get("created", 0)


def _guide(folder: Path, way: str, count: int) -> dict[str, float]:
    with serve(folder, latency="2s", throttle=LIMIT) as service:
        clients = str(Path(__file__).with_name("clients.py"))
        told: dict[str, float] = json.loads(run(sys.executable, clients, way, service.url, str(count), "0").said)
        return told
