"""The whole run, in order: one asynchronous function from a sheet to its files.

What blocks (reading, validating, SQLite, writing files) happens in worker threads.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import __version__, run_log
from provisioner.concurrency import in_own_task, in_threads
from provisioner.errors import DeclinedError
from provisioner.events import CompositeListener
from provisioner.result import RunResult, summarize
from provisioner.run_record import RunRecord, no_command, open_journal
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.stages.context import RunContext
from provisioner.stages.deliver import Delivery, within_limit
from provisioner.stages.fetch_account import FetchedAccount, fetch_account
from provisioner.stages.prepare import prepare
from provisioner.stages.remembered import remember_rate, remembered_rate
from provisioner.stages.stop_signal import StopSignal
from provisioner.stages.verify import verify_created
from provisioner.summary import RunPreview

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from provisioner.events import Listener
    from provisioner.resources import Account
    from provisioner.run_record import Clock, NextCommand
    from provisioner.settings import RunOptions, SheetOptions
    from provisioner.stages.fetch_account import Connect
    from provisioner.stages.prepare import PreparedSheet
    from provisioner.stages.reconcile import WorkPlan
    from provisioner.summary import LoginCounts

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
    stopwatch = _Stopwatch()
    prepared = await run_sync(prepare, options, abandon_on_cancel=True)
    async with (
        in_threads(open_journal(prepared.folder)) as (journal, warning),
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
        record = RunRecord(prepared, journal, listener)
        await record.begin(warning, connection.service_name)
        async with context.service:
            logins = await _create(context, record, confirm, stopwatch)
        result = await run_sync(_result, context, prepared, stopwatch.seconds, logins)
        log.end(result.summary, result.stopped)
        await record.report(result, next_command, paused=log.pauses, finished_at=wall_clock())
        return result


async def _create(
    context: RunContext, record: RunRecord, confirm: Confirm | None, stopwatch: _Stopwatch
) -> LoginCounts | None:
    """From valid rows to outcomes: everything that needs the service. Returns None if no log-in was tried."""
    await _take_up_rate(context)
    fetched = await fetch_account(context) if record.prepared.any_ready else FetchedAccount()
    plan = await record.reconcile(fetched.resources, context.wall_clock)
    await record.write()
    if fetched.trouble is not None and not plan.idle:
        context.stop_signal.set(fetched.trouble)
    plan, beyond_limit = within_limit(plan, context.options.limit)
    about = await _preview(context, record, plan, len(beyond_limit), fetched.account)
    try:
        if await _may_begin(context.stop_signal, confirm, about, stopwatch):
            await Delivery(context, record.write).deliver(plan, beyond_limit)
        return await verify_created(context, record.prepared.sheet, fetched.account)
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(remember_rate, context.journal, context.limiter)
        await record.write(final=True)


async def _take_up_rate(context: RunContext) -> None:
    """Begin at the rate that an earlier run found, and say so if another one that shares the rate is paused."""
    limiter = context.limiter
    if (rate := await run_sync(remembered_rate, context.journal)) is not None:
        limiter.begin_at(rate)
    if limiter.paused_for:
        context.listener.paused(limiter.paused_for, "the service asked us to wait")


async def _preview(
    context: RunContext, record: RunRecord, plan: WorkPlan, beyond_limit: int, account: Account | None
) -> RunPreview:
    """What the run is about to do; `beyond_limit` rows are left for another run."""
    to_send, to_look_up = len(plan.to_send), sum(unconfirmed.resend for unconfirmed in plan.unconfirmed_rows)
    connection, folder = context.connection, record.prepared.folder
    by, by_value = await run_sync(record.count_by, plan)
    return RunPreview(
        to_send=to_send,
        to_poll=len(plan.open_tasks) + len(plan.unconfirmed_rows) - to_look_up,
        to_look_up=to_look_up,
        done=plan.done,
        invalid=plan.invalid,
        beyond_limit=beyond_limit,
        service=connection.api_url,
        practice=connection.practice,
        # A create and a question each.
        seconds=context.limiter.duration(2 * (to_send + to_look_up)),
        results=str(folder.results),
        failures=str(folder.failures),
        account=account.name if account else "",
        by=by,
        by_value=by_value,
    )


async def _may_begin(
    stop_signal: StopSignal, confirm: Confirm | None, about: RunPreview, stopwatch: _Stopwatch
) -> bool:
    """Ask the caller, unless the run was stopped before."""
    agreed = False
    if stop_signal.reason is None:
        with stop_signal.cancelling(), stopwatch.stopped():
            agreed = confirm is None or await confirm(about)
    if not agreed:
        stop_signal.set(DeclinedError("Nothing was sent.", remedy="Run again when the mailboxes are to be created."))
    return stop_signal.reason is None


class _Stopwatch:
    """Measures how long a run takes, without the time that somebody takes to answer."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        stopped_at = time.perf_counter()
        try:
            yield
        finally:
            self._began += time.perf_counter() - stopped_at


def _result(context: RunContext, prepared: PreparedSheet, seconds: float, logins: LoginCounts | None) -> RunResult:
    return summarize(
        prepared,
        context.journal,
        seconds=seconds,
        requests=context.service.counts,
        stopped=context.stop_signal.reason,
        logins=logins,
        rate=context.limiter.learned,
        practice=context.connection.practice,
    )
