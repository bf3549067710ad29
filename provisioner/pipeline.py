"""The whole way of a sheet: builds what the stages share, and runs them in order."""

from __future__ import annotations

import signal
import time
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from provisioner import __version__, passwords, runfolder, runlog, schema
from provisioner.errors import DeclinedError, FilesError, InterruptedRunError, SameFailureError, StoppedError
from provisioner.halt import Halt
from provisioner.journal import DELIMITER_FACT, SHEET_FACT, Journal
from provisioner.pace import Lane, LaneClosedError, Pace
from provisioner.progress import Together
from provisioner.records import (
    Account,
    Doubt,
    Entry,
    Group,
    Holdings,
    Job,
    LoginCounts,
    LoginState,
    OpenTask,
    Problem,
    Prospect,
    RequestCounts,
    Row,
    Secret,
    Summary,
)
from provisioner.service import Service
from provisioner.settings import PRACTICE, Connection, RunOptions, SheetOptions, service_name
from provisioner.stages.group import group
from provisioner.stages.plan import Plan, plan
from provisioner.stages.poll import Poller
from provisioner.stages.read import read
from provisioner.stages.report import report
from provisioner.stages.resolve import Fault, Resolver, take_stock, twins, written_plainly
from provisioner.stages.settle import settle
from provisioner.stages.submit import Submitter
from provisioner.stages.validate import Checked, validate
from provisioner.stages.verify import gather, servers, verify
from provisioner.stages.verify import passwords as passwords_of
from provisioner.stages.write import set_aside_edited, write
from provisioner.wording import count, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provisioner.progress import Listener
    from provisioner.runfolder import RunFolder
    from provisioner.schema import MailboxSchema
    from provisioner.sheets import Sheet

WRITE_SHARE = 20
"""Refreshing the files takes at most one part in so many of the time, however long the sheet."""

LONG_WAIT = 30.0
"""Seconds without anything to send after which is said what is waited for."""
SHOWN_COLUMNS = ("email", "domain", "relay_server", "project", "reply_to")
"""The sheet's columns that results.csv repeats."""
EXAMPLES = 500
"""How many of the rows that are left for one cause an ending holds."""


@dataclass(frozen=True)
class Ending:
    """What a run or a check came to."""

    summary: Summary
    stopped: StoppedError | None
    """Why it ended before every row had its turn; None where it did not."""
    groups: Sequence[Group]
    """The rows that are left, by cause."""


def load(options: SheetOptions) -> Loaded:
    """Read and validate a sheet, and do nothing else. Raises UnusableError."""
    return Loaded(options)


def check(options: SheetOptions, listener: Listener) -> Ending:
    """Read and validate a sheet and write the files. Nothing is sent. Raises UnusableError, StoppedError."""
    started = time.perf_counter()
    loaded = Loaded(options)
    with runfolder.hold(loaded.folder), closing(Journal(loaded.folder.journal)) as journal:
        _tell_kept(set_aside_edited(journal, loaded.folder, sheet=options.sheet), listener)
        loaded.remember(journal)
        loaded.plan(journal, listener, None, time.time, checking=True)
        write(journal, loaded.sheet, loaded.folder)
        ending = _ending(loaded, journal, started)
        _report(ending, journal, listener, after=journal.latest_event(), finished_at=time.time())
        return ending


