"""failures.xlsx: the failures file as a workbook in which no spreadsheet program changes a cell.

A CSV file says nothing of its cells' kinds, so a program that opens one makes 7 of 007 and dates of 4-Mar. Here every
cell is text, also a cell that is typed later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Final

from provisioner.sheets.files import escape_controls, escape_formula

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AddRow = Callable[[Sequence[str], Collection[int]], None]
"""Adds a row: its cells, and the places of those that are faulty, which are coloured."""
MAX_CELLS: Final = 500_000
"""That a workbook is written for, blank ones included: 40,000 rows of an ordinary sheet, in about five seconds."""
_TEXT: Final = {"num_format": "@", "valign": "top"}
_FAULTY: Final = {**_TEXT, "bg_color": "#FFC7CE"}
_HEADER: Final = {**_TEXT, "bold": True, "bottom": 1}
_NARROWEST, _WIDEST = 10, 60


@contextmanager
def failures_workbook(path: Path, header: Sequence[str]) -> Iterator[AddRow]:
    """Write a workbook to `path`, with the rows that are added in the context.

    Raises OSError if it cannot be written.
    """
    import xlsxwriter  # noqa: PLC0415 - only a run that left something waits for it
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(path, {**options, "strings_to_urls": False})
    sheet = book.add_worksheet("Failures")
    text, faulty, bold = (book.add_format(form) for form in (_TEXT, _FAULTY, _HEADER))
    # A formula that was typed as text keeps the mark that makes it one, which is no part of the text.
    quoted = {text: book.add_format({**_TEXT, "quote_prefix": True})}
    quoted[faulty] = book.add_format({**_FAULTY, "quote_prefix": True})
    sheet.freeze_panes(1, 0)
    for place, name in enumerate(header):
        width = min(max(len(name) + 2, _NARROWEST), _WIDEST)
        sheet.set_column(place, place, _WIDEST if name == "error" else width, text)
        sheet.write_string(0, place, escape_formula(name), bold)
    numbers = count(1)

    def add(cells: Sequence[str], marked: Collection[int]) -> None:
        number = next(numbers)
        for place, cell in enumerate(cells):
            form = faulty if place in marked else text
            shown, runs = _shown(cell)
            sheet.write_string(number, place, shown, quoted[form] if runs else form)

    yield add
    try:
        book.close()
    except FileCreateError as error:
        raise error.args[0] from error


def _shown(text: str) -> tuple[str, bool]:
    """A cell as our reader reads it back, and whether a program would run it if it were typed."""
    guarded = escape_formula(text)
    if guarded == text or text.startswith("'"):
        return guarded, False
    plain = escape_controls(text)
    return plain, plain != guarded
