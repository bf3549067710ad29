"""What `provisioner check` takes for the files that cost it most, such as one with a mistake in every cell."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from figures import Figure
from stand_in import Cost, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEADER: Final = ["email", "domain", "relay_server", "password", "project", "reply_to"]
FAILURES: Final = [*HEADER, "sheet_row", "status", "error", "remedy", "task_id"]
SIZES: Final = {5_000_000: 30.0, 100_000: 5.0}
"""Bytes, and the seconds of CPU that a file of that size may take at most."""
MEMORY: Final = 1_000.0
"""Megabytes that any of them may take at most."""
GOOD: Final = "good rows"

Row = Callable[[int], list[str]]
"""The cells of the row of a number."""
ROWS: Final[dict[str, Row]] = {
    GOOD: lambda row: [f"john{row}", "101", "201", "Abcdef1!", "", ""],
    "four faults a row": lambda row: [f"us er{row}", f"1o1.x{row % 10}", "201", f"weak{row % 10}", "=1", "z@"],
    "six faults, one mailbox": lambda _: ["x y", "a", "", "w", "=", "z"],
    "one mailbox": lambda _: ["john", "101", "201", "Abcdef1!", "789", ""],
    "names of domains": lambda row: [f"john{row}", f"acme{row}.com", f"r{row}", "Abcdef1!", "", ""],
    "short rows": lambda _: ["x"],
}
WRONG: Final = ["x y", "a", "", "weak", "=1", "z"]
TEXTS: Final[dict[str, tuple[list[str], Row]]] = {
    **{name: (HEADER, row) for name, row in ROWS.items()},
    "rows of one cell": (HEADER[:1], lambda row: [f"john{row}"]),
    "900 further columns": ([*HEADER, *(f"n{number}" for number in range(900))], lambda _: [*WRONG, *["1"] * 900]),
    "long notes": ([*HEADER, "Notes"], lambda _: [*WRONG, "n" * 2000]),
    "a failures file": (FAILURES, lambda row: [f"x {row}", *WRONG[1:], str(row), "invalid", "e", "r", ""]),
}


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """The large files only with `full`: they take minutes together."""
    for size in SIZES if full else (100_000,):
        kinds = {
            name: _text(folder / f"{name.replace(' ', '-')}-{size}.csv", size, *rows) for name, rows in TEXTS.items()
        }
        kinds["four faults a row, in a workbook"] = _workbook(folder / f"workbook-{size}.xlsx", size)
        costs = {name: _check(path) for name, path in kinds.items()}
        wrong = kinds["four faults a row"]
        costs["four faults a row, checked again"] = _check(wrong, again=True)
        failures = wrong.with_name(f"{wrong.stem}-run") / "failures.csv"
        costs["its failures.csv, run again"] = _check(failures, again=True)
        for name, cost in costs.items():
            what = f"{size // 1000:,} kB of {name}"
            yield Figure(group="worst", name=what, measured=cost.cpu, unit="s", at_most=SIZES[size])
            yield Figure(group="worst", name=what, measured=cost.cpu, unit="s", yardstick=costs[GOOD].cpu, of=GOOD)
        most = max(cost.memory for cost in costs.values())
        yield Figure(group="worst", name=f"memory for {size // 1000:,} kB", measured=most, unit="MB", at_most=MEMORY)


def _check(path: Path, *, again: bool = False) -> Cost:
    out = path.with_name(f"{path.stem}-run") if path.stem != "failures" else path.parent
    if not again:
        shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "provisioner", "check", str(path), "--out", str(out), "--quiet"]
    return run(*command, codes=(0, 1, 2))


def _text(path: Path, size: int, header: list[str], row: Row) -> Path:
    """A text file of that size."""
    with path.open("w", encoding="utf-8") as file:
        left, number = size - file.write(",".join(header) + "\n"), 2
        while left > 0:
            left -= file.write(",".join(row(number)) + "\n")
            number += 1
    return path


def _workbook(path: Path, size: int) -> Path:
    """A workbook of about that size, with a row for each 26 bytes."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(path, options) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        for number in range(1, min(size // 26, 149_000)):
            sheet.write_row(number, 0, ROWS["four faults a row"](number))
    return path
