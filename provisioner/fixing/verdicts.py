"""What a check says of a row, and what the row is counted as."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain
from typing import TYPE_CHECKING, Final

from provisioner.records import Status
from provisioner.stages.group import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from provisioner.journal import JournalRow
    from provisioner.records import Problem


class Category(Enum):
    """What a row is counted as. It is in one category only."""

    READY = auto()
    TO_FIX = auto()
    DONE = auto()
    LEFT_OUT = auto()
    OTHER = auto()


SENT_AS_THEY_STAND: Final = frozenset({Status.VALID, Status.FAILED})
"""What a run sends without a change of the row. In a check, `unsent` rows are left to another file."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of a row."""

    status: Status
    problems: tuple[Problem, ...] = ()
    left_out: bool = False
    maybe_sent: bool = False
    """Whether its mailbox may exist as it was sent, whatever the row says now."""

    @property
    def category(self) -> Category:
        if self.left_out:
            return Category.LEFT_OUT
        if self.status in SENT_AS_THEY_STAND:
            return Category.READY
        if self.status.to_fix:
            return Category.TO_FIX
        return Category.DONE if self.status.has_mailbox else Category.OTHER


READY: Final = Verdict(Status.VALID)


class Tally:
    """How many rows are in which category, and what the rows to fix have in common."""

    def __init__(self, verdicts: Sequence[Verdict], faulty_texts: Callable[[int], Iterable[tuple[str, str]]]) -> None:
        """`faulty_texts` are the texts of the faulty cells of the row at a position, by column."""
        categories = [verdict.category for verdict in verdicts]
        to_fix = [position for position, category in enumerate(categories) if category is Category.TO_FIX]
        problems = [verdicts[position].problems for position in to_fix]
        self.categories = Counter(categories)
        causes = (dict.fromkeys(problem.cause for problem in found) for found in problems)
        self.causes = Counter(chain.from_iterable(causes))
        """Of the rows to fix, how many have a cause."""
        self.of_account = sum(bool(found) and all(problem.fault.of_account for problem in found) for found in problems)
        """Of the rows to fix, how many have no other faults than those that only the account knows."""
        self.texts = Counter(text for position in to_fix for text in faulty_texts(position))
        """Of the rows to fix, how many hold a text in a faulty cell of a column."""


def verdict_of(row: JournalRow) -> Verdict:
    """The verdict on a row that the journal has, or that a check would write there."""
    if row.status is Status.VALID and not row.deleted:
        # Most rows are: they share one.
        return READY
    problems = () if row.status.done else problems_of(row)
    return Verdict(row.status, problems, row.deleted, row.maybe_sent)
