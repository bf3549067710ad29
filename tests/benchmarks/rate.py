"""How `--rate auto` finds the limit of services that it is told nothing about, 20 minutes each on a simulated clock.

    python tests/benchmarks/rate.py                        every limit, six draws of the network each: half an hour
    python tests/benchmarks/rate.py --seeds 1              one draw
    python tests/benchmarks/rate.py --only 40/s two-40/s   some of it
    python tests/benchmarks/rate.py --live                 600 mailboxes in real time, the stand-in in its own process

The network delays each request by up to 50 ms, answers take 20 to 500 ms, refusals up to 100 ms. Each limit is held by
the sandbox's own throttle, whose window slides, and by one that counts fixed windows. The worst draw is shown. The
services are in `tests/simulated_services.py`; the rule is in `provisioner/service/learned_rate.py`: play with both.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from figures import Figure, as_table
from stand_in import outcome, provision, serve, write_sheet

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulated_services import FixedWindows, Open, Overloaded, Program, Replaced, Service, sandbox_throttle, simulate

from provisioner.records import AutoRate, Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulated_services import Door

    MakeDoor = Callable[[int, float, random.Random], Door]

MINUTES_20, MINUTE = 1200.0, 60.0
LIMITS = {
    "3/s": (Rate(3, 1.0), AutoRate()),
    "10/s": (Rate(10, 1.0), AutoRate()),
    "40/s": (Rate(40, 1.0), AutoRate(Rate(50, 1.0))),
    "100/min": (Rate(100, 60.0), AutoRate()),
    "600/min": (Rate(600, 60.0), AutoRate()),
    "1000/h": (Rate(1000, 3600.0), AutoRate()),
}
DOORS: dict[str, MakeDoor] = {
    "sliding": lambda count, seconds, _: sandbox_throttle(count, seconds),
    "fixed": lambda count, seconds, draw: FixedWindows(count, seconds, draw.uniform(0.0, seconds)),
}
SHARED = {f"two-{name}": name for name in ("3/s", "10/s", "40/s", "100/min", "600/min")}
SPECIAL = ("change", "slow", "exact", "none")


def limits(name: str, seeds: range) -> Iterator[Figure]:
    """One limit that nobody knows, for 20 minutes."""
    limit, rate = LIMITS[name]
    a_second = limit.count / limit.seconds
    for door, make in DOORS.items():
        after, whole, refused = [], [], []
        for seed in seeds:
            draw, program = random.Random(seed), Program(rate)
            simulate(Service(make(limit.count, limit.seconds, draw), draw), program, seconds=MINUTES_20)
            after.append(program.passed_between(MINUTE, MINUTES_20) / (MINUTES_20 - MINUTE))
            whole.append(len(program.passed) / MINUTES_20)
            refused.append(1000 * len(program.refused) / (len(program.passed) + len(program.refused)))
        what = f"{name}, {door} windows"
        if limit.seconds <= MINUTE:
            yield _share(f"{what}: after the first minute", min(after), a_second, at_least=0.95)
        yield _share(f"{what}: in all", min(whole), a_second, at_least=0.92 if a_second <= 10 else None)
        yield Figure(
            group="rate", name=f"{what}: refused", measured=max(refused), unit="of 1,000 requests", at_most=5.0
        )


def change(seeds: range) -> Iterator[Figure]:
    """The limit is halved or doubled in the middle: seconds until 90 % of the new one is used."""
    for name in ("3/s", "10/s", "40/s", "100/min", "600/min"):
        limit, rate = LIMITS[name]
        for factor, within in ((0.5, 60.0), (2.0, 180.0)):
            most = AutoRate(Rate(100, 1.0)) if name == "40/s" else rate
            late = [_seconds_to_adapt(limit, factor, most, make, seed) for make in DOORS.values() for seed in seeds]
            yield Figure(
                group="rate", name=f"{name} times {factor:g}: 90 % again after", measured=max(late), unit="s",
                at_most=within,
            )  # fmt: skip


def _seconds_to_adapt(limit: Rate, factor: float, rate: AutoRate, make: MakeDoor, seed: int) -> float:
    draw, program = random.Random(seed), Program(rate)
    at, new = 600.0 + draw.uniform(-60.0, 60.0), int(limit.count * factor)
    door = Replaced(make(limit.count, limit.seconds, draw), make(new, limit.seconds, draw), at)
    simulate(Service(door, draw), program, seconds=at + 300.0)
    span = max(10.0, limit.seconds)
    enough = 0.9 * new / limit.seconds * span
    return next((late for late in range(300) if program.passed_between(at + late, at + late + span) >= enough), 300)


def two(name: str, seeds: range) -> Iterator[Figure]:
    """Two programs on one account, begun together, and the second some time later."""
    limit, rate = LIMITS[name]
    for later in (0.0, 30.0, 120.0, 300.0):
        both, smaller, refused = [], [], []
        for make in DOORS.values():
            for seed in seeds:
                draw, programs = random.Random(seed), (Program(rate), Program(rate, begins=later))
                simulate(Service(make(limit.count, limit.seconds, draw), draw), *programs, seconds=MINUTES_20)
                shares = [each.passed_between(later + MINUTE, MINUTES_20) for each in programs]
                both.append(sum(shares) / (MINUTES_20 - later - MINUTE))
                smaller.append(min(shares) / sum(shares))
                refused.append(1000 * sum(len(each.refused) for each in programs) / sum(shares))
        what = f"two on {name}, {'together' if not later else f'one {later:g} s later'}"
        a_second = limit.count / limit.seconds
        yield _share(f"{what}: both", min(both), a_second, at_least=0.9)
        yield _share(f"{what}: both on average", sum(both) / len(both), a_second, at_least=None)
        part = f"{what}: the smaller part"
        yield Figure(group="rate", name=part, measured=min(smaller), unit="of both", at_least=1 / 3)
        yield Figure(group="rate", name=f"{part} in half of the draws", measured=median(smaller), unit="of both")
        below = sum(part < 0.33 for part in smaller) / len(smaller)
        yield Figure(group="rate", name=f"{part} is below 33 %", measured=100 * below, unit="% of the draws")
        yield Figure(group="rate", name=f"{what}: refused", measured=max(refused), unit="of 1,000 requests")


def slow(seeds: range) -> Iterator[Figure]:
    """A service that refuses nothing, and answers slowly beyond 15 requests a second."""
    used, typical = [], []
    for slowest_at in (16, 20, 30):
        for seed in seeds:
            door, program = Overloaded(slowest_at), Program(AutoRate())
            simulate(Service(door, random.Random(seed), answer=door.answer), program, seconds=MINUTES_20)
            used.append(program.passed_between(MINUTE, MINUTES_20) / (MINUTES_20 - MINUTE))
            typical.append(sorted(program.took)[len(program.took) // 2])
    yield _share("slows down beyond 15/s: used", min(used), 15.0, at_least=0.85)
    yield Figure(
        group="rate", name="slows down beyond 15/s: half of the answers", measured=1000 * max(typical), unit="ms",
        yardstick=50.0, of="usually", at_most=2.0,
    )  # fmt: skip


def exact(seeds: range) -> Iterator[Figure]:
    """A fixed rate at the service's own limit of 40/s; the first 25 requests arrive together from a cold server."""
    for count in (2000, 48_000):
        took = []
        for seed in seeds:
            program = Program([Rate(40, 1.0)])
            service = Service(sandbox_throttle(40, 1.0), random.Random(seed), cold_requests=25, cold_until=0.64)
            simulate(service, program, seconds=1.3 * count / 40 + 10)
            took.append(sorted(program.passed)[count - 1])
        yield Figure(
            group="rate", name=f"fixed rate at the limit, cold server: {count:,} requests", measured=max(took),
            unit="s", yardstick=count / 40, of="at best", at_most=1.08 if count > 2000 else None,
        )  # fmt: skip


