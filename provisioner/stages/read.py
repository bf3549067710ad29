"""The first stage: from a file to a sheet of text cells, each known by its row and column.

Nothing is guessed. A row that cannot be read with certainty is kept and marked, a sheet that cannot is refused whole.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from provisioner.errors import SheetError
from provisioner.records import Status, TaskId
from provisioner.sheets import BLANKS, UNCERTAIN, Origin, Sheet, column_letters, unescape_formula
from provisioner.sheets.cells import Cells
from provisioner.sheets.delimited import ROWS_OR_A_CELL, Record, Run
from provisioner.sheets.grid import DATE, ERROR, FORMULA, HIDDEN, MERGED, NUMBER, TRUTH
from provisioner.sheets.headers import known_columns, lay_out
from provisioner.sheets.kinds import Kind, kind_of
from provisioner.sheets.source import TELLING_NAMES, text_source, two_tables
from provisioner.sheets.workbook import workbook_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets.headers import Layout
    from provisioner.sheets.source import Source

    Positions = np.ndarray[tuple[int], np.dtype[np.int64]]

_ASCII_BLANKS: Final = tuple(filter(str.isascii, BLANKS))
_EDGES: Final = BLANKS + '"'
_SOMETHING: Final = re.compile(rb"[^\0 \t\r\n\xef\xbb\xbf\xfe\xff]")
_POINT_NOUGHT: Final = re.compile(r"\.0")
_WHOLE: Final = re.compile(r"([0-9]+)\.0+")
_BATCH: Final = 1024

SAME: Final = ("domain", "relay_server", "project", "reply_to")
"""Columns of which all rows may have the same."""
_DELETE_MARK: Final = f"correct it, and delete the mark {UNCERTAIN}"
_MARKED: Final = f"{{}} could not be read with certainty; {_DELETE_MARK}"
_GUESSED: Final = (
    "the encoding of the file had to be guessed, so the letters of {} are not certain; "
    "save the sheet as “CSV UTF-8”, or name its encoding with --encoding"
)
_SECOND_TABLE: Final = (
    "a second table begins at row {}, whose header differs from the first; put it into a sheet of its own"
)
_SHARED_ORIGIN: Final = (
    "the rows {} of this file both say in sheet_row that they mend row {}; clear sheet_row in the one that is new"
)
_TELLING_CELLS: Final = 2
"""A row above the header whose cells fit so many columns is a mailbox."""
_TELLING_ID: Final = re.compile(r"[0-9]+|\S+\.\S+")
"""What of an ID's column no line of a preamble is likely to hold; nearly any word may be a relay server's name."""
_NO_HEADER: Final = re.compile(r"[0-9@]|.{40}")
"""What stands in most cells, and in no header that is looked for among the rows."""

_DELIMITER_NAMES: Final = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a pipe"}
_DOUBTS: Final = {
    NUMBER: "{} is a number, of which the spreadsheet program keeps no leading zeros; "
    "format the column as text, and type the cell again",
    DATE: "{} is a date or a time; format the column as text, and type the cell again",
    TRUTH: "{} is TRUE or FALSE; format the column as text, and type the cell again",
    ERROR: "{} shows an error; write the value itself",
    FORMULA: "{} shows an error, or a formula that was never calculated; write the value itself, "
    "and if that begins with =, format the cell as text first",
    MERGED: "{} is merged with another cell; unmerge them, and write the value into each",
    HIDDEN: "the row of {} is hidden in the workbook, so it is not certain that it is meant; show it, or delete it",
}


def read(
    path: Path,
    schema: MailboxSchema,
    *,
    encoding: str | None = None,
    sheet_name: str | None = None,
    fill: Mapping[str, str] | None = None,
    blank_password_ok: bool = False,
) -> Sheet:
    """The sheet in a file, every row of it accounted for.

    Args:
        path: A text file whose cells are separated by commas, semicolons, tabs or pipes, or a workbook.
        schema: Says which columns there are, and by which headers they go.
        encoding: The name of a text file's encoding; None finds it.
        sheet_name: Which sheet of a workbook; None takes the only one that can be meant.
        fill: By column, in any of its names, what to write into its blank cells, and into all where it is missing.
        blank_password_ok: Whether the column of passwords may be missing, since they will be generated.

    Raises:
        SheetError: The file cannot be read, or lacks what every sheet must have.
    """
    filled = _fill(fill or {}, schema)
    required = {name for name, column in schema.columns.items() if column.required} - filled.keys()
    if blank_password_ok:
        required.discard("password")
    source = _open(path, schema, encoding, sheet_name, required)
    layout = lay_out(source.header, schema.column_for)
    _refuse_near_misses(layout, schema)
    _refuse_missing_columns(layout, [name for name in schema.columns if name in required])
    _refuse_tables_above(source, schema)
    _refuse_rows_above(source, layout, schema)
    table = _Table(source, layout, schema, filled)
    table.add_all(source.rows)
    return table.sheet(path)


def _open(
    path: Path, schema: MailboxSchema, encoding: str | None, sheet_name: str | None, required: Collection[str]
) -> Source:
    data = _content(path)
    kind = kind_of(data, path)
    if kind is not Kind.TEXT:
        if encoding is not None:
            raise SheetError(f"{path} is a workbook, which has no encoding.", remedy="Leave out --encoding.")
        return workbook_source(
            data,
            kind,
            sheet_name,
            schema.column_for,
            lambda header: set(required) <= set(map(schema.column_for, header.cells)),
        )
    if sheet_name is not None:
        raise SheetError(f"{path} is a text file, which has no sheets.", remedy="Leave out --sheet.")
    return text_source(data, encoding, schema.column_for)


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SheetError(f"There is no file {path}.", remedy="Check its name and folder.") from error
    except (OSError, ValueError) as error:
        if path.is_dir():
            raise SheetError(f"{path} is a folder, not a sheet.", remedy="Name the file in it.") from error
        raise SheetError(
            f"{path} cannot be read: {error}.", remedy="Close it where it is open, or ask who may read it."
        ) from error
    if not _SOMETHING.search(data):
        raise SheetError(f"{path} is empty.", remedy="Save the sheet again, with its header and rows.")
    return data


def _fill(fill: Mapping[str, str], schema: MailboxSchema) -> dict[str, str]:
    filled: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, value in fill.items():
        column = schema.column_for(name)
        if column is None:
            raise SheetError(
                f"There is no column “{name}” to be set.", remedy=f"The columns are {', '.join(schema.columns)}."
            )
        if schema.columns[column].secret:
            raise SheetError(
                f"The column {column} cannot be set for all rows: its cells are secret.",
                remedy="Write it into the sheet.",
            )
        if names.setdefault(column, name) != name:
            raise SheetError(
                f"“{names[column]}” and “{name}” both set the column {column}.", remedy="Leave one of them out."
            )
        filled[column] = _whole(value.strip(BLANKS)) if schema.columns[column].whole_number else value.strip(BLANKS)
    return filled


def _refuse_near_misses(layout: Layout, schema: MailboxSchema) -> None:
    """A misspelt header must not pass for an unknown column: what stands under it would silently not be sent."""
    misses = []
    for position, header in enumerate(layout.headers):
        closest = schema.closest_column(header)
        if closest is not None and closest not in layout.keys:
            misses.append(
                f"The column “{header.strip()}” ({column_letters(position)}) is not known; did you mean {closest}?"
            )
    if misses:
        remedy = "Rename them if so; if not, choose names that are less alike."
        if len(misses) == 1:
            remedy = "Rename it if so; if not, choose a name that is less alike."
        raise SheetError(" ".join(misses), remedy=remedy)


def _refuse_missing_columns(layout: Layout, required: Sequence[str]) -> None:
    missing = [name for name in required if name not in layout.keys]
    if missing:
        one = len(missing) == 1
        ways = [f"Add {'it' if one else 'them'}"]
        ways += [
            f"fill a column that is the same for all rows with --set {name}=VALUE" for name in missing if name in SAME
        ][:1]
        ways += ["have passwords made up with --generate-passwords"] if "password" in missing else []
        raise SheetError(
            f"The header (row {layout.header.number}) lacks the column{'' if one else 's'} {', '.join(missing)}.",
            remedy=", or ".join(ways) + ".",
        )


def _refuse_tables_above(source: Source, schema: MailboxSchema) -> None:
    """A table above the one whose header names the most columns must not pass for a preamble."""
    rows_between = False
    for record in reversed(source.above):
        if known_columns(record.cells, schema.column_for) < TELLING_NAMES:
            rows_between |= any(map(_visible, record.cells))
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
        (text,) = _cleaned([cell.strip(_EDGES)], column)
        if text and schema.accepts(key, text):
            good.add(key)
            identified |= column.whole_number and _TELLING_ID.fullmatch(text) is not None
    return len(good) >= _TELLING_CELLS and (identified or {"email", "password"} <= good)


class _Table:
    """Gathers the rows of a source column by column."""

    def __init__(self, source: Source, layout: Layout, schema: MailboxSchema, fill: Mapping[str, str]) -> None:
        self._layout = layout
        self._delimiter = source.delimiter
        self._schema = schema
        self._fill = fill
        self._certain = source.certain
        self._known = [schema.columns.get(key) for key in layout.keys]
        place = {column.name: place for place, column in enumerate(self._known) if column}
        self._email, self._password = place.get("email"), place.get("password")
        self._anchor = self._email if self._email is not None else min(place.values())
        self._example = {place: column.example for place, column in enumerate(self._known) if column and column.example}
        # So many names of columns make a row a header.
        self._names = min(TELLING_NAMES, sum(column is not None for column in self._known))
        self._numbers: list[Positions] = []
        self._broken: dict[int, str] = {}
        self._misaligned: set[int] = set()
        self._origins: dict[int, Origin] = {}
        self._columns = [Cells(fill.get(key)) for key in layout.keys]
        self._second_header: int | None = None
        self._met_example = False

    def add_all(self, rows: Iterable[Run | Record]) -> None:
        """Take in everything below the header."""
        pending: list[Record] = []
        for item in rows:
            if isinstance(item, Record):
                pending.append(item)
            if pending and (isinstance(item, Run) or len(pending) == _BATCH):
                self._add_records(pending)
                pending = []
            if isinstance(item, Run):
                self._add_run(item)
        if pending:
            self._add_records(pending)

    def sheet(self, path: Path) -> Sheet:
        """What was gathered. It is handed over: this object is of no use afterwards."""
        numbers = np.concatenate([np.empty(0, np.int64), *self._numbers])
        # A failures file without rows is one of which nothing is left.
        if not len(numbers) and not self._layout.added:
            only = ", but for the template's example" if self._met_example else ""
            raise SheetError(
                f"There is no row below the header (row {self._layout.header.number}){only}.",
                remedy="Write a row for each mailbox, and save the sheet.",
            )
        self._refuse_shared_origins()
        headers, columns = self._laid_out(len(numbers))
        index = pd.Index(numbers)
        sheet = Sheet(
            path=path,
            frame=pd.DataFrame({key: column.gathered(index) for key, column in columns.items()}, index, copy=False),
            headers=tuple(headers),
            keys=tuple(columns),
            delimiter=self._delimiter,
            broken=self._broken,
            origins=self._origins,
            is_failures=bool(self._layout.added),
            complete={key for key, column in columns.items() if column.complete},
        )
        misaligned = sorted(self._misaligned & self._broken.keys())
        return replace(sheet, misaligned={number: self._username(sheet.own_cells(number)) for number in misaligned})

    def _laid_out(self, rows: int) -> tuple[list[str], dict[str, Cells]]:
        """The headers, and by key the columns under them.

        Nameless ones at the end in which nothing stands are left out, those that the sheet lacks and that are set for
        all rows are added.
        """
        headers, columns = list(self._layout.headers), dict(zip(self._layout.keys, self._columns, strict=True))
        while not _visible(headers[-1]) and columns[next(reversed(columns))].blank:
            headers.pop()
            columns.popitem()
        for name in [name for name in self._fill if name not in columns]:
            headers.append(name)
            columns[name] = Cells(self._fill[name])
            columns[name].add([""] * rows)
        return headers, columns

    def _username(self, cells: Sequence[str]) -> str:
        """The username of a misaligned row, where no piece of its password can stand in its place; else nothing."""
        if self._email is None:
            return ""
        username = cells[self._email]
        if self._password is not None and (self._password < self._email or cells[self._password] == UNCERTAIN):
            return ""
        return username if self._schema.accepts("email", username) else ""

    def _add_run(self, run: Run) -> None:
        numbers = np.arange(run.first, run.first + len(run.columns[0]))
        if not self._is_clean(run):
            self._add(numbers.tolist(), run.columns)
            return
        for column, position in zip(self._columns, self._layout.own, strict=True):
            column.add(run.columns[position])
        self._numbers.append(numbers)

    def _is_clean(self, run: Run) -> bool:
        """Whether each cell certainly is to be understood as it stands, and each row certainly is one."""
        # Single characters are found twenty times sooner than words.
        unclean = (UNCERTAIN[0], *(blank for blank in _ASCII_BLANKS if blank not in ("\n", self._delimiter)))
        return (
            run.text.isascii()
            and not any(map(run.text.__contains__, unclean))
            and not _POINT_NOUGHT.search(run.text)
            and not (self._layout.added or self._second_header)
            and not self._suspects(run.columns)
        )

    def _add_records(self, batch: Sequence[Record]) -> None:
        batch = [record for record in batch if any(map(_visible, record.cells))]
        rows = [self._fitted(record) for record in batch]
        unconfirmed_rows = {record.number: record.unconfirmed_rows for record in batch if record.unconfirmed_rows}
        if rows:
            self._add([record.number for record in batch], list(zip(*rows, strict=True)), unconfirmed_rows)

    def _fitted(self, record: Record) -> list[str]:
        """The record's cells, as many as the header has; where that took a guess, the row is marked as broken."""
        cells, width = self._completed(record), self._layout.width
        if record.fault is None and len(cells) == width:
            return cells
        have = len(cells)
        self._misaligned.add(record.number)
        self._broken[record.number] = record.fault or _miscounted(have, width, self._delimiter)
        if record.fault == ROWS_OR_A_CELL:
            cells = [UNCERTAIN + cell for cell in cells]
        elif record.fault:
            cells = [UNCERTAIN + cell if '"' in cell else cell for cell in cells]
            cells[0] = cells[0] if any(UNCERTAIN in cell for cell in cells) else UNCERTAIN + cells[0]
        if have > width:
            cells = [*cells[: width - 1], UNCERTAIN.join(cells[width - 1 :])]
        return cells + [UNCERTAIN] * (width - have)

    def _completed(self, record: Record) -> list[str]:
        """The cells, with those of our own at the end that are blank and that Excel leaves out when it saves the file.

        What the file says of the row's state proves that nothing before it is missing.
        """
        cells, width, added = record.cells, self._layout.width, self._layout.added
        missing = range(len(cells), width)
        if not added or record.fault or not missing or not set(missing) <= set(added.values()) - {added["status"]}:
            return cells
        sheet_row, status = (cells[added[name]].strip(BLANKS) for name in ("sheet_row", "status"))
        proved = status.lower() in list(Status) and (not sheet_row or sheet_row.isdecimal())
        return [*cells, *("" for _ in missing)] if proved else cells

    def _add(
        self,
        numbers: Sequence[int],
        columns: Sequence[Sequence[str]],
        unconfirmed_rows: Mapping[int, Mapping[int, str]] | None = None,
    ) -> None:
        dropped = self._no_rows(numbers, columns)
        if dropped:
            kept = [index for index in range(len(numbers)) if index not in dropped]
            numbers = [numbers[index] for index in kept]
            columns = [[column[index] for index in kept] for column in columns]
        if self._layout.added:
            block = (columns[self._layout.added[name]] for name in ("sheet_row", "task_id", "status", "error"))
            self._origins.update(zip(numbers, map(_origin, *block), strict=True))
        for place, position in enumerate(self._layout.own):
            texts = [unescape_formula(text) for text in columns[position]] if self._layout.added else columns[position]
            texts = self._doubted(numbers, texts, place, unconfirmed_rows or {})
            self._columns[place].add(_cleaned(texts, self._known[place]))
        self._numbers.append(np.array(numbers, dtype=np.int64))

    def _no_rows(self, numbers: Sequence[int], columns: Sequence[Sequence[str]]) -> set[int]:
        """By index, what is no row: blank ones, the header once more, the template's example."""
        dropped = set()
        for index in self._suspects(columns):
            cells = [columns[position][index] for position in self._layout.own]
            names = [cell.replace(UNCERTAIN, "") for cell in cells]
            likely = [name for name in names if not _NO_HEADER.search(name)]
            header = len(likely) >= self._names and known_columns(likely, self._schema.column_for) >= self._names
            example = self._is_example(cells)
            self._met_example |= example
            if not any(map(_visible, cells)) or example or (header and self._is_same_header(names)):
                dropped.add(index)
                self._broken.pop(numbers[index], None)
            elif header and self._names > 1 and self._second_header is None:
                self._second_header = numbers[index]
        return dropped

    def _suspects(self, columns: Sequence[Sequence[str]]) -> Sequence[int]:
        """By index, the rows that may be no rows: those without a plain ID where one belongs, and examples."""
        ids = [place for place, column in enumerate(self._known) if column and column.whole_number]
        if not ids:
            return range(len(columns[0]))
        probe = columns[self._layout.own[ids[0]]]
        sound = all(probe) and "".join(probe).isdecimal()
        suspects = [] if sound else [index for index, text in enumerate(probe) if not text.isdecimal()]
        if "email" in self._layout.keys:
            place = self._layout.keys.index("email")
            usernames, example = columns[self._layout.own[place]], self._example.get(place)
            if example in usernames:
                suspects += [index for index, text in enumerate(usernames) if text == example]
        return suspects

    def _is_example(self, cells: Sequence[str]) -> bool:
        """Whether the row is the template's example, by its username and all else that it has."""
        if "email" not in self._layout.keys or self._layout.keys.index("email") not in self._example:
            return False
        return all(cells[place].strip(BLANKS) == example for place, example in self._example.items())

    def _is_same_header(self, cells: Sequence[str]) -> bool:
        """Whether a row that names columns names those of the header; a single name must be the very same."""
        if self._names == 1:
            return tuple(cells) == self._layout.headers
        return all(
            self._schema.column_for(cell) == column.name
            for cell, column in zip(cells, self._known, strict=True)
            if column
        )

    def _doubted(
        self,
        numbers: Sequence[int],
        texts: Sequence[str],
        place: int,
        unconfirmed_rows: Mapping[int, Mapping[int, str]],
    ) -> Sequence[str]:
        """`texts`, marked where they are not certain; the rows that then hold a mark are noted as broken."""
        column = self._known[place]
        why: dict[int, str] = {}
        together = "".join(texts)
        ascii_only = together.isascii()
        if column:
            if not (ascii_only or self._certain):
                why = {number: _GUESSED for number, text in zip(numbers, texts, strict=True) if not text.isascii()}
            why |= self._why_uncertain(numbers, column, place, unconfirmed_rows)
        if UNCERTAIN not in together and not why:
            return texts
        marked = []
        for number, text in zip(numbers, texts, strict=True):
            if UNCERTAIN in text:
                # Of a row that was not certain in an earlier reading it is not known any more what of it was.
                self._misaligned.add(number)
            if UNCERTAIN in text or number in why:
                origin = self._origins.get(number)
                cell = f"{column_letters(place)}{(origin and origin.sheet_row) or number}"
                unconfirmed = why[number].format(cell) if number in why else _marked(cell, origin)
                self._broken.setdefault(number, unconfirmed)
            marked.append(UNCERTAIN + text if number in why and UNCERTAIN not in text else text)
        return marked

    def _why_uncertain(
        self, numbers: Sequence[int], column: Column, place: int, unconfirmed_rows: Mapping[int, Mapping[int, str]]
    ) -> dict[int, str]:
        """By row, why a cell that would be sent is not certain, other than by its letters."""
        why = {}
        for number, kinds in unconfirmed_rows.items():
            kind = kinds.get(self._layout.own[place])
            if kind is not None and not (kind == NUMBER and column.whole_number):
                why[number] = _DOUBTS[kind]
        if self._second_header and place == self._anchor:
            after = _SECOND_TABLE.format(self._second_header)
            below = [number for number in numbers if number >= self._second_header]
            why |= dict.fromkeys(below, after)
            self._misaligned.update(below)
        return why

    def _refuse_shared_origins(self) -> None:
        """A row copied within a failures file leaves two that say they mend the same one."""
        by_origin: dict[int, list[int]] = {}
        for number, origin in self._origins.items():
            if origin.sheet_row is not None:
                by_origin.setdefault(origin.sheet_row, []).append(number)
        for sheet_row, rows in by_origin.items():
            if len(rows) > 1:
                named = ", ".join(map(str, rows))
                for number in rows:
                    self._broken.setdefault(number, _SHARED_ORIGIN.format(named, sheet_row))


