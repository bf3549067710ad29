"""The second stage: every row against every rule of the schema, all its problems in one pass.

pandera judges the cells, each different text of a column once. What it found wrong is put into sentences when a row's
problems are asked for, and no cell leaves the sheet but for the sentence that may name it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from provisioner.records import Problem, Row
from provisioner.schema import Fault
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets import Sheet


DELETABLE: Final = "delete the row"
"""What a sentence says if deleting the row is a way to settle it."""
_DUPLICATE: Final = "another row has the same username and domain; keep one and delete the rest"


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
        self._sheet = sheet
        known = [name for name in sheet.columns if name in schema.columns]
        self._columns = [schema.columns[name] for name in (*known, *(n for n in schema.columns if n not in known))]
        """In the sheet's order, those that it lacks last."""
        self._blank_ok = {column.name for column in self._columns if column.nullable}
        self._blank_ok |= {"password"} if blank_password_ok else set()
        self._violations = {name: schema.violations(name, filter(None, sheet.columns[name])) for name in known}
        self._duplicates = _duplicates(sheet) if duplicates is None else duplicates
        self.invalid: Sequence[int] = sorted({*sheet.unreadable, *self._duplicates, *self._faulty()})
        """The rows with problems, in the sheet's order."""

    @property
    def warnings(self) -> Iterator[Problem]:
        """What is worth knowing of rows that are sent all the same."""
        invalid = set(self.invalid)
        for column in self._columns:
            if not column.warnings or column.name not in self._sheet.columns:
                continue
            for row, text in zip(self._sheet.rows, self._sheet.columns[column.name], strict=True):
                for each in column.warnings:
                    if text and row not in invalid and (fault := each.fault(text)):
                        yield self._problem(row, column, fault)

    def problems(self, row: int) -> tuple[Problem, ...]:
        """All that is wrong with the row, in the order of the columns; empty if it is ready."""
        if row in self._sheet.unreadable:
            sentence = self._sheet.unreadable[row]
            return (Problem(None, sentence, _cause(sentence)),)
        position = self._sheet.position(row)
        found: list[Problem] = []
        cut = False
        for column in self._columns:
            faults = list(self._faults(column, position))
            # In a text file, what a delimiter cut off a wrong secret cell may stand to its right: it is not named.
            shown = [Fault(fault.cause, fault.cause) if cut else fault for fault in faults]
            found += [self._problem(row, column, fault) for fault in shown]
            cut |= column.secret and bool(faults) and not self._sheet.is_workbook
        return tuple(found)

    def ready(self) -> Iterator[Row]:
        """The rows that broke no rule, in the sheet's order, made as they are asked for."""
        invalid = set(self.invalid)
        names = ("email", "domain", "relay_server", "password", "project", "reply_to")
        absent = [""] * len(self._sheet.rows)
        columns = [self._sheet.columns.get(name, absent) for name in names]
        for row, *cells in zip(self._sheet.rows, *columns, strict=True):
            if row not in invalid:
                email, domain, relay_server, password, project, reply_to = cells
                secret = Secret(password) if password else None
                yield Row(row, email, domain, relay_server, secret, project or None, reply_to or None)

    def _faulty(self) -> Iterator[int]:
        """The rows that have a faulty cell, some of them more than once."""
        rows, absent = self._sheet.rows, [""] * len(self._sheet.rows)
        for column in self._columns:
            cells = self._sheet.columns.get(column.name, absent)
            faulty = {*self._violations.get(column.name, ()), *([""] if self._is_missing(column) else [])}
            if not faulty.isdisjoint(cells):
                yield from (row for row, text in zip(rows, cells, strict=True) if text in faulty)

    def _is_missing(self, column: Column) -> bool:
        """Whether a blank cell of the column is a fault."""
        return column.name not in self._blank_ok and (column.required or column.name in self._sheet.columns)

    def _text(self, column: Column, position: int) -> str:
        cells = self._sheet.columns.get(column.name)
        return cells[position] if cells is not None else ""

    def _faults(self, column: Column, position: int) -> Iterator[Fault]:
        text = self._text(column, position)
        if text:
            yield from column.faults(text, self._violations[column.name].get(text, ()))
        elif self._is_missing(column):
            yield Fault(column.blank, column.blank)
        if column.name == "email" and (others := self._duplicates.get(self._sheet.rows[position])):
            yield self._duplicate(self._sheet.rows[position], others)

    def _duplicate(self, row: int, same: Sequence[int]) -> Fault:
        """What to say about a row whose mailbox stands in all the rows of `same`."""
        rows = self._sheet.other_rows(row, same)
        have, others = ("has", "other") if rows.startswith("row ") else ("have", "others")
        return Fault(f"{rows} {have} the same username and domain; keep one and delete the {others}", _DUPLICATE)

    def _problem(self, row: int, column: Column, fault: Fault) -> Problem:
        cell = self._sheet.cell_name(row, column.name) if column.name in self._sheet.columns else None
        return Problem(cell, fault.sentence, fault.cause, deletable=DELETABLE in fault.sentence)


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
    """
    return Checked(sheet, schema, blank_password_ok=blank_password_ok, duplicates=duplicates)


def _cause(sentence: str) -> str:
    """Why a row could not be read with certainty, without its cells and numbers."""
    return re.sub(r"(?<![\w-])[A-Z]{0,3}[0-9]+\b", "…", sentence).replace("… cell ", "… cells ")


def _duplicates(sheet: Sheet) -> dict[int, list[int]]:
    """The rows of which several mean one mailbox: the same username, whatever its case, and the same domain.

    For each of them, all rows that mean it.
    """
    if "email" not in sheet.columns or "domain" not in sheet.columns:
        return {}
    usernames = list(map(str.casefold, sheet.columns["email"]))
    frequent = {username for username, times in Counter(usernames).items() if times > 1 and username}
    together = defaultdict[tuple[str, str], list[int]](list)
    for row, username, domain in zip(sheet.rows, usernames, sheet.columns["domain"], strict=True):
        if username in frequent and domain and row not in sheet.unreadable:
            together[username, domain].append(row)
    return {row: rows for rows in together.values() if len(rows) > 1 for row in rows}