def run(
    options: SheetOptions,
    how: RunOptions,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]],
    listener: Listener,
    *,
    agree: Callable[[Prospect], bool] = lambda _: True,
    pace: Pace | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> Ending:
    """Create the sheet's mailboxes and write the files.

    `connect` says where the service is, for as long as its context lasts; it is handed the run's folder. `agree` is
    told what is about to be sent, and says whether it shall be; nothing was sent before.
    `pace` is given where several runs, one after the other, are to keep one rate; None makes one for this run.

    Systemic trouble after the beginning ends the run early and is told in the ending, never raised: the files are
    written in any case. Raises UnusableError where the work cannot begin, and FilesError or JournalError where its
    outcome cannot be written down.
    """
    started = time.perf_counter()
    loaded = Loaded(options)
    folder = loaded.folder
    with (
        runfolder.hold(folder),
        closing(Journal(folder.journal)) as journal,
        runlog.keep(folder.log, __version__) as log,
    ):
        listener = Together(listener, log)
        before = journal.latest_event()
        with connect(folder) as connection:
            journal.belong_to(service_name(connection.api_url))
            _tell_kept(set_aside_edited(journal, folder, sheet=options.sheet), listener)
            loaded.remember(journal)
            pace = pace or Pace(connection.rates)
            pace.open()
            work = _Run(
                loaded, journal, how=how, connection=connection, pace=pace, listener=listener, wall_clock=wall_clock
            )
            holdings = anyio.run(work.ask) if loaded.any_ready else None
            todo = loaded.plan(journal, listener, holdings, wall_clock)
            write(journal, loaded.sheet, folder)
            try:
                work.begin(todo, agree)
                logins = work.verify() if how.verify is not None and work.halt_reason is None else None
            finally:
                _tell_kept(write(journal, loaded.sheet, folder), listener)
        ending = _ending(loaded, journal, started, requests=work.requests, stopped=work.halt_reason, logins=logins)
        log.end(ending.summary, ending.stopped)
        _report(ending, journal, listener, after=before, held=log.held_back, finished_at=wall_clock())
        return ending


class Loaded:
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
        self.folder: RunFolder = runfolder.locate(options.sheet, options.out)
        self._generate = options.generate_passwords

    @property
    def any_ready(self) -> bool:
        return next(self.checked.ready(), None) is not None

    def remember(self, journal: Journal) -> None:
        """Where the sheet is, for a verification that comes later."""
        if not self.sheet.is_failures:
            journal.set_fact(SHEET_FACT, str(self.sheet.path.resolve()))
            journal.set_fact(DELIMITER_FACT, self.sheet.delimiter)

    def passwords(self) -> dict[str, list[Secret]]:
        """The sheet's passwords by what their mailboxes are known by."""
        resolver = Resolver(None)
        return passwords_of(self.sheet, lambda email, domain: resolver.identity(email, domain).key)

    def plan(
        self,
        journal: Journal,
        listener: Listener,
        holdings: Holdings | None,
        wall_clock: Callable[[], float],
        *,
        checking: bool = False,
    ) -> Plan:
        """Bring the journal in step with the sheet, and tell the listener of what is worth a warning.

        `holdings`: what the account has; None where the service was not asked.
        """

        def since(sent_at: float | None) -> float:
            # A clock that was set back must not make a row wait for longer than one that was sent just now.
            return time.monotonic() - max(0.0, wall_clock() - sent_at if sent_at is not None else 0.0)

        made = plan(
            _Reading(self.sheet, self.checked, Resolver(holdings)).entries(),
            journal,
            is_failures=self.sheet.is_failures,
            new_password=self._new_password(),
            since=since,
            checking=checking,
        )
        for row, problem in self.checked.warnings:
            listener.note(f"Row {self.sheet.number(row) or row}, {problem}")
        if made.mended:
            rows = count(made.mended, "row was", "rows were")
            listener.note(f"{rows} mended in a failures file and not in this sheet: nothing is sent for them now.")
        for sheet_row, email in made.changed:
            listener.note(
                f"Row {sheet_row}: {email} was sent earlier with other values than the sheet has now; "
                "the mailbox is left as it is. Change it at Mission Inbox, not here."
            )
        return made

    def _new_password(self) -> Callable[[], Secret] | None:
        if not self._generate:
            return None
        return passwords.generator(lambda text: self.schema.accepts("password", text))


