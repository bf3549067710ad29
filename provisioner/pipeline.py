"""The whole run, in order: one asynchronous function from a sheet to its files, and one that only checks.

Whatever blocks (reading, validating, SQLite, writing files) happens in worker threads.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import __version__, run_folder, run_log
from provisioner.concurrency import in_own_task, in_threads
from provisioner.errors import DeclinedError
from provisioner.events import CompositeListener
from provisioner.journal import Journal
from provisioner.result import RunResult, summarize, write_report
from provisioner.stages.context import RunContext
from provisioner.stages.prepare import PreparedSheet, prepare
from provisioner.stages.stop_signal import StopSignal
from provisioner.stages.write import set_aside_edited, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.records import Resources
    from provisioner.run_folder import RunFolder
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection, RunOptions, SheetOptions
    from provisioner.stages.reconcile import WorkPlan
    from provisioner.summary import LoginCounts, RunPreview

    Connect = Callable[[RunFolder], AbstractContextManager[Connection]]
    Confirm = Callable[[RunPreview], Awaitable[bool]]
    NextCommand = Callable[[RunResult], str]
    Clock = Callable[[], float]


def _no_command(_: RunResult) -> str:
    return ""


async def _always(_: RunPreview) -> bool:
    return True


async def check(options: SheetOptions, listener: Listener, *, next_command: NextCommand = _no_command) -> RunResult:
    """Read and validate a sheet and write the files. Nothing is sent.

    `next_command` is as for `run`. Raises UnusableError and StoppedError.
    """
    started = time.perf_counter()
    prepared = await run_sync(prepare, options, abandon_on_cancel=True)
    warnings: list[str] = []
    async with in_threads(_open(prepared.folder, warnings)) as journal:
        record = _Record(prepared, journal, listener)
        await record.begin(warnings)
        await record.reconcile(None, time.time, checking=True)
        await record.write()
        result = await run_sync(partial(summarize, prepared, journal, seconds=time.perf_counter() - started))
        if await run_sync(prepared.folder.log.exists):
            # The report tells of the last run; a check does not replace that.
            return replace(result, summary=replace(result.summary, report=""))
        await record.report(result, next_command, finished_at=time.time())
        return result


async def run(
    options: SheetOptions,
    how: RunOptions,
    connect: Connect,
    listener: Listener,
    *,
    confirm: Confirm = _always,
    next_command: NextCommand = _no_command,
    stop_signal: StopSignal | None = None,
    limiter: RateLimiter | None = None,
    wall_clock: Clock = time.time,
) -> RunResult:
    """Create the sheet's mailboxes and write the files, in the caller's event loop.

    `connect` is called with the run's folder and says where the service is, for as long as its context lasts; it may
    block. `confirm` is awaited once, before anything is sent, and says whether to go on. `next_command` returns the
    command that the report shows for continuing, empty for none; it is called in a worker thread. `stop_signal` lets
    the caller stop the run. `limiter` is shared by runs that keep one rate; None makes one.

    Systemic trouble ends the run early and is told in the result. The files are written in any case, also when the
    call is cancelled. Raises UnusableError if the work cannot begin, and FilesError or JournalError if its outcome
    cannot be recorded.
    """
    work = partial(
        _run,
        options,
        how,
        connect,
        listener,
        confirm=confirm,
        next_command=next_command,
        stop_signal=stop_signal or StopSignal(),
        limiter=limiter,
        wall_clock=wall_clock,
    )
    return await in_own_task(work)


async def _run(
    options: SheetOptions,
    how: RunOptions,
    connect: Connect,
    listener: Listener,
    *,
    confirm: Confirm,
    next_command: NextCommand,
    stop_signal: StopSignal,
    limiter: RateLimiter | None,
    wall_clock: Clock,
) -> RunResult:
    # A check does not wait for what only a run needs.
    from provisioner.service import Service
    from provisioner.service.rate_limiter import RateLimiter

    started = time.perf_counter()
    asked = 0.0

    async def timed_confirm(preview: RunPreview) -> bool:
        """Whoever takes long to answer has no slow run."""
        nonlocal asked
        began = time.perf_counter()
        try:
            return await confirm(preview)
        finally:
            asked += time.perf_counter() - began

    prepared = await run_sync(prepare, options, abandon_on_cancel=True)
    warnings: list[str] = []
    async with (
        in_threads(_open(prepared.folder, warnings)) as journal,
        in_threads(run_log.keep(prepared.folder.log, __version__)) as log,
        in_threads(connect(prepared.folder)) as connection,
    ):
        listener = CompositeListener(listener, log)
        limiter = limiter or RateLimiter(connection.rates)
        context = RunContext(
            service=Service(connection, limiter, listener),
            connection=connection,
            limiter=limiter,
            journal=journal,
            stop_signal=stop_signal,
            listener=listener,
            options=how,
            wall_clock=wall_clock,
        )
        record = _Record(prepared, journal, listener)
        await record.begin(warnings, connection.service_name)
        async with context.service:
            logins = await _use_service(context, record, timed_confirm)
        result = await run_sync(
            partial(
                summarize,
                prepared,
                journal,
                seconds=time.perf_counter() - started - asked,
                requests=context.service.counts,
                stopped=stop_signal.reason,
                logins=logins,
            )
        )
        log.end(result.summary, result.stopped)
        await record.report(result, next_command, paused=log.held_back, finished_at=wall_clock())
        return result


async def _use_service(context: RunContext, record: _Record, confirm: Confirm) -> LoginCounts | None:
    """Everything that needs the service. Returns None if no log-in was tried."""
    from provisioner.stages.deliver import Delivery, preview, within_limit
    from provisioner.stages.fetch_account import FetchedAccount, fetch_account
    from provisioner.stages.verify import verify_created

    fetched = await fetch_account(context) if record.prepared.any_ready else FetchedAccount()
    plan = await record.reconcile(fetched.resources, context.wall_clock)
    await record.write()
    if fetched.trouble is not None and not plan.idle:
        context.stop_signal.set(fetched.trouble)
    plan, held_back = within_limit(plan, context.options.limit)
    try:
        if await _may_begin(
            context.stop_signal, confirm, preview(context, plan, len(held_back), record.prepared.folder)
        ):
            await Delivery(context, record.write).deliver(plan, held_back)
        return await verify_created(context, record.prepared.sheet, fetched.account)
    finally:
        await record.write()


async def _may_begin(stop_signal: StopSignal, confirm: Confirm, preview: RunPreview) -> bool:
    """Ask the caller, unless the run was stopped before."""
    agreed = False
    if stop_signal.reason is None:
        with stop_signal.cancelling():
            agreed = await confirm(preview)
    if not agreed:
        stop_signal.set(DeclinedError("Nothing was sent.", remedy="Run again when the mailboxes are to be created."))
    return stop_signal.reason is None


@contextmanager
def _open(folder: RunFolder, warnings: list[str]) -> Iterator[Journal]:
    """The journal of a run folder that no other run works in. Adds to `warnings`; raises RunFolderError."""
    with run_folder.hold(folder, warnings.append), closing(Journal(folder.journal)) as journal:
        yield journal


class _Record:
    """Keeps the run folder in step with one sheet, and tells the listener what people should know of it."""

    def __init__(self, prepared: PreparedSheet, journal: Journal, listener: Listener) -> None:
        self.prepared = prepared
        self._journal = journal
        self._listener = listener

    async def begin(self, warnings: Sequence[str], service: str | None = None) -> None:
        """Claim the journal for a service, and set corrections aside that nobody ran. Raises RunFolderError.

        `warnings` came up when the folder was opened.
        """

        def begin() -> Path | None:
            self._first_event = self._journal.latest_event()
            if service is not None:
                self._journal.belong_to(service)
            kept = set_aside_edited(self._journal, self.prepared.folder, sheet=self.prepared.options.sheet)
            self.prepared.remember(self._journal)
            return kept

        self._tell(warnings)
        self._tell_kept(await run_sync(begin))

    async def reconcile(self, resources: Resources | None, wall_clock: Clock, *, checking: bool = False) -> WorkPlan:
        """Compare the sheet with the journal, and bring the journal in step. Raises JournalError."""
        now = anyio.current_time()

        def since(sent_at: float | None) -> float:
            # A clock that was set back must not make a row wait for longer than one that was sent just now.
            return now - max(0.0, wall_clock() - sent_at if sent_at is not None else 0.0)

        work = partial(self.prepared.reconcile, self._journal, resources, since, checking=checking)
        plan, notes = await run_sync(work)
        self._tell(notes)
        return plan

    async def write(self) -> None:
        """Replace both files by what the journal says now, cancelled or not. Raises FilesError, JournalError."""
        with anyio.CancelScope(shield=True):
            self._tell_kept(await run_sync(write, self._journal, self.prepared.sheet, self.prepared.folder))

    async def report(
        self,
        result: RunResult,
        next_command: NextCommand,
        *,
        finished_at: float,
        paused: Sequence[tuple[float, float, str]] = (),
    ) -> None:
        """Write the page. It shows only what the other files hold, so a run does not fail because of it."""

        def report() -> str:
            return write_report(
                result,
                self._journal,
                command=next_command(result),
                after=self._first_event,
                paused=paused,
                finished_at=finished_at,
            )

        if note := await run_sync(report):
            self._tell([note])

    def _tell(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._listener.note(note)

    def _tell_kept(self, kept: Path | None) -> None:
        if kept is not None:
            note = f"failures.csv held corrections that are not done and not in the new one: it is kept as {kept}."
            self._tell([f"{note} Run it too."])
