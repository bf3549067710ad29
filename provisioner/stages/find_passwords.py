"""The passwords of a run's mailboxes: from the journal, or else from the sheets."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.journal import Fact, Journal, JournalRow, password_check
from provisioner.records import Status
from provisioner.secret import Secret
from provisioner.stages.read import chosen_columns, read
from provisioner.stages.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.sheets import Sheet


def read_passwords(
    sheets: Sequence[Path], journal: Journal, schema_file: Path | None
) -> tuple[dict[str, list[Secret]], list[str]]:
    """All passwords that the sheets give, by what their mailboxes are known by, and notes for the user.

    A mailbox whose username or domain was corrected in a failures file is known by what the sheet says, too. Without
    `sheets`, the sheet of the latest run is read, if it still can be. Raises SheetError for any other.
    """
    rules = replace(schema.load(schema_file), headers=chosen_columns(journal))
    known = defaultdict[str, list[Secret]](list)
    notes = []
    fact, tab = journal.fact(Fact.SHEET), journal.fact(Fact.TAB)
    for path in sheets or ([Path(fact)] if fact else []):
        try:
            sheet = read(path, rules, sheet_name=None if sheets else tab or None, blank_password_ok=True)
        except SheetError as error:
            if sheets:
                raise
            notes.append(
                f"The sheet of the run cannot be read for its passwords: {error.message} If it is elsewhere now, "
                "name it with --sheet."
            )
            continue
        for key, given in passwords_in(sheet).items():
            known[key] += given
    resolver = Resolver(None)
    for row, correction in _corrections(journal):
        known[correction.address_key or ""] += known[resolver.identity(row.email, row.domain).key]
    return known, notes


def _corrections(journal: Journal) -> Iterator[tuple[JournalRow, JournalRow]]:
    """Every row that was corrected, with its latest correction."""
    rows = {row.id: row for row in journal.rows()}
    for row in rows.values():
        latest = row
        while latest.superseded_by is not None:
            latest = rows[latest.superseded_by]
        if latest is not row:
            yield row, latest


def passwords_in(sheet: Sheet) -> dict[str, list[Secret]]:
    """The passwords of a sheet by what their mailboxes are known by."""
    resolver = Resolver(None)
    known = defaultdict[str, list[Secret]](list)
    for _, (email, domain, password) in sheet.cells("email", "domain", "password"):
        if password:
            known[resolver.identity(email, domain).key].append(Secret(password))
    return known


def given_passwords(row: JournalRow, known: Mapping[str, Sequence[Secret]]) -> Sequence[Secret]:
    """What sheets give for a row, by its key or its full address."""
    return [*known.get(row.address_key or "", ()), *known.get(row.address.casefold(), ())]


def find_password(row: JournalRow, known: Mapping[str, Sequence[Secret]]) -> Secret | None:
    """The password that the mailbox was created with; None if it is not known.

    Of a mailbox that already existed it is the sheet's, which may be another than the mailbox's.
    """
    if row.password is not None:
        return row.password
    given = given_passwords(row, known)
    if row.status is Status.EXISTS and row.password_check is None:
        return given[0] if len({password.reveal() for password in given}) == 1 else None
    return next((password for password in given if password_check(password, row.id) == row.password_check), None)
