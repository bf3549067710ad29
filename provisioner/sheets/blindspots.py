"""What calamine does not tell of a workbook: cells that hold an error look blank to it, and hidden rows like others.

A lookup that failed in an optional column must not pass for a blank cell, nor a row that nobody sees for one that is
meant. In XLSX their places are found; in XLS and ODS only whether there are any. Merged cells calamine tells of XLSX
and XLS itself, of ODS it does not; of ODS it also leaves out some of the characters within a cell.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn
from xml.etree import ElementTree as ET
from xml.parsers import expat

from provisioner.errors import SheetError
from provisioner.sheets.kinds import COMPOUND_FILE

ERROR: Final = "error"
HIDDEN: Final = "hidden"

_PIECE: Final = 1 << 20
_LONGEST_TAG: Final = 1000
_TRUE: Final = ("1", "true")

_KINDS: Final = {
    "error": "cells that show an error, such as #REF! or #N/A, or a formula that was never worked out",
    "merged": "merged cells",
    "hidden": "hidden rows or columns",
    "broken": "cells with a tab or a line break in them",
}
"""By the groups of the patterns below, what a workbook has that nobody can tell the place of."""

# BIFF8's records BoolErr and Formula where they hold an error, Row and ColInfo where they say that it is hidden.
# https://learn.microsoft.com/en-us/openspecs/office_file_formats/ms-xls/
_HIDDEN_ROW: Final = bytes(flags for flags in range(0x100) if flags & 0x20)
_HIDDEN_COLUMN: Final = bytes(range(1, 0x100, 2))
_XLS_SUSPECT: Final = re.compile(
    rb"(?P<error>\x05\x02\x08\x00.{6}[\x00\x07\x0f\x17\x1d\x24\x2a]\x01"
    rb"|\x06\x00.\x00.{6}\x02.[\x00\x07\x0f\x17\x1d\x24\x2a].{3}\xff\xff)"
    rb"|(?P<hidden>\x08\x02\x10\x00.{12}[" + re.escape(_HIDDEN_ROW) + rb"]\x01"
    rb"|\x7d\x00\x0c\x00.{8}[" + re.escape(_HIDDEN_COLUMN) + rb"])",
    re.DOTALL,
)
# An error may be written as a number, or as a text without a type, which calamine takes for a blank cell.
_ODS_SUSPECT: Final = re.compile(
    rb"""(?P<error>value-type=["']error["']|<text:p>(?:Err:[0-9]+|\#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!))</text:p>
    |<table:table-cell(?:\s(?![^>]*\boffice:value-type=)[^>]*)?(?:>\s*<text:p>[^<]|(?<=\s)table:formula=))
    |(?P<merged><table:covered-table-cell)
    |(?P<hidden><table:table-(?:row|column)\s[^>]*table:visibility=["'](?:filter|collapse))
    |(?P<broken><text:(?:tab|line-break)\b|<!\[CDATA\[)""",
    re.VERBOSE,
)
_XLSX_SUSPECT: Final = re.compile(rb"""\bt=["']e["']|<(?:\w+:)?f[\s/>]|\bhidden=["'](?:1|true)""")


class Blind(NamedTuple):
    """What calamine does not tell of a cell."""

    kind: str
    """ERROR or HIDDEN."""
    shown: str
    """What a person sees; empty where calamine tells it."""


@dataclass(frozen=True)
class BlindSpots:
    """What calamine does not tell of a sheet."""

    cells: dict[int, dict[int, Blind]] = field(default_factory=dict)
    """By the row's number and the cell's position, which counts from 0."""
    hidden_columns: list[range] = field(default_factory=list)
    """Their positions."""


def blind_spots(data: bytes, name: str) -> BlindSpots:
    """Where in the sheet of that name calamine is blind.

    Raises:
        SheetError: There are blind spots in a kind of workbook that does not tell where, or it is damaged.
    """
    if data.startswith(COMPOUND_FILE):
        _refuse_suspect(_XLS_SUSPECT.search(data))
        return BlindSpots()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if "content.xml" in archive.namelist():
                _refuse_suspect(_found(archive, "content.xml", _ODS_SUSPECT))
                return BlindSpots()
            part = _part_of(archive, name)
            return _PageParser().parse(archive, part) if _found(archive, part, _XLSX_SUSPECT) else BlindSpots()
    except (zipfile.BadZipFile, zlib.error, ET.ParseError, expat.ExpatError, OSError, LookupError, ValueError) as error:
        refuse_damaged(error)
    except NotImplementedError as error:  # A way of compressing that zipfile does not know.
        refuse_damaged(error)


def refuse_damaged(error: Exception) -> NoReturn:
    """Say that the workbook cannot be read. Raises SheetError."""
    raise SheetError(
        f"The workbook cannot be read: it is damaged, locked or of an unknown kind ({error}).",
        remedy="Open it in the spreadsheet program and save it as .xlsx, or as “CSV UTF-8”.",
    ) from error


def _refuse_suspect(found: re.Match[bytes] | None) -> None:
    if found is None:
        return
    raise SheetError(
        f"The workbook has {_KINDS[found.lastgroup or '']}, and in a workbook of this kind it cannot be told where.",
        remedy="Mend them, or save the workbook as .xlsx, where only the rows that have them are refused.",
    )


def _found(archive: zipfile.ZipFile, part: str, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
    overlap = b""
    with archive.open(part) as file:
        while piece := file.read(_PIECE):
            if found := pattern.search(overlap + piece):
                return found
            overlap = piece[-_LONGEST_TAG:]
    return None


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


class _PageParser:
    """Goes through one sheet of an XLSX workbook, of which only the odd cells are kept."""

    def __init__(self) -> None:
        self._spots = BlindSpots()
        self._row = self._column = 0
        self._hidden = False
        self._kind: str | None = None
        self._texts: dict[str, str] = {}
        """Of the cell that is open, what its formula and its value hold."""
        self._open: str | None = None

    def parse(self, archive: zipfile.ZipFile, part: str) -> BlindSpots:
        """The blind spots of the sheet."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._read
        with archive.open(part) as file:
            parser.ParseFile(file)
        return self._spots

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            self._column = _column_number(attributes.get("r", "")) or self._column + 1
            self._kind = attributes.get("t")
            self._texts = {}
        elif tag in ("f", "v"):
            self._open = tag
            self._texts[tag] = ""
        elif tag == "col" and attributes.get("hidden") in _TRUE:
            self._spots.hidden_columns.append(range(int(attributes["min"]) - 1, int(attributes["max"])))
        elif tag == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), 0
            self._hidden = attributes.get("hidden") in _TRUE

    def _read(self, text: str) -> None:
        if self._open:
            self._texts[self._open] += text

    def _end(self, tag: str) -> None:
        self._open = None
        if tag.rpartition(":")[2] == "c":
            shown = self._error()
            if shown or self._hidden:
                kind = ERROR if shown else HIDDEN
                self._spots.cells.setdefault(self._row, {})[self._column - 1] = Blind(kind, shown)

    def _error(self) -> str:
        """What the cell shows that holds an error, or a formula that was never worked out; empty for any other."""
        value = self._texts.get("v", "")
        if self._kind == "e":
            return value or "#ERROR!"
        unfinished = "f" in self._texts and not value and self._kind != "str"
        return "=" + self._texts["f"] if unfinished else ""


def _column_number(reference: str) -> int:
    number = 0
    for letter in reference.rstrip("0123456789"):
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
