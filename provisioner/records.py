"""The values that pass between the stages. They are frozen, compare by content, and know nothing of storage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

TaskId = NewType("TaskId", str)
MASK = "•••"


class Secret:
    """A text that must not be seen: it shows as dots wherever it is printed, formatted or logged."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it only where it is sent or written by design."""
        return self._text

    def redact(self, text: str) -> str:
        """`text` with every occurrence of the secret masked."""
        return text.replace(self._text, MASK) if self._text else text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is never pickled")


class Status(StrEnum):
    """Where a row stands. Every row of the sheet ends in exactly one of them."""

    CREATED = "created"
    """The service confirms it."""
    EXISTS = "exists"
    """It was there before this run asked."""
    VALID = "valid"
    """`check` found nothing wrong with it; nothing was sent."""
    INVALID = "invalid"
    """It breaks a rule of the schema and was never sent."""
    REJECTED = "rejected"
    """The service refused the request."""
    FAILED = "failed"
    """The service accepted the request and could not carry it out."""
    UNFINISHED = "unfinished"
    """Accepted, and not known to be done."""
    UNKNOWN = "unknown"
    """Sent, and no answer came."""
    UNSENT = "unsent"
    """Its turn has not come."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: such a row is not in failures.csv."""
        return self in (Status.CREATED, Status.EXISTS, Status.VALID)


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a row cannot be sent, or one thing worth a warning."""

    cell: str | None
    """Such as `D17`, as the spreadsheet program names it; None where the whole row is meant."""
    sentence: str
    """Plain words: the fault, then what to write. Never the content of a secret cell."""

    def __str__(self) -> str:
        return f"{self.cell}: {self.sentence}" if self.cell else self.sentence


@dataclass(frozen=True, slots=True)
class Row:
    """A data row whose cells passed every rule of the schema, still as the sheet's own text."""

    sheet_row: int
    """Its number in the file that was read, as the spreadsheet program shows it."""
    email: str
    """The username alone: no @, no domain."""
    domain: str
    relay_server: str
    password: Secret | None
    """None where the cell is blank."""
    project: str | None
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a create call."""

    email: str
    domain: int
    relay_server: int
    password: Secret | None
    """None: the service makes one up."""
    project: int | None
    reply_to: str | None

