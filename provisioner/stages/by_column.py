"""A column of the sheet that divides its rows, such as the client that each belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.errors import SettingsError
from provisioner.schema import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.journal import JournalRow


def find_column(rows: Iterable[JournalRow], name: str) -> str:
    """The column of the sheet that `name` means; case, blanks and the like do not matter.

    Raises SettingsError if there is none, or several.
    """
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    found = [column for column in columns if column == name] or [
        column for column in columns if normalize(column) == normalize(name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(f"Several columns are called {name}.", remedy="Rename all of them but one in the sheet.")
    raise SettingsError(
        f"The sheet has no column {name}.",
        remedy=f"Name one of its columns: {', '.join(columns)}." if columns else "Run the sheet first.",
    )


def value_of(row: JournalRow, column: str) -> str:
    """What stands in a row under `column`, without the blanks around it; empty if nothing does."""
    return row.cells.get(column, "").strip()
