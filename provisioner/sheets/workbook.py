"""XLSX, XLS and ODS: from the cells of a workbook to records.

A workbook keeps numbers, dates and errors, of which the text that a person sees is only a picture. Integers are taken
as they are; what else is not text is noted, so that the row can be refused where the cell is to be sent.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import python_calamine as calamine

from provisioner.errors import SheetError
from provisioner.sheets.blindspots import BlindSpots, blind_spots, refuse_damaged
from provisioner.sheets.delimited import NO_DOUBTS, Record
from provisioner.sheets.sheet import column_letters
from provisioner.sheets.source import SEARCHED_ROWS, Found, Source, find_header, no_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from provisioner.sheets.headers import Meaning

NUMBER: Final = "number"
DATE: Final = "date"
TRUTH: Final = "truth"
MERGED: Final = "merged"

# Spreadsheet programs keep 15 digits of a number, whatever was typed.
_EXACT_BELOW: Final = 10**15


def workbook_source(
    data: bytes, sheet_name: str | None, column_for: Meaning, enough: Callable[[Record], bool]
) -> Source:
    """The sheet of a workbook that holds the mailboxes.

    Args:
        data: The file.
        sheet_name: The sheet to take; None takes the only visible one whose header is `enough`.
        column_for: The column that a header means.
        enough: Whether a header has all that a sheet of mailboxes needs.

    Raises:
        SheetError: It is no workbook, is locked, or it is not certain which sheet is meant.
    """
    page = _choose(_open(data), sheet_name, column_for, enough)
    header = page.found.header
    if header is None:
        raise no_header()
    blind = blind_spots(data, page.sheet.name)
    _refuse_hidden_columns(header, blind, column_for)
    rows = _records(page.sheet, blind)
    below = (record for record in rows if record.number > header.number)
    return Source(header, below, ",", certain=True, above=page.found.above)


def _refuse_hidden_columns(header: Record, blind: BlindSpots, column_for: Meaning) -> None:
    for position, name in enumerate(header.cells):
        if column_for(name) and any(position in hidden for hidden in blind.hidden_columns):
            raise SheetError(
                f"The column “{name.strip()}” ({column_letters(position)}) is hidden in the workbook, "
                "so it is not certain that it is meant.",
                remedy="Show it, or delete it, and save the workbook.",
            )


@dataclass(frozen=True)
class _Page:
    """One sheet of a workbook."""

    sheet: calamine.CalamineSheet
    found: Found
    visible: bool


def _open(data: bytes) -> calamine.CalamineWorkbook:
    try:
        return calamine.load_workbook(io.BytesIO(data))
    except calamine.PasswordError as error:
        raise SheetError(
            "The workbook is locked with a password.", remedy="Save it without one, or as “CSV UTF-8”."
        ) from error
    except calamine.CalamineError as error:
        refuse_damaged(error)


def _choose(
    book: calamine.CalamineWorkbook, named: str | None, column_for: Meaning, enough: Callable[[Record], bool]
) -> _Page:
    names = [sheet.name for sheet in book.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
    if named is not None and named not in names:
        raise SheetError(f"The workbook has no sheet “{named}”.", remedy=f"Its sheets are {_listed(names)}.")
    pages = {name: _page(book, name, column_for) for name in names if named in (None, name)}
    if named is not None:
        return pages[named]
    pages = {name: page for name, page in pages.items() if page.found.header}
    visible = {name: page for name, page in pages.items() if page.visible}
    complete = {name: page for name, page in visible.items() if page.found.header and enough(page.found.header)}
    candidates = complete or visible
    if len(candidates) == 1:
        return next(iter(candidates.values()))
    if candidates:
        raise SheetError(
            f"The workbook has several sheets that could be meant: {_listed(candidates)}.",
            remedy=f'Name one with --sheet, such as --sheet "{next(iter(candidates))}".',
        )
    if pages:
        raise SheetError(
            f"Only hidden sheets of the workbook hold mailboxes: {_listed(pages)}.",
            remedy="Show the sheet in the spreadsheet program, or name it with --sheet.",
        )
    raise no_header()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _page(book: calamine.CalamineWorkbook, name: str, column_for: Meaning) -> _Page:
    try:
        sheet = book.get_sheet_by_name(name)
    except calamine.CalamineError as error:
        refuse_damaged(error)
    visible = {sheet.name: sheet.visible for sheet in book.sheets_metadata}[name] == calamine.SheetVisibleEnum.Visible
    return _Page(sheet, find_header(islice(_records(sheet, BlindSpots()), SEARCHED_ROWS), column_for), visible)


def _records(sheet: calamine.CalamineSheet, blind: BlindSpots) -> Iterator[Record]:
    """The rows of a sheet, all as wide as the widest, with what is blind in them noted."""
    # Rows are given from the first, columns from the first that is used.
    margin = [""] * (sheet.start[1] if sheet.start else 0)
    merged = _merged(sheet)
    for number, values in enumerate(sheet.iter_rows(), start=1):
        cells, unconfirmed_rows = [*margin], dict(merged.get(number, NO_DOUBTS))
        for position, value in enumerate(values, start=len(margin)):
            text, kind = _as_text(value)
            cells.append(text)
            if kind:
                unconfirmed_rows[position] = kind
        for position, spot in blind.cells.get(number, {}).items():
            unconfirmed_rows[position] = spot.kind
            if spot.shown and position < len(cells):
                cells[position] = spot.shown
        yield Record(number, cells, unconfirmed_rows=unconfirmed_rows)


def _as_text(value: Any) -> tuple[str, str | None]:
    """A cell as text, and of what kind it is where that is not what the workbook holds."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n"), None
    if isinstance(value, bool):
        return str(value).upper(), TRUTH
    if isinstance(value, int | float):
        if abs(value) >= _EXACT_BELOW:
            return f"{value:.15G}", NUMBER
        return str(int(value)) if value == int(value) else repr(value), NUMBER
    return str(value), DATE


def _merged(sheet: calamine.CalamineSheet) -> dict[int, dict[int, str]]:
    """By row and position, the cells that are blank because one beside or above them spreads over them."""
    merged: dict[int, dict[int, str]] = {}
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        for row in range(top, min(bottom, sheet.total_height) + 1):
            for column in range(left, right + 1):
                if (row, column) != (top, left):
                    merged.setdefault(row + 1, {})[column] = MERGED
    return merged
