"""The cells of one sheet of a workbook as a person sees them: what they hold, how it is shown, and what is hidden."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioner.sheets.delimited import Record
from provisioner.sheets.kinds import damaged
from provisioner.sheets.limits import LAST_ROW, MOST_COLUMNS, too_wide
from provisioner.sheets.sheet import column_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provisioner.sheets.limits import Budget

# Kinds of cell that the workbook does not hold as the text that a person sees.
NUMBER: Final = "number"
DATE: Final = "date"
TRUTH: Final = "truth"
ERROR: Final = "error"
FORMULA: Final = "formula"
"""A formula that shows an error, or that was never calculated."""
MERGED: Final = "merged"
HIDDEN: Final = "hidden"

SINCE_1900: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a cell's date has no zone.
SINCE_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
"""What a cell's date counts its days from, by the setting of its workbook."""

_LONGEST_FORMAT: Final = 255
_NO_PART_OF_THE_FORMAT: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]')
"""Quoted texts, escaped characters, blanks as wide as a character, fillers, colours and conditions."""

# Spreadsheet programs keep 15 digits of a number, whatever was typed.
_EXACT_BELOW: Final = 10**15


class Area(NamedTuple):
    """A block of cells; rows count from 1, columns from 0, all four belong to it."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Tab:
    """One sheet of a workbook."""

    name: str
    visible: bool
    read: Callable[[int], Grid]
    """Reads its rows up to that number, and perhaps some further ones. Raises SheetError."""


class Grid:
    """The rows of a sheet in which something stands, in order.

    A reader calls `begin_row`, then `put` for each cell that is not blank, then `end_row`.
    """

    def __init__(self, budget: Budget) -> None:
        self.rows: list[Record] = []
        self.hidden_columns: list[range] = []
        """Their positions."""
        self.width = 0
        self._merged: list[Area] = []
        self._budget = budget
        self._number = 0
        self._hidden = False
        self._cells: list[str] = []
        self._kinds: dict[int, str] = {}
        self._known_kinds: dict[tuple[tuple[int, str], ...], dict[int, str]] = {}
        """Most rows have the same kinds in the same places: their record is kept once."""

    def begin_row(self, number: int, *, hidden: bool) -> None:
        """Begin the row of that number. Raises SheetError if it does not come after the one before."""
        if not self._number < number <= LAST_ROW:
            raise damaged(ValueError(f"row {number} after row {self._number}"))
        self._number, self._hidden = number, hidden
        self._cells, self._kinds = [], {}

    def put(self, position: int, text: str, kind: str | None) -> None:
        """Fill a cell of the row; `kind` is None where the workbook holds its text. Raises SheetError."""
        if not text:
            return
        if position >= MOST_COLUMNS:
            raise too_wide(column_letters(position), self._number)
        if position < len(self._cells):
            raise damaged(ValueError(f"cell {position} after cell {len(self._cells)}"))
        self._budget.take_text(text)
        self._cells += [""] * (position - len(self._cells))
        self._cells.append(text)
        if kind or self._hidden:
            self._kinds[position] = kind or HIDDEN

    def end_row(self, repeated: int = 1) -> None:
        """End the row, which stands `repeated` times one below the other. Raises SheetError."""
        first, self._number = self._number, self._number + repeated - 1
        if not self._cells:
            return
        self.width = max(self.width, len(self._cells))
        self._budget.check_table(len(self.rows) + repeated, self.width)
        kinds = self._known_kinds.setdefault(tuple(self._kinds.items()), self._kinds)
        for number in range(first, self._number + 1):
            self.rows.append(Record(number, self._cells, kinds=kinds))

    def hide_columns(self, columns: range) -> None:
        """Note hidden columns. Raises SheetError if there are more such ranges than columns."""
        if len(self.hidden_columns) > MOST_COLUMNS:
            raise damaged(ValueError("too many hidden columns"))
        self.hidden_columns.append(columns)

    def merge(self, area: Area) -> None:
        """Note merged cells, of which the first alone holds what all of them show. Raises SheetError."""
        self._merged.append(area)
        self._budget.check_areas(len(self._merged))

    def records(self) -> Iterator[Record]:
        """The rows, all as wide as the widest, with each cell's kind where it is not plain text. Raises SheetError."""
        merged = self._merged_rows()
        for place, row in enumerate(self.rows):
            cells = row.cells + [""] * (self.width - len(row.cells))
            kinds = dict(row.kinds)
            for area in merged.get(place, ()):
                first = area.left + (area.top == row.number)
                kinds |= dict.fromkeys(range(first, min(area.right + 1, self.width)), MERGED)
            yield Record(row.number, cells, kinds=kinds)

    def _merged_rows(self) -> dict[int, list[Area]]:
        """By place among the rows, the merged areas that spread over it."""
        numbers = [row.number for row in self.rows]
        merged: dict[int, list[Area]] = {}
        left = len(self.rows) * self.width
        for area in self._merged:
            places = range(bisect_left(numbers, area.top), bisect_right(numbers, area.bottom))
            width = min(area.right + 1, self.width) - area.left
            if width <= 0:
                continue
            left -= len(places) * width
            if left < 0:
                raise damaged(ValueError("merged areas overlap"))
            for place in places:
                merged.setdefault(place, []).append(area)
        return merged


def number_text(value: float) -> str:
    """A number as a spreadsheet shows it without a format: 101 for 101.0."""
    if abs(value) >= _EXACT_BELOW:
        return f"{value:.15G}"
    return str(int(value)) if value == int(value) else repr(value)


def percent_text(value: float) -> str:
    """A number as a percentage: 100% for 1.0."""
    return f"{number_text(round(value * 100, 10))}%"


def is_percent(code: str) -> bool:
    """Whether a number format shows percentages."""
    return "%" in _essential(code)


def is_date(code: str) -> bool:
    """Whether a number format shows dates or times."""
    essential = _essential(code)
    return "general" not in essential and any(letter in essential for letter in "ymdhs")


def _essential(code: str) -> str:
    return _NO_PART_OF_THE_FORMAT.sub("", code[:_LONGEST_FORMAT]).lower()


def date_text(origin: datetime, value: float) -> str:
    """The date, the time, or both, that is `value` days after the origin of the workbook's dates."""
    try:
        moment = origin + timedelta(seconds=round(value * 86_400))
    except OverflowError:  # No spreadsheet program shows it as a date either.
        return number_text(value)
    if 0 <= value < 1:
        return str(moment.time())
    return str(moment.date()) if value == int(value) else str(moment)


def plain_text(text: str) -> str:
    """A text with LF for whatever breaks its lines."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
