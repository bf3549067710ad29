"""How much a sheet may hold, so that reading it takes memory and time in proportion to the size of its file.

A workbook is compressed, so that a file of a few kilobytes may unpack to gigabytes. What may be unpacked grows with the
size of the file and is far above what spreadsheet programs write: a LibreOffice sheet with 100,000 nearly equal rows
unpacks to 130 times its size, others to between 5 and 15 times.
"""

from __future__ import annotations

from typing import Final

from provisioner.errors import SheetError

MOST_COLUMNS: Final = 1_000
MOST_SHEETS: Final = 500
LONGEST_CELL: Final = 100_000
"""In characters; Excel keeps 32,767."""
MOST_FAULTY_ROWS: Final = 50_000
"""In a sheet of any size. What is wrong with each is written into every file, which takes one to three seconds for each
10,000 of them."""
LAST_ROW: Final = 1 << 24
"""Excel has 1,048,576 rows, LibreOffice up to 16 times as many."""

_REMEDY: Final = "Copy the rows with mailboxes into a new workbook, and save that as .xlsx."


class Budget:
    """What reading one workbook may still take. Each method raises SheetError when there is not enough left."""

    def __init__(self, file_size: int) -> None:
        self._bytes = (32 << 20) + 100 * file_size
        self._tags = 1_000_000 + 3 * file_size
        self._characters = (16 << 20) + 20 * file_size
        self._rows = 20_000 + file_size // 4
        self._cells = 1_000_000 + 4 * file_size

    def check_declared(self, size: int) -> None:
        """Refuse a part of the file that says of itself that it unpacks to too many bytes."""
        _less(self._bytes, size)

    def take_bytes(self, count: int) -> None:
        """Count bytes that were unpacked."""
        self._bytes = _less(self._bytes, count)

    def take_tags(self, count: int) -> None:
        """Count XML tags, of which a cell has between three and six."""
        self._tags = _less(self._tags, count)

    def take_text(self, text: str) -> None:
        """Count the characters of a text that is kept."""
        if len(text) > LONGEST_CELL:
            raise cell_too_long()
        self._characters = _less(self._characters, len(text))

    def check_table(self, rows: int, width: int) -> None:
        """Refuse a sheet with too many rows in which something stands, or too many cells, blank ones included."""
        if rows > self._rows or rows * width > self._cells:
            raise SheetError(
                f"A sheet of the workbook has {rows:,} rows or more with {width:,} columns, "
                "more than a file of this size holds.",
                remedy=_REMEDY,
            )

    def check_areas(self, count: int) -> None:
        """Refuse a sheet with more merged areas than it may have rows."""
        _less(self._rows, count)


def refuse_sheets(count: int) -> None:
    """Raise SheetError if that is too many sheets for one workbook."""
    if count > MOST_SHEETS:
        raise SheetError(
            f"The workbook has {count:,} sheets; at most {MOST_SHEETS} can be read.",
            remedy="Copy the sheet with mailboxes into a new workbook.",
        )


def most_faulty_rows(size: int) -> int:
    """How many rows of a file of `size` bytes may have errors: all of them if a row has 16 bytes, as mailboxes have.

    In a workbook, whose bytes are compressed, their passwords alone take about as many.
    """
    return min(MOST_FAULTY_ROWS, 5_000 + size // 16)


def too_many_faulty(most: int, row: int, fault: str) -> SheetError:
    """What to say of a sheet with more than `most` faulty rows. `fault` is what is wrong with the first."""
    return SheetError(
        f"More than {most:,} rows have errors, so they are not listed. The first is row {row}: {fault}",
        remedy="Fix in the sheet what these rows have in common, then check it again.",
    )


def cell_too_long() -> SheetError:
    """What to say of a workbook with a longer cell than any spreadsheet program keeps."""
    return SheetError(f"A cell of the workbook holds more than {LONGEST_CELL:,} characters.", remedy=_REMEDY)


def too_wide(letters: str, row: int) -> SheetError:
    """What to say of a workbook with a filled cell far to the right of any table."""
    return SheetError(
        f"The cell {letters}{row} holds something far to the right of the table; a sheet may have "
        f"{MOST_COLUMNS:,} columns.",
        remedy="Delete that cell, or copy the rows with mailboxes into a new workbook.",
    )


def _less(left: int, count: int) -> int:
    """What is left after `count` of it were taken."""
    if count > left:
        raise SheetError("The workbook unpacks to far more than a file of its size should hold.", remedy=_REMEDY)
    return left - count
