"""Which cells that would be sent cannot be read with certainty, and what is said about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from provisioner.sheets.grid import DATE, ERROR, FORMULA, HIDDEN, MERGED, NUMBER, TRUTH

if TYPE_CHECKING:
    from provisioner.schema import Column

LONGEST_CELL: Final = 1000
"""Characters, of a cell that would be sent. It keeps the time of every pattern of a schema bounded."""
LONGEST_OTHER_CELL: Final = 32_767
"""Characters, of any other cell: as many as a spreadsheet program keeps."""

_GUESSED: Final = (
    "the encoding of the file had to be guessed, so the letters of {cell} are not certain; "
    "save the sheet as “CSV UTF-8”, or name its encoding with --encoding"
)
_TOO_LONG: Final = "{cell} has {length:,} characters, and at most {longest:,} are read; shorten it"
_TYPE_AGAIN: Final = "format the column as text and type it again"
_SENTENCES: Final = {
    NUMBER: "{cell} is stored as a number, without leading zeros; " + _TYPE_AGAIN,
    DATE: "{cell} is stored as a date or a time; " + _TYPE_AGAIN,
    TRUTH: "{cell} is stored as TRUE or FALSE; " + _TYPE_AGAIN,
    ERROR: "{cell} shows an error; write the value itself",
    FORMULA: "{cell} shows an error, or a formula that was never calculated; write the value itself, and if it begins "
    "with =, format the cell as text first",
    MERGED: "{cell} is merged with another cell; unmerge them, and write the value into each",
    HIDDEN: "the row of {cell} is hidden in the workbook, so it is not certain that it is meant; show it, or delete it",
}
_SHOWN_NUMBER: Final = "{cell} is stored as the number {text}. If it should be 00{text}, " + _TYPE_AGAIN


def why_uncertain(text: str, cell: str, column: Column | None, kind: str | None, *, certain: bool) -> str | None:
    """Why a cell is not certain, or None if it is.

    Args:
        text: What it holds.
        cell: Its name, such as `D17`.
        column: What the schema knows of its column; None if it does not know it, and the cell is not sent.
        kind: What it is stored as in a workbook; None if that is text.
        certain: Whether the encoding of the file is certain.
    """
    longest = LONGEST_CELL if column else LONGEST_OTHER_CELL
    if len(text) > longest:
        return _TOO_LONG.format(cell=cell, length=len(text), longest=longest)
    if column is None:
        return None
    if kind is not None and not (kind == NUMBER and column.whole_number):
        return _about(kind, text, column).format(cell=cell, text=text)
    return None if certain or text.isascii() else _GUESSED.format(cell=cell)


def _about(kind: str, text: str, column: Column) -> str:
    return _SHOWN_NUMBER if kind == NUMBER and text.isdecimal() and not column.secret else _SENTENCES[kind]
