"""The second stage: every row against every rule of the schema, all its problems in one pass.

pandera judges the cells, each different text of a column once, and no cell leaves the sheet but for the sentence that
may name it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from provisioner.records import GAP, Fault, Problem
from provisioner.sheets.limits import too_many_faulty

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets import Sheet


_DUPLICATE: Final = f"the same username and domain as in {GAP}; keep one of them and delete the rest"
_OWN_TO_THE_ROW: Final = re.compile(rf"(?<![\w-])[A-Z]{{0,3}}[0-9]+\b(?: cells?\b)?|{GAP}")
"""In a sentence about a row that could not be read with certainty: its cells and numbers."""


class Checked:
    """A sheet of which every row is either ready or has its problems. A row is named by its number in the file."""

    def __init__(
        self,
        sheet: Sheet,
        schema: MailboxSchema,
        *,
        blank_password_ok: bool,
        duplicates: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        self.sheet = sheet
        self.secret = schema.secret
        """The columns whose cells are never shown."""
        known = [name for name in sheet.columns if name in schema.columns]
        absent = [""] * len(sheet.rows)
        self._columns = []
        """In the sheet's order, those that it lacks last: the column, its cells, and the faults of each faulty text."""
        for name in dict.fromkeys((*known, *schema.columns)):
            column, cells = schema.columns[name], sheet.columns.get(name, absent)
            faults = schema.faults(name, filter(None, cells))
            may_be_blank = column.nullable or (name == "password" and blank_password_ok)
            if not may_be_blank and (column.required or name in known):
                faults[""] = [Fault(column.blank)]
            self._columns.append((column, cells, faults))
        self._duplicates = sheet.sharing(_written) if duplicates is None else duplicates
        self.invalid: Sequence[int] = sorted({*sheet.unreadable, *self._duplicates, *self._faulty()})
        """The rows with problems, in the sheet's order."""

    @property
    def warnings(self) -> Iterator[Problem]:
        """What is worth knowing of rows that are sent all the same."""
        invalid = set(self.invalid)
        for column, cells, _ in self._columns:
            if not column.warnings:
                continue
            for row, text in zip(self.sheet.rows, cells, strict=True):
                for each in column.warnings:
                    if text and row not in invalid and not each.keeps(text):
                        yield self._problem(row, column, each.fault(text))

    def problems(self, row: int) -> tuple[Problem, ...]:
        """All that is wrong with the row, in the order of the columns; empty if it is ready."""
        if row in self.sheet.unreadable:
            return (Problem(None, _unreadable(self.sheet.unreadable[row])),)
        position = self.sheet.position(row)
        found: list[Problem] = []
        cut = False
        for column, cells, faulty in self._columns:
            faults = faulty.get(cells[position], ())
            if column.name == "email" and row in self._duplicates:
                faults = [*faults, self._duplicate(row)]
            if faults:
                # In a text file, what a delimiter cut off a wrong secret cell may stand to its right: it is not named.
                found += [self._problem(row, column, Fault(fault.cause) if cut else fault) for fault in faults]
                cut |= column.secret and not self.sheet.is_workbook
        return tuple(found)

    def _faulty(self) -> Iterator[int]:
        """The rows that have a faulty cell, some of them more than once."""
        for _, cells, faulty in self._columns:
            if not faulty.keys().isdisjoint(cells):
                yield from (row for row, text in zip(self.sheet.rows, cells, strict=True) if text in faulty)

    def _duplicate(self, row: int) -> Fault:
        """What to say about a row whose mailbox stands in others too."""
        return Fault(_DUPLICATE, (self.sheet.other_rows(row, self._duplicates[row]),))

    def _problem(self, row: int, column: Column, fault: Fault) -> Problem:
        return Problem(self.sheet.cell_name(row, column.name) if column.name in self.sheet.columns else None, fault)


def validate(
    sheet: Sheet,
    schema: MailboxSchema,
    *,
    blank_password_ok: bool = False,
    duplicates: Mapping[int, Sequence[int]] | None = None,
) -> Checked:
    """Every row of the sheet against every rule of the schema.

    Args:
        sheet: What was read, or some of its rows.
        schema: The same that it was read with.
        blank_password_ok: Whether a blank password is no problem, since one will be generated.
        duplicates: Of each row of a part of a sheet that is not the only one for its mailbox, all that are for it,
            written alike. None finds them, in a whole sheet.

    Raises:
        SheetError: More rows have errors than can be listed.
    """
    checked = Checked(sheet, schema, blank_password_ok=blank_password_ok, duplicates=duplicates)
    if len(checked.invalid) > sheet.most_faulty:
        first = checked.invalid[0]
        raise too_many_faulty(sheet.most_faulty, first, str(checked.problems(first)[0]))
    return checked


@lru_cache  # Many rows, such as short ones, have one sentence.
def _unreadable(sentence: str) -> Fault:
    """Why a row could not be read with certainty; the same cause for all rows of which the same is said."""
    return Fault(_OWN_TO_THE_ROW.sub(GAP, sentence), tuple(_OWN_TO_THE_ROW.findall(sentence)))


def _written(username: str, domain: str) -> tuple[str, str]:
    """What rows have in common that write one mailbox alike: the case of its username does not matter."""
    return username.casefold(), domain
