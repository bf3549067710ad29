"""OpenDocument spreadsheets (ODF 1.3, part 3): what their sheets hold, show and hide."""

from __future__ import annotations

import re
from typing import Final

from provisioner.sheets.grid import DATE, ERROR, FORMULA, NUMBER, TRUTH, Area, Grid, Tab, number_text
from provisioner.sheets.limits import Budget, refuse_sheets
from provisioner.sheets.package import Handler, Package, Texts

_PREFIXES: Final = ("office", "table", "text")
_NAMESPACE: Final = "urn:oasis:names:tc:opendocument:xmlns:"
_UNSEEN: Final = ("collapse", "filter")
_SKIPPED: Final = {"table:shapes", "table:dde-links", "table:tracked-changes", "office:forms", "office:annotation"}
"""Elements whose tables and texts are not those of the sheet."""
_ERROR: Final = re.compile(r"Err:[0-9]+|#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!)")
_MOST_REPEATED: Final = 1 << 32
_MOST_BLANKS: Final = 1 << 16
_VALUES: Final = {
    "string": "office:string-value",
    "float": "office:value",
    "currency": "office:value",
    "percentage": "office:value",
    "boolean": "office:boolean-value",
    "date": "office:date-value",
    "time": "office:time-value",
}
"""By type, the attribute that holds a cell's value."""
_OTHER_KINDS: Final = {"percentage": NUMBER, "boolean": TRUTH, "date": DATE, "time": DATE}
_INLINE: Final = {"text:tab": "\t", "text:line-break": "\n"}


def tabs(data: bytes) -> list[Tab]:
    """The sheets of a document. Raises SheetError if it is damaged.

    They stand one after the other in one file, so all of them are read.
    """
    budget = Budget(len(data))
    content = _Content(budget)
    Package(data, budget).parse("content.xml", content)
    return content.tabs


class _Content(Handler):
    """Reads the content of a document."""

    def __init__(self, budget: Budget) -> None:
        self.tabs: list[Tab] = []
        self._budget = budget
        self._skipped = 0
        """How deep within an element that is skipped; 0 outside of any."""
        self._style = ""
        self._hidden_styles: set[str] = set()
        self._grid: Grid | None = None
        self._column = 0
        """The position of the next column to be declared, then of the next cell in its row."""
        self._row = 1
        self._row_count = 1
        self._cell: dict[str, str] | None = None
        self._covered = False
        self._texts = Texts()
        self._paragraphs = 0
        self._in_paragraph = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._skipped or tag in _SKIPPED:
            self._skipped += 1
        elif self._cell is not None:
            self._start_text(tag, attributes)
        elif self._grid is not None:
            self._start_in_table(self._grid, tag, attributes)
        elif tag == "table:table":
            self._start_table(attributes)
        elif tag == "style:style":
            self._style = attributes.get("style:name", "")
        elif tag == "style:table-properties" and attributes.get("table:display") == "false":
            self._hidden_styles.add(self._style)
        elif tag == "office:document-content":
            _check_prefixes(attributes)

    def text(self, text: str) -> None:
        if self._in_paragraph and not self._skipped:
            self._texts.add(text)

    def end(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1
        elif tag == "text:p":
            self._in_paragraph = False
        elif self._grid is None:
            pass
        elif tag in ("table:table-cell", "table:covered-table-cell"):
            self._end_cell(self._grid)
        elif tag == "table:table-row":
            self._grid.end_row(self._row_count)
            self._row += self._row_count
        elif tag == "table:table":
            self._grid = None

    def _start_table(self, attributes: dict[str, str]) -> None:
        grid = self._grid = Grid(self._budget)
        visible = attributes.get("table:style-name") not in self._hidden_styles
        self.tabs.append(Tab(attributes.get("table:name", ""), visible, lambda _: grid))
        refuse_sheets(len(self.tabs))
        self._row, self._column = 1, 0

    def _start_in_table(self, grid: Grid, tag: str, attributes: dict[str, str]) -> None:
        if tag == "table:table-row":
            self._column, self._row_count = 0, _count(attributes, "table:number-rows-repeated")
            grid.begin_row(self._row, hidden=attributes.get("table:visibility") in _UNSEEN)
        elif tag in ("table:table-cell", "table:covered-table-cell"):
            self._cell, self._covered, self._paragraphs = attributes, tag == "table:covered-table-cell", 0
        elif tag == "table:table-column":
            first = self._column
            self._column += _count(attributes, "table:number-columns-repeated")
            if attributes.get("table:visibility") in _UNSEEN:
                grid.hide_columns(range(first, self._column))
        elif tag == "table:table":
            self._skipped = 1

    def _start_text(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "text:p":
            self._in_paragraph = True
            if self._paragraphs:
                self._texts.add("\n")
            self._paragraphs += 1
        elif not self._in_paragraph:  # A picture, or a table of its own.
            self._skipped = 1
        elif tag == "text:s":
            self._texts.add(" " * min(_count(attributes, "text:c"), _MOST_BLANKS))
        elif tag in _INLINE:
            self._texts.add(_INLINE[tag])

    def _end_cell(self, grid: Grid) -> None:
        attributes = self._cell or {}
        self._cell = None
        first, repeated = self._column, _count(attributes, "table:number-columns-repeated")
        self._column += repeated
        shown = self._texts.take()
        if self._covered:
            return
        columns = _count(attributes, "table:number-columns-spanned")
        rows = _count(attributes, "table:number-rows-spanned")
        if columns > 1 or rows > 1:
            grid.merge(Area(self._row, first, self._row + rows - 1, first + columns - 1))
        text, kind = _value(attributes, shown, has_text=self._paragraphs > 0)
        if text:
            for position in range(first, self._column):
                grid.put(position, text, kind)


def _value(attributes: dict[str, str], shown: str, *, has_text: bool) -> tuple[str, str | None]:
    """What a cell holds, and its kind. `shown` is what it shows, `has_text` whether it says what it shows."""
    kind, formula = attributes.get("office:value-type"), attributes.get("table:formula")
    is_error = attributes.get("calcext:value-type") == "error" or _ERROR.fullmatch(shown)
    # The name of an error depends on the language. An error has no text for a value, or no type, but shows something.
    if is_error or (shown and (kind is None or (kind == "string" and attributes.get("office:string-value") == ""))):
        return shown or "#ERROR!", ERROR if formula is None else FORMULA
    value = attributes.get(_VALUES.get(kind or "", ""))
    if formula is not None and not has_text and value is None:
        return f"={formula.partition(':=')[2] or formula}", FORMULA
    if kind in ("float", "currency") and value:
        return number_text(float(value)), NUMBER
    if kind == "string" or not (shown or value):
        return shown if value is None else value, None
    return shown or value or "", _OTHER_KINDS.get(kind or "", ERROR)


def _count(attributes: dict[str, str], name: str) -> int:
    """How often something is repeated, or how far it spreads. Raises ValueError."""
    count = int(attributes.get(name, 1))
    if not 0 < count < _MOST_REPEATED:
        raise ValueError(f"{name} {count}")
    return count


def _check_prefixes(attributes: dict[str, str]) -> None:
    """Raise ValueError unless the elements that are looked for have the prefixes that every program gives them."""
    for prefix in _PREFIXES:
        if not attributes.get(f"xmlns:{prefix}", "").startswith(f"{_NAMESPACE}{prefix}:"):
            raise ValueError(f"the prefix {prefix} means something else")
