"""A sheet that is open for fixing: its rows and what is wrong with them, and every change stored as it is made."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

from provisioner import passwords
from provisioner.fixing.opening import Opened, find
from provisioner.fixing.rows import Place
from provisioner.fixing.views import Cause, Column, Counts, OpenRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions


def open_sheet(options: SheetOptions) -> OpenSheet:
    """Read and validate a sheet, and compare it with the journal of its run folder.

    What a check writes follows in a thread. Raises UnusableError.
    """
    return OpenSheet(options)


class OpenSheet:
    """One sheet. Its methods block, and may be called from several threads."""

    def __init__(self, options: SheetOptions) -> None:
        """As `open_sheet`."""
        self.options = options
        self._lock = Lock()
        self._open(find(options))

    def _open(self, opened: Opened) -> None:
        self._opened = opened
        self._rows = opened.rows

    # What is shown

    @property
    def name(self) -> str:
        """What people call the sheet."""
        return self.options.shown or self.options.sheet.name

    @property
    def folder(self) -> RunFolder:
        return self._opened.folder

    @property
    def columns(self) -> Sequence[Column]:
        return self._rows.columns

    @property
    def notes(self) -> Sequence[str]:
        """What a check says of the sheet, such as which columns are ignored."""
        return self._opened.notes

    def counts(self) -> Counts:
        """How many rows stand where."""
        with self._lock:
            return self._counts()

    def _counts(self) -> Counts:
        places = self._rows.places
        return Counts(
            rows=places.total(),
            ready=places[Place.READY],
            to_fix=places[Place.TO_FIX],
            done=places[Place.DONE],
            left_out=places[Place.LEFT_OUT],
            other=places[Place.OTHER],
        )

    def causes(self) -> list[Cause]:
        """What is wrong with the rows to fix, the most frequent first."""
        with self._lock:
            return [Cause(sentence, rows) for sentence, rows in self._rows.causes.most_common()]

    def rows(
        self, *, to_fix: bool = True, search: str = "", cause: str = "", start: int = 0, size: int = 50
    ) -> tuple[list[OpenRow], int]:
        """A page of the rows that are to be fixed, or of all that are left, and how many there are.

        `search` is a text that a shown cell holds, or a row's key; `cause` the sentence of one of `causes`.
        """
        with self._lock:
            rows = self._rows
            places = (Place.TO_FIX,) if to_fix else (Place.TO_FIX, Place.READY, Place.OTHER)
            text = search.strip().casefold()
            found = [
                position
                for position in rows.positions(*places)
                if (not cause or rows.has_cause(position, cause)) and (not text or rows.found(position, text))
            ]
            return [rows.view(position) for position in islice(found, start, start + size)], len(found)

    def row(self, key: str) -> OpenRow:
        """One row that is left. Raises UnknownRowError."""
        with self._lock:
            return self._rows.view(self._rows.at(key))

    def reveal(self, key: str, column: str) -> str:
        """What stands in a cell that is not shown. Raises UnknownRowError."""
        with self._lock:
            cells = self._rows.own_cells(self._rows.at(key))
            return cells[self._rows.sheet.keys.index(column)]

    def generated_password(self) -> str:
        """A new password that the schema accepts; it is not stored. Raises SchemaError if none can be generated."""
        schema = self._rows.schema
        return passwords.generator(lambda text: schema.accepts("password", text))().reveal()

    def by_client(self) -> list[tuple[str, int]]:
        """How many ready rows each value has in the column that rows are counted by; empty if there is none."""
        with self._lock:
            by = self._rows.prepared.by
            if by is None:
                return []
            cells = self._rows.sheet.columns[by[1]]
            found = Counter(cells[position].strip() for position in self._rows.positions(Place.READY))
            return found.most_common()