class _Reading:
    """A sheet's rows as the run takes them, each with its request or with all that is wrong with it."""

    def __init__(self, sheet: Sheet, checked: Checked, resolver: Resolver) -> None:
        self._sheet = sheet
        self._checked = checked
        self._resolver = resolver
        # Rows that write one mailbox alike were found when they were validated.
        alike = all(written_plainly(*cells) for _, cells in sheet.cells("email", "domain"))
        self._twins = {} if alike else twins(sheet.cells("email", "domain"), resolver)

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
        email, domain, relay_server, project, reply_to = cells
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

    def _problems(self, row: int, cells: Sequence[str], *, ready: bool) -> list[Problem]:
        """All that is wrong with a row: what breaks the schema, then what the account lacks; a cell is named once."""
        problems = [] if ready else list(self._checked.problems(row))
        told = {problem.cell for problem in problems}
        if None in told:
            return problems
        faults = self._resolver.faults(*cells[:4])
        if row in self._twins:
            others = ", ".join(str(self._sheet.number(twin) or twin) for twin in self._twins[row] if twin != row)
            sentence = f"this is the same mailbox as in row {others}; keep one of them and delete the rest"
            faults.append(Fault("email", sentence, "the same mailbox in several rows, written differently"))
        found = [Problem(self._sheet.cell_name(row, fault.column), fault.sentence, fault.cause) for fault in faults]
        return problems + [problem for problem in found if problem.cell not in told]


