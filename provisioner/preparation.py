"""From a sheet to what is to be done with each of its rows: read, validate, resolve, and compare with the journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from provisioner import passwords, run_folder, schema
from provisioner.journal import DELIMITER_FACT, SHEET_FACT, Journal
from provisioner.messages import count
from provisioner.records import Entry, Problem, Resources, Row
from provisioner.stages.read import read
from provisioner.stages.reconcile import WorkPlan, reconcile
from provisioner.stages.resolve import Fault, Resolver, duplicates, written_plainly
from provisioner.stages.validate import Checked, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provisioner.events import Listener
    from provisioner.run_folder import RunFolder
    from provisioner.schema import MailboxSchema
    from provisioner.secret import Secret
    from provisioner.settings import SheetOptions
    from provisioner.sheets import Sheet

SHOWN_COLUMNS = ("email", "domain", "relay_server", "project", "reply_to")
"""The sheet's columns that results.csv repeats."""
OPTIONAL = ("project", "reply_to")
NAMED = 2
"""So many rows are named in a note about many."""


class PreparedSheet:
    """A sheet that was read and validated, and the folder of its run."""

    def __init__(self, options: SheetOptions) -> None:
        self.schema: MailboxSchema = schema.load(options.schema)
        self.sheet: Sheet = read(
            options.sheet,
            self.schema,
            encoding=options.encoding,
            sheet_name=options.sheet_name,
            fill=options.fill,
            blank_password_ok=options.generate_passwords,
        )
        self.checked: Checked = validate(self.sheet, self.schema, blank_password_ok=options.generate_passwords)
        self.folder: RunFolder = run_folder.locate(options.sheet, options.out)
        self.name = options.shown or str(options.sheet)
        self._is_kept = not options.shown
        self._generate = options.generate_passwords

    @property
    def any_ready(self) -> bool:
        return next(self.checked.ready(), None) is not None

    def remember(self, journal: Journal) -> None:
        """Where the sheet is, for a verification that comes later."""
        if not self.sheet.is_failures:
            journal.set_fact(DELIMITER_FACT, self.sheet.delimiter)
            if self._is_kept:
                journal.set_fact(SHEET_FACT, str(self.sheet.path.resolve()))

    def reconcile(
        self,
        journal: Journal,
        listener: Listener,
        resources: Resources | None,
        wall_clock: Callable[[], float],
        *,
        checking: bool = False,
    ) -> WorkPlan:
        """Bring the journal in step with the sheet, and tell the listener of what is worth a warning.

        `holdings`: what the account has; None where the service was not asked.
        """

        def since(sent_at: float | None) -> float:
            # A clock that was set back must not make a row wait for longer than one that was sent just now.
            return time.monotonic() - max(0.0, wall_clock() - sent_at if sent_at is not None else 0.0)

        made = reconcile(
            RowBuilder(self.sheet, self.checked, Resolver(resources)).entries(),
            journal,
            is_failures=self.sheet.is_failures,
            new_password=self._new_password(),
            since=since,
            checking=checking,
        )
        unused = [header.strip() for header, key in self.sheet.named if key not in self.schema.columns]
        if unused:
            listener.note(f"Not used: the {'column' if len(unused) == 1 else 'columns'} {', '.join(unused)}.")
        for row, problem in self.checked.warnings:
            place = "" if problem.cell else f"Row {self.sheet.number(row) or row}: "
            listener.note(f"{place}{problem}")
        if made.corrected:
            rows = count(made.corrected, "row was", "rows were")
            listener.note(f"{rows} fixed in a failures file and not in this sheet: nothing is sent for them now.")
        if made.changed:
            listener.note(_changed(made.changed))
        return made

    def _new_password(self) -> Callable[[], Secret] | None:
        if not self._generate:
            return None
        return passwords.generator(lambda text: self.schema.accepts("password", text))


