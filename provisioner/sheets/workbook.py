"""XLSX, XLS and ODS: from the cells of a workbook to records.

A workbook keeps numbers, dates and errors, of which the text that a person sees is only a picture. Integers are taken
as they are; what else is not text is noted, so that the row can be refused where the cell is to be sent.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets import ods, xls, xlsx
from provisioner.sheets.headers import SEARCHED_ROWS, TELLING_NAMES, find_header, no_header
from provisioner.sheets.kinds import Kind
from provisioner.sheets.limits import LAST_ROW
from provisioner.sheets.sheet import column_letters
from provisioner.sheets.source import Source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from provisioner.schema import MailboxSchema
    from provisioner.sheets.delimited import Record
    from provisioner.sheets.grid import Grid, Tab
    from provisioner.sheets.headers import FoundHeader, Meaning

_READERS: Final = {Kind.XLSX: xlsx.tabs, Kind.XLS: xls.tabs, Kind.ODS: ods.tabs}


class SeveralTabsError(SheetError):
    """Several sheets of a workbook could be meant. `SheetOptions.sheet_name` chooses one."""

    def __init__(self, message: str, *, remedy: str, tabs: Sequence[str]) -> None:
        super().__init__(message, remedy=remedy)
        self.tabs = tabs


def workbook_source(
    data: bytes, kind: Kind, sheet_name: str | None, schema: MailboxSchema, required: Collection[str]
) -> Source:
    """The sheet of a workbook that holds the mailboxes.

    That is the one called `sheet_name`; None takes the only visible one whose header has the `required` columns, unless
    that of another nearly has them. Raises SheetError if the workbook is damaged or too large, or if it is not certain
    which sheet is meant.
    """
    column_for = schema.column_for
    tab = _choose(_READERS[kind](data), sheet_name, schema, required)
    grid = tab.read(LAST_ROW)
    found = _find_header(grid, column_for)
    if found.header is None:
        raise no_header()
    number = found.header.number
    _refuse_hidden_columns(found.header, grid, column_for)
    below = (record for record in grid.records() if record.number > number)
    return Source(found.header, below, ",", certain=True, above=found.above, tab=tab.name)


def tab_names(data: bytes, kind: Kind, column_for: Meaning) -> list[str]:
    """The names of the visible sheets of a workbook that have a header. Raises SheetError."""
    return [
        tab.name
        for tab in _READERS[kind](data)
        if tab.visible and _find_header(tab.read(SEARCHED_ROWS), column_for).known >= TELLING_NAMES
    ]


def _find_header(grid: Grid, column_for: Meaning) -> FoundHeader:
    return find_header(takewhile(lambda record: record.number <= SEARCHED_ROWS, grid.records()), column_for)


def _refuse_hidden_columns(header: Record, grid: Grid, column_for: Meaning) -> None:
    for position, name in enumerate(header.cells):
        if column_for(name) and any(position in hidden for hidden in grid.hidden_columns):
            raise SheetError(
                f"The column “{name.strip()}” ({column_letters(position)}) is hidden in the workbook, "
                "so it is not certain that it is meant.",
                remedy="Show it, or delete it, and save the workbook.",
            )


def _choose(tabs: Sequence[Tab], named: str | None, schema: MailboxSchema, required: Collection[str]) -> Tab:
    if named is not None:
        tab = next((tab for tab in tabs if tab.name == named), None)
        if tab is None:
            raise SheetError(
                f"The workbook has no sheet “{named}”.",
                remedy=f"Its sheets are {_listed(tab.name for tab in tabs)}.",
            )
        return tab
    headers = [(tab, _find_header(tab.read(SEARCHED_ROWS), schema.column_for).header) for tab in tabs]
    with_header = [(tab, header) for tab, header in headers if header]
    visible = [(tab, header) for tab, header in with_header if tab.visible]
    candidates = _candidates(visible, schema, required)
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = [tab.name for tab in candidates]
        raise SeveralTabsError(
            f"The workbook has several sheets that could be meant: {_listed(names)}.",
            remedy=f'Name one with --sheet, such as --sheet "{names[0]}", or take all with --all-sheets.',
            tabs=names,
        )
    if with_header:
        raise SheetError(
            f"Only hidden sheets of the workbook hold mailboxes: {_listed(tab.name for tab, _ in with_header)}.",
            remedy="Show the sheet in the spreadsheet program, or name it with --sheet.",
        )
    raise no_header()


def _candidates(visible: Sequence[tuple[Tab, Record]], schema: MailboxSchema, required: Collection[str]) -> list[Tab]:
    """The tabs that may be meant: beside one that has all it needs only those that nearly have it."""
    if any(set(required) <= set(map(schema.column_for, header.cells)) for _, header in visible):
        return [tab for tab, header in visible if _may_be_meant(header, schema, required)]
    return [tab for tab, _ in visible]


def _may_be_meant(header: Record, schema: MailboxSchema, required: Collection[str]) -> bool:
    """Whether a header has what is required, but for a slip or a column or two.

    A list of domains and relay servers names neither users nor passwords.
    """
    named = {schema.column_for(cell) or schema.closest_column(cell) for cell in set(header.cells)}
    found, account = named & set(required), {"email", "password"}
    return set(required) <= named or account <= named or bool(account & named and 2 * len(found) > len(required))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
