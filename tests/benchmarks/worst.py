"""What `provisioner check` takes for the files that cost it most, such as one with a mistake in every cell.

Where a file has more faulty rows than are listed, it is refused at once: such a file has as many of them as may be, and
then good rows that are as short as can be.
"""

from __future__ import annotations

import io
import random
import shutil
import sys
import zipfile
from collections.abc import Callable
from itertools import count, islice
from typing import TYPE_CHECKING, Final

from figures import Figure
from stand_in import Cost, run

from provisioner.sheets.limits import most_faulty_rows

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
WRONG: Final = ["x y", "a", "", "weak", "=1", "z"]
FOUR: Final[Row] = lambda row: [f"us er{row}", f"1o1.x{row % 10}", "201", f"weak{row % 10}", "=1", "z@"]  # noqa: E731
TEXTS: Final[dict[str, tuple[list[str], Row]]] = {
    GOOD: (HEADER, lambda row: [f"john{row}", "101", "201", "Abcdef1!", "", ""]),
    "four faults a row": (HEADER, FOUR),
    "six faults, one mailbox": (HEADER, lambda _: ["x y", "a", "", "w", "=", "z"]),
    "six faults, blank cells": (HEADER, lambda _: ["", "", "", "", "=", "z"]),
    "one mailbox": (HEADER, lambda _: ["john", "101", "201", "Abcdef1!", "789", ""]),
    "names of domains": (HEADER, lambda row: [f"john{row}", f"acme{row}.com", f"r{row}", "Abcdef1!", "", ""]),
    "short rows": (HEADER, lambda _: ["x"]),
    "short good rows": (HEADER[:4], lambda row: [f"{row:x}", "1", "1", "Abcdef1!"]),
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
        kinds["four faults a row, in an XLSX workbook"] = _xlsx(folder / f"workbook-{size}.xlsx", size)
        kinds["four faults a row, in an ODS workbook"] = _ods(folder / f"workbook-{size}.ods", size)
        costs = {name: _check(path) for name, path in kinds.items()}
        for wrong in ("four faults a row", "six faults, one mailbox"):
            path = kinds[wrong]
            costs[f"{wrong}, checked again"] = _check(path, again=True)
            failures = path.with_name(f"{path.stem}-run") / "failures.csv"
            costs[f"{wrong}, failures.csv run again"] = _check(failures, again=True)
        for name, cost in costs.items():
            what = f"{size // 1000:,} kB of {name}"
            yield Figure(group="worst", name=what, measured=cost.cpu, unit="s", at_most=SIZES[size])
            yield Figure(group="worst", name=f"{what}, memory", measured=cost.memory, unit="MB", at_most=MEMORY)


def _check(path: Path, *, again: bool = False) -> Cost:
    out = path.with_name(f"{path.stem}-run") if path.stem != "failures" else path.parent
    if not again:
        shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "provisioner", "check", str(path), "--out", str(out), "--quiet"]
    cost = run(*command, codes=(0, 1, 2))
    assert (out / "results.csv").exists(), f"{path.name} was refused"
    return cost


def _rows(size: int, header: list[str], row: Row) -> Iterator[list[str]]:
    """The header and the rows of a file of that size, as many of them faulty as are listed."""
    yield header
    most = most_faulty_rows(size) * 19 // 20
    for number in count(2):
        cells = row(number)
        if number >= most:
            cells = [f"{number:x}", "1", "1", "Abcdef1!", "", "", *cells[6:]][: len(header)]
        yield cells


def _text(path: Path, size: int, header: list[str], row: Row) -> Path:
    """A text file of that size."""
    with path.open("w", encoding="utf-8") as file:
        left = size
        for cells in _rows(size, header, row):
            left -= file.write(",".join(cells) + "\n")
            if left <= 0:
                break
    return path


def _xlsx(path: Path, size: int) -> Path:
    """A workbook of about that size, with a row for each 26 bytes."""
    import xlsxwriter

    options = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(path, options) as book:
        sheet = book.add_worksheet()
        for number, cells in zip(range(size // 26), _rows(size, HEADER, FOUR), strict=False):
            sheet.write_row(number, 0, cells)
    return path


def _ods(path: Path, size: int) -> Path:
    """A workbook of at most that size, with nearly as many rows as such a one may have."""
    kept = "urn:oasis:names:tc:opendocument:xmlns"
    names = "".join(f' xmlns:{prefix}="{kept}:{prefix}:1.0"' for prefix in ("office", "table", "text"))
    content, dice = io.BytesIO(), random.Random(size)
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        with archive.open("content.xml", "w", force_zip64=True) as file:
            file.write(f"<office:document-content{names}><office:body><office:spreadsheet><table:table>".encode())
            # No more rows than a workbook of that size may have.
            for number, cells in enumerate(islice(_rows(size, HEADER, FOUR), 15_000 + size // 32)):
                # Rows of sheets are less alike than these.
                cells[0] += f"{dice.getrandbits(56):x}" if number else ""
                texts = "".join(
                    f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>'
                    for cell in cells
                )
                file.write(f"<table:table-row>{texts}</table:table-row>".encode())
                if content.tell() > size * 0.88:  # What is not compressed yet follows.
                    break
            file.write(b"</table:table></office:spreadsheet></office:body></office:document-content>")
    path.write_bytes(content.getvalue())
    return path