def _changed(rows: Sequence[tuple[int | None, str]]) -> str:
    """What to say of rows that were sent with other values than the sheet has now: sheet row and username of each."""
    named = " and ".join(f"{email} (row {row})" if row else email for row, email in rows[:NAMED])
    were = count(len(rows), "mailbox was", "mailboxes were")
    such = f", such as {named}" if len(rows) > NAMED else f": {named}"
    return (
        f"{were} created with other values than the sheet has now{such}. They are left as they are: change them at "
        "Mission Inbox, not here."
    )


class RowBuilder:
    """A sheet's rows as the run takes them, each with its request or with all that is wrong with it."""

    def __init__(self, sheet: Sheet, checked: Checked, resolver: Resolver) -> None:
        self._sheet = sheet
        self._checked = checked
        self._resolver = resolver
        keys = list(sheet.keys)
        self._after_password = set(keys[keys.index("password") :]) if "password" in keys else set[str]()
        # Rows that write one mailbox alike were found when they were validated.
        alike = all(written_plainly(*cells) for _, cells in sheet.cells("email", "domain"))
        self._duplicates = {} if alike else duplicates(sheet.cells("email", "domain"), resolver)

    def entries(self) -> Iterator[Entry]:
        """Every row of the sheet in its order."""
        ready = self._checked.ready()
        upcoming = next(ready, None)
        for row, cells in self._sheet.cells(*SHOWN_COLUMNS):
            if upcoming is not None and upcoming.sheet_row == row:
                yield self._entry(row, cells, upcoming)
                upcoming = next(ready, None)
            else:
                yield self._entry(row, cells, None)

    def _entry(self, row: int, cells: Sequence[str], ready: Row | None) -> Entry:
        problems = self._problems(row, cells, ready=ready is not None)
        origin = self._sheet.origins.get(row)
        email, domain, relay_server, project, reply_to = self._shown(row, cells, problems)
        identity = self._resolver.identity(email, domain)
        return Entry(
            file_row=row,
            sheet_row=self._sheet.number(row),
            key=identity.key,
            email=email,
            domain=domain,
            relay_server=relay_server,
            project=project,
            reply_to=reply_to,
            request=self._resolver.request(ready) if ready and not problems else None,
            error="; ".join(map(str, problems)),
            problems=tuple(problems),
            address=identity.address,
            earlier_status=origin.status if origin else None,
            earlier_task=origin.task_id if origin else None,
            earlier_error=origin.error if origin else "",
        )

    def _shown(self, row: int, cells: Sequence[str], problems: Sequence[Problem]) -> Sequence[str]:
        """The cells, without those that may be what a delimiter cut off the row's password."""
        if not self._is_cut(row, problems):
            return cells
        cut = self._after_password.intersection(OPTIONAL)
        return ["" if name in cut else cell for name, cell in zip(SHOWN_COLUMNS, cells, strict=True)]

    def _is_cut(self, row: int, problems: Sequence[Problem]) -> bool:
        """Whether something is wrong with the row's password, so that a piece of it may stand to its right."""
        if not problems or not self._after_password:
            return False
        password = self._sheet.cell_name(row, "password")
        return any(problem.cell == password for problem in problems)

    def _problems(self, row: int, cells: Sequence[str], *, ready: bool) -> list[Problem]:
        """All that is wrong with a row: what breaks the schema, then what the account lacks; a cell is named once."""
        problems = [] if ready else list(self._checked.problems(row))
        told = {problem.cell for problem in problems}
        if None in told:
            return problems
        faults = self._resolver.faults(*cells[:4])
        if self._is_cut(row, problems):
            faults = [fault for fault in faults if fault.column not in self._after_password]
        if row in self._duplicates:
            others = [str(self._sheet.number(twin) or twin) for twin in self._duplicates[row] if twin != row]
            rows = f"row{'' if len(others) == 1 else 's'} {', '.join(others)}"
            sentence = f"this is the same mailbox as in {rows}; keep one of them and delete the rest"
            faults.append(Fault("email", sentence, "the same mailbox in several rows, written differently"))
        found = [Problem(self._sheet.cell_name(row, fault.column), fault.sentence, fault.cause) for fault in faults]
        return problems + [problem for problem in found if problem.cell not in told]