def _cleaned(texts: Sequence[str], column: Column | None) -> Sequence[str]:
    """Cells as they are to be understood: those that the schema knows lose the blanks around them, but secret ones not.

    Secret ones that are nothing but blanks are blank all the same.
    """
    together = "".join(texts)
    if column and (not together.isascii() or any(map(together.__contains__, _ASCII_BLANKS))):
        normalize = [text.strip(BLANKS) for text in texts]
        texts = (
            [text if edgeless else "" for text, edgeless in zip(texts, normalize, strict=True)]
            if column.secret
            else normalize
        )
    if column and column.whole_number and "." in together:
        texts = list(map(_whole, texts))
    return texts


def _whole(text: str) -> str:
    """101 for 101.0, which is how spreadsheet programs write some whole numbers."""
    return _WHOLE.sub(r"\1", text) if _WHOLE.fullmatch(text) else text


@cache  # One text for however many rows.
def _miscounted(have: int, width: int, delimiter: str) -> str:
    return (
        f"the row has {have} cell{'' if have == 1 else 's'} where the header has {width}, "
        "so it is not certain which cell belongs to which column; "
        f"a password that holds {_DELIMITER_NAMES.get(delimiter, 'the delimiter')} must stand in quotation marks"
    )


def _marked(cell: str, origin: Origin | None) -> str:
    """Why a row is uncertain that has a mark since an earlier reading, which said why in the file that it is read from.

    Its status proves that the sentence stands where it belongs, so that no other cell's text is taken for it.
    """
    if origin is None or origin.status is not Status.INVALID or not origin.error:
        return _MARKED.format(cell)
    return origin.error if UNCERTAIN in origin.error else f"{origin.error}; {_DELETE_MARK}"


def _visible(text: str) -> bool:
    return bool(text.strip(BLANKS))


def _origin(sheet_row: str, task_id: str, status: str, error: str) -> Origin:
    row, word = _WHOLE.sub(r"\1", sheet_row.strip(BLANKS)), status.strip(BLANKS).lower()
    task = unescape_formula(task_id).strip(BLANKS)
    return Origin(
        sheet_row=int(row) if row.isascii() and row.isdecimal() else None,
        task_id=TaskId(task) if task else None,
        status=Status(word) if word in list(Status) else None,
        error=unescape_formula(error),
    )
