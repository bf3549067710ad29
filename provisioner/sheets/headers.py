"""What stands under each cell of a header."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.files import FAILURES_COLUMNS, RESULTS_COLUMNS, unescape_formula
from provisioner.sheets.sheet import column_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provisioner.sheets.delimited import Record

    Meaning = Callable[[str], str | None]

_TELLING: Final = 3
"""This many of failures.csv's own columns tell a damaged failures file from any other sheet."""
MOST_COLUMNS: Final = 16_384
"""As many as a spreadsheet program has."""
LONGEST_HEADER: Final = 1000
"""Characters."""


@dataclass(frozen=True)
class Layout:
    """Which column is where."""

    header: Record
    width: int
    """How many cells a row has."""
    headers: tuple[str, ...]
    """The sheet's own, as written."""
    keys: tuple[str, ...]
    """Under each of `headers`: the schema's name for the column, else its own header, made distinct."""
    own: tuple[int, ...]
    """Where in a row each of `headers` stands."""
    added: Mapping[str, int]
    """Where in a row the columns stand that failures.csv adds; empty where the sheet is no such file."""


def known_columns(cells: Iterable[str], column_for: Meaning) -> int:
    """How many columns of the schema a row names: the more, the likelier it is the header."""
    return len({column_for(cell) for cell in set(islice(cells, MOST_COLUMNS))} - {None})


def lay_out(header: Record, column_for: Meaning) -> Layout:
    """What stands where, by the header.

    Raises:
        SheetError: Two headers mean one column, there are too many of them, one is too long, or the file is one of ours
            that is no sheet, or is damaged.
    """
    cells = header.cells
    _refuse_endless(header)
    added = _added(cells)
    own = tuple(position for position in range(len(cells)) if position not in added.values())
    headers = tuple(unescape_formula(cells[position]) if added else cells[position] for position in own)
    return Layout(header, len(cells), headers, _keys(headers, column_for), own, added)


def _refuse_endless(header: Record) -> None:
    if len(header.cells) > MOST_COLUMNS:
        raise SheetError(
            f"The header (row {header.number}) has {len(header.cells):,} cells; at most {MOST_COLUMNS:,} are read.",
            remedy="Delete the columns that do not belong to the sheet.",
        )
    for position, cell in enumerate(header.cells):
        if len(cell) > LONGEST_HEADER:
            raise SheetError(
                f"The header {column_letters(position)}{header.number} has {len(cell):,} characters; "
                f"at most {LONGEST_HEADER:,} are read.",
                remedy="Shorten it.",
            )


def is_ours(cells: Sequence[str]) -> bool:
    """Whether a header is that of a failures file."""
    return {cell.strip() for cell in cells}.issuperset(FAILURES_COLUMNS)


def _added(cells: Sequence[str]) -> dict[str, int]:
    names = [cell.strip() for cell in cells]
    if tuple(names[: len(RESULTS_COLUMNS)]) == RESULTS_COLUMNS:
        raise SheetError(
            "This is the record of a run, not a sheet.",
            remedy="Use the sheet itself, or failures.csv beside this file.",
        )
    # The last of each name is ours: the sheet may have columns of these names itself.
    last = {name: position for position, name in enumerate(names)}
    added: dict[str, int] = {name: last[name] for name in FAILURES_COLUMNS if name in last}
    missing = [name for name in FAILURES_COLUMNS if name not in added]
    if not missing:
        return added
    if "sheet_row" in added and len(added) >= _TELLING:
        gone = f"column {missing[0]} is gone" if len(missing) == 1 else f"columns {', '.join(missing)} are gone"
        raise SheetError(
            f"This is a failures file whose {gone}, without which it cannot be trusted.",
            remedy="Use the failures file as it was written, or take away all of the columns that it added: "
            f"{', '.join(FAILURES_COLUMNS)}.",
        )
    return {}


def _keys(headers: Sequence[str], column_for: Meaning) -> tuple[str, ...]:
    keys: dict[str, int] = {}
    for position, header in enumerate(headers):
        known = column_for(header)
        if known in keys:
            first = keys[known]
            raise SheetError(
                f"Two columns mean {known}: “{headers[first].strip()}” ({column_letters(first)}) "
                f"and “{header.strip()}” ({column_letters(position)}).",
                remedy="Delete one of them, or give it another name.",
            )
        keys[known or _distinct(header, position, keys)] = position
    return tuple(keys)


def _distinct(header: str, position: int, taken: Mapping[str, int]) -> str:
    key = header or f"column {column_letters(position)}"
    while key in taken:
        key = f"{key} ({column_letters(position)})"
    return key
