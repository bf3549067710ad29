"""XLSX workbooks (Office Open XML, ECMA-376): what their sheets hold, show and hide."""

from __future__ import annotations

import posixpath
import re
from functools import partial
from typing import TYPE_CHECKING, Final

from provisioner.sheets.grid import (
    DATE,
    ERROR,
    FORMULA,
    NUMBER,
    SINCE_1900,
    SINCE_1904,
    TRUTH,
    Area,
    Grid,
    Tab,
    date_text,
    is_date,
    is_percent,
    number_text,
    percent_text,
    plain_text,
)
from provisioner.sheets.kinds import damaged
from provisioner.sheets.limits import Budget, refuse_sheets
from provisioner.sheets.package import Handler, Package, Texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_TRUE: Final = ("1", "true")
_PERCENT: Final = "percent"
_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
"""How a character that XML cannot hold is written (ST_Xstring)."""
_REFERENCE: Final = re.compile("([A-Z]{1,3})([0-9]{1,9})")

# ECMA-376, part 1, 18.8.30: the formats that have a number of their own.
_DATE_FORMATS: Final = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
_PERCENT_FORMATS: Final = {9, 10}


def tabs(data: bytes) -> list[Tab]:
    """The worksheets of a workbook. Raises SheetError if it is damaged."""
    package = Package(data, Budget(len(data)))
    root = _relations(package, "")
    book = _Book()
    part = next((target for kind, target in root.values() if kind == "officeDocument"), "xl/workbook.xml")
    package.parse(part, book)
    relations = _relations(package, part)
    refuse_sheets(len(book.sheets))
    reader = _SheetReader(data, relations, since_1904=book.since_1904)
    return [
        Tab(name, visible, partial(reader.read, relations[relation][1]))
        for name, visible, relation in book.sheets
        if relations.get(relation, ("", ""))[0] == "worksheet"
    ]


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """What a part refers to: by ID, the last word of the relation's type and the part that it leads to."""
    folder, name = posixpath.split(part)
    relations = _Relations(folder)
    path = posixpath.join(folder, "_rels", f"{name}.rels")
    if path in package:
        package.parse(path, relations)
    return relations.found


class _Relations(Handler):
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.found: dict[str, tuple[str, str]] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if _local(tag) == "Relationship":
            target = posixpath.normpath(posixpath.join("/", self._folder, attributes["Target"])).lstrip("/")
            self.found[attributes["Id"]] = (attributes["Type"].rpartition("/")[2], target)


class _Book(Handler):
    """Reads the list of sheets."""

    def __init__(self) -> None:
        self.sheets: list[tuple[str, bool, str]] = []
        """Name, whether it is visible, and the ID of its relation."""
        self.since_1904 = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        if name == "sheet":
            relation = next((value for key, value in attributes.items() if key.endswith(":id")), "")
            self.sheets.append((attributes["name"], attributes.get("state", "visible") == "visible", relation))
        elif name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in _TRUE


class _SheetReader:
    """Reads sheets; what all of them share, the texts and formats, is read once."""

    def __init__(self, data: bytes, relations: dict[str, tuple[str, str]], *, since_1904: bool) -> None:
        self._data = data
        self._parts = {kind: target for kind, target in relations.values() if kind in ("sharedStrings", "styles")}
        self._origin = SINCE_1904 if since_1904 else SINCE_1900
        self._shared: tuple[Sequence[str], Sequence[str]] | None = None

    def read(self, part: str, last_row: int) -> Grid:
        """Read the sheet in a part of the workbook up to a row."""
        budget = Budget(len(self._data))
        package = Package(self._data, budget)
        texts, formats = self._shared = self._shared or self._read_shared(package, budget)
        sheet = _Sheet(Grid(budget), texts, formats, self._origin, last_row)
        package.parse(part, sheet)
        return sheet.grid

    def _read_shared(self, package: Package, budget: Budget) -> tuple[Sequence[str], Sequence[str]]:
        texts, formats = _SharedTexts(budget), _Formats()
        for kind, handler in (("sharedStrings", texts), ("styles", formats)):
            if kind in self._parts and self._parts[kind] in package:
                package.parse(self._parts[kind], handler)
        return texts.found, formats.found


class _SharedTexts(Handler):
    """Reads the texts that cells refer to by number."""

    def __init__(self, budget: Budget) -> None:
        self.found: list[str] = []
        self._budget = budget
        self._texts = Texts()
        self._open = self._phonetic = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - as a Handler has it.
        name = _local(tag)
        self._phonetic |= name == "rPh"
        self._open = name == "t" and not self._phonetic

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._open = False
        if name == "rPh":
            self._phonetic = False
        elif name == "si":
            text = _text(self._texts.take())
            self._budget.take_text(text)
            self.found.append(text)

    def text(self, text: str) -> None:
        if self._open:
            self._texts.add(text)


