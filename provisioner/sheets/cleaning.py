"""Cells as they are to be understood: without the blanks around them, and 101.0 as the whole number that it is."""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING, Final, NamedTuple

from provisioner.sheets.sheet import BLANKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provisioner.schema import Column

# One or two noughts: 789.000 may be 789 or 789,000.
_WHOLE: Final = re.compile(r"[0-9]+\.0{1,2}")


def cleaned(texts: Iterable[str], column: Column | None) -> list[str]:
    """The cells of a column as they are to be understood. Only those of a column that the schema knows change.

    They lose the blanks around them. Secret ones do not, but are blank if nothing else stands in them.
    """
    if column is None:
        return list(texts)
    if column.secret:
        return [text if text.strip(BLANKS) else "" for text in texts]
    bare = [text.strip(BLANKS) for text in texts]
    # The same few IDs stand in most rows, and are kept in memory once.
    return [intern(_whole(text) if "." in text else text) for text in bare] if column.whole_number else bare


def _whole(text: str) -> str:
    """101 for 101.0, which is how spreadsheet programs write some whole numbers."""
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


class Padding(NamedTuple):
    """Blanks between cells and delimiters that are layout, as in a table typed for the eye: `a , b , c`."""

    left: bool
    right: bool

    @classmethod
    def of(cls, cells: Sequence[str]) -> Padding:
        """On which side of its delimiters every cell of a row has a blank. Empty cells show nothing of it."""
        inner_left, inner_right = list(filter(None, cells[1:])), list(filter(None, cells[:-1]))
        return cls(
            bool(inner_left) and all(cell[0] == " " for cell in inner_left),
            bool(inner_right) and all(cell[-1] == " " for cell in inner_right),
        )

    def removed(self, cells: list[str], place: int) -> str:
        """The cell at `place` without the padding that its whole row shares with the header."""
        cell, own = cells[place], Padding.of(cells)
        if self.left and own.left:
            cell = cell.lstrip(" ")
        return cell.rstrip(" ") if self.right and own.right else cell


NO_PADDING: Final = Padding(left=False, right=False)
