"""The cells of an open sheet in memory, where they can be changed, and as a failures file has them."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from provisioner.messages import WORDS
from provisioner.sheets import Origin, Sheet, column_letters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION_KEY: Final = secrets.token_bytes(32)
"""So that a version tells nothing of the password, not even to somebody who tries many."""


class OpenTable:
    """A sheet whose cells can be changed. A row is known by its position, which it keeps, and has a key."""

    def __init__(self, sheet: Sheet) -> None:
        """The sheet itself is left as it is."""
        self._columns = {key: list(texts) for key, texts in sheet.columns.items()}
        self._as_written = {key: list(texts) for key, texts in sheet.as_written.items()}
        self._unreadable, self._misaligned = dict(sheet.unreadable), dict(sheet.misaligned)
        self.sheet = replace(
            sheet,
            columns=self._columns,
            as_written=self._as_written,
            unreadable=self._unreadable,
            misaligned=self._misaligned,
        )
        """As it is now."""
        self._positions = {key: position for position, key in enumerate(_keys(sheet))}
        self.keys = list(self._positions)
        """Of the rows, by position: the number in the original sheet, or `+N` for one that was added by hand."""
        self._has_copies = any(key[0] == "+" and self.number(place) is not None for place, key in enumerate(self.keys))

    @property
    def is_entangled(self) -> bool:
        """Whether a row may be read otherwise because of another: a second table, or copies of one row."""
        return self._has_copies or self.sheet.second_table is not None

    def position(self, key: str) -> int | None:
        """Where the row of that key is; None if there is none."""
        return self._positions.get(key)

    def number(self, position: int) -> int | None:
        """The row's number in the original sheet; None if it was added to a failures file."""
        return self.sheet.number(self.sheet.rows[position])

    def text(self, position: int, column: str) -> str:
        """A cell as a failures file has it."""
        return self._as_written.get(column, self._columns[column])[position]

    def own_cells(self, position: int) -> list[str]:
        """The row's cells as a failures file has them, in the order of the sheet's columns."""
        return [self.text(position, column) for column in self.sheet.keys]

    def cells(self, position: int) -> dict[str, str]:
        """The same by column."""
        return dict(zip(self.sheet.keys, self.own_cells(position), strict=True))

    def version(self, position: int) -> str:
        """Another text whenever a cell of the row is another."""
        text = "\0".join(self.own_cells(position)).encode(errors="surrogatepass")
        return hashlib.blake2b(text, digest_size=8, key=_VERSION_KEY).hexdigest()

    def row(self, position: int) -> list[str]:
        """All cells of the row in a failures file, those that it adds too."""
        origin = self.sheet.origins.get(self.sheet.rows[position]) or Origin(None, None)
        number = "" if origin.sheet_row is None else str(origin.sheet_row)
        remedy = WORDS[origin.status].remedy if origin.status else ""
        return [*self.own_cells(position), number, origin.status or "", origin.error, remedy, origin.task_id or ""]

    def rows_of(self, part: Sheet) -> dict[int, list[str]]:
        """By position, rows that were read, with all cells that a failures file is to have of them."""
        found = {}
        for place, row in enumerate(part.rows):
            position = self.sheet.position(row)
            own = [_text(part, key, place) for key in self.sheet.keys]
            found[position] = [*own, *self.row(position)[len(own) :]]
        return found

    def put(self, position: int, part: Sheet, place: int) -> set[str]:
        """Put the cells of the row at a place of `part` at a position; returns the columns in which they differ."""
        row, before = self.sheet.rows[position], self.cells(position)
        if "domain" in part.as_written and "domain" not in self._as_written:
            self._as_written["domain"] = list(self._columns["domain"])
        for key, texts in self._as_written.items():
            texts[position] = _text(part, key, place)
        for key, texts in self._columns.items():
            texts[position] = part.columns[key][place] if key in part.columns else ""
        for own, new in ((self._unreadable, part.unreadable), (self._misaligned, part.misaligned)):
            own.pop(row, None)
            if row in new:
                own[row] = new[row]
        return {key for key, text in self.cells(position).items() if text != before[key]}

    def part(self, positions: Sequence[int]) -> Sheet:
        """Some rows as a sheet of their own, with their numbers."""
        rows = [self.sheet.rows[position] for position in positions]

        def chosen(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
            return {key: [texts[position] for position in positions] for key, texts in columns.items()}

        return replace(
            self.sheet,
            columns=chosen(self._columns),
            as_written=chosen(self._as_written),
            rows=rows,
            unreadable={row: self._unreadable[row] for row in rows if row in self._unreadable},
            misaligned={row: self._misaligned[row] for row in rows if row in self._misaligned},
        )

    def column_of(self, cell: str) -> str | None:
        """The column of a cell such as `D17`."""
        return self._by_letters.get(cell.rstrip("0123456789"))

    @cached_property
    def _by_letters(self) -> dict[str, str]:
        return {column_letters(place): key for place, key in enumerate(self.sheet.keys)}


def _keys(sheet: Sheet) -> Iterator[str]:
    """What each row is addressed by. Of copies of a row within a failures file, the first has its number."""
    taken: set[int] = set()
    for row in sheet.rows:
        number = sheet.number(row)
        yield f"+{row}" if number is None or number in taken else str(number)
        if number is not None:
            taken.add(number)


def _text(part: Sheet, column: str, place: int) -> str:
    """A cell of rows that were read, as a failures file has it; a column in which nothing stands may be left out."""
    texts = part.as_written.get(column) or part.columns.get(column)
    return texts[place] if texts else ""
