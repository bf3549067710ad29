"""Gathers the rows below a header column by column, every one of them accounted for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner.domains import ADDRESS
from provisioner.errors import SheetError
from provisioner.schema import LONGEST_CELL
from provisioner.sheets.certainty import fit, origin_of, shared_origins, why_marked, why_uncertain
from provisioner.sheets.cleaning import cleaned
from provisioner.sheets.files import unescape_formula
from provisioner.sheets.grid import HIDDEN
from provisioner.sheets.headers import cells_mixed_up
from provisioner.sheets.limits import too_many_faulty
from provisioner.sheets.sheet import BLANKS, UNCERTAIN, Origin, Sheet, column_letters
from provisioner.sheets.skipped_rows import SkippedRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from provisioner.schema import MailboxSchema
    from provisioner.sheets.delimited import Record
    from provisioner.sheets.headers import Layout
    from provisioner.sheets.source import Source

_END_OF_FILE: Final = "\x1a"
"""Ctrl-Z, with which old programs end a text file."""
_SECOND_TABLE: Final = (
    "a second table begins at row {}, whose header differs from the first; put it into a sheet of its own"
)


class SheetBuilder:
    """Makes a sheet of a source, whose rows are gathered one by one."""

    def __init__(self, source: Source, layout: Layout, schema: MailboxSchema, fill: Mapping[str, str]) -> None:
        """`fill` is, by column, what its blank cells are to hold."""
        self._source = source
        self._layout = layout
        self._schema = schema
        self._fill = fill
        self._known = [schema.columns.get(key) for key in layout.keys]
        self._places = {column.name: place for place, column in enumerate(self._known) if column}
        self._skipped = SkippedRows(layout, schema, self._known, source.delimiter)
        self._padding = source.padding
        self._columns: list[list[str]] = [[] for _ in layout.keys]
        self._rows: list[int] = []
        self._unreadable: dict[int, str] = {}
        self._misfits = 0
        """How many rows have not the cells that the header has."""
        self._misaligned: set[int] = set()
        self._origins: dict[int, Origin] = {}

    def _add_all(self) -> None:
        """Take in everything below the header. Raises SheetError if too many rows are not certain."""
        for record in self._source.rows:
            if any(map(_visible, record.cells)) and record.cells != [_END_OF_FILE]:
                self._add(record)
                if len(self._unreadable) > self._source.most_faulty:
                    raise too_many_faulty(self._source.most_faulty, *next(iter(self._unreadable.items())))

    def _add(self, record: Record) -> None:
        row, layout = record.number, self._layout
        fitted, fault = fit(record, layout, self._source.delimiter, blank_end=self._source.blank_end)
        cells = [fitted[position] for position in layout.own] if layout.added else fitted
        if self._skipped.holds(row, cells):
            return
        self._rows.append(row)
        if fault:
            self._misfits += 1
            self._unreadable[row] = fault
            self._misaligned.add(row)
        if layout.added:
            cells = self._traced(row, fitted, list(map(unescape_formula, cells)))
        cells = self._marked(record, cells)
        if any(self._padding):
            cells = self._unpadded(cells)
        for column, cell in zip(self._columns, cells, strict=True):
            column.append(cell)

    def _traced(self, row: int, fitted: list[str], cells: list[str]) -> list[str]:
        """The cells of a row of a failures file, marked if its own columns do not hold what was written there."""
        origin, suspect = origin_of(fitted, self._layout.added)
        if suspect is None and (row not in self._unreadable or origin.status):
            self._origins[row] = origin
            return cells
        self._origins[row] = Origin(None, None)
        self._misaligned.add(row)
        if row in self._unreadable or suspect is None:
            return cells
        self._unreadable[row] = suspect
        return [UNCERTAIN + cells[0], *cells[1:]]

    def _unpadded(self, cells: list[str]) -> list[str]:
        """The cells, the secret ones without what is layout. What else the schema knows loses its blanks anyway."""
        return [
            self._padding.removed(cells, place) if column and column.secret else cells[place]
            for place, column in enumerate(self._known)
        ]

    def _marked(self, record: Record, cells: list[str]) -> list[str]:
        """The cells, marked where they are not certain; a row that then has a mark is noted as unreadable."""
        second = self._skipped.second_header
        together = "".join(cells)
        if not (
            UNCERTAIN in together
            or record.kinds
            or second
            or len(together) > LONGEST_CELL
            or not (self._source.certain or together.isascii())
        ):
            return cells
        if second:
            self._unreadable.setdefault(record.number, _SECOND_TABLE.format(second))
            self._misaligned.add(record.number)
        anchor = self._anchor(record)
        return [self._looked_at(record, place, cell, doubted=place == anchor) for place, cell in enumerate(cells)]

    def _anchor(self, record: Record) -> int | None:
        """The place of the one cell that is marked if a whole row is in doubt; None if it is not."""
        hidden = [place for place in self._places.values() if record.kinds.get(self._layout.own[place]) == HIDDEN]
        if not hidden and not self._skipped.second_header:
            return None
        places, email = hidden or [*self._places.values()], self._places.get("email")
        return email if email in places else min(places)

    def _looked_at(self, record: Record, place: int, text: str, *, doubted: bool) -> str:
        """The text of a cell, with a mark if it is not certain."""
        row, position = record.number, self._layout.own[place]
        origin = self._origins.get(row)
        cell = f"{column_letters(place)}{(origin and origin.sheet_row) or row}"
        kind = record.kinds.get(position)
        if kind == HIDDEN and not doubted:
            kind = None
        why = why_uncertain(text, cell, self._known[place], kind, certain=self._source.certain)
        if UNCERTAIN in text:
            # Of a row that was not certain in an earlier reading it is not known any more what of it was.
            self._misaligned.add(row)
            self._unreadable.setdefault(row, why or why_marked(cell, origin))
            return text
        if why:
            self._unreadable.setdefault(row, why)
        return UNCERTAIN + text if why or doubted else text

    def sheet(self, path: Path) -> Sheet:
        """Gather the rows, each of which is read once. Raises SheetError if they cannot be used."""
        self._add_all()
        self._refuse_unusable()
        for row, sentence in shared_origins(self._origins):
            self._unreadable.setdefault(row, sentence)
        headers, columns = self._laid_out()
        keys, as_written = tuple(columns), {}
        domains = self._with_own_domains(columns)
        if any(domains) and domains != columns.get("domain"):
            as_written = {"domain": columns["domain"]} if "domain" in columns else {}
            columns["domain"] = domains
        sheet = Sheet(
            path=path,
            columns=columns,
            rows=self._rows,
            headers=tuple(headers),
            keys=keys,
            delimiter=self._source.delimiter,
            unreadable=self._unreadable,
            origins=self._origins,
            is_failures=bool(self._layout.added),
            as_written=as_written,
            tab=self._source.tab,
            most_faulty=self._source.most_faulty,
            second_table=self._skipped.second_header,
        )
        return replace(
            sheet, misaligned={row: self._username(sheet.own_cells(row)) for row in sorted(self._misaligned)}
        )

    def _refuse_unusable(self) -> None:
        """Raise SheetError if the sheet has no rows, or is a failures file that was saved in one column."""
        # A failures file without rows is one in which nothing is left.
        if not self._rows and not self._layout.added:
            raise SheetError(
                "The sheet has only the template's example row."
                if self._skipped.met_example
                else f"There is no row below the header (row {self._layout.header.number}).",
                remedy="Add a row for each mailbox, and save the sheet.",
            )
        if self._layout.added and self._rows and self._misfits == len(self._rows):
            # A program that opened the file in one column and saved it leaves no row that fits.
            raise cells_mixed_up()

    def _laid_out(self) -> tuple[list[str], dict[str, list[str]]]:
        """The headers, and by key the columns under them.

        Nameless ones at the end in which nothing stands are left out, those that the sheet lacks are added.
        """
        headers, columns = list(self._layout.headers), dict(zip(self._layout.keys, self._columns, strict=True))
        while not _visible(headers[-1]) and not any(columns[next(reversed(columns))]):
            headers.pop()
            columns.popitem()
        columns = {key: cleaned(texts, self._schema.columns.get(key)) for key, texts in columns.items()}
        for key, value in self._fill.items():
            columns[key] = [text or value for text in columns.get(key, [""] * len(self._rows))]
        return [*headers, *list(columns)[len(headers) :]], columns

    def _with_own_domains(self, columns: Mapping[str, list[str]]) -> list[str]:
        """The cells of the column of domains, blank ones filled in from a full address in the same row.

        Not in a row that is not certain, which would be read otherwise when it comes back.
        """
        absent = [""] * len(self._rows)
        domains, emails = columns.get("domain", absent), columns.get("email", absent)
        uncertain = self._misaligned | self._unreadable.keys()
        if all(domains):
            return domains
        return [
            domain or ("" if row in uncertain else _domain_of(email))
            for row, domain, email in zip(self._rows, domains, emails, strict=True)
        ]

    def _username(self, cells: Sequence[str]) -> str:
        """The username of a misaligned row, where no piece of its password can stand in its place; else nothing."""
        email, password = self._places.get("email"), self._places.get("password")
        if email is None:
            return ""
        if password is not None and (password < email or cells[password] == UNCERTAIN):
            return ""
        return cells[email] if self._schema.accepts("email", cells[email]) else ""


def _domain_of(email: str) -> str:
    """The domain of a full address, or nothing."""
    address = ADDRESS.fullmatch(email) if "@" in email and UNCERTAIN not in email else None
    return address[2] if address else ""


def _visible(text: str) -> bool:
    return bool(text.strip(BLANKS))
