"""The first stage: from a file to a sheet of text cells, each known by its row and column.

Nothing is guessed. A row that cannot be read with certainty is kept and marked, a sheet that cannot is refused whole.
"""

from __future__ import annotations

import re
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

import pandas as pd

from provisioner.errors import SheetError
from provisioner.records import Status, TaskId
from provisioner.sheets import TEXT, UNCERTAIN, Origin, Sheet, column_letters, unguard
from provisioner.sheets.decoding import find_encoding, lines
from provisioner.sheets.delimited import DELIMITERS, records
from provisioner.sheets.headers import SEARCHED_ROWS, Layout, known_columns, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from provisioner.schema import Column, MailboxSchema
    from provisioner.sheets.delimited import Record

# What cannot be seen at the ends of a cell: blanks of every width, line breaks, and characters of no width.
_BLANKS: Final = " \t\n\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\u200b\u200c\u200d\u2060\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_WHOLE: Final = re.compile(r"([0-9]+)\.0+")
_MARKED: Final = "{} could not be read with certainty; correct it, and delete the mark " + UNCERTAIN
_GUESSED: Final = (
    "the encoding of the file had to be guessed, so the letters of {} are not certain; "
    "save the sheet as “CSV UTF-8”, or name its encoding with --encoding"
)
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_BATCH: Final = 8192
_KEPT_ONCE: Final = 10_000
"""Up to so many different texts of a column are stored once however often they occur."""


def read(
    path: Path,
    schema: MailboxSchema,
    *,
    encoding: str | None = None,
    sheet_name: str | None = None,
    fill: Mapping[str, str] | None = None,
) -> Sheet:
    """The sheet in a file, every row of it accounted for.

    Args:
        path: A file of text, its cells separated by commas, semicolons, tabs or pipes.
        schema: Says which columns there are, and by which headers they go.
        encoding: The name of the text's encoding; None finds it.
        sheet_name: Which sheet of a workbook. A text file has none, so there it is refused.
        fill: By column, in any of its names, what to write into its blank cells, and the column where it is missing.

    Raises:
        SheetError: The file cannot be read, or lacks what every sheet must have.
    """
    data = _content(path)
    if sheet_name is not None:
        raise SheetError(f"{path} is a text file, which has no sheets.", remedy="Leave out --sheet.")
    certainty = find_encoding(data, encoding)
    delimiter, header, rest = _below_header(lines(data, certainty), schema)
    layout = lay_out(header, schema.meaning)
    filled = _fill(fill or {}, schema)
    _refuse_missing_columns(layout, schema, filled)
    body = records(rest, delimiter, width=layout.width, written_by_us=bool(layout.added), first=header.number + 1)
    table = _Table(layout, schema, filled, certain=certainty.certain)
    table.add_all(body)
    return table.sheet(path, delimiter)


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise SheetError(f"There is no file {path}.", remedy="Check its name and folder.") from error
    except IsADirectoryError as error:
        raise SheetError(f"{path} is a folder, not a sheet.", remedy="Name the file in it.") from error
    except OSError as error:
        if path.is_dir():  # Windows answers "permission denied" for a folder.
            raise SheetError(f"{path} is a folder, not a sheet.", remedy="Name the file in it.") from error
        raise SheetError(
            f"{path} cannot be read: {error.strerror}.",
            remedy="Close it where it is open, or ask who may read it.",
        ) from error
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf\xfe\xff"):
        raise SheetError(f"{path} is empty.", remedy="Save the sheet again, with its header and rows.")
    return data


def _below_header(source: Iterator[str], schema: MailboxSchema) -> tuple[str, Record, Iterator[str]]:
    """The delimiter, the header, and the lines below it.

    The header is the row that names the most columns of the schema, under whichever delimiter it names them.
    """
    top = list(islice(source, SEARCHED_ROWS))
    delimiters: Sequence[str] = DELIMITERS
    if named := _SEPARATOR_LINE.fullmatch(top[0].strip()):
        delimiters = named.group(1)
        del top[0]
    best, found = 0, None
    for delimiter in delimiters:
        consumed = 0
        for record in records(top, delimiter):
            consumed += record.lines
            known = known_columns(record.cells, schema.meaning)
            if known > best:
                best, found = known, (delimiter, record, consumed)
    if found is None:
        names = ", ".join(name for name, column in schema.columns.items() if column.required)
        raise SheetError(
            f"No header was found in the first {SEARCHED_ROWS} rows of the sheet.",
            remedy=f"Give it a row with the names of its columns: {names}.",
        )
    delimiter, header, consumed = found
    return delimiter, header, chain(top[consumed:], source)


def _fill(fill: Mapping[str, str], schema: MailboxSchema) -> dict[str, str]:
    filled: dict[str, str] = {}
    for name, value in fill.items():
        column = schema.meaning(name)
        if column is None:
            raise SheetError(
                f"There is no column “{name}” to be set.", remedy=f"The columns are {', '.join(schema.columns)}."
            )
        filled[column] = value
    return filled


def _refuse_missing_columns(layout: Layout, schema: MailboxSchema, filled: Mapping[str, str]) -> None:
    unknown = [(header, position) for position, header in enumerate(layout.headers) if schema.meaning(header) is None]
    for header, position in unknown:
        near = schema.near(header)
        if near is not None and near not in layout.keys:
            raise SheetError(
                f"The column “{header.strip()}” ({column_letters(position)}) is not known; did you mean {near}?",
                remedy=f"Rename it to {near} if so; if not, give it a name that is less alike.",
            )
    missing = [
        name
        for name, column in schema.columns.items()
        if column.required and name not in layout.keys and name not in filled
    ]
    if missing:
        one = len(missing) == 1
        raise SheetError(
            f"The header (row {layout.header.number}) lacks the column{'' if one else 's'} {', '.join(missing)}.",
            remedy=f"Add {'it' if one else 'them'}, or fill a column that is the same for all rows with "
            f"--set {missing[0]}=VALUE.",
        )


