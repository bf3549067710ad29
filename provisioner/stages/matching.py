"""Find the journal's row for each row of a sheet: by username and domain, never by its place alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from provisioner.journal import Dropped, JournalRow, Moved, Written, address_key
from provisioner.records import RowId, Status, sent_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provisioner.journal import SheetChange
    from provisioner.records import Entry
    from provisioner.secret import Secret

FORGETTABLE = frozenset({Status.INVALID, Status.UNSENT, Status.VALID, Status.REJECTED, Status.FAILED})
"""Statuses of rows for which nothing can exist at the service, unless an earlier create of theirs is unconfirmed."""
_ANYWHERE = "anywhere"


class KnownRows:
    """The journal's rows, by everything that a row of a sheet may be recognised by."""

    def __init__(self, rows: Iterable[JournalRow], *, latest_file: bool) -> None:
        """`latest_file`: the sheet is the failures file that the latest run wrote, so its places hold."""
        self.by_id = {row.id: row for row in rows}
        self.by_key: dict[str, JournalRow] = {}
        self._by_address: dict[str, JournalRow] = {}
        self._alike = defaultdict[tuple[str, object], list[JournalRow]](list)
        """Rows without an address of their own, by their cells and their place, and by their cells and `_ANYWHERE`."""
        self._begun: dict[tuple[str, object], int] = {}
        """How many of them are taken at the beginning of a list; not known of all lists."""
        self._by_place: dict[int, JournalRow] = {}
        self.latest_file = latest_file
        self.taken: set[RowId] = set()
        self._in_sheet: set[str] = set()
        """The keys of the sheet's rows; filled only if there are corrections."""
        self._corrected = defaultdict[RowId, list[JournalRow]](list)
        """The rows that each correction corrects."""
        for row in self.by_id.values():
            self._add(row)
        self._next_id = max(self.by_id, default=0) + 1

    def _add(self, row: JournalRow) -> None:
        if row.superseded_by is not None:
            self._corrected[row.superseded_by].append(row)
        if row.sheet_row is not None and row.superseded_by is None and not row.deleted:
            self._by_place[row.sheet_row] = row
        if row.address_key is None:
            for key in self._alike_keys(row):
                self._alike[key].append(row)
            return
        self.by_key[row.address_key] = row
        if row.address:
            self._by_address[row.address.casefold()] = row

    def expecting(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """The rows of a sheet, after a look at all of them if there are corrections.

        A correction stands for the row that it corrects only if the sheet does not hold the correction itself.
        """
        if self._corrected:
            entries = list(entries)
            self._in_sheet = {key for entry in entries for key in keys_of(entry)}
        return entries

    def take(self, entry: Entry) -> JournalRow | None:
        """The journal's row for a row of the sheet, each for one only; None if the row is new."""
        row = self._find(entry)
        if row is not None:
            self.taken.add(row.id)
        return row

    def take_in_place(self, entry: Entry) -> JournalRow | None:
        """The row for an invalid one that looks like it and is in its place; None if there is none.

        Another row, of the same username and domain, was kept for the mailbox; or this one was corrected or deleted in
        a failures file.
        """
        keys = keys_of(entry) if entry.problems else ()
        for row in filter(None, (self._first_alike((key, entry.sheet_row)) for key in keys)):
            if self._last_of(row).address_key not in keys:
                taken = self._latest_correction(row, entry)
                self.taken |= {row.id, taken.id}
                return taken
        return None

    def release(self, row: JournalRow) -> None:
        """Have this row, and those that it corrects, free for any row of the sheet."""
        for each in (row, *self._corrected.get(row.id, ())):
            self.taken.discard(each.id)
            for key in self._alike_keys(each):
                self._begun.pop(key, None)

    def release_all(self) -> None:
        """The same for all rows."""
        self.taken.clear()
        self._begun.clear()

    def new_row(self, entry: Entry) -> JournalRow:
        """A row that the journal does not know, with an ID that no row has had."""
        row_id = RowId(self._next_id)
        self._next_id += 1
        return JournalRow(row_id, entry.sheet_row, entry.file_row, address_key=None, **sent_columns(entry))

    def unmatched(self) -> list[JournalRow]:
        """The rows that no row of the sheet was matched to; corrected ones are left out."""
        return [row for row in self.by_id.values() if row.id not in self.taken and row.superseded_by is None]

    def corrected_into(self, row: JournalRow) -> list[JournalRow]:
        """The rows that this one corrects and that no row of the sheet was matched to."""
        return [each for each in self._corrected.get(row.id, ()) if each.id not in self.taken]

    def to_write(self, changes: Iterable[SheetChange]) -> Iterator[SheetChange]:
        """The changes, without the content of a row that is to stay as it is: it would take longer to write again."""
        for change in changes:
            if isinstance(change, Written) and change.row == self.by_id.get(change.row.id):
                yield Moved(change.row.id, change.row.sheet_row, change.row.file_row)
            else:
                yield change

    def corrected_by(self, entry: Entry) -> JournalRow | None:
        """The row that a row of a failures file stands for by its place, status and task; None if that is uncertain.

        After a sheet was sorted, an older failures file names places that other rows have now.
        """
        there = self.at(entry.sheet_row)
        if there is None or (there.moved and not self.latest_file):
            return None
        return there if (entry.earlier_status, entry.earlier_task) == (there.status, there.task_id) else None

    def with_address(self, key: str) -> JournalRow | None:
        """The row that has this username and domain to itself, the domain by its ID or its name; None if none has."""
        return self.by_key.get(key) or self._by_address.get(key)

    def at(self, sheet_row: int | None) -> JournalRow | None:
        """The row in a place of the original sheet; None if there is none."""
        return self._by_place.get(sheet_row) if sheet_row is not None else None

    def _find(self, entry: Entry) -> JournalRow | None:
        keys = keys_of(entry)
        for rows in (self.by_key, self._by_address):
            for key in keys:
                row = rows.get(key)
                if row is not None and row.id not in self.taken:
                    return row
        # Rows without an address of their own may look alike; then the place decides. A row that tells nothing of its
        # mailbox is known by its place alone.
        for where in (entry.sheet_row, _ANYWHERE) if entry.email or entry.domain else (entry.sheet_row,):
            for key in keys:
                if row := self._first_alike((key, where)):
                    self.taken.add(row.id)
                    return self._latest_correction(row, entry)
        return None

    def _first_alike(self, key: tuple[str, object]) -> JournalRow | None:
        """The first of the rows that look alike which is not taken; None if there is none."""
        rows, begun = self._alike.get(key, []), self._begun.get(key, 0)
        while begun < len(rows) and rows[begun].id in self.taken:
            begun += 1
            self._begun[key] = begun
        return rows[begun] if begun < len(rows) else None

    def _latest_correction(self, row: JournalRow, entry: Entry) -> JournalRow:
        """The latest correction of a row; the row itself if it was fixed in the sheet."""
        latest = self._last_of(row)
        free = latest.id not in self.taken and latest.address_key not in self._in_sheet
        return latest if free and (latest.status not in FORGETTABLE or entry.request is None) else row

    def _last_of(self, row: JournalRow) -> JournalRow:
        """The latest correction of a row, itself if there is none."""
        while row.superseded_by is not None and row.superseded_by in self.by_id:
            row = self.by_id[row.superseded_by]
        return row

    def _alike_keys(self, row: JournalRow) -> list[tuple[str, object]]:
        """What finds a row among those that look alike. A corrected one goes where its correction does."""
        return [(address_key(row.email, row.domain), where) for where in (self._last_of(row).sheet_row, _ANYWHERE)]


class SheetMatcher:
    """What a file means for the journal's rows: a whole sheet, which replaces the record."""

    is_failures = False

    def __init__(self, known: KnownRows) -> None:
        self.known = known

    def match(self, entry: Entry) -> tuple[JournalRow, Entry]:
        """The journal's row for a row of the file, new if need be; the entry with its sheet row and all its faults."""
        known = self.known
        return known.take_in_place(entry) or known.take(entry) or known.new_row(entry), entry

    def absent(self, row: JournalRow) -> SheetChange | None:
        """What changes for a row that the file does not hold, or None: it is forgotten only if it was never sent."""
        was_sent = row.was_sent or row.status.under_way
        return Moved(row.id, None, None) if was_sent else Dropped(row.id)

    def base(self, row: JournalRow) -> JournalRow:
        """The row that a row which `match` returned corrects; that row itself if it corrects none."""
        return row

    def own_password(self, row: JournalRow, password: Secret) -> Secret | None:  # noqa: ARG002 - the sheet holds it
        """The password of the row's cell if the original sheet does not hold it, else None."""
        return None

    def is_correction(self, row: JournalRow, entry: Entry, own_password: Secret | None) -> bool:  # noqa: ARG002
        """Whether what is about to be sent is not what the original sheet holds."""
        return False


def keys_of(entry: Entry) -> tuple[str, ...]:
    """All that a row may be known by: an earlier run may have read its domain's name, or may not have known it."""
    address, cells = entry.address.casefold(), address_key(entry.email, entry.domain)
    return tuple(dict.fromkeys(key for key in (entry.key, address, cells) if key))
