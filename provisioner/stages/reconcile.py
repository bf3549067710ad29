"""Compare the sheet with the journal, and decide for each row what this run does with it.

Rows are known by username and domain, never by their place: done ones are left alone, open tasks are polled on, rows
without an answer are looked up, the rest is sent. A row corrected in a failures file takes the place of the row that it
corrects.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from provisioner.journal import (
    Dropped,
    Journal,
    JournalRow,
    Moved,
    SheetChange,
    Superseded,
    Written,
    address_key,
    password_check,
    sent_cells,
)
from provisioner.messages import why
from provisioner.records import Entry, Job, OpenTask, Problem, Request, RowId, Status, Unconfirmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from provisioner.secret import Secret

QUOTED = re.compile("“[^”]*”")
FORGETTABLE = frozenset({Status.INVALID, Status.UNSENT, Status.VALID, Status.REJECTED, Status.FAILED})
"""Of a row in one of these, unless an earlier create of it is in doubt, nothing can exist at the service, so its
correction may take its place."""


@dataclass
class WorkPlan:
    """What a run is to do. Filled while the journal adopts the sheet."""

    to_send: list[Job] = field(default_factory=list)
    open_tasks: list[OpenTask] = field(default_factory=list)
    unconfirmed_rows: list[Unconfirmed] = field(default_factory=list)
    done: int = 0
    invalid: int = 0
    open: int = 0
    """Rows that could not be understood without the service, which was not asked."""
    corrected: int = 0
    """Rows that were fixed in a failures file and are not done; the sheet still has them as they were."""
    changed: list[tuple[int | None, str]] = field(default_factory=list)
    """Rows that are done and whose sheet says something else now: their sheet row and username."""

    @property
    def idle(self) -> bool:
        """Whether the service is not needed for anything."""
        return not (self.to_send or self.open_tasks or self.unconfirmed_rows or self.open)


def reconcile(
    entries: Iterable[Entry],
    journal: Journal,
    *,
    is_failures: bool,
    new_password: Callable[[], Secret] | None,
    since: Callable[[float | None], float],
    checking: bool = False,
) -> WorkPlan:
    """Bring the journal in step with the sheet and say what is to be done.

    `is_failures`: the sheet is a failures file, which changes parts of the record instead of replacing it.
    `new_password` generates a password for a row without one; None leaves it out of the request.
    `since` turns the journal's time of a create, None where that is not known, into one on the event loop's clock.
    `checking`: nothing will be sent, so rows that could be are `valid`. Raises JournalError.
    """
    known = _Known(journal.rows())
    if known.corrections:
        # A correction stands for the row that it corrects only where the sheet does not hold the correction itself.
        entries = list(entries)
        known.in_sheet = {key for entry in entries for key in _keys(entry)}
    waiting = Status.VALID if checking else Status.UNSENT
    planner = _Planner(known, new_password, since, waiting, is_failures=is_failures)
    journal.apply_sheet(planner.steps(entries))
    return planner.work


class _Known:
    """The journal's rows, by everything that a row of a sheet may be recognised by."""

    def __init__(self, rows: Iterable[JournalRow]) -> None:
        self.by_id: dict[RowId, JournalRow] = {}
        self.by_key: dict[str, JournalRow] = {}
        self.by_address: dict[str, JournalRow] = {}
        self.by_cells: defaultdict[str, list[JournalRow]] = defaultdict(list)
        self.by_place: dict[int, JournalRow] = {}
        self.taken: set[RowId] = set()
        self.in_sheet: set[str] = set()
        self.corrections = False
        for row in rows:
            self.by_id[row.id] = row
            self.corrections |= row.superseded_by is not None
            if row.sheet_row is not None and row.superseded_by is None:
                self.by_place[row.sheet_row] = row
            if row.address_key is not None:
                self.by_key[row.address_key] = row
                if row.address:
                    self.by_address[row.address.casefold()] = row
            else:
                self.by_cells[address_key(row.email, row.domain)].append(row)

    def take(self, entry: Entry) -> JournalRow | None:
        """The journal's row for a row of the sheet, each for one only; None if the row is new."""
        row = self._find(entry)
        if row is not None:
            self.taken.add(row.id)
        return row

    def _find(self, entry: Entry) -> JournalRow | None:
        keys = _keys(entry)
        for rows in (self.by_key, self.by_address):
            for key in keys:
                row = rows.get(key)
                if row is not None and row.id not in self.taken:
                    return row
        lookalikes = [row for key in keys for row in self.by_cells.get(key, ()) if row.id not in self.taken]
        if not (entry.email or entry.domain):
            # A row that tells nothing of its mailbox is known by its place alone.
            lookalikes = [row for row in lookalikes if row.sheet_row == entry.sheet_row]
        # Rows without an address of their own may look alike; then the place decides.
        row = min(lookalikes, key=lambda row: row.sheet_row != entry.sheet_row, default=None)
        return self._latest_correction(row, entry) if row is not None else None

    def _latest_correction(self, row: JournalRow, entry: Entry) -> JournalRow:
        """The latest correction of a row; the row itself if it was fixed in the sheet."""
        latest = row
        while latest.superseded_by is not None and latest.superseded_by in self.by_id:
            latest = self.by_id[latest.superseded_by]
        free = latest.id not in self.taken and latest.address_key not in self.in_sheet
        return latest if free and (latest.status not in FORGETTABLE or entry.request is None) else row


