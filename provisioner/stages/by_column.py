"""A column of the sheet that divides its rows, such as the client that each belongs to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from provisioner.errors import SettingsError
from provisioner.journal import Fact
from provisioner.schema import normalize

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provisioner.journal import Journal, JournalRow


def matching(columns: Collection[str], name: str) -> list[str]:
    """The columns that `name` means.

    One of exactly this name; if there is none, all whose names differ only in case, blanks and punctuation.
    """
    wanted = normalize(name)
    return [name] if name in columns else [column for column in columns if wanted and normalize(column) == wanted]


def find_column(columns: Collection[str], name: str) -> str:
    """The one column of the sheet that `name` means. Raises SettingsError if there is none, or several."""
    found = matching(columns, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(f"Several columns are called “{name}”.", remedy="Rename all of them but one in the sheet.")
    raise SettingsError(
        f"The sheet has no column “{name}”.",
        remedy=f"Name one of its columns: {', '.join(columns)}." if columns else "Run the sheet first.",
    )


def columns_by_header(journal: Journal) -> dict[str, str]:
    """The journal's columns by the headers of the sheet; empty if no sheet was read. Raises JournalError."""
    return by_header(json.loads(journal.fact(Fact.HEADERS) or "[]"))


def by_header(named: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Columns by their headers, in the order of the sheet; if several have one header, the first."""
    columns: dict[str, str] = {}
    for header, column in named:
        columns.setdefault(header.strip(), column)
    return columns


def counted_by(columns: Mapping[str, str], name: str | None) -> tuple[str, str]:
    """The header and the column of the values that rows are counted by; both empty if rows are only counted.

    `columns` are by their headers; `name` is the header to look for, Client if that is None.
    """
    found = matching(columns, name or "Client")
    return (found[0], columns[found[0]]) if found else ("", "")


def value_of(row: JournalRow, column: str) -> str:
    """What stands in a row under `column`, without the blanks around it; empty if nothing does."""
    return row.cells.get(column, "").strip()
