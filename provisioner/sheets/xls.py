"""XLS workbooks, as Excel 97 wrote them and other programs of its time: what their sheets hold, show and hide."""

from __future__ import annotations

import io
from typing import Final

import xlrd

from provisioner.errors import SheetError
from provisioner.sheets.grid import (
    DATE,
    ERROR,
    NUMBER,
    SINCE_1900,
    SINCE_1904,
    TRUTH,
    Area,
    Grid,
    Tab,
    date_text,
    is_percent,
    number_text,
    percent_text,
    plain_text,
)
from provisioner.sheets.kinds import damaged, xls_stream
from provisioner.sheets.limits import Budget, refuse_sheets

_MOST_READ: Final = 32 << 20
"""In bytes."""


def tabs(data: bytes) -> list[Tab]:
    """The worksheets of a workbook. Raises SheetError if it is damaged."""
    stream = xls_stream(data)
    budget = Budget(len(data))
    # The library raises whatever its first wrong step comes upon.
    try:
        book = xlrd.open_workbook(
            file_contents=stream, logfile=_Nowhere(), formatting_info=True, on_demand=True, ragged_rows=True
        )
        refuse_sheets(book.nsheets)
        _refuse_repeated_reading(book.nsheets, len(stream))
        return [_tab(book, number, budget) for number in range(book.nsheets)]
    except SheetError:
        raise
    except Exception as error:
        raise damaged(error) from error


def _refuse_repeated_reading(sheets: int, size: int) -> None:
    """Refuse more sheets than have room in the file: they share their cells, each of which would be read many times."""
    if sheets * size > _MOST_READ + 32 * size:
        raise damaged(ValueError(f"{sheets} sheets in {size} bytes"))


def _tab(book: xlrd.Book, number: int, budget: Budget) -> Tab:
    sheet = book.sheet_by_index(number)
    book.unload_sheet(number)
    grid = Grid(budget)
    for row in range(sheet.nrows):
        budget.take_tags(1 + sheet.row_len(row))
        info = sheet.rowinfo_map.get(row)
        grid.begin_row(row + 1, hidden=info is not None and bool(info.hidden))
        for position, cell in enumerate(sheet.row(row)):
            grid.put(position, *_shown(book, cell))
        grid.end_row()
    for position in sorted(sheet.colinfo_map):
        if sheet.colinfo_map[position].hidden:
            grid.hide_columns(range(position, position + 1))
    for top, bottom, left, right in sheet.merged_cells:
        grid.merge(Area(top + 1, left, bottom, right - 1))
    return Tab(sheet.name, sheet.visibility == 0, lambda _: grid)


def _shown(book: xlrd.Book, cell: xlrd.sheet.Cell) -> tuple[str, str | None]:
    """What a cell shows, and its kind."""
    value = cell.value
    if isinstance(value, str):
        return plain_text(value), None
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(int(value), "#ERROR!"), ERROR
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return ("TRUE" if value else "FALSE"), TRUTH
    if cell.ctype == xlrd.XL_CELL_DATE:
        return date_text(SINCE_1904 if book.datemode else SINCE_1900, value), DATE
    style = book.xf_list[cell.xf_index or 0]
    in_percent = is_percent(book.format_map[style.format_key].format_str)
    return percent_text(value) if in_percent else number_text(value), NUMBER


class _Nowhere(io.TextIOBase):
    """Where the library's warnings go."""

    def write(self, text: str) -> int:
        return len(text)
