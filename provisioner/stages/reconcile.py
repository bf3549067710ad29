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
    mended: int = 0
    """Rows that were mended in a failures file and are not done; the sheet still has them as they were."""
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

    `is_failures`: the sheet is a failures file, which amends the record instead of replacing it.
    `new_password` makes up a password for a row without one; None leaves it out of the request.
    `since` turns the journal's time of a create, None where that is not known, into one on the event loop's clock.
    `checking`: nothing will be sent, so rows that could be are `valid`. Raises JournalError.
    """
    known = _Known(journal.lines())
    if known.corrections:
        # A correction stands for the row that it corrects only where the sheet does not hold the correction itself.
        entries = list(entries)
        known.in_sheet = {key for entry in entries for key in _keys(entry)}
    waiting = Status.VALID if checking else Status.UNSENT
    planner = _Planner(known, new_password, since, waiting, is_failures=is_failures)
    journal.apply_sheet(planner.steps(entries))
    return planner.reconcile


class _Known:
    """The journal's lines, by all that a row may be recognised by."""

    def __init__(self, lines: Iterable[JournalRow]) -> None:
        self.by_id: dict[RowId, JournalRow] = {}
        self.by_key: dict[str, JournalRow] = {}
        self.by_address: dict[str, JournalRow] = {}
        self.by_cells: defaultdict[str, list[JournalRow]] = defaultdict(list)
        self.by_place: dict[int, JournalRow] = {}
        self.taken: set[RowId] = set()
        self.in_sheet: set[str] = set()
        self.corrections = False
        for line in lines:
            self.by_id[line.id] = line
            self.corrections |= line.superseded_by is not None
            if line.sheet_row is not None and line.superseded_by is None:
                self.by_place[line.sheet_row] = line
            if line.address_key is not None:
                self.by_key[line.address_key] = line
                if line.address:
                    self.by_address[line.address.casefold()] = line
            else:
                self.by_cells[address_key(line.email, line.domain)].append(line)

    def take(self, entry: Entry) -> JournalRow | None:
        """The line of a row, each for one row only; None where the row is new."""
        line = self._find(entry)
        if line is not None:
            self.taken.add(line.id)
        return line

    def _find(self, entry: Entry) -> JournalRow | None:
        keys = _keys(entry)
        for lines in (self.by_key, self.by_address):
            for key in keys:
                line = lines.get(key)
                if line is not None and line.id not in self.taken:
                    return line
        lookalikes = [line for key in keys for line in self.by_cells.get(key, ()) if line.id not in self.taken]
        if not (entry.email or entry.domain):
            # A row that tells nothing of its mailbox is known by its place alone.
            lookalikes = [line for line in lookalikes if line.sheet_row == entry.sheet_row]
        # Rows without an address of their own may look alike; then the place decides.
        line = min(lookalikes, key=lambda line: line.sheet_row != entry.sheet_row, default=None)
        return self._latest_correction(line, entry) if line is not None else None

    def _latest_correction(self, line: JournalRow, entry: Entry) -> JournalRow:
        """The line that stands for this one after every correction; the row itself where it was mended in the sheet."""
        latest = line
        while latest.superseded_by is not None and latest.superseded_by in self.by_id:
            latest = self.by_id[latest.superseded_by]
        free = latest.id not in self.taken and latest.address_key not in self.in_sheet
        return latest if free and (latest.status not in FORGETTABLE or entry.request is None) else line


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
        self.reconcile = WorkPlan()
        self._since = since
        self._known = known
        self._new_password = new_password
        self._waiting = waiting
        self._is_failures = is_failures
        self._next_id = max(known.by_id, default=0) + 1
        self._ready: dict[str, RowId] = {}
        """Which line has the address of a row that is ready."""
        self._places: dict[int, RowId] = {}
        """Which line a row of the original sheet has now; kept for a failures file alone."""
        self._under_way: set[str] = set()

    def steps(self, entries: Iterable[Entry]) -> Iterator[SheetChange]:
        is_failures = self._is_failures
        for row in entries:
            entry, known = self._claim(row) if is_failures else (row, self._known.take(row))
            line = known or self._new_line(entry)
            sheet_row = self._place(entry, line, is_new=known is None) if is_failures else entry.sheet_row
            if (line.sheet_row, line.file_row) != (sheet_row, entry.file_row):
                line = replace(line, sheet_row=sheet_row, file_row=entry.file_row)
            if entry.request is not None:
                self._ready[entry.key] = line.id
            yield self._decide(line, entry)
        for line in self._known.by_id.values():
            if line.id not in self._known.taken and line.superseded_by is None:
                yield from self._amended(line) if is_failures else self._replaced(line)

    def _claim(self, entry: Entry) -> tuple[Entry, JournalRow | None]:
        """A failures file's row and its line; a row that names a mailbox of another row is invalid, and a new line."""
        line = self._known.take(entry)
        if line is None or line.address_key is None or line.sheet_row in (None, entry.sheet_row):
            return entry, line
        if _describes(entry, line):
            return entry, line
        self._known.taken.discard(line.id)
        sentence = f"this is the same mailbox as in row {line.sheet_row}; write another username, or delete the row"
        problem = Problem(None, sentence, "the same mailbox as in another row of the sheet")
        return replace(entry, request=None, error=sentence, problems=(*entry.problems, problem)), None

    def _place(self, entry: Entry, line: JournalRow, *, is_new: bool) -> int | None:
        """Which row of the original sheet a failures file's row is; None where it is a new one, or cannot be told.

        A sheet that was sorted since has another row in that place, which must not be taken for the one corrected.
        """
        if not is_new and line.sheet_row is not None:
            self._places[line.sheet_row] = line.id
            return line.sheet_row
        there = self._known.by_place.get(entry.sheet_row) if entry.sheet_row is not None else None
        if there is not None and there.id != line.id and not _describes(entry, there):
            return None
        if entry.sheet_row is None or self._places.setdefault(entry.sheet_row, line.id) != line.id:
            return None
        return entry.sheet_row

    def _decide(self, line: JournalRow, entry: Entry) -> SheetChange:
        if line.address_key not in (None, *_keys(entry)) and line.status in FORGETTABLE:
            # The row was mended in a failures file, which alone holds what is to be sent.
            self.reconcile.mended += 1
            return Moved(line.id, line.sheet_row, None)
        if line.status in (Status.CREATED, Status.EXISTS):
            return self._leave(line, entry)
        if line.status is Status.UNFINISHED and line.task_id is not None:
            return self._poll_on(line, entry)
        if line.status is Status.UNKNOWN:
            return self._look_up(line, entry)
        return self._refuse(line, entry) if entry.error else self._accept(line, entry)

    def _accept(self, line: JournalRow, entry: Entry) -> SheetChange:
        if self._waiting is Status.VALID and self._stands(line, entry):
            return Moved(line.id, line.sheet_row, line.file_row)
        return self._send(line, entry, entry.request) if entry.request is not None else self._wait(line, entry)

    def _stands(self, line: JournalRow, entry: Entry) -> bool:
        """Whether what the service said last of a row still holds for a check: the sheet says what was sent then."""
        if line.status not in (Status.FAILED, Status.REJECTED):
            return False
        return not self._is_changed(line, entry) if entry.request is not None else entry.reply_to == line.reply_to

    def _leave(self, line: JournalRow, entry: Entry) -> SheetChange:
        self.reconcile.done += 1
        self._note_change(line, entry)
        if entry.address and not line.address:
            return Written(replace(line, address=entry.address))
        return Moved(line.id, line.sheet_row, line.file_row)

    def _poll_on(self, line: JournalRow, entry: Entry) -> SheetChange:
        self._follow(line, entry.request or _request_of(line))
        self._note_change(line, entry)
        return Written(replace(line, address=line.address or entry.address))

    def _look_up(self, line: JournalRow, entry: Entry) -> SheetChange:
        if entry.request is None:
            self._follow(line, _request_of(line))
            return Written(line)
        request, generated = self._with_password(line, entry.request)
        self.reconcile.unconfirmed_rows.append(
            Unconfirmed(
                Job(line.id, request, maybe_sent=True), self._since(line.submitted_at), line.status, resend=True
            )
        )
        # If it is found, it has the password that was made up when it was sent, whatever the sheet says now.
        return Written(replace(line, password=generated or line.password, address=line.address or entry.address))

    def _follow(self, line: JournalRow, request: Request) -> None:
        """See what was begun for a row to its end, without sending it again."""
        job = Job(line.id, request, line.maybe_sent or line.status is Status.UNKNOWN)
        if line.status is Status.UNFINISHED and line.task_id is not None:
            self.reconcile.open_tasks.append(OpenTask(job, line.task_id))
        elif line.status is Status.UNKNOWN:
            self.reconcile.unconfirmed_rows.append(Unconfirmed(job, self._since(line.submitted_at), line.status))

    def _send(self, line: JournalRow, entry: Entry, request: Request) -> SheetChange:
        request, generated = self._with_password(line, request)
        relay_server, project, reply_to = sent_cells(request)
        self.reconcile.to_send.append(Job(line.id, request, line.maybe_sent))
        return Written(
            replace(
                line,
                address_key=address_key(request.email, request.domain),
                email=request.email,
                domain=str(request.domain),
                relay_server=relay_server,
                project=project,
                reply_to=reply_to,
                address=entry.address or line.address,
                status=self._waiting,
                error="",
                problems=(),
                task_id=None,
                password=generated,
                superseded_by=None,
                amended=self._is_failures,
            )
        )

    def _refuse(self, line: JournalRow, entry: Entry) -> SheetChange:
        self.reconcile.invalid += 1
        return Written(
            replace(_as_in_sheet(line, entry), status=Status.INVALID, error=entry.error, problems=entry.problems)
        )

    def _wait(self, line: JournalRow, entry: Entry) -> SheetChange:
        """A row without fault that names what only the service could tell: it waits until that is asked."""
        self.reconcile.open += 1
        waiting = replace(_as_in_sheet(line, entry), status=self._waiting, error="", problems=(), task_id=None)
        return Written(replace(waiting, address_key=entry.key))

    def _amended(self, line: JournalRow) -> Iterator[SheetChange]:
        """A line that a failures file does not hold: corrected by the row in its place, or simply not in the file."""
        latest = self._places.get(line.sheet_row) if line.sheet_row is not None else None
        if latest is None and line.status is Status.INVALID:
            latest = self._duplicate_of(line)
        if latest is not None and line.status in FORGETTABLE and not line.maybe_sent:
            yield Superseded(line.id, latest)
        elif line.status is Status.VALID and self._waiting is not Status.VALID:
            yield Written(replace(line, status=Status.UNSENT, file_row=None))
        else:
            self._follow(line, _request_of(line))

    def _duplicate_of(self, line: JournalRow) -> RowId | None:
        """The line that means the same mailbox, where of two such rows one was deleted, as its user was told to do."""
        key = address_key(line.email, line.domain)
        known = self._known.by_key.get(key)
        return self._ready.get(key) or (known.id if known is not None else None)

    def _replaced(self, line: JournalRow) -> Iterator[SheetChange]:
        """A line that the whole sheet no longer holds: forgotten only if it was never sent."""
        if line.was_sent or line.status in (Status.UNFINISHED, Status.UNKNOWN):
            yield Moved(line.id, None, None)
            self._follow(line, _request_of(line))
        else:
            yield Dropped(line.id)

    def _new_line(self, entry: Entry) -> JournalRow:
        """The line of a row that the journal does not know; a failures file from elsewhere says how far it came."""
        line = RowId(self._next_id)
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
            id=line,
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

    def _with_password(self, line: JournalRow, request: Request) -> tuple[Request, Secret | None]:
        """The request and the password that was made up for it, if any; one made up earlier is used again."""
        if request.password is not None or self._new_password is None:
            return request, None
        generated = line.password or self._new_password()
        return replace(request, password=generated), generated

    def _note_change(self, line: JournalRow, entry: Entry) -> None:
        corrected = line.amended and not self._is_failures
        if line.was_sent and not corrected and self._is_changed(line, entry):
            self.reconcile.changed.append((line.sheet_row, line.email))

    def _is_changed(self, line: JournalRow, entry: Entry) -> bool:
        """Whether the sheet says something else now than was sent; no, where that cannot be told."""
        if entry.request is None:
            return False
        password = entry.request.password
        check = password_check(password, line.id) if password is not None else line.password_check
        was = (line.relay_server, line.project, line.reply_to, line.password_check)
        return was != (*sent_cells(entry.request), check)


def _describes(entry: Entry, line: JournalRow) -> bool:
    """Whether what a failures file says of a row's state is what the journal knows of the line."""
    if (entry.earlier_status, entry.earlier_task) != (line.status, line.task_id):
        return False
    # Whoever mends a value with “replace all” mends it in the sentence that quotes it too.
    return QUOTED.sub("", entry.earlier_error) == QUOTED.sub("", why(line.status, line.error))


def _as_in_sheet(line: JournalRow, entry: Entry) -> JournalRow:
    return replace(
        line,
        email=entry.email,
        domain=entry.domain,
        relay_server=entry.relay_server,
        project=entry.project,
        reply_to=entry.reply_to,
        superseded_by=None,
    )


def _request_of(line: JournalRow) -> Request:
    """What is known of a request that was sent earlier; it is never sent again."""
    return Request(
        email=line.email,
        domain=int(line.domain) if line.domain.isdecimal() else 0,
        relay_server=int(line.relay_server) if line.relay_server.isdecimal() else 0,
        password=line.password,
        project=None,
        reply_to=None,
    )