class _Table:
    """Gathers records column by column."""

    def __init__(self, layout: Layout, schema: MailboxSchema, fill: Mapping[str, str], *, certain: bool) -> None:
        self._layout = layout
        self._schema = schema
        self._fill = fill
        self._certain = certain
        self._numbers: list[int] = []
        self._broken: dict[int, str] = {}
        self._origins: dict[int, Origin] = {}
        self._columns: list[list[str | None]] = [[] for _ in layout.own]
        self._once: list[dict[str, str]] = [{} for _ in layout.own]

    def add_all(self, body: Iterable[Record]) -> None:
        source = (record for record in body if not _is_blank(record))
        while batch := list(islice(source, _BATCH)):
            self._add([record.number for record in batch], [self._fitted(record) for record in batch])

    def sheet(self, path: Path, delimiter: str) -> Sheet:
        """What was gathered."""
        if not self._numbers:
            raise SheetError(
                f"There is no row below the header (row {self._layout.header.number}).",
                remedy="Write a row for each mailbox, and save the sheet.",
            )
        index = pd.Index(self._numbers, dtype="int64")
        cells = {
            key: pd.Series(column, index=index, dtype=TEXT)
            for key, column in zip(self._layout.keys, self._columns, strict=True)
        }
        added = [name for name in self._fill if name not in cells]
        cells |= {name: pd.Series(self._fill[name], index=index, dtype=TEXT) for name in added}
        return Sheet(
            path=path,
            frame=pd.DataFrame(cells, index=index),
            headers=(*self._layout.headers, *added),
            keys=(*self._layout.keys, *added),
            delimiter=delimiter,
            broken=self._broken,
            origins=self._origins,
            is_failures=bool(self._layout.added),
        )

    def _fitted(self, record: Record) -> list[str]:
        """The record's cells, as many as the header has; where that took a guess, the row is marked as broken."""
        cells, width = record.cells, self._layout.width
        if record.fault is None and len(cells) == width:
            return cells
        have = len(cells)
        self._broken[record.number] = record.fault or (
            f"the row has {have} cell{'' if have == 1 else 's'} where the header has {width}, "
            "so it is not certain which cell belongs to which column"
        )
        cells = [UNCERTAIN + cell if record.fault and '"' in cell else cell for cell in cells]
        if have > width:
            cells[width - 1 :] = [UNCERTAIN.join(cells[width - 1 :])]
        return cells + [UNCERTAIN] * (width - have)

    def _add(self, numbers: Sequence[int], rows: Sequence[Sequence[str]]) -> None:
        by_position = list(zip(*rows, strict=True))
        for place, position in enumerate(self._layout.own):
            key = self._layout.keys[place]
            texts: Sequence[str] = by_position[position]
            if self._layout.added:
                texts = [unguard(text) for text in texts]
            texts = self._doubted(numbers, texts, place)
            cells = _cleaned(texts, self._schema.columns.get(key), self._fill.get(key))
            self._columns[place] += self._kept_once(cells, place)
        if self._layout.added:
            added = (by_position[self._layout.added[name]] for name in ("sheet_row", "task_id", "status"))
            self._origins |= {number: _origin(*cells) for number, *cells in zip(numbers, *added, strict=True)}
        self._numbers += numbers

    def _doubted(self, numbers: Sequence[int], texts: Sequence[str], place: int) -> Sequence[str]:
        """`texts`, marked where they are not certain; the rows with a mark are noted as broken."""
        together = "".join(texts)
        guessed = not self._certain and self._layout.keys[place] in self._schema.columns and not together.isascii()
        if guessed:
            texts = [text if text.isascii() or UNCERTAIN in text else UNCERTAIN + text for text in texts]
        if guessed or UNCERTAIN in together:
            for number, text in zip(numbers, texts, strict=True):
                if UNCERTAIN in text:
                    cell = f"{column_letters(place)}{number}"
                    self._broken.setdefault(number, _GUESSED.format(cell) if guessed else _MARKED.format(cell))
        return texts

    def _kept_once(self, cells: Sequence[str | None], place: int) -> Sequence[str | None]:
        once = self._once[place]
        if len(once) > _KEPT_ONCE:
            return cells
        return [None if cell is None else once.setdefault(cell, cell) for cell in cells]


def _cleaned(texts: Sequence[str], column: Column | None, fill: str | None) -> list[str | None]:
    """Cells as they are to be understood.

    Blank ones are None, or filled. Those that the schema knows lose the blanks around them, but secret ones do not.
    """
    if column is None:
        return [text or None for text in texts]
    if column.secret:
        return [text if text.strip(_BLANKS) else fill for text in texts]
    bare = [text.strip(_BLANKS) for text in texts]
    if column.whole_number:
        bare = [_WHOLE.sub(r"\1", text) if "." in text and _WHOLE.fullmatch(text) else text for text in bare]
    return [text or fill for text in bare]


def _is_blank(record: Record) -> bool:
    return not record.cells[0].strip(_BLANKS) and not "".join(record.cells).strip(_BLANKS)


def _origin(sheet_row: str, task_id: str, status: str) -> Origin:
    row, word = _WHOLE.sub(r"\1", sheet_row.strip(_BLANKS)), status.strip(_BLANKS).lower()
    return Origin(
        sheet_row=int(row) if row.isascii() and row.isdecimal() else None,
        task_id=TaskId(task_id.strip(_BLANKS)) or None,
        status=Status(word) if word in list(Status) else None,
    )
