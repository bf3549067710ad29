"""Send what is to be sent, poll every task, and look up what got no clear answer, until all is done or stopped."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner.errors import FilesError, InterruptedRunError, PaymentRequiredError, SameFailureError, StoppedError
from provisioner.journal import Finished
from provisioner.messages import HELD_BACK, count, duration
from provisioner.records import Job, OpenTask, Status, Unconfirmed
from provisioner.service.rate_limiter import LimiterClosedError, Priority
from provisioner.stages.look_up import look_up, set_aside_existing, settle_absent
from provisioner.stages.poll import Poller
from provisioner.stages.submit import Submitter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from provisioner.stages.context import RunContext
    from provisioner.stages.reconcile import WorkPlan

WRITE_SHARE = 20
"""Refreshing the files takes at most one part in this many of the time, however long the sheet."""

SETTLE_AFTER = 5.0
"""Seconds, at least: a row that is refused or failed for a reason that the list may disprove is looked up when it is
this old."""
LONG_WAIT = 30.0
"""Seconds without anything to send after which the user is told what the run is waiting for."""


def within_limit(plan: WorkPlan, limit: int | None) -> tuple[WorkPlan, list[Job]]:
    """Divide a plan into what this run may do and the jobs beyond its limit; None is no limit.

    Rows without a clear answer come first: each of them may turn out to need a create.
    """
    left = len(plan.to_send) + len(plan.unconfirmed_rows) if limit is None else limit
    unconfirmed_rows = []
    for unconfirmed in plan.unconfirmed_rows:
        resend = unconfirmed.resend and left > 0
        left -= resend
        unconfirmed_rows.append(replace(unconfirmed, resend=resend))
    return replace(plan, to_send=plan.to_send[:left], unconfirmed_rows=unconfirmed_rows), plan.to_send[left:]


class Delivery:
    """Carries out the plan of one run."""

    def __init__(self, context: RunContext, refresh: Callable[[], Awaitable[None]]) -> None:
        """`refresh` brings the result files up to date. Raises FilesError and JournalError."""
        self._context = context
        self._refresh = refresh
        self._service = context.service
        self._stop_signal = context.stop_signal
        self._options = context.options
        self._slowest = 0.0

    async def deliver(self, plan: WorkPlan, beyond_limit: Sequence[Job]) -> None:
        """Do what the plan says, until it is done or the run is stopped; systemic trouble only sets the stop signal.

        The jobs `beyond_limit` stay unsent.
        """
        self._stop_signal.on_set(self._stop_sending)
        async with anyio.create_task_group() as group:
            group.start_soon(self._refresh_files)
            group.start_soon(self._heed_interruptions, group.cancel_scope)
            try:
                await self._work(plan, beyond_limit)
            except LimiterClosedError:
                pass
            except StoppedError as error:
                self._stop_signal.set(error)
            group.cancel_scope.cancel()

    async def _work(self, plan: WorkPlan, beyond_limit: Sequence[Job]) -> None:
        began = self._context.wall_clock()
        await self._context.journal.record(
            *(Finished(job.row_id, Status.UNSENT, began, HELD_BACK) for job in beyond_limit)
        )
        self._context.listener.planned(
            to_send=len(plan.to_send),
            to_poll=len(plan.open_tasks) + len(plan.unconfirmed_rows),
            done=plan.done,
            invalid=plan.invalid,
        )
        if not (plan.to_send or plan.open_tasks or plan.unconfirmed_rows):
            return
        if not self._service.met:
            await self._service.account()
        await run_sync(self._context.journal.belong_to, self._context.connection.service_name)
        # What is not there yet is sent again at the end: by then it is known how long the service takes.
        missing = await self._look_up_rows(plan.unconfirmed_rows)
        to_send = await set_aside_existing(plan.to_send, self._context)
        unconfirmed_rows = missing + await self._send_and_poll(to_send, plan.open_tasks)
        resend = await self._second_look(unconfirmed_rows)
        unconfirmed_rows = await self._send_and_poll(resend, [])
        unconfirmed_rows = [replace(unconfirmed, resend=False) for unconfirmed in unconfirmed_rows]
        await settle_absent(await self._look_up_rows(unconfirmed_rows), self._context)

    async def _send_and_poll(self, jobs: Sequence[Job], tasks: Sequence[OpenTask]) -> list[Unconfirmed]:
        """Send the jobs while the tasks, old and new, are polled; returns the rows without a clear answer."""
        poller = Poller(self._context)
        submitter = Submitter(self._context, accepted=poller.follow)
        for task in tasks:
            poller.follow(task, fresh=False)
        async with anyio.create_task_group() as watch:
            async with anyio.create_task_group() as group:
                group.start_soon(partial(poller.poll, workers=self._options.workers))
                await submitter.submit(jobs, workers=self._options.workers)
                poller.no_more()
                watch.start_soon(self._tell_of_waiting, poller)
            watch.cancel_scope.cancel()
        self._slowest = max(self._slowest, poller.slowest)
        return [*submitter.unconfirmed_rows, *poller.unconfirmed_rows]

    async def _tell_of_waiting(self, poller: Poller) -> None:
        """Say once what the run is waiting for, if nothing is left to send and it takes long."""
        await anyio.sleep(LONG_WAIT)
        left = duration(max(0.0, self._options.task_timeout - LONG_WAIT))
        self._context.listener.note(
            f"Everything is sent; {count(poller.open, 'mailbox is', 'mailboxes are')} not done yet, and asked about "
            f"for up to {left} more. Stopping is safe: the next run asks again."
        )

    async def _second_look(self, unconfirmed_rows: Sequence[Unconfirmed]) -> list[Job]:
        """Look up rows without a clear answer; returns those that are missing and old enough to be sent again."""
        missing = await self._look_up_rows(unconfirmed_rows)
        if not missing:
            return []
        slowest = self._slowest
        old_enough = max(self._options.look_up_after, min(3 * slowest, self._options.task_timeout))
        # Only a create that is sent again can cost money; whatever else is not there is not waited for so long.
        soon_enough = min(old_enough, max(SETTLE_AFTER, 3 * slowest))
        wait = max(one.since + (old_enough if one.resend else soon_enough) for one in missing) - anyio.current_time()
        if wait > 0:
            self._context.listener.paused(wait, f"{len(missing)} rows without a clear answer are looked up once more")
            with anyio.move_on_after(wait):
                await self._stop_signal.wait()
            missing = await self._look_up_rows(missing)
        return await settle_absent(missing, self._context)

    async def _look_up_rows(self, unconfirmed_rows: Sequence[Unconfirmed]) -> list[Unconfirmed]:
        """Look up rows without a clear answer; returns those to send again, none once the run is stopped."""
        if self._stop_signal.reason is not None and not isinstance(self._stop_signal.reason, SameFailureError):
            unconfirmed_rows = []
        missing = await look_up(unconfirmed_rows, self._context)
        return missing if self._stop_signal.reason is None else []

    def _stop_sending(self, reason: StoppedError) -> None:
        """Send nothing new. Tasks in flight are polled on only where the service still answers as it should."""
        self._context.limiter.close(Priority.CREATE)
        if not isinstance(reason, InterruptedRunError | PaymentRequiredError | SameFailureError):
            self._context.limiter.close(Priority.QUERY)

    async def _heed_interruptions(self, scope: anyio.CancelScope) -> None:
        """After the first, stop polling when the grace is over; after the second, stop at once."""
        await self._stop_signal.interrupted.wait()
        stopping = f"Stopping: nothing more is sent; what was sent is followed up for {duration(self._options.grace)}."
        self._context.listener.note(f"{stopping} {self._stop_signal.how}".strip())
        with anyio.move_on_after(self._options.grace):
            await self._stop_signal.interrupted_again.wait()
        self._context.limiter.close(Priority.QUERY)
        await self._stop_signal.interrupted_again.wait()
        scope.cancel()

    async def _refresh_files(self) -> None:
        """Replace the files every few seconds, less often where writing them takes long."""
        pause = self._options.refresh
        while True:
            await anyio.sleep(pause)
            began = anyio.current_time()
            try:
                await self._refresh()
            except FilesError as error:
                self._context.listener.note(f"{error.message} The run goes on and tries again.")
            except StoppedError as error:
                self._stop_signal.set(error)
            pause = max(self._options.refresh, (anyio.current_time() - began) * WRITE_SHARE)
