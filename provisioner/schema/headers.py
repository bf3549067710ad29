"""Which column a header means, and which it nearly names."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_NAME: Final = 255
"""Characters. A longer text names no column, and is not looked at further: Unicode's normal form takes time that grows
with the square of the number of combining marks in a row."""
# Takes “Reply” for a slip in “Reply To”, and “Campaign Name” for another header than “Campaign”.
_ALIKE: Final = 0.82


# As templates of other programs write it: “Email Address [Required]”, “Username [email] Required”.
_REQUIRED: Final = re.compile(
    r"(?P<name>.*?)[\s\[(]*\b(?:required|optional|mandatory)[\])\s*]*", re.IGNORECASE | re.DOTALL
)
_BRACKETS: Final = re.compile(r"(?P<name>[^\[\]()]*)[\[(](?P<other>[^\[\]()]*)[\])]\s*")


def normalize(header: str) -> str:
    """A header without case, blanks, hyphens, underscores and invisible characters; empty if it is too long."""
    if len(header) > LONGEST_NAME:
        return ""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", header).casefold())


class HeaderNames:
    """Every header that means a column of a schema."""

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """`names` are pairs of a header and the column that it means. The first of each column is its usual header."""
        self._by_header: dict[str, str] = {}
        self._by_letters: dict[str, str] = {}
        for header, column in names:
            self._by_header.setdefault(normalize(header), column)
            self._by_letters.setdefault("".join(sorted(normalize(header))), column)

    def column_for(self, header: str) -> str | None:
        """The column that a header means, or None if it means none."""
        if (column := self._by_header.get(normalize(header))) or len(header) > LONGEST_NAME:
            return column
        if required := _REQUIRED.fullmatch(header):
            return self.column_for(required["name"])
        # A second name in brackets must mean the same column.
        brackets = _BRACKETS.fullmatch(header)
        column = self._by_header.get(normalize(brackets["name"])) if brackets else None
        return column if brackets and column == self._by_header.get(normalize(brackets["other"])) else None

    def closest_column(self, header: str) -> str | None:
        """The column that an unknown header nearly names, as by a slip of the finger, or None."""
        name = normalize(header)
        if not name or self.column_for(header):
            return None
        if swapped := self._by_letters.get("".join(sorted(name))):
            return swapped
        if close := get_close_matches(name, self._by_header, n=1, cutoff=_ALIKE):
            return self._by_header[close[0]]
        brackets = _BRACKETS.fullmatch(header)
        return self._by_header.get(normalize(brackets["name"])) if brackets else None
