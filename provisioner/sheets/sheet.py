"""What a sheet is once it has been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from provisioner.records import Status, TaskId

    Texts = np.ndarray[tuple[int], np.dtype[np.object_]]
    Positions = np.ndarray[tuple[int], np.dtype[np.int64]]
    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]

# What cannot be seen at the ends of a cell: blanks of every width, line breaks, and characters of no width.
BLANKS: Final = " \t\n\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)

UNCERTAIN: Final = "[unclear]"
"""Stands in a cell that could not be read with certainty, also in failures.csv. While it stands there the row is
refused, so that what was doubtful once is not taken for certain when the file is read again. It is plain ASCII, which
no program garbles that saves the file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row of a failures file comes from."""

    sheet_row: int | None
    """Its number in the original sheet; None where the row was added by hand."""
    task_id: TaskId | None
    """The task that was accepted for it; None where there was none."""
    status: Status | None = None
    """Where the row stood; None where the file does not say it in our words."""
    error: str = ""
    """What was wrong with the row."""


class Few(NamedTuple):
    """The cells of a column that holds few texts many times."""

    texts: Texts
    """Those that differ. One of them may have stood in no cell."""
    places: np.ndarray[tuple[int], np.dtype[np.integer[Any]]]
    """Of each cell, where among them its own is; -1 where it is blank."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The cells of a sheet as text, and where each of them stands. A row is named by its number in the file."""

    path: Path
    frame: pd.DataFrame
    """Texts as Python's own objects, blank cells None, or categories of such texts; the index is the row's number in
    the file as the spreadsheet program shows it. Columns that the schema knows go by its names, others by their own
    headers."""
    headers: tuple[str, ...]
    """As they are written, in the sheet's order; what a failures file adds at its end is left out."""
    keys: tuple[str, ...]
    """The frame's column under each header."""
    delimiter: str
    """What failures.csv is to be separated by."""
    broken: Mapping[int, str] = field(default_factory=dict)
    """The rows that could not be read with certainty, and the sentence that says why."""
    misaligned: Mapping[int, str] = field(default_factory=dict)
    """Those of them whose cells may stand under wrong headers, a piece of the password under any: their usernames,
    empty where even that is not certain."""
    origins: Mapping[int, Origin] = field(default_factory=dict)
    """Of each row, where the sheet is a failures file of ours; empty otherwise."""
    is_failures: bool = False
    complete: Collection[str] = ()
    """The frame's columns of which it is known that no cell is blank."""
    _texts: dict[str, Texts] = field(default_factory=dict, init=False, repr=False)

    def cell_name(self, row: int, column: str) -> str:
        """Such as `D17`, as it is called in the original sheet where the row comes from one."""
        return f"{column_letters(self.keys.index(column))}{self.number(row) or row}"

    def number(self, row: int) -> int | None:
        """The row's number in the original sheet; None where it was added to a failures file by hand."""
        return self.origins[row].sheet_row if self.is_failures else row

    def own_cells(self, row: int) -> list[str]:
        """The row's cells under `headers`, blank ones empty."""
        position = self.position(row)
        return [texts[position] or "" for texts in map(self.texts, self.keys)]

    def cells(self, *columns: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Every row's number in the file and its cells of these columns; a blank cell or a missing column is empty.

        Of a misaligned row there is its username alone: what else it has may be a piece of its password.
        """
        absent = [""] * len(self.rows)
        texts = [self._aligned(column) if column in self.keys else absent for column in columns]
        for row, *cells in zip(self.rows.tolist(), *texts, strict=True):
            yield row, tuple(cell or "" for cell in cells)

    def position(self, row: int) -> int:
        """Where the row stands in the frame, from 0."""
        return int(self.rows.searchsorted(row))

    def texts(self, key: str) -> Texts:
        """The frame's column under `key`, blank cells None."""
        if key not in self._texts:
            few = self.few(key)
            self._texts[key] = self.frame[key].to_numpy() if few is None else np.array([*few.texts, None])[few.places]
        return self._texts[key]

    def few(self, key: str) -> Few | None:
        """What differs in the frame's column under `key`; None where that may be most of its cells."""
        column = self.frame[key]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            return None
        return Few(column.cat.categories.to_numpy(), column.cat.codes.to_numpy())

    def filled(self, key: str) -> Mask:
        """Which cells of the frame's column under `key` are not blank."""
        if key in self.complete:
            return np.ones(len(self.frame), dtype=np.bool_)
        return self.frame[key].notna().to_numpy()

    def _aligned(self, key: str) -> Texts:
        """As `texts`, without what is not certain to belong there."""
        if not self.misaligned:
            return self.texts(key)
        texts = self.texts(key).copy()
        positions = self.rows.searchsorted(list(self.misaligned))
        texts[positions] = list(self.misaligned.values()) if key == "email" else None
        return texts

    @property
    def named(self) -> list[tuple[str, str]]:
        """Of each column that has a header, that and the frame's column under it."""
        return [(header, key) for header, key in zip(self.headers, self.keys, strict=True) if header.strip(BLANKS)]

    @cached_property
    def rows(self) -> Positions:
        """The number in the file of each row of the frame, ascending."""
        return self.frame.index.to_numpy(dtype=np.int64)


def column_letters(position: int) -> str:
    """A spreadsheet's name for the column at `position`, which counts from 0: A, B … Z, AA …."""
    letters = ""
    while position >= 0:
        position, letter = divmod(position, 26)
        letters = chr(ord("A") + letter) + letters
        position -= 1
    return letters
