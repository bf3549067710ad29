"""From lines of text to records: rows of cells between delimiters, some of the cells in quotation marks.

A quotation mark that is not closed, or stands where none may stand, costs its own row only: the record is marked, and
the lines after it are read for themselves. Where lines may be rows as well as a cell of several lines, each is marked.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioner.sheets.decoding import lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DELIMITERS: Final = (",", ";", "\t", "|")

NO_DOUBTS: Final[Mapping[int, str]] = {}

STRAY_QUOTE: Final = (
    "a quotation mark opens or closes where it cannot, so its cells cannot be told apart; "
    "delete the mark, or double it within a quoted cell"
)
ROWS_OR_A_CELL: Final = (
    "lines between two quotation marks look like rows, so it is not certain whether they are rows or one cell; "
    "if they are rows, take the quotation marks away, if they are a cell, write it on one line"
)


class Record(NamedTuple):
    """One row of a file, whatever it is."""

    number: int
    """As the spreadsheet program shows it; a cell with line breaks does not make it count twice."""
    cells: list[str]
    fault: str | None = None
    """Why the cells cannot be told apart; None where they can. They are then what stands between the delimiters."""
    lines: int = 1
    """How many lines of a text file it takes."""
    unconfirmed_rows: Mapping[int, str] = NO_DOUBTS
    """By position, of what kind a cell was that a workbook does not hold as text."""


class Run(NamedTuple):
    """Rows one after another, each of as many certain cells as the header has."""

    first: int
    """The number of the first."""
    columns: Sequence[list[str]]
    """By position."""
    text: str
    """All of them, as they stand in the file."""


@dataclass(frozen=True)
class _Grammar:
    """What a line can be, for one delimiter."""

    whole: re.Pattern[str]
    """A row by itself, every cell of it either without a quotation mark or quoted as it should be."""
    opens: re.Pattern[str]
    """The same, but its last cell goes on in the next line."""
    goes_on: re.Pattern[str]
    """Within a quoted cell from its beginning to its end."""
    reopens: re.Pattern[str]
    """Closes the quoted cell it begins in, and opens another."""
    closes: re.Pattern[str]
    """Closes the quoted cell it begins in, and then the row is whole."""


@cache
def _grammar(delimiter: str) -> _Grammar:
    inner = '[^"]*+(?:""[^"]*+)*+'
    between = re.escape(delimiter)
    cell = f'(?:"{inner}"|[^"{between}]*+)'
    rest = f"(?:{between}{cell})*+"
    opening = f'(?:{cell}{between})*"{inner}'
    return _Grammar(
        whole=re.compile(cell + rest),
        opens=re.compile(opening),
        goes_on=re.compile(inner),
        reopens=re.compile(f'{inner}"{between}{opening}'),
        closes=re.compile(f'{inner}"{rest}'),
    )


def runs(
    pieces: Iterable[str], delimiter: str, width: int, *, first: int, written_by_us: bool = False
) -> Iterator[Run | Record]:
    """What `records` yields of the rows below a header of `width` cells, all of a piece at once where each is plain.

    `pieces` are texts of whole lines, each of them ended by LF.
    """
    source = iter(pieces)
    following = map(lines, source)
    number = first
    for piece in source:
        columns = _columns(piece, delimiter, width)
        if columns is not None:
            yield Run(number, columns, piece)
            number += len(columns[0])
            continue
        ahead = deque(lines(piece))
        for record in _records(ahead, following, delimiter, width, number, written_by_us=written_by_us):
            yield record
            number = record.number + 1


def _columns(piece: str, delimiter: str, width: int) -> Sequence[list[str]] | None:
    """The cells of plain rows by position; None where any of the lines is something else."""
    row = delimiter * (width - 1) + "\n"
    if '"' in piece or _only(delimiter + "\n", piece) != row.encode() * piece.count("\n"):
        return None
    cells = piece.replace("\n", delimiter).split(delimiter)
    return [cells[position:-1:width] for position in range(width)]


def _only(characters: str, text: str) -> bytes:
    """What is left of a text without all characters but these of ASCII."""
    return text.encode().translate(None, _all_but(characters))


@cache
def _all_but(characters: str) -> bytes:
    return bytes(character for character in range(256) if chr(character) not in characters)


def records(rows: Iterable[str], delimiter: str, *, width: int | None = None, first: int = 1) -> Iterator[Record]:
    """The rows of a file one by one, blank ones too, counted from `first`.

    A quoted cell may hold line breaks. Where it could also be a stray quotation mark that has swallowed rows of
    `width` cells, each of its lines is a row that is not certain.
    """
    return _records(deque(rows), iter(()), delimiter, width, first, written_by_us=False)


def _records(
    ahead: deque[str],
    source: Iterator[list[str]],
    delimiter: str,
    width: int | None,
    number: int,
    *,
    written_by_us: bool,
) -> Iterator[Record]:
    grammar = _grammar(delimiter)
    maybe_sent = 0
    while ahead:
        line = ahead.popleft()
        if maybe_sent:
            record = Record(number, line.split(delimiter), ROWS_OR_A_CELL)
            maybe_sent -= 1
        elif '"' not in line:
            record = Record(number, line.split(delimiter))
        elif grammar.whole.fullmatch(line):
            record = _parsed(number, [line], delimiter)
        else:
            block = _quoted_block(line, ahead, source, grammar) if grammar.opens.fullmatch(line) else []
            if not block:
                record = Record(number, line.split(delimiter), STRAY_QUOTE)
            elif written_by_us or not _swallows_rows(block, delimiter, width):
                for _ in block[1:]:
                    ahead.popleft()
                record = _parsed(number, block, delimiter)
            else:
                record = Record(number, line.split(delimiter), ROWS_OR_A_CELL)
                maybe_sent = len(block) - 1
        yield record
        number += 1


def _quoted_block(line: str, ahead: deque[str], source: Iterator[list[str]], grammar: _Grammar) -> list[str]:
    """The lines of the row that `line` opens, those after it left in `ahead`; empty where the row never closes."""
    block = [line]
    while True:
        if len(block) > len(ahead):
            more = next(source, None)
            if more is None:
                return []
            ahead.extend(more)
        following = ahead[len(block) - 1]
        block.append(following)
        if grammar.closes.fullmatch(following):
            return block
        if not grammar.goes_on.fullmatch(following) and not grammar.reopens.fullmatch(following):
            return []


def _swallows_rows(block: list[str], delimiter: str, width: int | None) -> bool:
    """Whether a quoted cell over several lines holds what looks like rows of their own."""
    complete = [line.count(delimiter) + 1 == width for line in block]
    return any(complete[1:-1]) or (complete[0] and complete[-1])


def _parsed(number: int, block: list[str], delimiter: str) -> Record:
    try:
        (cells,) = csv.reader(["\n".join(block)], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError):
        # The module takes no cell of more than 131,072 characters.
        return Record(number, block[0].split(delimiter), "a cell is too long to be read")
    return Record(number, cells, None, len(block))
