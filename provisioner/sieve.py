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
    from collections.abc import Iterator, Sequence

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Texts = np.ndarray[tuple[int], np.dtype[np.object_]]
    Lengths = np.ndarray[tuple[int], np.dtype[np.int64]]

MOST_SETS: Final = 8
"""A bit of a byte each."""
_BLOCK: Final = 4096
_SET: Final = re.compile(r"\[(?:[^\[\]\\]|\\.)+\]")
_SPECIAL: Final = re.compile(r"[.^$*+?{}\[\]\\|()]")
_ASCII: Final = [chr(number) for number in range(128)]


def blocks(texts: Texts) -> Iterator[list[str]]:
    """The texts, some thousands at a time.

    What is looked at more than once is so while it is in the processor's cache, and to go through a list takes half the
    time that it takes to go through an array.
    """
    return (texts[first : first + _BLOCK].tolist() for first in range(0, len(texts), _BLOCK))


def is_set(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern is one character of a set, and nothing else."""
    return pattern.flags == re.UNICODE and _SET.fullmatch(pattern.pattern) is not None


def is_plain(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern means the same within another."""
    return pattern.flags == re.UNICODE and not pattern.groups


def is_word(pattern: re.Pattern[str]) -> bool:
    """Whether a pattern matches the text that it is, and nothing else."""
    return is_plain(pattern) and not _SPECIAL.search(pattern.pattern)


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
    words: Sequence[str] = ()
    """Texts that no cell may be."""
    paused: re.Pattern[str] | None = None
    """What matches at the beginning of a cell that does not pass; None: nothing does. It is put so that it finds
    nothing in a good cell, as what is found takes time to be handed over."""
    _kinds: bytes = field(init=False, repr=False)
    """Of each ASCII character, a bit for each set that it is in."""

    def __post_init__(self) -> None:
        sets = (*self.wanted, *self.unwanted)
        kinds = [sum(bool(each.match(one)) << place for place, each in enumerate(sets)) for one in _ASCII]
        object.__setattr__(self, "_kinds", bytes(kinds).ljust(256, b"\0"))

    def passes(self, texts: Texts) -> Mask:
        """Which of the cells certainly keep all rules. None of them may be blank."""
        return np.concatenate([np.empty(0, np.bool_), *map(self._passed, blocks(texts))])

    def _passed(self, cells: Sequence[str]) -> Mask:
        lengths = np.fromiter(map(len, cells), dtype=np.int64, count=len(cells))
        passed = (self.shortest <= lengths) & (lengths <= self.longest)
        if self.paused is not None and any(map(self.paused.match, cells)):
            passed &= ~np.fromiter(map(self.paused.match, cells), dtype=np.bool_, count=len(cells))
        if not (self.wanted or self.unwanted or self.words):
            return passed
        together = "".join(cells)
        if any(map(together.__contains__, self.words)):
            passed &= np.fromiter((cell not in self.words for cell in cells), dtype=np.bool_, count=len(cells))
        if self.wanted or self.unwanted:
            if together.isascii():
                passed &= self._kept(lengths, together)
            else:
                plain = np.fromiter(map(str.isascii, cells), dtype=np.bool_, count=len(cells))
                passed[~plain] = False
                passed[plain] &= self._kept(lengths[plain], "".join(filter(str.isascii, cells)))
        return passed

    def _kept(self, lengths: Lengths, together: str) -> Mask:
        """Which of the cells, of these lengths and all in ASCII, have characters of each set that is wanted alone."""
        if not len(lengths):
            return np.ones(0, dtype=np.bool_)
        kinds = np.frombuffer(together.encode().translate(self._kinds), dtype=np.uint8)
        found = np.bitwise_or.reduceat(kinds, np.cumsum(lengths) - lengths)
        all_wanted = (1 << len(self.wanted)) - 1
        kept: Mask = found == all_wanted
        return kept
