"""From lines of text to records: rows of cells between delimiters, some of the cells in quotation marks.

A quotation mark that is not closed, or stands where none may stand, costs its own row only: the record is marked, and
the lines after it are read for themselves. Where lines may be rows as well as a cell of several lines, each is marked.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DELIMITERS: Final = (",", ";", "\t", "|")

ALL_TEXT: Final[Mapping[int, str]] = {}
"""The kinds of a row whose cells are all text."""

STRAY_QUOTE: Final = (
    "a quotation mark is where none can be, so the cells cannot be told apart; "
    "delete it, or double it inside a quoted cell"
)
ROWS_OR_A_CELL: Final = (
    "lines between two quotation marks look like rows, so it is not certain whether they are rows or one cell; "
    "delete the quotation marks if they are rows, or write the cell on one line"
)


class Record(NamedTuple):
    """One row of a file: a header, a mailbox, a note or a blank row."""

    number: int
    """As the spreadsheet program shows it; a cell with line breaks does not make it count twice."""
    cells: list[str]
    fault: str | None = None
    """Why the cells cannot be told apart, or None. Then they are what stands between the delimiters."""
    lines: int = 1
    """How many lines of a text file it takes."""
    kinds: Mapping[int, str] = ALL_TEXT
    """By position, the kind of each cell that a workbook does not hold as text."""


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


def records(
    rows: Iterable[str], delimiter: str, *, width: int | None = None, first: int = 1, written_by_us: bool = False
) -> Iterator[Record]:
    """The rows of a file one by one, blank ones too, counted from `first`.

    A quoted cell may hold line breaks. Where it could also be a stray quotation mark that has swallowed rows of
    `width` cells, each of its lines is a row that is not certain; but not in a file that was `written_by_us`.
    """
    grammar = _grammar(delimiter)
    lines = _Lines(rows)
    number, uncertain = first, 0
    for line in lines:
        if uncertain:
            record = Record(number, line.split(delimiter), ROWS_OR_A_CELL)
            uncertain -= 1
        elif '"' not in line:
            record = Record(number, line.split(delimiter))
        elif grammar.whole.fullmatch(line):
            record = _parsed(number, [line], delimiter)
        else:
            block = lines.quoted_block(line, grammar)
            if not block:
                record = Record(number, line.split(delimiter), STRAY_QUOTE)
            elif written_by_us or not _swallows_rows(block, delimiter, width):
                record = _parsed(number, block, delimiter)
            else:
                record = Record(number, line.split(delimiter), ROWS_OR_A_CELL)
                uncertain = len(block) - 1
                lines.put_back(block[1:])
        yield record
        number += 1


class _Lines:
    """Lines that can be put back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._source = iter(lines)
        self._back: list[str] = []
        """What was put back, its first line last."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        return self._back.pop() if self._back else next(self._source)

    def put_back(self, lines: list[str]) -> None:
        """Have these lines come next."""
        self._back += reversed(lines)

    def quoted_block(self, first: str, grammar: _Grammar) -> list[str]:
        """The lines of the row that `first` opens, or none, and none taken, if the row never closes.

        A line that opens a row has an odd number of quotation marks, a line within one an even number: no line is
        looked at twice from different rows.
        """
        if not grammar.opens.fullmatch(first):
            return []
        block = [first]
        for line in self:
            block.append(line)
            if grammar.closes.fullmatch(line):
                return block
            if not grammar.goes_on.fullmatch(line) and not grammar.reopens.fullmatch(line):
                break
        self.put_back(block[1:])
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
