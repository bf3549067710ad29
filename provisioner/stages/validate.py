"""The second stage: every row against every rule of the schema, all its problems in one pass.

pandera's own `validate` gathers the failing cells, passwords among them, into frames and messages. Its checks are
called one at a time instead: each gives a mask, and no cell leaves the sheet but for the sentence that may name it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from provisioner.records import Problem, Row
from provisioner.schema import Fault
from provisioner.secret import Secret
from provisioner.sheets import BLANKS
from provisioner.sieve import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets import Sheet

    Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
    Texts = np.ndarray[tuple[int], np.dtype[np.object_]]
    Positions = np.ndarray[tuple[int], np.dtype[np.int64]]

_NAMED_TWINS: Final = 5
"""So many of the other rows are named where a mailbox stands in the sheet more than once."""
_A_PAIR: Final = 2
_TWIN: Final = "the same username stands with the same domain in another row too; keep one of them and delete the rest"


@dataclass(frozen=True)
class _Finding:
    """One kind of problem, and the rows that have it."""

    column: str | None
    """The schema's name of the column whose cell is meant; None where the row as a whole is."""
    faults: Callable[[int], Iterable[Fault]]
    """What to say about the row at a position."""
    positions: Positions
    """Where in the sheet's frame these rows stand, in order."""


class Checked:
    """A sheet of which every row is either ready or has its problems. A row is named by its number in the file."""

    def __init__(self, sheet: Sheet, findings: Sequence[_Finding], warnings: Sequence[_Finding]) -> None:
        self._sheet = sheet
        self._findings = findings
        self._warnings = warnings
        kinds = np.repeat(np.arange(len(findings), dtype=np.int16), [len(finding.positions) for finding in findings])
        positions = np.concatenate([np.empty(0, np.int32), *(finding.positions for finding in findings)])
        order = np.argsort(positions, kind="stable")
        self._kinds = kinds[order]
        self._positions = positions[order].astype(np.int32)
        self._invalid = np.zeros(len(sheet.frame), dtype=np.bool_)
        self._invalid[self._positions] = True

    @property
    def invalid(self) -> Sequence[int]:
        """The rows with problems, in the sheet's order."""
        rows: list[int] = self._sheet.rows[self._invalid].tolist()
        return rows

    @property
    def warnings(self) -> Iterator[tuple[int, Problem]]:
        """What is worth knowing of rows that are sent all the same."""
        rows = self._sheet.rows
        for finding in self._warnings:
            for position in finding.positions[~self._invalid[finding.positions]]:
                for problem in self._problems(finding, int(position)):
                    yield int(rows[position]), problem

    def problems(self, row: int) -> tuple[Problem, ...]:
        """All that is wrong with the row, in the order of the columns; empty where it is ready."""
        position = self._sheet.position(row)
        first = bisect_left(self._positions, position)
        last = bisect_right(self._positions, position, first)
        findings = (self._findings[kind] for kind in self._kinds[first:last])
        return tuple(chain.from_iterable(self._problems(finding, position) for finding in findings))

    def ready(self) -> Iterator[Row]:
        """The rows that broke no rule, in the sheet's order, made as they are asked for."""
        names = ("email", "domain", "relay_server", "password", "project", "reply_to")
        columns = [self._sheet.texts(name) if name in self._sheet.keys else None for name in names]
        for position in np.flatnonzero(~self._invalid):
            cells: list[Any] = [None if column is None else column[position] for column in columns]
            email, domain, relay_server, password, project, reply_to = cells
            secret = None if password is None else Secret(password)
            yield Row(int(self._sheet.rows[position]), email, domain, relay_server, secret, project, reply_to)

    def _problems(self, finding: _Finding, position: int) -> Iterator[Problem]:
        row = int(self._sheet.rows[position])
        named = finding.column is not None and finding.column in self._sheet.keys
        cell = self._sheet.cell_name(row, finding.column) if named and finding.column else None
        for fault in finding.faults(position):
            yield Problem(cell, fault.sentence, fault.cause)


def validate(sheet: Sheet, schema: MailboxSchema, *, blank_password_ok: bool = False) -> Checked:
    """Every row of the sheet against every rule of the schema.

    Args:
        sheet: What was read.
        schema: The same that it was read with.
        blank_password_ok: Whether a blank password is no problem, since one will be generated.
    """
    whole = np.ones(len(sheet.frame), dtype=np.bool_)
    broken = np.fromiter(map(sheet.position, sheet.broken), dtype=np.int64, count=len(sheet.broken))
    whole[broken] = False
    findings = [
        _Finding(None, lambda position: [_unreadable(sheet.broken[int(sheet.rows[position])])], np.sort(broken))
    ]
    warnings = []
    cut = np.zeros(len(sheet.frame), dtype=np.bool_)
    known = [name for name in sheet.keys if name in schema.columns]
    for name in (*known, *(name for name in schema.columns if name not in known)):
        column = schema.columns[name]
        blank_ok = column.nullable or (name == "password" and blank_password_ok)
        found = list(_findings(sheet, schema, column, whole, blank_ok=blank_ok))
        findings += [_nameless(finding, cut) for finding in found]
        if name == "email":
            findings += _duplicates(sheet, whole)
        if column.secret and name in known:
            for finding in found:
                cut[finding.positions] = True
            warnings.append(_blank_ends(sheet, name, whole))
    return Checked(sheet, findings, warnings)


