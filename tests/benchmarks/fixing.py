"""A sheet that is open for fixing: until its faults are shown, and from a fix to its verdict.

    python tests/benchmarks/fixing.py [ROWS]

The fixes are made one after the other in 100,000 rows if not told otherwise, every second of them makes two rows be for
one mailbox or ends that. Their yardstick is a file of the same size that is written, synced and put in place between
them; that of opening is `pandas.read_csv`. Seconds of a busy machine say little: read the ratios.
"""

from __future__ import annotations

import csv
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from figures import Figure, as_table
from sheets import make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provisioner.fixing import OpenSheet

FIXES = 60
ROUNDS = 3


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """Opening a small and a large sheet, and fixing rows of the large one."""
    many = 100_000 if full else 20_000
    _shown(_sheet(folder, 100))
    for rows, at_most in ((1_000, None), (many, 30.0)):
        opened, yardstick = _opened(folder, rows)
        yield Figure(
            group="fixing",
            name=f"first fault and counts of {rows:,} rows of CSV",
            measured=opened * 1000,
            unit="ms",
            yardstick=yardstick * 1000,
            of="pandas.read_csv",
            at_most=at_most,
        )
    yield Figure(
        group="fixing",
        name=f"the same of {many:,} rows of XLSX",
        measured=_shown(_workbook(folder, many)) * 1000,
        unit="ms",
    )
    yield from _fixes(folder, many)


def _fixes(folder: Path, rows: int) -> Iterator[Figure]:
    sheet = _open(_sheet(folder, rows))
    sheet.working_file  # noqa: B018 - it waits
    first = _fix(sheet, 0)
    yield Figure(group="fixing", name=f"the first fix in {rows:,} rows", measured=first * 1000, unit="ms")
    content = sheet.folder.failures.read_bytes()
    fixes, shows, writes = [], [], []
    for number in range(1, FIXES + 1):
        fixes.append(_fix(sheet, number))
        shows.append(_timed(lambda: (sheet.rows(), sheet.counts(), sheet.causes())))
        writes.append(_timed(lambda: _write(folder / "yardstick", content)))
    for name, times, share in (
        ("half of the fixes", fixes, 0.5),
        ("95 % of the fixes", fixes, 0.95),
        ("95 % of the pages after them", shows, 0.95),
    ):
        place = int(FIXES * share)
        yield Figure(
            group="fixing",
            name=f"{name} in {rows:,} rows, at most",
            measured=sorted(times)[place] * 1000,
            unit="ms",
            yardstick=sorted(writes)[place] * 1000,
            of="write and sync as much",
            at_most=8,
        )


def _fix(sheet: OpenSheet, number: int) -> float:
    """Give a row another password, and every second time the username of the next row or its own again.

    Returns how long it took until the verdict.
    """
    rows, _ = sheet.rows(to_fix=False, start=number // 4 * 2, size=2)
    cells = {"password": f"Fixed-Word-{number}!"}
    if number % 2:
        other = rows[1].cells
        is_same = rows[0].cells["email"] == other["email"]
        cells |= {"email": f"fixed{number}" if is_same else str(other["email"]), "domain": str(other["domain"])}
    return _timed(lambda: sheet.change(rows[0].key, rows[0].version, cells))


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _opened(folder: Path, rows: int) -> tuple[float, float]:
    """The shortest times until everything of a new sheet is shown, and until pandas has read it."""
    import pandas as pd

    opened, read = [], []
    for _ in range(ROUNDS):
        path = _sheet(folder, rows)
        opened.append(_shown(path))
        begin = time.perf_counter()
        pd.read_csv(path, dtype=str)
        read.append(time.perf_counter() - begin)
    return min(opened), min(read)


def _shown(path: Path) -> float:
    """How long a sheet takes to open; returns when all is written, too."""
    begin = time.perf_counter()
    sheet = _open(path)
    seconds = time.perf_counter() - begin
    sheet.working_file  # noqa: B018 - it waits
    return seconds


def _open(path: Path) -> OpenSheet:
    """Open a sheet, with all that the page shows first."""
    from provisioner.fixing import OpenSheet
    from provisioner.settings import SheetOptions

    sheet = OpenSheet(SheetOptions(sheet=path))
    assert sheet.counts().rows
    assert sheet.causes()
    assert sheet.rows()[0]
    return sheet


_made = 0


def _sheet(folder: Path, rows: int) -> Path:
    """A new sheet, a hundredth of whose rows is faulty, and as many twice."""
    global _made  # noqa: PLW0603 - each has a name of its own
    _made += 1
    path = folder / f"sheet{_made}.csv"
    make(path, rows, bad=0.01, duplicates=0.01)
    return path


def _workbook(folder: Path, rows: int) -> Path:
    import xlsxwriter

    path = folder / "sheet.xlsx"
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book, _sheet(folder, rows).open() as file:
        sheet = book.add_worksheet()
        for number, row in enumerate(csv.reader(file)):
            sheet.write_row(number, 0, row)
    return path


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        if len(sys.argv) > 1:
            print(as_table(list(_fixes(Path(name), int(sys.argv[1])))))
        else:
            print(as_table(list(measure(Path(name), full=True))))
