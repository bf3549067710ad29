"""What a sheet is once it has been read."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from provisioner.messages import listed
from provisioner.sheets.limits import MOST_FAULTY_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provisioner.records import Status, TaskId

# What cannot be seen at the ends of a cell: blanks of every width, line breaks, and characters of no width.
BLANKS: Final = " \t\n\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)

UNCERTAIN: Final = "[unclear]"
"""Stands in a cell that could not be read with certainty, also in failures.csv. While it stands there the row is
refused, so that what was doubtful once is not taken for certain when the file is read again. It is plain ASCII, which
no program garbles that saves the file."""

_NAMED: Final = 5
"""Maximum number of rows that a sentence names: one that names all takes time that grows with their square."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row of a failures file comes from."""

    sheet_row: int | None
    """Its number in the original sheet, or None if the row was added by hand."""
    task_id: TaskId | None
    """The task that was accepted for it, or None if there was none."""
    status: Status | None = None
    """Where the row stood, or None if the file does not say it in our words."""
    error: str = ""
    """What was wrong with the row."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """The cells of a sheet as text, and where each of them stands. A row is named by its number in the file."""

    path: Path
    columns: Mapping[str, Sequence[str]] = field(repr=False)
    """The cells by column as they are understood, blank ones empty. Columns that the schema knows go by its names,
    others by their own headers; a column that no header names is last."""
    rows: Sequence[int] = field(repr=False)
    """The number of each row in the file, as the spreadsheet program shows it; ascending."""
    headers: tuple[str, ...]
    """As they are written, in the sheet's order. What a failures file adds at its end is left out."""
    keys: tuple[str, ...]
    """The key in `columns` under each header."""
    delimiter: str
    """What failures.csv is to be separated by."""
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """The rows that could not be read with certainty, and the sentence that says why."""
    misaligned: Mapping[int, str] = field(default_factory=dict)
    """Those of them whose cells may stand under wrong headers, a piece of the password under any: their usernames,
    empty where even that is not certain."""
    origins: Mapping[int, Origin] = field(default_factory=dict)
    """Of each row, if the sheet is a failures file of ours; empty otherwise."""
    is_failures: bool = False
    as_written: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The cells of a column as they stand in the file, if they are understood as something else."""
    tab: str = ""
    """Which sheet of a workbook it is; empty for a text file."""
    most_faulty: int = MOST_FAULTY_ROWS
    """How many rows may have errors: what is wrong with more of them is not listed."""
    second_table: int | None = None
    """The row at which a second table begins, whose rows are not certain; None if there is none."""

    def cell_name(self, row: int, column: str) -> str:
        """Such as `D17`, as it is called in the original sheet where the row comes from one.

        A domain without a column of its own is a part of the address.
        """
        letters = self._letters
        return f"{letters[column if column in letters else 'email']}{self.number(row) or row}"

    @cached_property
    def _letters(self) -> Mapping[str, str]:
        """Of each column, as a spreadsheet program names it."""
        return {key: column_letters(place) for place, key in enumerate(self.keys)}

    def number(self, row: int) -> int | None:
        """The row's number in the original sheet, or None if it was added to a failures file by hand."""
        return self.origins[row].sheet_row if self.is_failures else row

    def other_rows(self, row: int, rows: Sequence[int]) -> str:
        """The numbers of the other rows among `rows`, for a sentence, such as `rows 3, 5 and 44 more`."""
        others = [other for other in rows[: _NAMED + 1] if other != row][:_NAMED]
        named = listed([str(self.number(other) or other) for other in others], _NAMED, len(rows) - 1)
        return f"{'row' if len(others) == 1 else 'rows'} {named}"

    def own_cells(self, row: int) -> list[str]:
        """The row's cells under `headers` as failures.csv is to have them, blank ones empty."""
        position = self.position(row)
        return [self.as_written.get(key, self.columns[key])[position] for key in self.keys]

    def cells(self, *columns: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Every row's number in the file and its cells of these columns; a blank cell or a missing column is empty.

        Of a misaligned row there is its username alone: what else it has may be a piece of its password.
        """
        absent = [""] * len(self.rows)
        table = zip(*(self.columns.get(column, absent) for column in columns), strict=True)
        for row, cells in zip(self.rows, table, strict=True):
            username = self.misaligned.get(row)
            if username is None:
                yield row, cells
            else:
                yield row, tuple(username if column == "email" else "" for column in columns)

    def sharing(self, key: Callable[[str, str], Hashable]) -> dict[int, list[int]]:
        """For each row that shares its mailbox with others, all rows for that mailbox; uncertain rows are left out.

        `key` makes of a username and a domain what mailboxes are told apart by.
        """
        first: dict[Hashable, int] = {}
        several: dict[Hashable, list[int]] = {}
        for row, (email, domain) in self.cells("email", "domain"):
            if email and domain and row not in self.unreadable:
                mailbox = key(email, domain)
                if first.setdefault(mailbox, row) != row:
                    several.setdefault(mailbox, [first[mailbox]]).append(row)
        return {row: rows for rows in several.values() for row in rows}

    def position(self, row: int) -> int:
        """Where the row stands in `rows`, from 0."""
        return bisect_left(self.rows, row)

    @property
    def is_workbook(self) -> bool:
        """Whether the file keeps its cells apart, each of the kind that it was typed as: no delimiter can cut one."""
        return bool(self.tab)

    @property
    def named(self) -> list[tuple[str, str]]:
        """The header and the key of each column that has a header."""
        return [(header, key) for header, key in zip(self.headers, self.keys, strict=True) if header.strip(BLANKS)]


def column_letters(position: int) -> str:
    """A spreadsheet's name for the column at `position`, which counts from 0: A, B … Z, AA …."""
    letters = ""
    while position >= 0:
        position, letter = divmod(position, 26)
        letters = chr(ord("A") + letter) + letters
        position -= 1
    return letters
