"""A table opened as far as its header: what its columns are called, and the rows that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.cleaning import NO_PADDING, Padding
from provisioner.sheets.decoding import find_encoding, lines
from provisioner.sheets.delimited import DELIMITERS, Record, records
from provisioner.sheets.headers import (
    SEARCHED_ROWS,
    TELLING_NAMES,
    find_header,
    is_ours,
    known_columns,
    no_header,
    two_tables,
)
from provisioner.sheets.limits import MOST_FAULTY_ROWS
from provisioner.sheets.sheet import BLANKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provisioner.sheets.headers import Meaning

_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A table that has a header and, below it, rows that are read as they are asked for."""

    header: Record
    rows: Iterator[Record]
    delimiter: str
    """What a CSV file of the same office should have between its cells."""
    certain: bool
    """False if the encoding was guessed, so that a character beyond ASCII may be another."""
    above: Sequence[Record] = ()
    """What stands above the header."""
    blank_end: bool = False
    """Whether the rows end in a blank cell that the header does not have, as some programs write them."""
    padding: Padding = NO_PADDING
    """Blanks around the header's cells that are layout in each row that has them too."""
    tab: str = ""
    """The name of the workbook's sheet; empty for a text file."""
    most_faulty: int = MOST_FAULTY_ROWS
    """How many rows may have errors."""


def text_source(data: bytes, encoding: str | None, column_for: Meaning) -> Source:
    """A text file, opened under the delimiter that makes its header name the most columns.

    Raises:
        SheetError: It cannot be decoded, or has no header.
    """
    certainty = find_encoding(data, encoding)
    source = lines(data, certainty)
    top = list(islice(source, SEARCHED_ROWS + 1))
    delimiters = _delimiters(top)
    candidates = [find_header(records(top[:SEARCHED_ROWS], delimiter), column_for) for delimiter in delimiters]
    best = max(range(len(delimiters)), key=lambda place: candidates[place].known)
    found, delimiter = candidates[best], delimiters[best]
    if found.header is None:
        _refuse_one_cell_a_line(top, column_for)
        raise no_header()
    for other in candidates:
        if other.known >= TELLING_NAMES and other.header and other.header.number + 1 < found.header.number:
            raise two_tables(other.header, found.header)
    used = sum(record.lines for record in (*found.above, found.header))
    below, width, ours = top[used:], len(found.header.cells), is_ours(found.header.cells)
    rows = records(chain(below, source), delimiter, width=width, first=found.header.number + 1, written_by_us=ours)
    blank_end = not ours and _ends_blank(records(below, delimiter), width)
    padding = Padding.of(found.header.cells)
    return Source(found.header, rows, delimiter, certainty.certain, found.above, blank_end, padding)


def _delimiters(top: list[str]) -> Sequence[str]:
    """What may separate the cells. A line that says so is taken away.

    Spreadsheet programs take such a line for themselves and number the rows from the next.
    """
    named = _SEPARATOR_LINE.fullmatch(top[0])
    if named is None:
        return DELIMITERS
    if named[1] not in DELIMITERS:
        raise SheetError(
            f"The first line says that “{named[1]}” separates the cells, which this program does not read.",
            remedy="Save the sheet with commas, semicolons, tabs or pipes between its cells.",
        )
    del top[0]
    return named[1]


def _refuse_one_cell_a_line(top: Sequence[str], column_for: Meaning) -> None:
    """A line that is one quoted cell is what a program leaves that opened the file in one column and saved it."""
    for line in top:
        cell = next(records([line], "\0")).cells[0]
        names = [known_columns(cell.split(delimiter), column_for) for delimiter in DELIMITERS]
        if max(names) >= TELLING_NAMES:
            raise SheetError(
                "Each line of the file is one quoted cell, so all of its columns are in the first.",
                remedy="Open it in the spreadsheet program, split column A with Data > Text to Columns, and save it "
                "again as .xlsx or “CSV UTF-8”.",
            )


def _ends_blank(rows: Iterable[Record], width: int) -> bool:
    """Whether each of the first rows, of which one alone proves nothing, has a blank cell beyond the header's last."""
    filled = [row.cells for row in rows if any(cell.strip(BLANKS) for cell in row.cells)]
    return len(filled) > 1 and all(len(cells) == width + 1 and not cells[-1].strip(BLANKS) for cells in filled)
