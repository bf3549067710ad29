"""A workbook with one sheet in which every cell is text, so that no spreadsheet program changes or runs any of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import xlsxwriter

from provisioner.sheets.files import escape_controls, escape_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TEXT: Final = {"num_format": "@", "valign": "top"}
_WIDEST: Final = 60
_NARROWEST: Final = 10


def text_workbook(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """The content of an .xlsx file whose sheet is called `title`.

    Where a CSV file has an apostrophe before a cell, the cell has the format that spreadsheet programs give to one
    that was typed with it: the apostrophe is no part of the text then, so that a password can be copied as it is.
    Such a file is not read back by this program.
    """
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        sheet = book.add_worksheet(title)
        text, quoted = book.add_format(_TEXT), book.add_format({**_TEXT, "quote_prefix": True})
        bold = book.add_format({**_TEXT, "bold": True, "bottom": 1})
        widths = [len(cell) for cell in header]
        for number, row in enumerate((header, *rows)):
            for place, cell in enumerate(row):
                shown = escape_controls(cell)
                form = text if shown == escape_formula(cell) else quoted
                sheet.write_string(number, place, shown, form if number else bold)
                widths[place] = max(widths[place], len(cell))
        for place, width in enumerate(widths):
            sheet.set_column(place, place, min(max(width + 2, _NARROWEST), _WIDEST), text)
        sheet.freeze_panes(1, 0)
    return content.getvalue()
