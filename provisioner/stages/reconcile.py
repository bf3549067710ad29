"""Compare the sheet with the journal, and decide for each row what this run does with it.

| the journal has the row as | and the row of the sheet is | then the run |
|---|---|---|
| `created`, `exists` | whatever it is | leaves it alone |
| `unfinished`, with a task ID | whatever it is | asks about the task; nothing is sent |
| `unknown` | whatever it is | looks it up; if it is not there and is ready, sends it |
| deleted from a failures file | still invalid, or as it was | leaves it out |
| fixed in a failures file | as it was, in the whole sheet | leaves it to that file |
| anything else, or not at all | invalid, or known to be while the service is not asked | keeps the reason |
| anything else, or not at all | not to be understood without the service | keeps it waiting |
| `failed`, `rejected` | as it was sent, in a check | leaves it alone |
| anything else, or not at all | ready | sends it |

A row that the sheet no longer holds is forgotten if it was never sent, else it is followed to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from provisioner.journal import (
    Dropped,
    JournalRow,
    Moved,
    SheetChange,
    Superseded,
    Written,
    address_key,
    password_check,
    sent_cells,
)
from provisioner.records import Entry, Job, OpenTask, Problem, Request, Status, Unconfirmed, sent_columns
from provisioner.stages.matching import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from provisioner.journal import Journal
    from provisioner.secret import Secret
    from provisioner.stages.matching import SheetMatcher

_LOOKED_UP: Final = ("domain", "relay_server", "project")
"""The columns of which only the account knows whether it has what a cell names."""


def _is_same_mailbox(row: JournalRow, entry: Entry) -> bool:
    """Whether the row is for the mailbox of the entry, although only one of them may know the domain's ID or name."""
    keys = keys_of(entry)
    return row.address_key in (None, *keys) or row.address.casefold() in keys


@dataclass
class WorkPlan:
    """What a run is to do. Filled while the journal applies the sheet."""

    to_send: list[Job] = field(default_factory=list)
    open_tasks: list[OpenTask] = field(default_factory=list)
    unconfirmed_rows: list[Unconfirmed] = field(default_factory=list)
    done: int = 0
    invalid: int = 0
    open: int = 0
    """Rows that could not be understood without the service, which was not asked."""
    corrected: int = 0
    """Rows that were fixed in a failures file and are not done; the sheet still has them as they were."""
    deleted: list[int | None] = field(default_factory=list)
    """The sheet rows that were deleted from a failures file and still stand in the sheet."""
    changed: list[tuple[int | None, str]] = field(default_factory=list)
    """Rows that are done and whose sheet says something else now: their sheet row and username."""
    other_passwords: list[tuple[int | None, str]] = field(default_factory=list)
    """The same of rows whose mailbox has another password than the sheet."""
    unconfirmed_passwords: list[tuple[int | None, str]] = field(default_factory=list)
    """The same of rows that are looked up: if the mailbox is there, it has the password that was sent then."""
    gone: list[tuple[int | None, str]] = field(default_factory=list)
    """The addresses of rows whose mailbox exists or may exist, and that the whole sheet does not hold; they have no
    sheet row."""

    @property
    def idle(self) -> bool:
        """Whether the service is not needed for anything."""
        return not (self.to_send or self.open_tasks or self.unconfirmed_rows or self.open)


def reconcile(
    entries: Iterable[Entry],
    journal: Journal,
    matcher: SheetMatcher,
    *,
    new_password: Callable[[], Secret] | None,
    since: Callable[[float | None], float],
    checking: bool = False,
    cell_name: Callable[[Entry, str], str] | None = None,
) -> WorkPlan:
    """Bring the journal in step with the sheet and say what is to be done.

    `matcher` is one of the journal's rows. `new_password` generates a password for a row without one; None leaves
    it out of the request. `since` turns the journal's time of a create, None if that is not known, into one on
    the event loop's clock. `checking`: nothing will be sent, so rows that could be are `valid`. `cell_name` names the
    cell of an entry in a column, if the service was not asked: what an earlier run found the account to lack is still
    so. Raises JournalError.
    """
    planner, known = Planner(matcher, new_password, since, checking=checking), matcher.known
    journal.apply_sheet(known.to_write(planner.changes(known.expecting(entries), cell_name)))
    return planner.work


