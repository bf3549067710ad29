"""What of a row cannot be read with certainty, and what is said about it.

A row must have as many cells as the header, as which cell belongs to which column is never guessed. A cell that is sent
must be the text that a person sees. A row of a failures file must still say which row it corrects.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from provisioner.messages import listed
from provisioner.records import Status, TaskId
from provisioner.schema import LONGEST_CELL
from provisioner.sheets.delimited import ROWS_OR_A_CELL
from provisioner.sheets.files import unescape_formula
from provisioner.sheets.grid import DATE, ERROR, FORMULA, HIDDEN, MERGED, NUMBER, TRUTH
from provisioner.sheets.sheet import BLANKS, UNCERTAIN, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.schema import Column
    from provisioner.sheets.delimited import Record
    from provisioner.sheets.headers import Layout

LONGEST_OTHER_CELL: Final = 32_767
"""Characters, of a cell that is not sent: as many as a spreadsheet program keeps."""

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
    HIDDEN: "the row of {cell} is hidden in the workbook; if it is meant, show it, or delete the mark "
    f"{UNCERTAIN} in the failures file; if not, delete the row",
}
_SHOWN_NUMBER: Final = "{cell} is stored as the number {text}. If it should be 00{text}, " + _TYPE_AGAIN
DELETE_MARK: Final = f"correct it, and delete the mark {UNCERTAIN}"

_NUMBER: Final = re.compile(r"([1-9][0-9]{0,8})(?:\.0)?")
_NAMED: Final = 5
"""Maximum number of rows that a sentence names."""
_DELIMITER_NAMES: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}


def fit(record: Record, layout: Layout, delimiter: str, *, blank_end: bool = False) -> tuple[list[str], str | None]:
    """The record's cells, as many as the header has, and why it is not certain which cell belongs to which column.

    That is None if it is certain; otherwise some cells are marked. `blank_end` says that the rows of this file end in a
    blank cell that the header does not have.
    """
    width, fault, cells = layout.width, record.fault, record.cells
    if fault is None:
        cells = _completed(record, layout)
        if blank_end and len(cells) == width + 1 and not cells[-1].strip(BLANKS):
            cells = cells[:-1]
        if len(cells) == width:
            return cells, None
        fault = _miscounted(len(cells), width, delimiter)
    else:
        cells = _marked(record)
    if len(cells) > width:
        cells = [*cells[: width - 1], UNCERTAIN.join(cells[width - 1 :])]
    return cells + [UNCERTAIN] * (width - len(cells)), fault


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
        sentence = _SHOWN_NUMBER if kind == NUMBER and text.isdecimal() and not column.secret else _SENTENCES[kind]
        return sentence.format(cell=cell, text=text)
    return None if certain or text.isascii() else _GUESSED.format(cell=cell)


def origin_of(cells: Sequence[str], added: Mapping[str, int]) -> tuple[Origin, str | None]:
    """What a failures file says of a row, and why that is not to be relied on, or None.

    `added` is where the file's own columns stand.
    """
    sheet_row, status, task_id, error = (cells[added[name]] for name in ("sheet_row", "status", "task_id", "error"))
    number, word = _NUMBER.fullmatch(sheet_row.strip(BLANKS)), status.strip(BLANKS).lower()
    task = unescape_formula(task_id).strip(BLANKS)
    origin = Origin(
        sheet_row=int(number[1]) if number else None,
        task_id=TaskId(task) if task else None,
        status=Status(word) if word in list(Status) else None,
        error=unescape_formula(error),
    )
    if sheet_row.strip(BLANKS) and number is None:
        return origin, "its sheet_row is not a row's number; write the number back, or clear it if the row is new"
    if word and origin.status is None:
        return origin, "its status is not one that this program writes; write it back, or clear it if the row is new"
    return origin, None


def why_marked(cell: str, origin: Origin | None) -> str:
    """Why a cell is uncertain that has a mark since an earlier reading.

    The failures file says so itself. Its status proves that the sentence stands where it belongs, so that no other
    cell's text is taken for it.
    """
    if origin is None or origin.status is not Status.INVALID or not origin.error:
        return f"{cell} could not be read with certainty; {DELETE_MARK}"
    return origin.error if UNCERTAIN in origin.error else f"{origin.error}; {DELETE_MARK}"


def shared_origins(origins: Mapping[int, Origin]) -> Iterator[tuple[int, str]]:
    """The rows that say they correct the same row as another, each with the sentence about it.

    That is what copying a row within a failures file leaves.
    """
    by_origin: dict[int, list[int]] = {}
    for row, origin in origins.items():
        if origin.sheet_row is not None:
            by_origin.setdefault(origin.sheet_row, []).append(row)
    for sheet_row, rows in by_origin.items():
        if len(rows) > 1:
            sentence = (
                f"the rows {listed(list(map(str, rows)), _NAMED)} of this file all have the sheet_row {sheet_row}; "
                "clear sheet_row in each one that is new"
            )
            yield from ((row, sentence) for row in rows)