class _Run:
    """One run while it is under way: what its stages share, and when each begins and ends."""

    def __init__(
        self,
        loaded: Loaded,
        journal: Journal,
        *,
        how: RunOptions,
        connection: Connection,
        pace: Pace,
        listener: Listener,
        wall_clock: Callable[[], float],
    ) -> None:
        self._loaded = loaded
        self._journal = journal
        self._how = how
        self._connection = connection
        self._pace = pace
        self._listener = listener
        self._wall_clock = wall_clock
        self.halt_reason: StoppedError | None = None
        self._account: Account | None = None
        # It outlasts the event loop of one call, and its counts are those of the whole run.
        self._service = Service(connection, pace, listener)

    @property
    def requests(self) -> RequestCounts:
        return self._service.counts

    async def ask(self) -> Holdings | None:
        """What the account has; None where it could not be asked, which halts the run before it begins.

        Raises SettingsError where its mailboxes are to be verified and it names no mail servers.
        """
        try:
            async with self._service as service:
                self._account = await service.account()
                if self._how.verify is not None:
                    servers(self._account, self._how.verify)
                return await take_stock(service, self._listener)
        except StoppedError as error:
            self.halt_reason = error
            return None

    def begin(self, todo: Plan, agree: Callable[[Prospect], bool]) -> None:
        """Do what the plan says, unless the service could not be asked, or what it costs is not agreed to."""
        if todo.idle:
            # Nothing is lost by a service that cannot be reached.
            self.halt_reason = None
        if self.halt_reason is None and not agree(self._prospect(todo)):
            self.halt_reason = DeclinedError("Nothing was sent.", remedy="Run again when it is to be sent.")
        if self.halt_reason is None:
            anyio.run(self._go, todo)

    def verify(self) -> LoginCounts | None:
        """Log in to every created mailbox that was not logged in to yet; None where the servers cannot be asked for."""
        assert self._how.verify is not None
        if self._account is None and anyio.run(self.ask) is None:
            return None
        both = servers(self._account, self._how.verify)
        lines = (line for line in self._journal.record_lines() if {line.imap, line.smtp} != {LoginState.OK})
        mailboxes = gather(lines, self._loaded.passwords(), self._wall_clock())
        patience = self._how.verify.patience
        return anyio.run(lambda: verify(mailboxes, both, self._journal, self._listener, patience=patience))

    def _limited(self, todo: Plan) -> tuple[list[Job], list[Doubt]]:
        """What may be sent: rows in doubt, and then the first that are ready, together within the limit."""
        left = len(todo.to_send) + len(todo.doubts) if self._how.limit is None else self._how.limit
        doubts = []
        for doubt in todo.doubts:
            resend = doubt.resend and left > 0
            left -= resend
            doubts.append(replace(doubt, resend=resend))
        return todo.to_send[:left], doubts

    def _prospect(self, todo: Plan) -> Prospect:
        jobs, doubts = self._limited(todo)
        to_send, to_look_up = len(jobs), sum(doubt.resend for doubt in doubts)
        return Prospect(
            to_send=to_send,
            to_poll=len(todo.open_tasks) + len(doubts) - to_look_up,
            to_look_up=to_look_up,
            done=todo.done,
            invalid=todo.invalid,
            held_back=len(todo.to_send) - to_send,
            service=self._connection.api_url,
            practice=service_name(self._connection.api_url) == PRACTICE,
            seconds=max(to_send * rate.seconds / rate.count for rate in self._connection.rates),
            results=str(self._loaded.folder.results),
            failures=str(self._loaded.folder.failures),
        )

    async def _go(self, todo: Plan) -> None:
        """Do what the plan says, until it is done or the run is halted; never raises what can be told at the end."""
        self._halt = Halt()
        self._halt.on_call(self._stop_sending)
        async with self._service as service, anyio.create_task_group() as group:
            self._group = group
            group.start_soon(self._heed_signals)
            group.start_soon(self._refresh_files)
            try:
                await self._work(todo, service)
            except LaneClosedError:
                pass
            except StoppedError as error:
                self._halt.call(error)
            group.cancel_scope.cancel()
        self.halt_reason = self._halt.reason

    async def _work(self, todo: Plan, service: Service) -> None:
        began = self._wall_clock()
        jobs, doubts = self._limited(todo)
        self._listener.planned(
            to_send=len(jobs), to_poll=len(todo.open_tasks) + len(doubts), done=todo.done, invalid=todo.invalid
        )
        if not (jobs or todo.open_tasks or doubts):
            return
        if not service.met:
            await service.account()
        # What is not there yet is sent again at the end: by then it is known how long the service takes.
        missing = await self._settle(doubts, service)
        doubts = missing + await self._send_and_poll(jobs, todo.open_tasks, service)
        resend = await self._second_look(doubts, service, began)
        doubts = await self._send_and_poll(resend, [], service)
        await self._settle([replace(doubt, resend=False) for doubt in doubts], service)

    async def _send_and_poll(self, jobs: Sequence[Job], tasks: Sequence[OpenTask], service: Service) -> list[Doubt]:
        """Send the jobs while the tasks, and those that come of the jobs, are polled; answers what is in doubt."""
        shared = (service, self._pace, self._journal, self._halt, self._listener)
        clock, stop_after = self._wall_clock, self._how.stop_after
        poller = Poller(*shared, wall_clock=clock, stop_after=stop_after, task_timeout=self._how.task_timeout)
        submitter = Submitter(*shared, wall_clock=clock, stop_after=stop_after, accepted=poller.follow)
        for task in tasks:
            poller.resume(task)
        async with anyio.create_task_group() as watch:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: poller.poll(workers=self._how.workers))
                await submitter.submit(jobs, workers=self._how.workers)
                poller.no_more()
                watch.start_soon(self._tell_of_waiting, poller)
            watch.cancel_scope.cancel()
        return [*submitter.doubts, *poller.doubts]

    async def _tell_of_waiting(self, poller: Poller) -> None:
        """Say once what is waited for, where nothing is left to send and it takes long."""
        await anyio.sleep(LONG_WAIT)
        left = duration(max(0.0, self._how.task_timeout - LONG_WAIT))
        self._listener.note(
            f"Everything is sent; {count(poller.open, 'mailbox is', 'mailboxes are')} not done yet, and asked about "
            f"for up to {left} more. Ctrl-C is safe: the next run asks again."
        )

    async def _second_look(self, doubts: Sequence[Doubt], service: Service, began: float) -> list[Job]:
        """Look up what this run left in doubt, waiting until a row that is not there is old enough to be sent again."""
        missing = await self._settle(doubts, service)
        if not missing:
            return []
        slowest = await anyio.to_thread.run_sync(self._journal.slowest, began)
        old_enough = max(self._how.settle_after, min(3 * slowest, self._how.task_timeout))
        wait = max(doubt.since for doubt in missing) + old_enough - anyio.current_time()
        if wait > 0:
            self._listener.held(wait, f"{len(missing)} rows without a clear answer are looked up once more")
            with anyio.move_on_after(wait):
                await self._halt.wait()
            missing = await self._settle(missing, service)
        return [doubt.job for doubt in missing]

    async def _settle(self, doubts: Sequence[Doubt], service: Service) -> list[Doubt]:
        """Look up rows in doubt; a run that was halted sends none of them again."""
        if self._halt.reason is not None and not isinstance(self._halt.reason, SameFailureError):
            doubts = []
        missing = await settle(doubts, service, self._journal, self._listener, wall_clock=self._wall_clock)
        return missing if self._halt.reason is None else []

    def _stop_sending(self, reason: StoppedError) -> None:
        """Halted: nothing new is sent; what is in flight is followed as long as that makes sense."""
        self._pace.close(Lane.CREATE)
        if isinstance(reason, InterruptedRunError):
            self._group.start_soon(self._stop_asking_later)
        elif not isinstance(reason, SameFailureError):
            self._pace.close(Lane.ASK)

    async def _stop_asking_later(self) -> None:
        self._listener.note(
            f"Stopping: nothing more is sent; tasks in flight are followed for {self._how.grace:g} seconds. "
            "Press Ctrl-C again to stop at once."
        )
        await anyio.sleep(self._how.grace)
        self._pace.close(Lane.ASK)

    async def _heed_signals(self) -> None:
        """The first interruption stops gently, the second at once, whatever else has halted the run before."""
        interrupted = False
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    if interrupted:
                        self._group.cancel_scope.cancel()
                    elif self._halt.reason is not None:
                        self._group.start_soon(self._stop_asking_later)
                    interrupted = True
                    self._halt.call(InterruptedRunError("The run was interrupted.", remedy="Run again to go on."))
        except NotImplementedError:
            # Windows' event loop knows no signals: there the first Ctrl-C already stops at once.
            return

    async def _refresh_files(self) -> None:
        """Replace the files every few seconds, less often where writing them takes long."""
        pause = self._how.refresh
        while True:
            await anyio.sleep(pause)
            began = anyio.current_time()
            try:
                kept = await anyio.to_thread.run_sync(write, self._journal, self._loaded.sheet, self._loaded.folder)
                _tell_kept(kept, self._listener)
            except FilesError as error:
                self._listener.note(f"{error.message} The run goes on and tries again.")
            except StoppedError as error:
                self._halt.call(error)
            pause = max(self._how.refresh, (anyio.current_time() - began) * WRITE_SHARE)


