"""How fast, and within how much memory, sheets are read, validated and reported.

    python tests/benchmarks/sheets.py [ROWS]

Everything is measured in this one run, each in a process of its own, in seconds of its CPU and the most memory that it
held: `pandas.read_csv` followed by the schema's checks on its frame is the yardstick, frictionless the peer (install it
beside the program first). "Report" means that every row was asked for, ready or with all the sentences about it.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
MOST_FAULTY_ROWS = 50_000
"""A sheet with more of them is refused."""
HEADER = "email,domain,relay_server,password,project,reply_to"
USERNAME = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
PASSWORD = r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])(?=.*[^A-Za-z0-9]).*"


def make(path: Path, rows: int, *, bad: float = 0.0, duplicates: float = 0.0, ragged: bool = False) -> None:
    """A sheet of which this share of rows breaks a rule, or stands twice."""
    dice = random.Random(rows)
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        for number in range(rows):
            email, password, more = f"user{number}.name", f"Sample-{number}-word!", ""
            if dice.random() < bad:
                email, password = f"{email}@client.com", f"weak{number}"
                more = ",x" if ragged else ""
            elif dice.random() < duplicates and number > 1:
                email = f"user{number - 1}.name"
            ids = f"{dice.randint(101, 400)},{dice.randint(201, 209)}"
            file.write(f"{email},{ids},{password},789,replies{number % 5000}@client.com{more}\n")


def read_csv(path: Path) -> dict[str, float]:
    """Nothing but reading."""
    import pandas as pd

    begin = time.process_time()
    pd.read_csv(path, dtype=str)
    return {"read": time.process_time() - begin}


def plain(path: Path) -> dict[str, float]:
    """The yardstick: the two libraries used plainly, `pandas.read_csv` and the schema's checks on the frame."""
    import pandas as pd

    from provisioner import schema

    rules = schema.load()
    begin = time.process_time()
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    been_read = time.process_time()
    for name, column in rules.columns.items():
        for rule in column.rules:
            assert rule.check(frame[name]).check_output.all()
    return {"read": been_read - begin, "validate": time.process_time() - been_read}


def ours(path: Path) -> dict[str, float]:
    """What this program does with a sheet."""
    from provisioner import schema
    from provisioner.stages.read import read
    from provisioner.stages.validate import validate

    rules = schema.load()
    begin = time.process_time()
    sheet = read(path, rules)
    been_read = time.process_time()
    checked = validate(sheet, rules)
    validated = time.process_time()
    ready = len(sheet.rows) - len(checked.invalid)
    problems = sum(len(checked.problems(row)) for row in checked.invalid)
    reported = time.process_time()
    return {
        "read": been_read - begin,
        "validate": validated - been_read,
        "report": reported - validated,
        "ready": ready,
        "invalid": len(checked.invalid),
        "problems": problems,
    }


def frictionless(path: Path) -> dict[str, float]:
    """The peer, with the same rules as far as it has them."""
    from frictionless import Resource, Schema

    def field(name: str, pattern: str, **constraints: object) -> dict[str, object]:
        return {"name": name, "type": "string", "constraints": {"pattern": pattern, **constraints}}

    fields = [
        field("email", USERNAME, required=True, maxLength=64),
        field("domain", "[1-9][0-9]{0,17}", required=True),
        field("relay_server", "[1-9][0-9]{0,17}", required=True),
        field("password", PASSWORD, required=True, minLength=8, maxLength=255),
        field("project", "[1-9][0-9]{0,17}"),
        field("reply_to", r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    ]
    begin = time.process_time()
    resource_ = Resource(path=path.name, basepath=str(path.parent), schema=Schema.from_descriptor({"fields": fields}))
    resource_.validate(limit_errors=10**9)
    return {"read": time.process_time() - begin}


def measured(*whats: tuple[str, Path], rounds: int = ROUNDS) -> list[dict[str, float]]:
    """Of each the quickest of some runs, each in a process of its own.

    They take turns: these machines are shared, and twice as fast at one time as at another.
    """
    runs: list[list[dict[str, float]]] = [[] for _ in whats]
    for _ in range(rounds):
        for (what, path), own in zip(whats, runs, strict=True):
            command = [sys.executable, __file__, "--one", what, str(path)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            own.append(json.loads(out.splitlines()[-1]))
    return [min(own, key=lambda run: run["seconds"]) for own in runs]


def one(what: str, path: Path) -> None:
    """Measure one thing in this process, and print it."""
    result = {"read_csv": read_csv, "plain": plain, "ours": ours, "frictionless": frictionless}[what](path)
    seconds = sum(value for name, value in result.items() if name in ("read", "validate"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(json.dumps({**result, "seconds": seconds, "peak": peak}))


def line(name: str, rows: int, result: dict[str, float], yardstick: float) -> None:
    """One line of the report."""
    speed = rows / result["seconds"]
    print(f"{name:46}{speed:12,.0f} rows/s{result['seconds'] / yardstick:8.2f} x{result['peak']:8.0f} MB")


def main(rows: int) -> None:
    """Print the report."""
    with tempfile.TemporaryDirectory() as folder:
        sheet, tenth = Path(folder) / "sheet.csv", Path(folder) / "tenth.csv"
        make(sheet, rows)
        make(tenth, rows // 10)
        alone, yardstick, good, small, peer = measured(
            ("read_csv", sheet), ("plain", sheet), ("ours", sheet), ("ours", tenth), ("frictionless", sheet)
        )
        print(f"{rows:,} rows; time in units of the yardstick, which is pandas.read_csv and the checks on its frame\n")
        line("pandas.read_csv alone", rows, alone, yardstick["seconds"])
        line("pandas.read_csv and the checks", rows, yardstick, yardstick["seconds"])
        line("read and validate", rows, good, yardstick["seconds"])
        for part in ("read", "validate", "report"):
            share = {"seconds": good[part], "peak": good["peak"]}
            line(f"  {part}", rows, share, yardstick["seconds"])
        line("read and validate a tenth of the rows", rows // 10, small, yardstick["seconds"] / 10)
        line("frictionless", rows, peer, yardstick["seconds"])
        print(f"\nfrictionless takes {peer['seconds'] / good['seconds']:.1f} times as long")
        few = min(rows, MOST_FAULTY_ROWS)
        for ragged in (False, True):
            make(sheet, few, bad=0.5, duplicates=0.1, ragged=ragged)
            (bad,) = measured(("ours", sheet), rounds=1)
            kind = "bad and as many cells too long" if ragged else "bad"
            line(f"half of {few:,} rows {kind}, a tenth duplicates", few, bad, yardstick["seconds"] * few / rows)
            print(f"  {bad['ready']:,.0f} ready, {bad['invalid']:,.0f} invalid with {bad['problems']:,.0f} problems")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
