"""XLSX, XLS and ODS: from the cells of a workbook to records.

A workbook keeps numbers, dates and errors, of which the text that a person sees is only a picture. Integers are taken
as they are; what else is not text is noted, so that the row can be refused where the cell is to be sent.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from xml.etree import ElementTree as ET

import python_calamine as calamine

from provisioner.errors import SheetError
from provisioner.sheets.delimited import NO_DOUBTS, Record
from provisioner.sheets.source import SEARCHED_ROWS, Found, Source, find_header, no_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from provisioner.sheets.headers import Meaning

NUMBER: Final = "number"
DATE: Final = "date"
TRUTH: Final = "truth"
ERROR: Final = "error"
MERGED: Final = "merged"
HIDDEN: Final = "hidden"

_ZIP: Final = b"PK\x03\x04"
_COMPOUND_FILE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Spreadsheet programs keep 15 digits of a number, whatever was typed.
_EXACT_BELOW: Final = 10**15
_PIECE: Final = 1 << 20
_LONGEST_TAG: Final = 1000

# A cell that holds an error, and a formula whose result is one: BIFF8's records BoolErr and Formula.
# https://learn.microsoft.com/en-us/openspecs/office_file_formats/ms-xls/
_XLS_ERRORS: Final = re.compile(
    rb"\x05\x02\x08\x00.{6}[\x00\x07\x0f\x17\x1d\x24\x2a]\x01"
    rb"|\x06\x00.\x00.{6}\x02.[\x00\x07\x0f\x17\x1d\x24\x2a].{3}\xff\xff",
    re.DOTALL,
)

_ODS_SUSPECT: Final = re.compile(
    rb"""value-type=["']error["']|<table:table-row\s[^>]*table:visibility=["'](?:filter|collapse)"""
)
_XLSX_SUSPECT: Final = re.compile(rb"""\bt=["']e["']|<(?:\w+:)?f[\s/>]|\bhidden=["'](?:1|true)""")


class Blind(NamedTuple):
    """What calamine does not tell of a cell."""

    kind: str
    shown: str
    """What a person sees; empty where calamine tells it."""


def is_workbook(data: bytes) -> bool:
    """Whether the file is a workbook by its content, whatever it is called."""
    return data.startswith((_ZIP, _COMPOUND_FILE))


def workbook_source(data: bytes, sheet_name: str | None, meaning: Meaning, enough: Callable[[Record], bool]) -> Source:
    """The sheet of a workbook that holds the mailboxes.

    Args:
        data: The file.
        sheet_name: The sheet to take; None takes the only visible one whose header is `enough`.
        meaning: The column that a header means.
        enough: Whether a header has all that a sheet of mailboxes needs.

    Raises:
        SheetError: It is no workbook, is locked, or it is not certain which sheet is meant.
    """
    book = _open(data)
    name, found = _choose(book, sheet_name, meaning, enough)
    if found.header is None:
        raise no_header()
    below = (record for record in _records(book, name, _blind_spots(data, name)) if record.number > found.header.number)
    return Source(found.header, below, ",", certain=True, above=found.above)


def _open(data: bytes) -> calamine.CalamineWorkbook:
    try:
        return calamine.load_workbook(io.BytesIO(data))
    except calamine.PasswordError as error:
        raise SheetError(
            "The workbook is locked with a password.", remedy="Save it without one, or as “CSV UTF-8”."
        ) from error
    except calamine.CalamineError as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    raise SheetError(
        f"The workbook cannot be read: it is damaged, locked or of an unknown kind ({error}).",
        remedy="Open it in the spreadsheet program and save it as .xlsx, or as “CSV UTF-8”.",
    ) from error


def _choose(
    book: calamine.CalamineWorkbook, named: str | None, meaning: Meaning, enough: Callable[[Record], bool]
) -> tuple[str, Found]:
    sheets = {
        sheet.name: sheet.visible == calamine.SheetVisibleEnum.Visible
        for sheet in book.sheets_metadata
        if sheet.typ == calamine.SheetTypeEnum.WorkSheet
    }
    if named is not None:
        if named not in sheets:
            raise SheetError(f"The workbook has no sheet “{named}”.", remedy=f"Its sheets are {_listed(sheets)}.")
        return named, _find(book, named, meaning)
    found = {name: _find(book, name, meaning) for name in sheets}
    visible = {name: header for name, header in found.items() if sheets[name] and header.header}
    candidates = {
        name: header for name, header in visible.items() if header.header and enough(header.header)
    } or visible
    if len(candidates) > 1:
        raise SheetError(
            f"The workbook has several sheets that could be meant: {_listed(candidates)}.",
            remedy=f"Name one with --sheet, such as --sheet “{next(iter(candidates))}”.",
        )
    if candidates:
        return next(iter(candidates.items()))
    hidden = [name for name, header in found.items() if header.header]
    if hidden:
        raise SheetError(
            f"Only hidden sheets of the workbook hold mailboxes: {_listed(hidden)}.",
            remedy="Show the sheet in the spreadsheet program, or name it with --sheet.",
        )
    raise no_header()


def _listed(names: Sequence[str] | Mapping[str, object]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _find(book: calamine.CalamineWorkbook, name: str, meaning: Meaning) -> Found:
    return find_header(_records(book, name, {}, SEARCHED_ROWS), meaning)


def _records(
    book: calamine.CalamineWorkbook, name: str, blind: Mapping[int, Mapping[int, Blind]], most: int | None = None
) -> Iterator[Record]:
    """The rows of a sheet, all as wide as the widest, with what is blind in them noted."""
    try:
        sheet = book.get_sheet_by_name(name)
    except calamine.CalamineError as error:
        _refuse(error)
    # Rows are given from the first, columns from the first that is used.
    margin = [""] * (sheet.start[1] if sheet.start else 0)
    merged = _merged(sheet)
    for number, values in enumerate(sheet.iter_rows(), start=1):
        if most is not None and number > most:
            return
        cells, doubts = [*margin], dict(merged.get(number, NO_DOUBTS))
        for position, value in enumerate(values, start=len(margin)):
            text, kind = _as_text(value)
            cells.append(text)
            if kind:
                doubts[position] = kind
        for position, spot in blind.get(number, {}).items():
            doubts[position] = spot.kind
            if spot.shown and position < len(cells):
                cells[position] = spot.shown
        yield Record(number, cells, doubts=doubts)


def _as_text(value: Any) -> tuple[str, str | None]:
    """A cell as text, and of what kind it is where that is not what the workbook holds."""
    if isinstance(value, str):
        return value.replace("\r\n", "\n").replace("\r", "\n"), None
    if isinstance(value, bool):
        return str(value).upper(), TRUTH
    if isinstance(value, int | float):
        if abs(value) >= _EXACT_BELOW:
            return f"{value:.15G}", NUMBER
        return str(int(value)) if value == int(value) else repr(value), NUMBER
    return str(value), DATE


def _merged(sheet: calamine.CalamineSheet) -> dict[int, dict[int, str]]:
    """By row and position, the cells that are blank because one beside or above them spreads over them."""
    merged: dict[int, dict[int, str]] = {}
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        for row in range(top, min(bottom, sheet.total_height) + 1):
            for column in range(left, right + 1):
                if (row, column) != (top, left):
                    merged.setdefault(row + 1, {})[column] = MERGED
    return merged


def _blind_spots(data: bytes, name: str) -> Mapping[int, Mapping[int, Blind]]:
    """By row and position, the cells that calamine shows as blank though they hold an error, and the hidden rows.

    Raises:
        SheetError: There are some, and in this kind of workbook it cannot be told where.
    """
    if data.startswith(_COMPOUND_FILE):
        if _XLS_ERRORS.search(data):
            _refuse_errors()
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.namelist()
            if "content.xml" in parts:
                if _holds(archive, "content.xml", _ODS_SUSPECT):
                    _refuse_errors()
                return {}
            part = _part_of(archive, name)
            return _xlsx_blind_spots(archive, part) if _holds(archive, part, _XLSX_SUSPECT) else {}
    except (zipfile.BadZipFile, zlib.error, ET.ParseError, OSError, KeyError, ValueError, NotImplementedError) as error:
        _refuse(error)


def _refuse_errors() -> NoReturn:
    raise SheetError(
        "The workbook has cells that show an error (such as #REF! or #N/A) or hidden rows, and in this kind of "
        "workbook these cannot be told from blank cells and ordinary rows.",
        remedy="Mend the errors and show the rows, or save the workbook as .xlsx, which can be told row by row.",
    )


def _holds(archive: zipfile.ZipFile, part: str, pattern: re.Pattern[bytes]) -> bool:
    overlap = b""
    with archive.open(part) as file:
        while piece := file.read(_PIECE):
            if pattern.search(overlap + piece):
                return True
            overlap = piece[-_LONGEST_TAG:]
    return False


def _part_of(archive: zipfile.ZipFile, name: str) -> str:
    """The file within an XLSX workbook that holds the sheet of that name. Raises KeyError."""
    sheets = _tree(archive, "xl/workbook.xml").iterfind(".//{*}sheet")
    ids = {sheet.get("name"): value for sheet in sheets for key, value in sheet.items() if key.endswith("}id")}
    relations = _tree(archive, "xl/_rels/workbook.xml.rels")
    targets = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    target = targets[ids[name]]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _tree(archive: zipfile.ZipFile, part: str) -> ET.Element:
    # The parser that comes with Python 3.11 stops the expansion of entities by itself.
    return ET.fromstring(archive.read(part))  # noqa: S314


def _xlsx_blind_spots(archive: zipfile.ZipFile, part: str) -> dict[int, dict[int, Blind]]:
    spots: dict[int, dict[int, Blind]] = {}
    row = column = 0
    hidden = False
    with archive.open(part) as file:
        for event, element in ET.iterparse(file, events=("start", "end")):  # noqa: S314 - as in _tree
            tag = element.tag.rpartition("}")[2]
            if event == "start" and tag == "row":
                row, column = int(element.get("r", row + 1)), 0
                hidden = element.get("hidden") in ("1", "true")
            elif event == "end" and tag == "c":
                column = _column_number(element.get("r")) or column + 1
                error = _error(element)
                if hidden or error:
                    spots.setdefault(row, {})[column - 1] = Blind(ERROR if error else HIDDEN, error or "")
            elif event == "end" and tag == "row":
                element.clear()
    return spots


def _error(cell: ET.Element) -> str | None:
    """What a cell shows that holds an error, or a formula that was never worked out; None where it holds neither."""
    formula, value = cell.findtext("{*}f"), cell.findtext("{*}v")
    if cell.get("t") == "e":
        return value or "#ERROR!"
    return f"={formula}" if formula is not None and not value and cell.get("t") != "str" else None


def _column_number(reference: str | None) -> int:
    letters = re.match("[A-Z]*", reference or "")
    number = 0
    for letter in letters.group() if letters else "":
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