def _tell_kept(kept: Path | None, listener: Listener) -> None:
    """Say where corrections are that nobody ran; None: there are none."""
    if kept is not None:
        listener.note(
            f"failures.csv held corrections that are not done and not in the new one: it is kept as {kept}. Run it too."
        )


def _ending(
    loaded: Loaded,
    journal: Journal,
    started: float,
    *,
    requests: RequestCounts | None = None,
    stopped: StoppedError | None = None,
    logins: LoginCounts | None = None,
) -> Ending:
    folder = loaded.folder
    summary = Summary(
        sheet=str(loaded.sheet.path),
        run_folder=str(folder.path),
        results=str(folder.results),
        failures=str(folder.failures),
        report=str(folder.report),
        statuses=journal.statuses(),
        to_retry=journal.retriable_count(of_failures=loaded.sheet.is_failures),
        original=journal.fact(SHEET_FACT) or str(loaded.sheet.path),
        requests=requests or RequestCounts(),
        seconds=time.perf_counter() - started,
        logins=logins,
    )
    return Ending(summary, stopped, group(journal.left(), keep=EXAMPLES))


def _report(
    ending: Ending,
    journal: Journal,
    listener: Listener,
    *,
    after: int,
    held: Sequence[tuple[float, float, str]] = (),
    finished_at: float,
) -> None:
    """Write the page. It only shows what the other files hold, so a run does not fail for its sake."""
    path = Path(ending.summary.report)
    try:
        report(
            path,
            ending.summary,
            ending.groups,
            journal.events(after),
            held=held,
            stopped=ending.stopped,
            finished_at=finished_at,
        )
    except OSError as error:
        listener.note(f"The page {path} could not be written ({error.strerror or error}); the other files are whole.")
