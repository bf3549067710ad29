"""What stands before a column's rules: of a million cells it finds at once those that certainly keep all of them.

A rule that is asked about one cell after another costs a call each. Whether cells have letters of some kind, and how
long they are, is found here for all of them together; what else is asked goes into one pattern. What is kept back is
for the rules themselves, so that this decides nothing but how long they take.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Texts = np.ndarray[tuple[int], np.dtype[np.object_]]

ANYTHING: Final = "(?s:.*)"
MOST_SETS: Final = 8
"""A bit of a byte each."""
_SET: Final = re.compile(r"\[(?:[^\[\]\\]|\\.)+\]")
_ASCII: Final = [chr(number) for number in range(128)]


def is_set(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern is one character of a set, and nothing else."""
    return pattern.flags == re.UNICODE and _SET.fullmatch(pattern.pattern) is not None


def is_plain(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern means the same within another."""
    return pattern.flags == re.UNICODE and not pattern.groups


def is_anchored(pattern: re.Pattern[str]) -> bool:
    """Whether what a pattern finds can only stand at the beginning."""
    return is_plain(pattern) and pattern.pattern.startswith(r"\A") and "|" not in pattern.pattern


@dataclass(frozen=True)
class Sieve:
    """Cells that pass keep every rule; of those that do not, nothing is said."""

    shortest: int = 0
    longest: int = 1 << 62
    wanted: Sequence[re.Pattern[str]] = ()
    """Sets of which each cell must have a character."""
    unwanted: Sequence[re.Pattern[str]] = ()
    """Sets of which no cell may have one; with those wanted, `MOST_SETS` of them at most."""
    whole: re.Pattern[str] | None = None
    """What a cell must match from its beginning to its end; None: anything will do."""
    _kinds: np.ndarray[tuple[int], np.dtype[np.uint8]] = field(init=False, repr=False)
    """Of each ASCII character, a bit for each set that it is in."""

    def __post_init__(self) -> None:
        sets = (*self.wanted, *self.unwanted)
        kinds = [sum(bool(each.match(one)) << place for place, each in enumerate(sets)) for one in _ASCII]
        object.__setattr__(self, "_kinds", np.array(kinds, dtype=np.uint8))

    def passes(self, texts: Texts) -> Mask:
        """Which of the cells certainly keep all rules. None of them may be blank."""
        if self.whole is None:
            passed = np.ones(len(texts), dtype=np.bool_)
        else:
            passed = np.fromiter(map(self.whole.fullmatch, texts), dtype=np.bool_, count=len(texts))
        together = "".join(texts)
        if together.isascii():
            return passed & self._counted(texts, together)
        plain = np.fromiter(map(str.isascii, texts), dtype=np.bool_, count=len(texts))
        passed[~plain] = False
        passed[plain] &= self._counted(texts[plain], "".join(texts[plain]))
        return passed

    def _counted(self, texts: Texts, together: str) -> Mask:
        """What is asked of the number and the kinds of characters, of cells in ASCII."""
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        passed = (self.shortest <= lengths) & (lengths <= self.longest)
        if not (self.wanted or self.unwanted) or not len(texts):
            return passed
        kinds = self._kinds[np.frombuffer(together.encode(), dtype=np.uint8)]
        found = np.bitwise_or.reduceat(kinds, np.cumsum(lengths) - lengths)
        all_wanted = (1 << len(self.wanted)) - 1
        passed &= found == all_wanted
        return passed
