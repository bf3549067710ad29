"""The cells of one column, gathered as a file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    Texts = np.ndarray[tuple[int], np.dtype[np.object_]]
    Codes = np.ndarray[tuple[int], np.dtype[np.int32]]

_KEPT_ONCE: Final = 10_000
"""Up to so many different texts of a column are stored once however often they occur."""


class _Codes(dict[str, int]):
    """By text, its place among those that differ, at which it stands from the first time that it is asked for."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self.texts)
        self.texts.append(text)
        return code


class Cells:
    """A column that grows by a few cells at a time.

    Most columns hold few texts many times. Of those only a number is kept for each cell.
    """

    def __init__(self, fill: str | None) -> None:
        """`fill` is what blank cells hold instead; where it is None or blank itself, they are left blank."""
        self._fill = fill or None
        self._once = _Codes()
        self._once[""] = self._once[fill] if fill else -1
        self._codes: list[Codes] = []
        self._texts: Texts = np.empty(0, dtype=object)
        self._length = 0
        self.complete = False
        """Whether it is known that no cell is blank."""

    @property
    def blank(self) -> bool:
        """Whether all cells are blank."""
        return not self._once.texts

    def add(self, cells: Sequence[str]) -> None:
        """Take in the next cells, blank ones as empty texts."""
        if len(self._once.texts) < _KEPT_ONCE:
            self._codes.append(self._coded(cells))
            return
        if self._codes:
            self._begin_texts(np.concatenate(self._codes))
        if all(cells):
            self._append(cells)
        else:
            self._append([cell or self._fill for cell in cells])
            self.complete &= self._fill is not None

    def gathered(self, index: pd.Index[int]) -> pd.Series[Any]:
        """All cells, blank ones None; categorical where few of them differ. This object is of no use afterwards."""
        if len(self._texts):
            self._texts.resize(self._length, refcheck=False)
            return pd.Series(self._texts, index, dtype=object, copy=False)
        codes = np.concatenate([np.empty(0, np.int32), *self._codes])
        column = pd.Categorical.from_codes(codes, categories=pd.Index(self._once.texts, dtype=object))
        return pd.Series(column, index, copy=False)

    def _coded(self, cells: Sequence[str]) -> Codes:
        # Sheets are often sorted, and to count takes a tenth of the time of looking each cell up.
        if cells and cells[0] == cells[-1] and cells.count(cells[0]) == len(cells):
            return np.full(len(cells), self._once[cells[0]], np.int32)
        return np.fromiter(map(self._once.__getitem__, cells), np.int32, len(cells))

    def _begin_texts(self, codes: Codes) -> None:
        self._texts = np.array([*self._once.texts, None], dtype=object)[codes]
        self._length = len(codes)
        self.complete = bool((codes >= 0).all())
        self._codes = []

    def _append(self, cells: Sequence[str | None]) -> None:
        end = self._length + len(cells)
        if end > len(self._texts):
            self._texts.resize(max(end, 2 * self._length), refcheck=False)
        self._texts[self._length : end] = cells
        self._length = end
