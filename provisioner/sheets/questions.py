"""What leaves open what a sheet means, and can be settled by a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.errors import SheetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ColumnsError(SheetError):
    """The header lacks columns, or nearly names some. `SheetOptions.columns` says what its headers mean."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        headers: Sequence[str],
        missing: Sequence[str] = (),
        alike: Mapping[str, str] | None = None,
    ) -> None:
        """`headers` are the sheet's own, `missing` the schema's columns that every sheet must have.

        `alike` are the headers that nearly name a column, each with that column.
        """
        super().__init__(message, remedy=remedy)
        self.headers = headers
        self.missing = missing
        self.alike = alike or {}


class SeveralTabsError(SheetError):
    """Several sheets of a workbook could be meant. `SheetOptions.sheet_name` chooses one."""

    def __init__(self, message: str, *, remedy: str, tabs: Sequence[str]) -> None:
        super().__init__(message, remedy=remedy)
        self.tabs = tabs
