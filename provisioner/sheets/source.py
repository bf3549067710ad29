"""A file opened as far as its header: what its columns are called, and the rows that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.decoding import find_encoding, lines, pieces
from provisioner.sheets.delimited import DELIMITERS, Record, records, runs
from provisioner.sheets.headers import is_ours, known_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provisioner.sheets.delimited import Run
    from provisioner.sheets.headers import Meaning

SEARCHED_ROWS: Final = 100
"""How far down the header is looked for."""
TELLING_NAMES: Final = 2
"""A row that names so many columns is a header."""

_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """A table that has a header and, below it, rows that are read as they are asked for."""

    header: Record
    rows: Iterator[Run | Record]
    delimiter: str
    """What a CSV file of the same office should have between its cells."""
    certain: bool
    """False where the encoding was guessed, so that a character beyond ASCII may be another."""
    above: Sequence[Record] = ()
    """What stands above the header."""


def text_source(data: bytes, encoding: str | None, column_for: Meaning) -> Source:
    """A text file, opened under the delimiter that makes its header name the most columns.

    Raises:
        SheetError: It cannot be decoded, or has no header.
    """
    certainty = find_encoding(data, encoding)
    source = pieces(data, certainty)
    top: list[str] = []
    while len(top) <= SEARCHED_ROWS and (piece := next(source, "")):
        top += lines(piece)
    delimiters: Sequence[str] = DELIMITERS
    # Spreadsheet programs take this line for themselves and number the rows from the next.
    if named := _SEPARATOR_LINE.fullmatch(top[0]):
        delimiters = named.group(1)
        if delimiters not in DELIMITERS:
            raise SheetError(
                f"The first line says that “{delimiters}” separates the cells, which this program does not read.",
                remedy="Save the sheet with commas, semicolons, tabs or pipes between its cells.",
            )
        del top[0]
    candidates = [find_header(records(top[:SEARCHED_ROWS], delimiter), column_for) for delimiter in delimiters]
    best = max(range(len(delimiters)), key=lambda place: candidates[place].known)
    found, delimiter = candidates[best], delimiters[best]
    if found.header is None:
        raise no_header()
    for other in candidates:
        if other.known >= TELLING_NAMES and other.header and other.header.number + 1 < found.header.number:
            raise two_tables(other.header, found.header)
    below = "".join(f"{line}\n" for line in top[found.lines :])
    body = runs(
        chain([below] if below else [], source),
        delimiter,
        len(found.header.cells),
        first=found.header.number + 1,
        written_by_us=is_ours(found.header.cells),
    )
    return Source(found.header, body, delimiter, certainty.certain, found.above)


@dataclass(frozen=True)
class Found:
    """The likeliest header of a table."""

    header: Record | None
    """None where no row names a column."""
    known: int
    """How many columns of the schema it names."""
    lines: int
    """How many lines of a text file it ends after."""
    above: Sequence[Record] = ()


def find_header(rows: Iterable[Record], column_for: Meaning) -> Found:
    """The first of the rows that name the most columns."""
    best = Found(None, 0, 0)
    seen: list[Record] = []
    consumed = 0
    for record in rows:
        consumed += record.lines
        known = known_columns(record.cells, column_for)
        if known > best.known:
            best = Found(record, known, consumed, tuple(seen))
        seen.append(record)
    return best


def two_tables(first: Record, second: Record) -> SheetError:
    """What to say of a sheet with two headers and rows between them: either table would be lost without a word."""
    return SheetError(
        f"Row {first.number} and row {second.number} are both headers, with rows between them, "
        "so it is not certain which table is meant.",
        remedy="Put each table into a sheet of its own, or bring all rows below one header.",
    )


def no_header() -> SheetError:
    """What to say of a sheet in which no row names a column."""
    return SheetError(
        f"No header was found in the first {SEARCHED_ROWS} rows of the sheet.",
        remedy="Give the sheet a row with the names of its columns, such as email, domain, relay_server and password.",
    )
