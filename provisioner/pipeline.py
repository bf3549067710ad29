"""The whole run, in order: one asynchronous function from a sheet to its files.

Whatever blocks (reading, validating, SQLite, writing files) happens in worker threads.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import __version__, run_log
from provisioner.concurrency import in_own_task, in_threads
from provisioner.errors import DeclinedError
from provisioner.events import CompositeListener
from provisioner.record import Record, no_command, open_journal
from provisioner.result import RunResult, summarize
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.stages.context import RunContext
from provisioner.stages.deliver import Delivery, preview, within_limit
from provisioner.stages.fetch_account import FetchedAccount, fetch_account
from provisioner.stages.prepare import prepare
from provisioner.stages.remembered import remember_rate, remembered_rate
from provisioner.stages.stop_signal import StopSignal
from provisioner.stages.verify import verify_created

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from provisioner.events import Listener
    from provisioner.record import Clock, NextCommand
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, RunOptions, SheetOptions
    from provisioner.stages.prepare import PreparedSheet
    from provisioner.summary import LoginCounts, RunPreview

    Connect = Callable[[RunFolder], AbstractContextManager[Connection]]
    Confirm = Callable[[RunPreview], Awaitable[bool]]


@in_own_task
async def run(
    options: SheetOptions,
    how: RunOptions,
    connect: Connect,
    listener: Listener,
    *,
    confirm: Confirm | None = None,
    next_command: NextCommand = no_command,
    stop_signal: StopSignal | None = None,
    limiter: RateLimiter | None = None,
    wall_clock: Clock = time.time,
) -> RunResult:
    """Create the sheet's mailboxes and write the files, in the caller's event loop.

    `connect` is called with the run's folder and says where the service is, for as long as its context lasts; it may
    block. `confirm` is awaited once, before anything is sent, and says whether to go on; None goes on. `next_command`
    returns the command that the report shows for continuing, empty for none; it is called in a worker thread.
    `stop_signal` lets the caller stop the run. `limiter` is shared by runs that keep one rate; None makes one.

    Systemic trouble ends the run early and is told in the result. The files are written in any case, also when the
    call is cancelled. Raises UnusableError if the work cannot begin, and FilesError or JournalError if its outcome
    cannot be recorded.
    """
    watch = _Stopwatch()
    prepared = await run_sync(prepare, options, abandon_on_cancel=True)
    warnings: list[str] = []
    async with (
        in_threads(open_journal(prepared.folder, warnings)) as journal,
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
            stop_signal=stop_signal or StopSignal(),
            listener=listener,
            options=how,
            wall_clock=wall_clock,
        )
        record = Record(prepared, journal, listener)
        await record.begin(warnings, connection.service_name)
        if (rate := await run_sync(remembered_rate, journal)) is not None:
            limiter.begin_at(rate)
        if limiter.paused_for:
            listener.paused(limiter.paused_for, "the service asked us to wait")
        async with context.service:
            logins = await _use_service(context, record, watch.without(confirm))
        result = await run_sync(lambda: _result(context, prepared, watch.seconds, logins))
        log.end(result.summary, result.stopped)
        await record.report(result, next_command, paused=log.pauses, finished_at=wall_clock())
        return result


class _Stopwatch:
    """Measures how long a run takes."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def without(self, confirm: Confirm | None) -> Confirm:
        """`confirm`, or one that goes on: the time that somebody takes to answer does not count."""

        async def ask(preview: RunPreview) -> bool:
            asked_at = time.perf_counter()
            try:
                return confirm is None or await confirm(preview)
            finally:
                self._began += time.perf_counter() - asked_at

        return ask


def _result(context: RunContext, prepared: PreparedSheet, seconds: float, logins: LoginCounts | None) -> RunResult:
    return summarize(
        prepared,
        context.journal,
        seconds=seconds,
        requests=context.service.counts,
        stopped=context.stop_signal.reason,
        logins=logins,
        rate=context.limiter.learned,
    )


async def _use_service(context: RunContext, record: Record, confirm: Confirm) -> LoginCounts | None:
    """Everything that needs the service. Returns None if no log-in was tried."""
    fetched = await fetch_account(context) if record.prepared.any_ready else FetchedAccount()
    plan = await record.reconcile(fetched.resources, context.wall_clock)
    await record.write()
    if fetched.trouble is not None and not plan.idle:
        context.stop_signal.set(fetched.trouble)
    plan, beyond_limit = within_limit(plan, context.options.limit)
    by, by_value = await run_sync(record.count_by, plan)
    about = replace(
        preview(context, plan, len(beyond_limit), record.prepared.folder),
        account=fetched.account.name if fetched.account else "",
        by=by,
        by_value=by_value,
    )
    try:
        if await _may_begin(context.stop_signal, confirm, about):
            await Delivery(context, record.write).deliver(plan, beyond_limit)
        return await verify_created(context, record.prepared.sheet, fetched.account)
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(remember_rate, context.journal, context.limiter)
        await record.write(final=True)


async def _may_begin(stop_signal: StopSignal, confirm: Confirm, about: RunPreview) -> bool:
    """Ask the caller, unless the run was stopped before."""
    agreed = False
    if stop_signal.reason is None:
        with stop_signal.cancelling():
            agreed = await confirm(about)
    if not agreed:
        stop_signal.set(DeclinedError("Nothing was sent.", remedy="Run again when the mailboxes are to be created."))
    return stop_signal.reason is None
