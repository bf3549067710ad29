"""A workbook with one sheet in which every cell is text, so that no spreadsheet program changes or runs any of it.

A CSV file says nothing of its cells' kinds, so a program that opens one makes 7 of 007 and dates of 4-Mar. Here every
cell is text, also a cell that is typed later.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Final

from provisioner.sheets.files import escape_controls, escape_formula

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    AddRow = Callable[[Sequence[str], Collection[int]], None]
    """Adds a row of cells; those at these places are coloured."""

MAX_CELLS: Final = 500_000
"""That failures.xlsx is written for, blank ones included: 40,000 rows of an ordinary sheet, in about five seconds."""
_TEXT: Final = {"num_format": "@", "valign": "top"}
_FAULTY: Final = {**_TEXT, "bg_color": "#FFC7CE"}
_HEADER: Final = {**_TEXT, "bold": True, "bottom": 1}
_NARROWEST, _WIDEST = 10, 60
_OPTIONS: Final = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


@contextmanager
def text_workbook(path: Path, title: str, header: Sequence[str], *, read_back: bool = False) -> Iterator[AddRow]:
    """Write a workbook to `path`, with the rows that are added in the context in a sheet that is called `title`.

    Where a CSV file has an apostrophe before a cell, the cell has the format that spreadsheet programs give to one
    that was typed with it: the apostrophe is no part of the text then, so that a password can be copied as it is.
    `read_back`: this program is to read the same cells from it. Raises OSError if it cannot be written.
    """
    import xlsxwriter  # noqa: PLC0415 - only a run that left something waits for it
    from xlsxwriter.exceptions import FileCreateError  # noqa: PLC0415

    # What it writes before the end would otherwise lie, with the passwords in it, where all programs have such files.
    book = xlsxwriter.Workbook(path, {**_OPTIONS, "tmpdir": str(path.parent)})
    sheet = book.add_worksheet(title)
    sheet.freeze_panes(1, 0)
    text, faulty, bold = (
        [book.add_format({**look, "quote_prefix": quoted}) for quoted in (False, True)]
        for look in (_TEXT, _FAULTY, _HEADER)
    )
    numbers, widths = count(), [0] * len(header)

    def add(cells: Sequence[str], marked: Collection[int]) -> None:
        number = next(numbers)
        for place, cell in enumerate(cells):
            shown, quoted = _shown(cell, read_back=read_back)
            look = faulty if place in marked else text
            sheet.write_string(number, place, shown, (look if number else bold)[quoted])
            widths[place] = max(widths[place], len(cell))

    add(header, ())
    yield add
    for place, width in enumerate(widths):
        sheet.set_column(place, place, min(max(width + 2, _NARROWEST), _WIDEST), text[False])
    try:
        book.close()
    except FileCreateError as error:
        raise error.args[0] from error


def _shown(text: str, *, read_back: bool) -> tuple[str, bool]:
    """What a cell holds, and whether a program would run it if it were typed."""
    guarded = escape_formula(text)
    if guarded == text or (read_back and text.startswith("'")):
        return guarded, False
    plain = escape_controls(text)
    return plain, plain != guarded
