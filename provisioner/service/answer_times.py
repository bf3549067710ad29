"""Whether the service answers as quickly as it usually does."""

from __future__ import annotations

from typing import Final

BLOCK, SPAN = 20, 2.0
"""Answers are judged in blocks of this many at least, and over this many seconds, so that requests that leave together
are judged together."""
LEFT_OUT: Final = 10
"""The slowest of each this many answers is left out: one hiccup says nothing."""
SLOW, SLOWER, EXTRA = 2.0, 1.5, 0.02
"""Answers are slow at this many times the usual, and slower at the second; these seconds are granted beyond both."""
TO_FASTER, TO_SLOWER, TO_SLOWER_AT_REST = 0.05, 0.002, 0.2
"""Parts of the difference by which the usual time moves with each block. While more is sent than at the beginning it
hardly moves up: otherwise it would grow along with the load."""


class AnswerTimes:
    """Seconds that answers of one kind take. Counts blocks of answers that were slow, one after the other."""

    def __init__(self) -> None:
        self.usual: float | None = None
        """None until the first block is complete."""
        self.slow_blocks = 0
        self.is_slower = False
        """The latest block took noticeably longer than usual: no time to send faster."""
        self._block: list[float] = []
        self._began = 0.0

    def add(self, seconds: float, now: float, *, at_rest: bool) -> None:
        """Take one answer into account. `at_rest`: no more is sent than at the beginning, so that is the usual time."""
        if not self._block:
            self._began = now
        self._block.append(seconds)
        if len(self._block) >= BLOCK and now >= self._began + SPAN:
            kept = sorted(self._block)[: len(self._block) - len(self._block) // LEFT_OUT]
            self._block = []
            self._judge(sum(kept) / len(kept), at_rest=at_rest)

    def forget_slowness(self) -> None:
        """Begin to count slow blocks anew, after the load was lowered."""
        self.slow_blocks, self.is_slower = 0, False

    def _judge(self, mean: float, *, at_rest: bool) -> None:
        if self.usual is None:
            self.usual = mean
        is_slow = mean > SLOW * self.usual + EXTRA
        self.is_slower = mean > SLOWER * self.usual + EXTRA and not at_rest
        self.slow_blocks = self.slow_blocks + 1 if is_slow and not at_rest else 0
        if mean < self.usual:
            self.usual += (mean - self.usual) * TO_FASTER
        elif at_rest or not is_slow:
            self.usual += (mean - self.usual) * (TO_SLOWER_AT_REST if at_rest and is_slow else TO_SLOWER)