def verdicts(
    entries: Iterable[Entry], matcher: SheetMatcher, cell_name: Callable[[Entry, str], str]
) -> tuple[WorkPlan, Iterator[SheetChange]]:
    """What a check of these rows would write into the journal, one change for each, then those for rows without one.

    `cell_name` is as for `reconcile`. Nothing is written. The plan is filled as the changes are asked for.
    """
    planner = Planner(matcher, None, lambda _: 0.0, checking=True)
    return planner.work, planner.changes(entries, cell_name)


class Planner:
    """Decides on every row of a sheet, in order."""

    def __init__(
        self,
        matcher: SheetMatcher,
        new_password: Callable[[], Secret] | None,
        since: Callable[[float | None], float],
        *,
        checking: bool,
    ) -> None:
        self.work = WorkPlan()
        self._matcher = matcher
        self._is_failures = matcher.is_failures
        self._new_password = new_password
        self._since = since
        self._checking = checking
        self._waiting = Status.VALID if checking else Status.UNSENT

    def changes(
        self, entries: Iterable[Entry], cell_name: Callable[[Entry, str], str] | None = None
    ) -> Iterator[SheetChange]:
        """What the sheet changes in the journal. Fills `work` on the way.

        `cell_name` names the cells in which an earlier run found what the account lacks; None if that was looked up
        again.
        """
        for each in entries:
            row, entry = self._matcher.match(each)
            if cell_name and (lacking := _known_lacking(self._matcher.base(row), entry, cell_name)):
                self.work.open += 1
                entry = replace(entry, request=None, problems=lacking)
            if (row.sheet_row, row.file_row) != (entry.sheet_row, entry.file_row):
                moved = row.moved or row.sheet_row not in (None, entry.sheet_row)
                row = row._replace(sheet_row=entry.sheet_row, file_row=entry.file_row, moved=moved)
            yield self.decide(row, entry)
        for row in self._matcher.known.unmatched():
            yield from self._without_entry(row)

    def _without_entry(self, row: JournalRow) -> Iterator[SheetChange]:
        """What changes for a row that the sheet does not hold."""
        change = self._matcher.absent(row)
        if row.deleted and self._is_failures and not isinstance(change, Superseded):
            self.work.deleted.append(row.sheet_row)
        may_exist = row.status.has_mailbox or row.status.under_way
        if may_exist and not self._is_failures:
            self.work.gone.append((None, row.name))
        if change is None or isinstance(change, Moved):
            self._follow(row, request_of(row))
        if change is None and row.status is Status.VALID:
            change = Written(self._in_run(row)._replace(file_row=None))
        if isinstance(change, Dropped):
            yield from self._forget(row)
        elif change is not None:
            yield change

    def decide(self, row: JournalRow, entry: Entry) -> SheetChange:  # noqa: PLR0911 - a table
        """The table above: what this run does with a row that the journal has as `row` and the sheet as `entry`."""
        match row.status:
            case Status.CREATED | Status.EXISTS:
                return self._leave(row, entry)
            case Status.UNFINISHED if row.task_id is not None:
                return self._poll(row, entry)
            case Status.UNKNOWN:
                return self._look_up(row, entry)
        if row.deleted and not self._is_failures and (entry.problems or _is_as_known(row, entry)):
            return self._omit(row, entry)
        if not _is_same_mailbox(row, entry) or (row.corrected and entry.problems and not self._is_failures):
            return self._defer(row)
        if entry.problems:
            return self._refuse(row, entry)
        if self._checking and row.status in (Status.FAILED, Status.REJECTED) and not _differs(row, entry):
            return Moved(row.id, row.sheet_row, row.file_row)
        return self._wait(row, entry) if entry.request is None else self._send(row, entry, entry.request)

    def _leave(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.done += 1
        left = self._as_sent(row, entry)
        if not self._is_failures and row.password is not None and row.password == entry.password:
            left = left._replace(password=None, corrected=False)
        return Written(left)

    def _poll(self, row: JournalRow, entry: Entry) -> SheetChange:
        self._follow(row, entry.request or request_of(row))
        return Written(self._as_sent(row, entry))

    def _look_up(self, row: JournalRow, entry: Entry) -> SheetChange:
        if _has_other_password(row, entry):
            self.work.unconfirmed_passwords.append((row.sheet_row, row.email))
        if entry.request is None:
            self._follow(row, request_of(row))
            return Written(row)
        request, own = self._with_password(row, entry.request)
        job = Job(row.id, request, maybe_sent=True, keeps_password=own is not None)
        since = self._since(row.submitted_at)
        self.work.unconfirmed_rows.append(Unconfirmed(job, since, row.status, resend=True, reason=row.reason))
        # If it is found, it has the password that was sent then, whatever the sheet says now.
        password = row.password if entry.password is not None else own
        return Written(row._replace(password=password, address=row.address or entry.address, cells=entry.cells))

    def _omit(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.deleted.append(entry.sheet_row)
        return Moved(row.id, row.sheet_row, None)

    def _defer(self, row: JournalRow) -> SheetChange:
        self.work.corrected += 1
        return Written(self._in_run(row)._replace(file_row=None))

    def _refuse(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.invalid += 1
        return Written(self._as_in_sheet(row, entry, status=Status.INVALID, problems=entry.problems))

    def _wait(self, row: JournalRow, entry: Entry) -> SheetChange:
        self.work.open += 1
        # What an earlier run learnt of the domain is more than the sheet says.
        return Written(self._as_in_sheet(row, entry, address_key=row.address_key or entry.key))

    def _send(self, row: JournalRow, entry: Entry, request: Request) -> SheetChange:
        request, own = self._with_password(row, request)
        relay_server, project, reply_to = sent_cells(request)
        self.work.to_send.append(Job(row.id, request, row.maybe_sent, keeps_password=own is not None))
        return Written(
            self._as_in_sheet(
                row,
                entry,
                address_key=address_key(request.email, request.domain),
                email=request.email,
                domain=str(request.domain),
                relay_server=relay_server,
                project=project,
                reply_to=reply_to,
                address=entry.address or row.address,
                password=own,
                corrected=self._matcher.is_correction(row, entry, own),
            )
        )

    def _forget(self, row: JournalRow) -> Iterator[SheetChange]:
        """Forget a row and those that it corrects, but for those that were sent: they are rows of their own again."""
        yield Dropped(row.id)
        for each in self._matcher.known.corrected_into(row):
            if each.was_sent:
                yield Written(each._replace(superseded_by=None, sheet_row=None, file_row=None))
            else:
                yield from self._forget(each)

    def _follow(self, row: JournalRow, request: Request) -> None:
        """See what was begun for a row to its end, without sending it again."""
        job = Job(row.id, request, row.maybe_sent or row.status is Status.UNKNOWN)
        if row.status is Status.UNFINISHED and row.task_id is not None:
            self.work.open_tasks.append(OpenTask(job, row.task_id))
        elif row.status is Status.UNKNOWN:
            since = self._since(row.submitted_at)
            self.work.unconfirmed_rows.append(Unconfirmed(job, since, row.status, reason=row.reason))

    def _as_in_sheet(self, row: JournalRow, entry: Entry, **other: Any) -> JournalRow:
        """The row with the sheet's own cells, waiting for its turn, except for the fields of `other`."""
        fields = {
            **sent_columns(entry),
            "cells": entry.cells,
            "status": self._waiting,
            "explanation": "",
            "problems": (),
            "task_id": None,
            "superseded_by": None,
            "deleted": False,
            "password_check": row.password_check if self._is_failures else password_check(entry.password, row.id),
        }
        return row._replace(**fields | other)

    def _as_sent(self, row: JournalRow, entry: Entry) -> JournalRow:
        """The row as it was sent. Notes what the sheet says otherwise by now."""
        self._note_changes(row, entry)
        # The sheet's row may be invalid now: if a failures file corrected it, or if its cells may not be shown.
        cells = row.cells if entry.problems and row.cells else entry.cells
        return row._replace(address=row.address or entry.address, cells=cells)

    def _in_run(self, row: JournalRow) -> JournalRow:
        """A row that a check found valid waits for its turn as soon as a run begins."""
        return row._replace(status=self._waiting) if row.status is Status.VALID else row

    def _with_password(self, row: JournalRow, request: Request) -> tuple[Request, Secret | None]:
        """The request with the password that is sent, and that password if the sheet does not hold it.

        A password that was generated earlier is used again: the mailbox may exist with it.
        """
        if request.password is not None:
            return request, self._matcher.own_password(row, request.password)
        if self._new_password is None:
            return request, None
        generated = row.password or self._new_password()
        return replace(request, password=generated), generated

    def _note_changes(self, row: JournalRow, entry: Entry) -> None:
        """Remember that a mailbox is not as the sheet has it now."""
        if not row.was_sent:
            return
        if _has_other_password(row, entry):
            self.work.other_passwords.append((row.sheet_row, row.email))
        if entry.request is None or (row.corrected and not self._is_failures):
            return
        if (row.relay_server, row.project, row.reply_to) != sent_cells(entry.request):
            self.work.changed.append((row.sheet_row, row.email))


def request_of(row: JournalRow) -> Request:
    """What is known of a request that was sent earlier; it is never sent again."""
    return Request(
        email=row.email,
        domain=int(row.domain) if row.domain.isdecimal() else 0,
        relay_server=int(row.relay_server) if row.relay_server.isdecimal() else 0,
        password=row.password,
        project=None,
        reply_to=None,
    )


def _known_lacking(row: JournalRow, entry: Entry, cell_name: Callable[[Entry, str], str]) -> tuple[Problem, ...]:
    """What an earlier run found the account to lack for the cells of a row that are still the same."""
    if row.status is not Status.INVALID or entry.problems:
        return ()
    same = {name for name in ("email", *_LOOKED_UP) if getattr(entry, name) == getattr(row, name) != ""}
    if "domain" not in same:
        # What is wrong with a full address is that it is not of the domain.
        same.discard("email")
    cells = {_letters(cell_name(entry, name)): cell_name(entry, name) for name in same}
    lacking = ((cells.get(_letters(each.cell)), each) for each in row.problems if each.cell and each.fault.of_account)
    return tuple(problem._replace(cell=cell) for cell, problem in lacking if cell)


def _letters(cell: str) -> str:
    """The column of a cell's name: the row may have moved since."""
    return cell.rstrip("0123456789")


def _is_as_known(row: JournalRow, entry: Entry) -> bool:
    """Whether the sheet still says what the journal has of a row."""
    return entry.cells == row.cells and password_check(entry.password, row.id) == row.password_check


def _has_other_password(row: JournalRow, entry: Entry) -> bool:
    """Whether the sheet holds another password than was sent last; False if it holds none, or nothing was sent."""
    held = entry.password
    return row.was_sent and held is not None and password_check(held, row.id) != row.password_check


def _differs(row: JournalRow, entry: Entry) -> bool:
    """Whether the sheet says something else than was sent last; False if that cannot be told."""
    if entry.request is None:
        return entry.reply_to != row.reply_to
    password = entry.request.password
    check = password_check(password, row.id) if password is not None else row.password_check
    return (row.relay_server, row.project, row.reply_to, row.password_check) != (*sent_cells(entry.request), check)
