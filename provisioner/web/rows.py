"""What the table of rows to fix shows of each row: which cells are inputs, and what is said beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from provisioner.records import Status
from provisioner.sheets import UNCERTAIN
from provisioner.web.phrases import name_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from provisioner.fixing import OpenRow, RowFault, SheetColumn

MOST_ELEMENTS: Final = 4000
"""Of the HTML of one page's rows. What stands around them has another thousand at most."""
FURTHER_COLUMNS: Final = 6
"""How many columns that the schema does not know are shown, to tell rows apart."""
MOST_FURTHER_COLUMNS: Final = 200
"""The same where a whole row is in doubt, since any of its cells may have to be typed again."""
MOST_ROWS_TO_FIX: Final = 50
"""On one page."""
MOST_ROWS: Final = 100
"""On one page, where rows are only looked at."""


@dataclass(frozen=True)
class Cell:
    """One cell of a row to fix."""

    id: str
    """The HTML ID of its input."""
    position: int
    """Of its column, among those shown."""
    column: SheetColumn
    text: str | None
    """None: there is a text, and it is masked."""
    faults: Sequence[RowFault] = ()
    alike: int = 0
    """How many rows to fix hold the same text here, this one included; 0 where nothing is wrong."""
    stale: bool = False
    """Something was typed here while it was changed elsewhere."""
    revealed: bool = False
    editable: bool = True
    described: Sequence[str] = ()
    """The HTML IDs of what is wrong with it; empty: nothing."""

    @property
    def hidden(self) -> bool:
        """Whether nothing of its text may be in the page."""
        return not self.revealed and (self.column.secret or self.text is None)

    @property
    def elements(self) -> int:
        """How many HTML elements it makes at most."""
        return 3 + len(self.faults) + (self.alike > 1) + 4 * self.hidden


@dataclass(frozen=True)
class RowToFix:
    """A row with an input for every column that the schema knows; for every column if the whole row is in doubt."""

    key: str
    name: str
    """Such as `row 12`."""
    version: str
    whole: Sequence[RowFault]
    """What is wrong with the row as a whole."""
    cells: Sequence[Cell]
    stale: bool = False
    """It was changed elsewhere while something was typed here."""
    focus: int | None = None
    """The position of the cell to go to once the row is in its place; None: none."""
    onward: bool = False
    """Whether to go to the next row's fault then."""
    start: int | None = None
    """The position of the cell in which a page begins; None: none."""

    @property
    def elements(self) -> int:
        """How many HTML elements it makes at most."""
        return 12 + len(self.whole) + sum(cell.elements for cell in self.cells)

    @property
    def faulty(self) -> list[int]:
        """The positions of the cells that are marked."""
        return [cell.position for cell in self.cells if cell.described]

    @property
    def marked(self) -> bool:
        """Whether a cell shows the mark of what is not certain."""
        return any(UNCERTAIN in (cell.text or "") for cell in self.cells)

    def cell(self, column: str) -> Cell | None:
        """The cell of a column; None if it has no input."""
        return next((cell for cell in self.cells if cell.column.key == column and cell.editable), None)


@dataclass(frozen=True)
class ShownColumns:
    """Which columns of a sheet a page shows."""

    columns: Sequence[SheetColumn]
    hidden: int
    """How many further columns the sheet has."""

    @classmethod
    def of(cls, columns: Iterable[SheetColumn], further: int = FURTHER_COLUMNS) -> ShownColumns:
        """All columns that the schema knows, and the first of the others."""
        everything = list(columns)
        others = {column.key for column in [column for column in everything if not column.known][:further]}
        chosen = [column for column in everything if column.known or column.key in others]
        return cls(chosen, len(everything) - len(chosen))

    @property
    def page_size(self) -> int:
        """How many rows a page has at most where rows are only looked at."""
        return max(1, min(MOST_ROWS, MOST_ELEMENTS // (len(self.columns) + 4)))

    def row_to_fix(self, row: OpenRow, typed: Collection[str] | None = None) -> RowToFix:
        """A row for the table; `typed` are the columns into which something was typed that is stale now."""
        columns = {column.key for column in self.columns}
        whole = [fault for fault in row.faults if fault.column not in columns]
        cells = [self._cell(row, position, column, typed or ()) for position, column in enumerate(self.columns)]
        if whole:
            ids = [f"fault-{row.key}-{number}" for number in range(1, len(whole) + 1)]
            doubtful = _doubtful(cells)
            cells = [
                replace(
                    cell,
                    editable=cell.editable or in_doubt(row),
                    described=[*ids, *cell.described] if cell.position in doubtful else cell.described,
                )
                for cell in cells
            ]
        return RowToFix(row.key, name_of(row.key), row.version, whole, cells, stale=typed is not None)

    def _cell(self, row: OpenRow, position: int, column: SheetColumn, typed: Collection[str]) -> Cell:
        faults = [fault for fault in row.faults if fault.column == column.key]
        own, stale = f"cell-{row.key}-{position}", column.key in typed
        described = [f"fault-{own}-{number}" for number in range(1, len(faults) + 1)]
        return Cell(
            own,
            position,
            column,
            row.cells.get(column.key, ""),
            faults,
            row.alike.get(column.key, 0) if faults else 0,
            stale,
            editable=column.known or bool(faults),
            described=[*described, *([f"now-{own}"] if stale else [])],
        )


def in_doubt(row: OpenRow) -> bool:
    """Whether it is not certain which cell of a row belongs to which column."""
    return row.status is Status.INVALID and any(fault.column is None for fault in row.faults)


def _doubtful(cells: Sequence[Cell]) -> set[int]:
    """The positions of the cells that have to be typed again where the whole row is in doubt."""
    marked = {cell.position for cell in cells if UNCERTAIN in (cell.text or "")}
    masked = {cell.position for cell in cells if cell.text is None and not cell.column.secret}
    faulty = {cell.position for cell in cells if cell.faults}
    first = next(cell.position for cell in cells if cell.column.known)
    return marked or (set() if faulty else masked or {first})


def as_many_as_fit(rows: Iterable[RowToFix]) -> list[RowToFix]:
    """The first of the rows, so that no page has too many elements; at least one."""
    chosen: list[RowToFix] = []
    elements = 0
    for row in rows:
        elements += row.elements
        if chosen and elements > MOST_ELEMENTS:
            break
        chosen.append(row)
    return chosen
