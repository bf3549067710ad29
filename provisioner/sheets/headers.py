"""The header of a table: which row it is, what stands under each of its cells, and whether that is certain.

A sheet is refused whose header, or what stands above it, leaves open what is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.cleaning import cleaned
from provisioner.sheets.files import FAILURES_COLUMNS, RESULTS_COLUMNS, unescape_formula
from provisioner.sheets.sheet import BLANKS, column_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provisioner.schema import MailboxSchema
    from provisioner.sheets.delimited import Record
    from provisioner.sheets.source import Source

    Meaning = Callable[[str], str | None]

SEARCHED_ROWS: Final = 100
"""The header is one of the first this many rows."""
TELLING_NAMES: Final = 2
"""A row that names this many columns is a header."""
_TELLING: Final = 3
"""This many of failures.csv's own columns tell a damaged failures file from any other sheet."""
_MOST_HEADERS: Final = 16_384
"""As many as a spreadsheet program has."""
LONGEST_HEADER: Final = 1000
"""Characters."""
SAME: Final = ("domain", "relay_server", "project", "reply_to")
"""Columns of which all rows may have the same."""
_NAMED: Final = 5
"""Maximum number of columns that a sentence names."""
_EDGES: Final = BLANKS + '"'
_TELLING_CELLS: Final = 2
"""A row above the header is a mailbox if cells of this many columns fit."""
_TELLING_ID: Final = re.compile(r"[0-9]+|\S+\.\S+")
"""What of an ID's column no line of a preamble is likely to hold; nearly any word may be a relay server's name."""


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


def known_columns(cells: Iterable[str], column_for: Meaning) -> int:
    """How many columns of the schema a row names: the more, the likelier it is the header."""
    return len({column_for(cell) for cell in set(islice(cells, _MOST_HEADERS))} - {None})


@dataclass(frozen=True)
class FoundHeader:
    """The likeliest header of a table."""

    header: Record | None
    """None if no row names a column."""
    known: int
    """How many columns of the schema it names."""
    above: Sequence[Record] = ()
    """The rows before it."""


def find_header(rows: Iterable[Record], column_for: Meaning) -> FoundHeader:
    """The first of the rows that name the most columns."""
    best = FoundHeader(None, 0)
    seen: list[Record] = []
    for record in rows:
        known = known_columns(record.cells, column_for)
        if known > best.known:
            best = FoundHeader(record, known, tuple(seen))
        seen.append(record)
    return best


def two_tables(first: Record, second: Record) -> SheetError:
    """The error for two headers with rows between them: either table would be lost without a word."""
    return SheetError(
        f"Row {first.number} and row {second.number} are both headers, with rows between them, "
        "so it is not certain which table is meant.",
        remedy="Put each table into a sheet of its own, or bring all rows below one header.",
    )


def no_header() -> SheetError:
    """The error for a sheet in which no row names a column."""
    return SheetError(
        f"No header was found: none of the first {SEARCHED_ROWS} rows names columns of mailboxes.",
        remedy="If this is the right sheet, give it a row with the names of its columns, such as email, domain, "
        "relay_server and password.",
    )


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
    if len(header.cells) > _MOST_HEADERS:
        raise SheetError(
            f"The header (row {header.number}) has {len(header.cells):,} cells; at most {_MOST_HEADERS:,} are read.",
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
    if is_ours([cell.strip(f"{_EDGES},;") for cell in cells]):
        # A program that took commas for the separators of a file with semicolons leaves such names.
        raise cells_mixed_up()
    return {}


def cells_mixed_up() -> SheetError:
    """The error for a failures file that a program opened with the wrong separators and saved."""
    return SheetError(
        "The cells of this failures file cannot be told apart: the program that saved it has put several of them into "
        "one, or one into several.",
        remedy="Fix the rows in failures.xlsx, or in the sheet itself, and run that.",
    )


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


def refuse_unclear(source: Source, layout: Layout, schema: MailboxSchema, missing: Sequence[str]) -> None:
    """Raise SheetError if the header, or what stands above it, leaves open what is meant.

    `missing` are the columns that the header lacks.
    """
    _refuse_near_misses(layout, schema, missing)
    refuse_missing_columns(layout, schema, missing)
    _refuse_tables_above(source, schema)
    _refuse_rows_above(source, layout, schema)


def _refuse_near_misses(layout: Layout, schema: MailboxSchema, missing: Sequence[str]) -> None:
    """A misspelt header must not pass for an unknown column: what stands under it would silently not be sent."""
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
    renamed = dict[str, str]()
    for header, _, closest in misses[:_NAMED]:
        # Two headers of one name would be refused.
        renamed.setdefault(closest, f"“{header}” to “{schema.columns[closest].title}”")
    raise ColumnsError(
        " ".join(told),
        remedy=f"If so, rename {', '.join(renamed.values())}. If not, rename the column, "
        f"for example to {_other_name(misses[0][0], schema)}.",
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


def _refuse_tables_above(source: Source, schema: MailboxSchema) -> None:
    """A table above the one whose header names the most columns must not pass for a preamble."""
    rows_between = False
    for record in reversed(source.above):
        if known_columns(record.cells, schema.column_for) < TELLING_NAMES:
            rows_between |= any(cell.strip(BLANKS) for cell in record.cells)
        elif rows_between:
            raise two_tables(record, source.header)


def _refuse_rows_above(source: Source, layout: Layout, schema: MailboxSchema) -> None:
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
