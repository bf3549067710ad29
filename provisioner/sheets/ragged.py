"""A row must have as many cells as the header: which cell belongs to which column is never guessed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioner.records import Status
from provisioner.sheets.delimited import ROWS_OR_A_CELL
from provisioner.sheets.sheet import BLANKS, UNCERTAIN

if TYPE_CHECKING:
    from provisioner.sheets.delimited import Record
    from provisioner.sheets.headers import Layout

_DELIMITER_NAMES: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}


class Fitted(NamedTuple):
    """A row of exactly as many cells as the header has."""

    cells: list[str]
    fault: str | None = None
    """Why it is not certain which cell belongs to which column, or None. Then some cells are marked."""


def fit(record: Record, layout: Layout, delimiter: str, *, blank_end: bool = False) -> Fitted:
    """The record's cells, as many as the header has; where that took a guess, with the reason.

    `blank_end` says that the rows of this file end in a blank cell that the header does not have.
    """
    width = layout.width
    if record.fault is None and len(record.cells) == width:
        return Fitted(record.cells)
    cells = _completed(record, layout)
    if record.fault is None:
        if blank_end and len(cells) == width + 1 and not cells[-1].strip(BLANKS):
            cells = cells[:-1]
        if len(cells) == width:
            return Fitted(cells)
        fault = _miscounted(len(cells), width, delimiter)
    else:
        fault = record.fault
        cells = _marked(record)
    if len(cells) > width:
        cells = [*cells[: width - 1], UNCERTAIN.join(cells[width - 1 :])]
    return Fitted(cells + [UNCERTAIN] * (width - len(cells)), fault)


def _marked(record: Record) -> list[str]:
    """The cells of a record that cannot be told apart, at least one of them marked."""
    if record.fault == ROWS_OR_A_CELL:
        return [UNCERTAIN + cell for cell in record.cells]
    cells = [UNCERTAIN + cell if '"' in cell else cell for cell in record.cells]
    return cells if any(UNCERTAIN in cell for cell in cells) else [UNCERTAIN + cells[0], *cells[1:]]


def _completed(record: Record, layout: Layout) -> list[str]:
    """The cells, with those of our own at the end that are blank and that Excel leaves out when it saves the file.

    What the file says of the row's state proves that nothing before it is missing.
    """
    cells, added = record.cells, layout.added
    missing = range(len(cells), layout.width)
    if not added or record.fault or not missing or not set(missing) <= set(added.values()) - {added["status"]}:
        return cells
    sheet_row, status = (cells[added[name]].strip(BLANKS) for name in ("sheet_row", "status"))
    proved = status.lower() in list(Status) and (not sheet_row or sheet_row.isdecimal())
    return [*cells, *("" for _ in missing)] if proved else cells


@cache  # One text for however many rows.
def _miscounted(have: int, width: int, delimiter: str) -> str:
    return (
        f"the row has {have} cell{'' if have == 1 else 's'} where the header has {width}, "
        "so it is not certain which cell belongs to which column; "
        f"a password that holds {_DELIMITER_NAMES.get(delimiter, 'the delimiter')} must stand in quotation marks"
    )
