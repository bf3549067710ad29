"""What stands below the header and is no row of it: the header once more, a second table, the template's example."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from provisioner.sheets.headers import TELLING_NAMES, known_columns
from provisioner.sheets.sheet import BLANKS, UNCERTAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets.headers import Layout

_NO_HEADER: Final = re.compile(r"[0-9@]|.{40}")
"""What stands in most cells, and in no header that is looked for among the rows."""
_RULE: Final = re.compile(r"\s*:?-+:?\s*")
"""A cell of the line that a Markdown table has below its header."""


class SkippedRows:
    """Tells what is no row of the table from its rows."""

    def __init__(self, layout: Layout, schema: MailboxSchema, known: Sequence[Column | None], delimiter: str) -> None:
        """`known` is, for each header, what the schema knows of its column."""
        self._layout = layout
        self._schema = schema
        self._known = known
        self._under_header = layout.header.number + 1 if delimiter == "|" else None
        # A row is taken for a header if it names as many columns as this.
        self._names = min(TELLING_NAMES, sum(column is not None for column in known))
        self._id = next((place for place, column in enumerate(known) if column and column.whole_number), None)
        self._email = next((place for place, column in enumerate(known) if column and column.name == "email"), None)
        self._example = {place: column.example for place, column in enumerate(known) if column and column.example}
        self._username = self._example.get(self._email) if self._email is not None else None
        self.second_header: int | None = None
        """The row at which a table of other columns begins, or None."""
        self.met_example = False
        """Whether the template's example was among the rows."""

    def holds(self, row: int, cells: Sequence[str]) -> bool:
        """Whether the cells under the sheet's own headers are no row of the table."""
        if self._is_example(cells):
            self.met_example = True
            return True
        if self._id is not None and cells[self._id].isdecimal():
            return False
        if row == self._under_header and all(_RULE.fullmatch(cell) for cell in cells if cell.strip(BLANKS)):
            return True
        return self._is_header(row, [cell.replace(UNCERTAIN, "") for cell in cells])

    def _is_example(self, cells: Sequence[str]) -> bool:
        """Whether the row is the template's example, by its username and all else that it has."""
        if self._email is None or self._username is None or self._username not in cells[self._email]:
            return False
        return all(cells[place].strip(BLANKS) == example for place, example in self._example.items())

    def _is_header(self, row: int, cells: Sequence[str]) -> bool:
        """Whether a row is the header once more. One that names other columns begins a second table."""
        likely = [cell for cell in cells if not _NO_HEADER.search(cell)]
        if len(likely) < self._names or known_columns(likely, self._schema.column_for) < self._names:
            return False
        if self._is_same_header(cells):
            return True
        if self._names > 1 and self.second_header is None:
            self.second_header = row
        return False

    def _is_same_header(self, cells: Sequence[str]) -> bool:
        """Whether a row that names columns names those of the header; a single name must be the very same."""
        if self._names == 1:
            return tuple(cells) == self._layout.headers
        return all(
            self._schema.column_for(cell) == column.name
            for cell, column in zip(cells, self._known, strict=True)
            if column
        )