def _keys(entry: Entry) -> tuple[str, ...]:
    """All that a row may be known by: an earlier run may have read its domain's name, or may not have known it."""
    address, cells = entry.address.casefold(), address_key(entry.email, entry.domain)
    if cells == entry.key:
        return (entry.key, address) if address else (entry.key,)
    return tuple(dict.fromkeys((entry.key, address, cells) if address else (entry.key, cells)))


class _Planner:
    def __init__(
        self,
        known: _Known,
        new_password: Callable[[], Secret] | None,
        since: Callable[[float | None], float],
        waiting: Status,
        *,
        is_failures: bool,
    ) -> None:
        self.work = WorkPlan()
        self._since = since
        self._known = known
        self._new_password = new_password
        self._waiting = waiting
        self._is_failures = is_failures
        self._next_id = max(known.by_id, default=0) + 1
        self._ready: dict[str, RowId] = {}
        """The ready row with each key."""
        self._places: dict[int, RowId] = {}
        """The row in each place of the original sheet; filled for a failures file only."""
        self._under_way: set[str] = set()

    def steps(self, entries: Iterable[Entry]) -> Iterator[SheetChange]:
        is_failures = self._is_failures
        for each in entries:
            entry, known = self._claim(each) if is_failures else (each, self._known.take(each))
            row = known or self._new_row(entry)
            sheet_row = self._place(entry, row, is_new=known is None) if is_failures else entry.sheet_row
            if (row.sheet_row, row.file_row) != (sheet_row, entry.file_row):
                row = replace(row, sheet_row=sheet_row, file_row=entry.file_row)
            if entry.request is not None:
                self._ready[entry.key] = row.id
            yield self._decide(row, entry)
        for row in self._known.by_id.values():
            if row.id not in self._known.taken and row.superseded_by is None:
                yield from self._not_in_failures(row) if is_failures else self._replaced(row)

    def _claim(self, entry: Entry) -> tuple[Entry, JournalRow | None]:
        """A failures file's row and the journal's; one that names another row's mailbox is invalid, and a new row."""
        row = self._known.take(entry)
        if row is None or row.address_key is None or row.sheet_row in (None, entry.sheet_row):
            return entry, row
        if _describes(entry, row):
            return entry, row
        self._known.taken.discard(row.id)
        sentence = f"this is the same mailbox as in row {row.sheet_row}; write another username, or delete the row"
        problem = Problem(None, sentence, "the same mailbox as in another row of the sheet")
        return replace(entry, request=None, error=sentence, problems=(*entry.problems, problem)), None

    def _place(self, entry: Entry, row: JournalRow, *, is_new: bool) -> int | None:
        """Which row of the original sheet a failures file's row is; None where it is a new one, or cannot be told.

        A sheet that was sorted since has another row in that place, which must not be taken for the one corrected.
        """
        if not is_new and row.sheet_row is not None:
            self._places[row.sheet_row] = row.id
            return row.sheet_row
        there = self._known.by_place.get(entry.sheet_row) if entry.sheet_row is not None else None
        if there is not None and there.id != row.id and not _describes(entry, there):
            return None
        if entry.sheet_row is None or self._places.setdefault(entry.sheet_row, row.id) != row.id:
            return None
        return entry.sheet_row

    def _decide(self, row: JournalRow, entry: Entry) -> SheetChange:
        if row.address_key not in (None, *_keys(entry)) and row.status in FORGETTABLE:
            # The row was fixed in a failures file, which alone holds what is to be sent.
            self.work.corrected += 1
            return Moved(row.id, row.sheet_row, None)
        if row.status in (Status.CREATED, Status.EXISTS):
            return self._leave(row, entry)
        if row.status is Status.UNFINISHED and row.task_id is not None:
            return self._poll_on(row, entry)
        if row.status is Status.UNKNOWN:
            return self._look_up(row, entry)
        return self._refuse(row, entry) if entry.error else self._accept(row, entry)

    def _accept(self, row: JournalRow, entry: Entry) -> SheetChange:
        if self._waiting is Status.VALID and self._stands(row, entry):
            return Moved(row.id, row.sheet_row, row.file_row)
        return self._send(row, entry, entry.request) if entry.request is not None else self._wait(row, entry)

    def _stands(self, row: JournalRow, entry: Entry) -> bool:
        """Whether what the service said last of a row still holds for a check: the sheet says what was sent then."""
        if row.status not in (Status.FAILED, Status.REJECTED):
            return False
        return not self._is_changed(row, entry) if entry.request is not None else entry.reply_to == row.reply_to

    def _leave(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.done += 1
        self._note_change(row, entry)
        if entry.address and not row.address:
            return Written(replace(row, address=entry.address))
        return Moved(row.id, row.sheet_row, row.file_row)

    def _poll_on(self, row: JournalRow, entry: Entry) -> SheetChange:
        self._follow(row, entry.request or _request_of(row))
        self._note_change(row, entry)
        return Written(replace(row, address=row.address or entry.address))

    def _look_up(self, row: JournalRow, entry: Entry) -> SheetChange:
        if entry.request is None:
            self._follow(row, _request_of(row))
            return Written(row)
        request, generated = self._with_password(row, entry.request)
        self.work.unconfirmed_rows.append(
            Unconfirmed(Job(row.id, request, maybe_sent=True), self._since(row.submitted_at), row.status, resend=True)
        )
        # If it is found, it has the password that was generated when it was sent, whatever the sheet says now.
        return Written(replace(row, password=generated or row.password, address=row.address or entry.address))

    def _follow(self, row: JournalRow, request: Request) -> None:
        """See what was begun for a row to its end, without sending it again."""
        job = Job(row.id, request, row.maybe_sent or row.status is Status.UNKNOWN)
        if row.status is Status.UNFINISHED and row.task_id is not None:
            self.work.open_tasks.append(OpenTask(job, row.task_id))
        elif row.status is Status.UNKNOWN:
            self.work.unconfirmed_rows.append(Unconfirmed(job, self._since(row.submitted_at), row.status))

    def _send(self, row: JournalRow, entry: Entry, request: Request) -> SheetChange:
        request, generated = self._with_password(row, request)
        relay_server, project, reply_to = sent_cells(request)
        self.work.to_send.append(Job(row.id, request, row.maybe_sent))
        return Written(
            replace(
                row,
                address_key=address_key(request.email, request.domain),
                email=request.email,
                domain=str(request.domain),
                relay_server=relay_server,
                project=project,
                reply_to=reply_to,
                address=entry.address or row.address,
                status=self._waiting,
                error="",
                problems=(),
                task_id=None,
                password=generated,
                superseded_by=None,
                corrected=self._is_failures,
            )
        )

    def _refuse(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.invalid += 1
        return Written(
            replace(_as_in_sheet(row, entry), status=Status.INVALID, error=entry.error, problems=entry.problems)
        )

    def _wait(self, row: JournalRow, entry: Entry) -> SheetChange:
        """A row without fault that names what only the service could tell: it waits until that is asked."""
        self.work.open += 1
        waiting = replace(_as_in_sheet(row, entry), status=self._waiting, error="", problems=(), task_id=None)
        return Written(replace(waiting, address_key=entry.key))

    def _not_in_failures(self, row: JournalRow) -> Iterator[SheetChange]:
        """A row that a failures file does not hold: corrected by the row in its place, or simply not in the file."""
        latest = self._places.get(row.sheet_row) if row.sheet_row is not None else None
        if latest is None and row.status is Status.INVALID:
            latest = self._duplicate_of(row)
        if latest is not None and row.status in FORGETTABLE and not row.maybe_sent:
            yield Superseded(row.id, latest)
        elif row.status is Status.VALID and self._waiting is not Status.VALID:
            yield Written(replace(row, status=Status.UNSENT, file_row=None))
        else:
            self._follow(row, _request_of(row))

    def _duplicate_of(self, row: JournalRow) -> RowId | None:
        """The row for the same mailbox, where one of two such rows was deleted, as the user was told to do."""
        key = address_key(row.email, row.domain)
        known = self._known.by_key.get(key)
        return self._ready.get(key) or (known.id if known is not None else None)

    def _replaced(self, row: JournalRow) -> Iterator[SheetChange]:
        """A row that the whole sheet no longer holds: forgotten only if it was never sent."""
        if row.was_sent or row.status in (Status.UNFINISHED, Status.UNKNOWN):
            yield Moved(row.id, None, None)
            self._follow(row, _request_of(row))
        else:
            yield Dropped(row.id)

    def _new_row(self, entry: Entry) -> JournalRow:
        """The journal's row for a new row of the sheet; a failures file from elsewhere says how far it came."""
        row_id = RowId(self._next_id)
        self._next_id += 1
        key = entry.key
        there = self._known.by_place.get(entry.sheet_row) if entry.sheet_row is not None else None
        # What the file says of a row that the journal knows was begun for that row's mailbox, not for its correction's.
        told_of_another = there is not None and _describes(entry, there)
        begun = entry.earlier_status in (Status.UNFINISHED, Status.UNKNOWN)
        under_way = begun and not told_of_another and key not in self._under_way
        if under_way:
            self._under_way.add(key)
        known_task = entry.earlier_task if entry.earlier_status is Status.UNFINISHED else None
        return JournalRow(
            id=row_id,
            sheet_row=entry.sheet_row,
            file_row=entry.file_row,
            address_key=key if under_way and key not in self._known.by_key else None,
            email=entry.email,
            domain=entry.domain,
            relay_server=entry.relay_server,
            project=entry.project,
            reply_to=entry.reply_to,
            status=(Status.UNFINISHED if known_task else Status.UNKNOWN) if under_way else Status.UNSENT,
            task_id=known_task,
            maybe_sent=under_way,
        )

    def _with_password(self, row: JournalRow, request: Request) -> tuple[Request, Secret | None]:
        """The request and the password that was generated for it, if any; one generated earlier is used again."""
        if request.password is not None or self._new_password is None:
            return request, None
        generated = row.password or self._new_password()
        return replace(request, password=generated), generated

    def _note_change(self, row: JournalRow, entry: Entry) -> None:
        corrected = row.corrected and not self._is_failures
        if row.was_sent and not corrected and self._is_changed(row, entry):
            self.work.changed.append((row.sheet_row, row.email))

    def _is_changed(self, row: JournalRow, entry: Entry) -> bool:
        """Whether the sheet says something else now than was sent; no, where that cannot be told."""
        if entry.request is None:
            return False
        password = entry.request.password
        check = password_check(password, row.id) if password is not None else row.password_check
        was = (row.relay_server, row.project, row.reply_to, row.password_check)
        return was != (*sent_cells(entry.request), check)


def _describes(entry: Entry, row: JournalRow) -> bool:
    """Whether what a failures file says of a row's state is what the journal knows."""
    if (entry.earlier_status, entry.earlier_task) != (row.status, row.task_id):
        return False
    # Whoever fixes a value with “replace all” changes it in the sentence that quotes it too.
    return QUOTED.sub("", entry.earlier_error) == QUOTED.sub("", why(row.status, row.error))


def _as_in_sheet(row: JournalRow, entry: Entry) -> JournalRow:
    return replace(
        row,
        email=entry.email,
        domain=entry.domain,
        relay_server=entry.relay_server,
        project=entry.project,
        reply_to=entry.reply_to,
        superseded_by=None,
    )


def _request_of(row: JournalRow) -> Request:
    """What is known of a request that was sent earlier; it is never sent again."""
    return Request(
        email=row.email,
        domain=int(row.domain) if row.domain.isdecimal() else 0,
        relay_server=int(row.relay_server) if row.relay_server.isdecimal() else 0,
        password=row.password,
        project=None,
        reply_to=None,
    )
