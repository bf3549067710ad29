"""Refuses a sheet whose header, or what stands above it, leaves open what is meant."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.cleaning import cleaned
from provisioner.sheets.headers import known_columns
from provisioner.sheets.questions import ColumnsError
from provisioner.sheets.sheet import BLANKS, column_letters
from provisioner.sheets.source import TELLING_NAMES, two_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.schema import MailboxSchema
    from provisioner.sheets.headers import Layout
    from provisioner.sheets.source import Source

SAME: Final = ("domain", "relay_server", "project", "reply_to")
"""Columns of which all rows may have the same."""
_NAMED: Final = 5
"""Maximum number of columns that a sentence names."""
_EDGES: Final = BLANKS + '"'
_TELLING_CELLS: Final = 2
"""A row above the header is a mailbox if cells of this many columns fit."""
_TELLING_ID: Final = re.compile(r"[0-9]+|\S+\.\S+")
"""What of an ID's column no line of a preamble is likely to hold; nearly any word may be a relay server's name."""


def refuse_near_misses(layout: Layout, schema: MailboxSchema, missing: Sequence[str]) -> None:
    """A misspelt header must not pass for an unknown column: what stands under it would silently not be sent.

    `missing` are the columns that the header lacks.
    """
    misses = [
        (header.strip(BLANKS), position, closest)
        for position, header in enumerate(layout.headers)
        if (closest := schema.closest_column(header)) is not None and closest not in layout.keys
    ]
    if not misses:
        return
    told = [
        f"The column “{header}” ({column_letters(place)}) is not known; did you mean {closest}?"
        for header, place, closest in misses[:_NAMED]
    ]
    told += [f"There are {len(misses) - _NAMED:,} more."] if len(misses) > _NAMED else []
    header, _, closest = misses[0]
    raise ColumnsError(
        " ".join(told),
        remedy=f"If so, rename “{header}” to “{schema.columns[closest].title}”. If not, rename the column, "
        f"for example to {_other_name(header, schema)}.",
        headers=_stripped(layout),
        missing=missing,
        alike={layout.headers[place].strip(): closest for _, place, closest in misses},
    )


def _other_name(header: str, schema: MailboxSchema) -> str:
    """A name like `header` that is not taken for a slip in a known one."""
    names = (f"{header}-note", f"Note on {header}", f"Office note on {header}")
    return next((name for name in names if not (schema.closest_column(name) or schema.column_for(name))), "Notes")


def _stripped(layout: Layout) -> list[str]:
    return [header.strip() for header in layout.headers]


def refuse_missing_columns(layout: Layout, schema: MailboxSchema, missing: Sequence[str]) -> None:
    """Say which columns the header lacks, and what to do about each kind of them."""
    if not missing:
        return
    one = len(missing) == 1
    ways = [f"Add {'it' if one else 'them'}"]
    ways += [
        f"fill a column that is the same for all rows with --set {name}=VALUE" for name in missing if name in SAME
    ][:1]
    ways += ["have passwords generated with --generate-passwords"] if "password" in missing else []
    if any(schema.column_for(header) is None for header in _stripped(layout)):
        ways.append(f"say which header it is with --column HEADER={missing[0]}")
    raise ColumnsError(
        f"The header (row {layout.header.number}) lacks the column{'' if one else 's'} {', '.join(missing)}.",
        remedy=", or ".join(ways) + ".",
        headers=_stripped(layout),
        missing=missing,
    )


def refuse_tables_above(source: Source, schema: MailboxSchema) -> None:
    """A table above the one whose header names the most columns must not pass for a preamble."""
    rows_between = False
    for record in reversed(source.above):
        if known_columns(record.cells, schema.column_for) < TELLING_NAMES:
            rows_between |= any(cell.strip(BLANKS) for cell in record.cells)
        elif rows_between:
            raise two_tables(record, source.header)


def refuse_rows_above(source: Source, layout: Layout, schema: MailboxSchema) -> None:
    """A sheet that was sorted together with its header has rows above it, which must not pass for a preamble."""
    telling = {
        key: position
        for key, position in zip(layout.keys, layout.own, strict=True)
        if key in schema.columns and schema.columns[key].required
    }
    for record in source.above:
        cells = {key: record.cells[position] for key, position in telling.items() if position < len(record.cells)}
        if _looks_like_a_mailbox(cells, schema):
            raise SheetError(
                f"Row {record.number} stands above the header (row {layout.header.number}) and looks like a mailbox.",
                remedy="Move the header above all rows; if the row is no mailbox, delete it.",
            )


def _looks_like_a_mailbox(cells: Mapping[str, str], schema: MailboxSchema) -> bool:
    """Whether cells, by their columns, are so like a mailbox's that it may be one, whatever else is wrong with it."""
    good: set[str] = set()
    identified = False
    for key, cell in cells.items():
        column = schema.columns[key]
        (text,) = cleaned([cell.strip(_EDGES)], column)
        if text and schema.accepts(key, text):
            good.add(key)
            identified |= column.whole_number and _TELLING_ID.fullmatch(text) is not None
    return len(good) >= _TELLING_CELLS and (identified or {"email", "password"} <= good)
