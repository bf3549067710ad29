"""What a mailbox costs: CPU, time and memory of the whole program on an unthrottled stand-in, and other clients."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import Cost, outcome, provision, run, serve, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = ("--rate", "1000000/s", "--workers", "20")
FEW = 20
"""Rows of the run that is subtracted from each other one: starting, and ending, is measured elsewhere."""
ROUNDS = 3


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """Interleaved, and the best of some rounds: whatever else the computer does only ever makes things slower."""
    many = 10_000 if full else 2_000
    start = _best([_ours(folder, FEW) for _ in range(ROUNDS)])
    peers: dict[str, list[dict[str, float]]] = {"transports": [], "pool": [], "aiohttp": []}
    ours = []
    for _ in range(ROUNDS):
        ours.append(_ours(folder, many))
        for way, costs in peers.items():
            costs.append(_theirs(folder, way, many))
    best = _best(ours)
    cpu, speed = _cpu(best, start, many), (many - FEW) / (best.wall - start.wall)
    normalize = {way: min(cost["cpu"] for cost in costs) * 1000 / many for way, costs in peers.items()}
    rates = {way: many / min(cost["wall"] for cost in costs) for way, costs in peers.items()}
    yield Figure(group="cost", name=f"CPU at {many:,}", measured=cpu, unit="ms a mailbox", at_most=1.6)
    for way, what in (
        ("transports", "bare httpx, same connections"),
        ("pool", "bare httpx, one client"),
        ("aiohttp", "bare aiohttp"),
    ):
        aim = {"at_least": 0.8} if way == "transports" else {}
        yield Figure(
            group="cost", name="CPU, all in", measured=cpu, unit="ms a mailbox", yardstick=normalize[way], of=what
        )
        yield Figure(
            group="cost", name="speed, all in", measured=speed, unit="mailboxes/s", yardstick=rates[way], of=what, **aim
        )
    yield from _sizes(folder, many, start, full=full)


def _sizes(folder: Path, many: int, start: Cost, *, full: bool) -> Iterator[Figure]:
    """The same cost at other sizes, each time beside that of `many` rows in the same minutes."""
    for rows, rounds in ((1_000, ROUNDS), (100_000, 1)) if full else ((1_000, ROUNDS),):
        usual, other = [_ours(folder, many)], []
        for _ in range(rounds):
            other.append(_ours(folder, rows))
            usual.append(_ours(folder, many))
        # Means: of the larger only one can be afforded, and the best of several others would flatter them.
        yield Figure(
            group="cost", name=f"CPU at {rows:,}", unit="ms a mailbox", of=f"at {many:,}", at_most=1.1,
            measured=statistics.mean(_cpu(one, start, rows) for one in other),
            yardstick=statistics.mean(_cpu(one, start, many) for one in usual),
        )  # fmt: skip
        at_most = 300.0 if rows == 100_000 else None
        memory = max(one.memory for one in other)
        yield Figure(group="cost", name=f"memory at {rows:,}", measured=memory, unit="MB", at_most=at_most)


def _ours(folder: Path, rows: int) -> Cost:
    with serve(folder, latency="0s") as service:
        cost = provision(write_sheet(folder / f"cost-{rows}.csv", rows), service, *FAST)
    assert outcome(cost)["statuses"] == {"created": rows}
    return cost


def _theirs(folder: Path, way: str, count: int) -> dict[str, float]:
    with serve(folder, latency="0s") as service:
        clients = str(Path(__file__).with_name("clients.py"))
        told: dict[str, float] = json.loads(run(sys.executable, clients, way, service.url, str(count), "20").said)
    assert told["created"] == count
    return told


def _best(costs: list[Cost]) -> Cost:
    return Cost(
        wall=min(cost.wall for cost in costs),
        cpu=min(cost.cpu for cost in costs),
        memory=min(cost.memory for cost in costs),
        said="",
    )


def _cpu(cost: Cost, start: Cost, rows: int) -> float:
    return (cost.cpu - start.cpu) * 1000 / (rows - FEW)
