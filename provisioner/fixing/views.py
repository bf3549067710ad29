"""What a sheet that is open for fixing shows of itself. No password is in any of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.errors import UnusableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.records import Status
    from provisioner.schema import MailboxSchema
    from provisioner.sheets import Sheet


@dataclass(frozen=True, slots=True)
class SheetColumn:
    """A column of the sheet."""

    key: str
    """What its cells go by: the schema's name if the schema knows the column, else its header."""
    header: str
    """As the sheet writes it, without the blanks around it."""
    secret: bool
    known: bool
    """Whether the schema knows it; other columns are kept, and not sent."""


def columns_of(sheet: Sheet, schema: MailboxSchema) -> list[SheetColumn]:
    """The columns of a sheet, in its order."""
    return [
        SheetColumn(key, header.strip() or key, secret=key in schema.secret, known=key in schema.columns)
        for header, key in zip(sheet.headers, sheet.keys, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing that is wrong with a row."""

    column: str | None
    """None: the whole row is meant."""
    sentence: str


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A row as it can be shown."""

    key: str
    """What the row is addressed by: its number in the original sheet, or `+N` if it was added to a failures file."""
    number: int | None
    """Its number in the original sheet; None if it was added to a failures file."""
    version: str
    """Another one whenever a cell of the row is another. It tells nothing of the cells."""
    status: Status
    cells: Mapping[str, str | None]
    """By column. None: the cell is filled and is not shown."""
    faults: tuple[RowFault, ...]
    alike: Mapping[str, int]
    """Of each faulty column, how many rows to fix hold the same text there, this one included.

    Not of a username that two rows for one mailbox have: another one for both would be as wrong."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A mistake, and how many rows to fix have it."""

    sentence: str
    rows: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows stand where. Every row is in one of the counts after the first."""

    rows: int
    ready: int
    to_fix: int
    done: int
    left_out: int
    other: int
    """Sent and not known to be done, or not to be sent from the file that is open."""
    of_account: int = 0
    """Of those to fix, the ones that lack nothing but what an earlier run did not find in the account."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change has done."""

    row: OpenRow | None
    """The row that was changed; None if it is left out now."""
    also: tuple[OpenRow, ...]
    """Other rows that were changed with it, or are judged differently now; the first of them, if there are many."""


class UnknownRowError(UnusableError):
    """No row has this key: it was left out, done meanwhile, or never was there."""

    def __init__(self) -> None:
        super().__init__("This row is no longer to be fixed: it was left out, or done, elsewhere.")


class StaleRowError(Exception):
    """The row was changed elsewhere meanwhile, so that nothing was changed now."""

    def __init__(self, row: OpenRow) -> None:
        super().__init__("The row was changed elsewhere meanwhile. Nothing was overwritten.")
        self.row = row


class FixRefusedError(UnusableError):
    """A row cannot be changed so, or not at all. Nothing was changed."""
