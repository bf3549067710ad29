"""Send the creates, several at once; the journal holds the intent of each before its request leaves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import StoppedError
from provisioner.journal import Finished, SendCancelled, Sending, TaskAccepted
from provisioner.records import Accepted, CreateAnswer, Created, Job, Lost, OpenTask, Refused, Status, Unconfirmed
from provisioner.service.rate_limiter import LimiterClosedError, Priority
from provisioner.stages.stop_signal import FailureStreak

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provisioner.stages.context import RunContext

UNCLEAR = "sent, but no clear answer"
EARLIER = "an earlier create had no clear answer"
NOT_YET_LOOKED_UP = "not looked up before the run ended"
LEAD = 0.05
"""Seconds: more than it takes to record an intent. A create is announced this long before its turn and no longer, since
each that was announced and not answered must be looked up if the process is killed."""


class Submitter:
    """Sends the creates of one run; its workers share it."""

    def __init__(self, context: RunContext, *, accepted: Callable[[OpenTask], None]) -> None:
        """`accepted` is told of each task as soon as its ID is in the journal."""
        self._context = context
        self._streak = FailureStreak(context.stop_signal, context.options.stop_after)
        self._accepted = accepted
        self._announcing = anyio.Semaphore(1 + math.ceil(LEAD / context.limiter.shortest_spacing), fast_acquire=True)
        self.unconfirmed_rows: list[Unconfirmed] = []
        """Rows that only the service's list can settle."""

    async def submit(self, jobs: Iterable[Job], *, workers: int) -> None:
        """Send every job once, at most `workers` at a time; when the run is stopped, the rest stays as it is.

        Returns when the last answer is in the journal. Systemic trouble stops the run and is never raised here.
        """
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:
                try:
                    await self._send(job)
                except StoppedError as error:
                    self._context.stop_signal.set(error)
                if self._context.stop_signal.reason is not None:
                    return

        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)

    async def _send(self, job: Job) -> None:
        """Record the intent, send the request and record the answer; does nothing once the run is stopped."""
        async with self._announcing:
            await self._context.service.create_allowed()
            if self._context.stop_signal.reason is not None:
                return
            await self._context.journal.record(Sending(job, self._now()))
            try:
                permit = await self._context.limiter.acquire(Priority.CREATE)
            except LimiterClosedError:
                await self._withdraw(job)
                return
        try:
            answer = await self._context.service.create(job.request, permit)
        except LimiterClosedError:
            await self._withdraw(job)
        except StoppedError:
            await self._withdraw(job)
            raise
        else:
            await self._take(job, answer)
            self._context.listener.sent()

    def _now(self) -> float:
        return self._context.wall_clock()

    async def _withdraw(self, job: Job) -> None:
        await self._context.journal.record(SendCancelled(job.row_id, self._now()))

    async def _take(self, job: Job, answer: CreateAnswer) -> None:
        """Record what the service answered, before anything else happens to the row."""
        match answer:
            case Accepted(task_id):
                await self._context.journal.record(TaskAccepted(job.row_id, task_id, self._now()))
                self._accepted(OpenTask(job, task_id))
                self._streak.succeeded()
            case Created(mailbox_id):
                await self._end(job, Status.CREATED, mailbox_id=mailbox_id)
                self._streak.succeeded()
            case Refused(reason, duplicate):
                await self._take_refusal(job, reason, is_duplicate=duplicate)
            case Lost(reason, stop):
                job = replace(job, maybe_sent=True)
                await self._leave_unconfirmed(
                    Unconfirmed(job, anyio.current_time(), Status.UNKNOWN, resend=True, reason=f"{UNCLEAR}: {reason}")
                )
                self._streak.failed(reason)
                if stop is not None:
                    self._context.stop_signal.set(stop)

    async def _take_refusal(self, job: Job, reason: str, *, is_duplicate: bool) -> None:
        if not (is_duplicate or job.maybe_sent):
            await self._end(job, Status.REJECTED, reason)
            self._streak.failed(job.request.anonymous(reason))
            return
        # What the service has already may be our own mailbox, from a create whose answer was not seen: still being
        # made, or made twice on the way.
        is_ours = job.maybe_sent or job.was_absent
        status = Status.UNKNOWN if is_ours else Status.UNSENT
        if_absent = Status.UNKNOWN if job.maybe_sent else Status.REJECTED
        if job.maybe_sent:
            reason = f"{EARLIER}, and another one was refused: {reason}"
        since = anyio.current_time()
        await self._leave_unconfirmed(Unconfirmed(job, since, status, if_absent=if_absent, reason=reason))

    async def _end(self, job: Job, status: Status, error: str = "", mailbox_id: str | None = None) -> None:
        await self._context.finish(Finished(job.row_id, status, self._now(), error, mailbox_id))

    async def _leave_unconfirmed(self, unconfirmed: Unconfirmed) -> None:
        """The status holds unless the service's list says better."""
        row_id, status = unconfirmed.job.row_id, unconfirmed.status
        error = f"{unconfirmed.reason.removesuffix('.')}; {NOT_YET_LOOKED_UP}"
        await self._context.journal.record(Finished(row_id, status, self._now(), error, reason=unconfirmed.reason))
        self.unconfirmed_rows.append(unconfirmed)
