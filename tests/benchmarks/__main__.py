"""Everything that is measured of the program but reading sheets, which `sheets.py` beside this measures:

    python tests/benchmarks                 what takes some minutes
    python tests/benchmarks --full          every figure of the README
    python tests/benchmarks --only pace cost
    python tests/benchmarks --json

Each figure stands beside a yardstick that was measured in the same run. Only the standard library, this program and, in
`clients.py`, other HTTP clients are needed.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
from pathlib import Path

import cost
import fixing
import pace
import peers
import polling
import start
import worst
from figures import Figure, as_json, as_table

GROUPS = {module.__name__: module for module in (start, worst, pace, polling, cost, peers, fixing)}


def main() -> None:
    """Measure what is asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__.partition(":\n")[0])
    parser.add_argument("--full", action="store_true", help="as many rows and seconds as the aims are about")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS), help="measure only these")
    wanted = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        for name in wanted.only:
            print(f"measuring {name} …", file=sys.stderr)
            figures.extend(GROUPS[name].measure(Path(folder), full=wanted.full))
    print(as_json(figures) if wanted.json else f"{_where()}\n\n{as_table(figures)}")


def _where() -> str:
    """The date and the machine."""
    today = dt.datetime.now(dt.UTC).date()
    return f"{today}, Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} processors"


if __name__ == "__main__":
    main()