def _unreadable(sentence: str) -> Fault:
    """Why a row could not be read with certainty; the cause is that sentence without its cells and numbers."""
    return Fault(sentence, re.sub(r"(?<![\w-])[A-Z]{0,3}[0-9]+\b", "…", sentence).replace("… cell ", "… cells "))


def _findings(
    sheet: Sheet, schema: MailboxSchema, column: Column, whole: Mask, *, blank_ok: bool
) -> Iterator[_Finding]:
    blank = [Fault(column.blank, column.blank)]
    if column.name not in sheet.keys:
        if column.required and not blank_ok:
            yield _Finding(column.name, lambda _: blank, np.flatnonzero(whole))
        return
    texts = sheet.texts(column.name)
    filled = whole & sheet.filled(column.name)
    if not blank_ok:
        yield _Finding(column.name, lambda _: blank, np.flatnonzero(whole & ~filled))
    positions = np.flatnonzero(filled)
    broken = _broken(sheet, schema, column.name, positions)
    yield _Finding(column.name, lambda position: column.faults(texts[position]), positions[broken])


def _nameless(finding: _Finding, cut: Mask) -> _Finding:
    """The finding without what cells hold in the rows of `cut`.

    There a secret cell to the left of this one is wrong: what a delimiter cut off it may stand here.
    """
    if not cut.any():
        return finding

    def faults(position: int) -> Iterable[Fault]:
        found = finding.faults(position)
        return [Fault(fault.cause, fault.cause) for fault in found] if cut[position] else found

    return replace(finding, faults=faults)


def _broken(sheet: Sheet, schema: MailboxSchema, column: str, positions: Positions) -> Mask:
    """Which of the cells at these positions break a rule. Where many are the same, each is asked about once."""
    few = sheet.few(column)
    if few is not None:
        broken: Mask = schema.broken(column, pd.Series(few.texts, dtype=object))[few.places[positions]]
        return broken
    texts = sheet.texts(column)
    texts = texts if len(positions) == len(texts) else texts[positions]
    return schema.broken(column, pd.Series(texts, dtype=object, copy=False))


def _duplicates(sheet: Sheet, whole: Mask) -> Iterator[_Finding]:
    """The rows of which several mean one mailbox: the same username, whatever its case, and the same domain."""
    if "email" not in sheet.keys or "domain" not in sheet.keys:
        return
    emails, domains = sheet.texts("email"), sheet.texts("domain")
    named = np.flatnonzero(whole & sheet.filled("email") & sheet.filled("domain"))
    usernames = emails if len(named) == len(emails) else emails[named]
    if _all_differ(usernames):
        return
    folded = _folded(usernames.tolist())
    frame = pd.DataFrame({"email": folded, "domain": domains[named]}, index=named, dtype=object)
    frame = frame[frame["email"].duplicated(keep=False)]
    frame = frame[frame.duplicated(keep=False)]
    positions = frame.index.to_numpy()
    mailbox = frame.groupby(["email", "domain"], sort=False).ngroup().to_numpy()
    together = positions[np.argsort(mailbox, kind="stable")]
    starts = np.concatenate([[0], np.cumsum(np.bincount(mailbox))]) if len(mailbox) else np.zeros(1, np.int64)

    def faults(position: int) -> list[Fault]:
        own = mailbox[np.searchsorted(positions, position)]
        first, end = int(starts[own]), int(starts[own + 1])
        others = [int(sheet.rows[other]) for other in together[first:end][: _NAMED_TWINS + 1] if other != position]
        named = [str(sheet.number(row) or row) for row in others[:_NAMED_TWINS]]
        unnamed = end - first - 1 - len(named)
        rows = ("row " if end - first == _A_PAIR else "rows ") + ", ".join(named)
        also = f" and {unnamed} more" if unnamed else ""
        sentence = (
            f"this username stands with the same domain in {rows}{also} too; keep one of them and delete the rest"
        )
        return [Fault(sentence, _TWIN)]

    yield _Finding("email", faults, positions)


def _all_differ(usernames: Texts) -> bool:
    """Whether certainly no two are the same, whatever their case. To sort hashes is quicker than to make a set."""
    hashes = [np.fromiter(map(hash, _folded(block)), np.int64, len(block)) for block in blocks(usernames)]
    together = np.sort(np.concatenate([np.empty(0, np.int64), *hashes]))
    return not (together[1:] == together[:-1]).any()


def _folded(texts: list[str]) -> list[str]:
    """The texts without their case."""
    together = "".join(texts)
    return texts if together == together.casefold() else list(map(str.casefold, texts))


def _blank_ends(sheet: Sheet, name: str, whole: Mask) -> _Finding:
    kept = f"the {name} begins or ends with a blank, which is kept as part of it"
    ends = np.concatenate([np.empty(0, np.bool_), *map(_has_blank_ends, blocks(sheet.texts(name)))])
    return _Finding(name, lambda _: [Fault(kept, kept)], np.flatnonzero(whole & ends))


def _has_blank_ends(cells: Sequence[str | None]) -> Mask:
    """Which of the cells begin or end with a blank."""
    if not any(map("".join(filter(None, cells)).__contains__, BLANKS)):
        return np.zeros(len(cells), dtype=np.bool_)
    return np.fromiter((cell is not None and cell != cell.strip(BLANKS) for cell in cells), np.bool_, len(cells))