class _Formats(Handler):
    """Reads of each style of cells how it shows a number: as a date, as a percentage, or otherwise (empty)."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._codes: dict[int, str] = {}
        self._in_cell_styles = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        if name == "numFmt":
            self._codes[int(attributes["numFmtId"])] = attributes["formatCode"]
        elif name == "cellXfs":
            self._in_cell_styles = True
        elif name == "xf" and self._in_cell_styles:
            number = int(attributes.get("numFmtId", 0))
            self.found.append(_shown_as(number, self._codes.get(number, "")))

    def end(self, tag: str) -> None:
        if _local(tag) == "cellXfs":
            self._in_cell_styles = False


def _shown_as(number: int, code: str) -> str:
    if number in _DATE_FORMATS or is_date(code):
        return DATE
    return _PERCENT if number in _PERCENT_FORMATS or is_percent(code) else ""


class _Sheet(Handler):
    """Reads one sheet."""

    def __init__(
        self, grid: Grid, texts: Sequence[str], formats: Sequence[str], origin: datetime, last_row: int
    ) -> None:
        self.grid = grid
        self._shared, self._formats, self._origin, self._last_row = texts, formats, origin, last_row
        self._row = 0
        self._next = 0
        """The position after the cell before."""
        self._cell: dict[str, str] | None = None
        """The attributes of the cell that is open."""
        self._open = ""
        self._phonetic = False
        self._value, self._formula = Texts(), Texts()
        self._has_formula = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        if name == "c":
            self._cell, self._has_formula = attributes, False
        elif self._cell is not None and name in ("v", "t", "f"):
            self._open = "" if self._phonetic else name
            self._has_formula |= name == "f"
        elif name == "row":
            self._row, self._next = int(attributes.get("r", self._row + 1)), 0
            self.grid.begin_row(self._row, hidden=attributes.get("hidden") in _TRUE)
        elif name == "rPh":
            self._phonetic = True
        elif name == "col" and attributes.get("hidden") in _TRUE:
            self.grid.hide_columns(range(int(attributes["min"]) - 1, int(attributes["max"])))
        elif name == "mergeCell":
            self.grid.merge(_area(attributes["ref"]))

    def text(self, text: str) -> None:
        if self._open == "f":
            self._formula.add(text)
        elif self._open:
            self._value.add(text)

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._open = ""
        if name == "c" and self._cell is not None:
            self._end_cell(self._cell)
            self._cell = None
        elif name == "row":
            self.grid.end_row()
            self.done = self._row >= self._last_row
        elif name == "rPh":
            self._phonetic = False

    def _end_cell(self, cell: dict[str, str]) -> None:
        position = self._next
        if "r" in cell:
            row, position = _reference(cell["r"])
            if row != self._row:
                raise damaged(ValueError(f"cell {cell['r']} in row {self._row}"))
        self._next = position + 1
        self.grid.put(position, *self._shown(cell, self._value.take(), self._formula.take()))

    def _shown(self, cell: dict[str, str], value: str, formula: str) -> tuple[str, str | None]:
        """What the cell shows, and its kind."""
        kind = cell.get("t", "n")
        if kind == "e":
            return value or "#ERROR!", FORMULA if self._has_formula else ERROR
        if self._has_formula and not value and kind != "str":
            return f"={formula}", FORMULA
        return self._held(cell, kind, value) if value else ("", None)

    def _held(self, cell: dict[str, str], kind: str, value: str) -> tuple[str, str | None]:
        if kind == "s":
            return self._shared[_natural(value)], None
        if kind in ("str", "inlineStr"):
            return _text(value), None
        if kind == "b":
            return ("TRUE" if value in _TRUE else "FALSE"), TRUTH
        return (value, DATE) if kind == "d" else self._number(float(value), _natural(cell.get("s", "0")))

    def _number(self, value: float, style: int) -> tuple[str, str | None]:
        shown_as = self._formats[style] if style < len(self._formats) else ""
        if shown_as == DATE:
            return date_text(self._origin, value), DATE
        if shown_as == _PERCENT:
            return percent_text(value), NUMBER
        return number_text(value), NUMBER


def _text(written: str) -> str:
    if "_x" in written:
        written = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), written)
        # Characters beyond 16 bits are escaped in two halves.
        written = written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return plain_text(written)


def _area(reference: str) -> Area:
    first, _, last = reference.partition(":")
    top, left = _reference(first)
    bottom, right = _reference(last or first)
    return Area(top, left, bottom, right)


def _reference(name: str) -> tuple[int, int]:
    """The row, from 1, and the position, from 0, of a cell such as D17. Raises ValueError."""
    found = _REFERENCE.fullmatch(name)
    if found is None:
        raise ValueError(name)
    position = 0
    for letter in found[1]:
        position = position * 26 + ord(letter) - ord("A") + 1
    return int(found[2]), position - 1


def _natural(text: str) -> int:
    """A number that counts from 0. Raises ValueError."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _local(tag: str) -> str:
    """The name of an element without its prefix."""
    return tag.rpartition(":")[2]