def none(_: range) -> Iterator[Figure]:
    """No limit at all."""
    for most in (20, 50):
        program = Program(AutoRate(Rate(most, 1.0)))
        simulate(Service(Open(), random.Random(1)), program, seconds=120.0)
        yield Figure(
            group="rate", name=f"no limit: at the ceiling of {most}/s after",
            measured=program.fastest_at or 120.0, unit="s", at_most=60.0,
        )  # fmt: skip


def live(folder: Path, rows: int = 600) -> Iterator[Figure]:
    """In real time, against a stand-in of 10/s in a process of its own, told nothing."""
    sheet = write_sheet(folder / f"rate-{rows}.csv", rows)
    with serve(folder, throttle="10/s", latency="200ms") as service:
        told = outcome(provision(sheet, service, "--yes"))
        counts = told["requests"]
    yield Figure(
        group="rate", name=f"{rows} mailboxes in real time, limit 10/s", measured=told["seconds"], unit="s",
        yardstick=2 * rows / 10, of="a create and a question each", at_most=1.15,
    )  # fmt: skip
    print(f"requests: {counts}", file=sys.stderr)


def _share(name: str, measured: float, limit: float, *, at_least: float | None) -> Figure:
    return Figure(
        group="rate", name=name, measured=measured, unit="requests/s", yardstick=limit, of="the limit",
        at_least=at_least,
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=6, help="how many draws of the network")
    everything = [*LIMITS, *SPECIAL, *SHARED]
    parser.add_argument("--only", nargs="+", choices=everything, default=everything)
    parser.add_argument("--live", action="store_true", help="in real time instead")
    wanted = parser.parse_args(arguments)
    figures: list[Figure] = []
    if wanted.live:
        with tempfile.TemporaryDirectory(prefix="rate-") as folder:
            figures += live(Path(folder))
    else:
        seeds = range(1, wanted.seeds + 1)
        for name in wanted.only:
            print(f"simulating {name} …", file=sys.stderr)
            if name in SHARED:
                figures += two(SHARED[name], seeds)
            else:
                figures += globals()[name](seeds) if name in SPECIAL else limits(name, seeds)
    print(as_table(figures))


if __name__ == "__main__":
    main()
