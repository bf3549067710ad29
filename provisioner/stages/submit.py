"""Send the creates: a few at a time, each intent in the journal before its request leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import StoppedError
from provisioner.journal import Ended, Journal, Sending, TakenOn, Withdrawn
from provisioner.pace import LaneClosedError
from provisioner.records import (
    Accepted,
    CreateAnswer,
    Created,
    Doubt,
    Job,
    Lost,
    OpenTask,
    Refused,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provisioner.halt import Halt, Streak
    from provisioner.progress import Listener
    from provisioner.service import Service


class Submitter:
    """What the workers of one run share."""

    def __init__(
        self,
        service: Service,
        journal: Journal,
        halt: Halt,
        streak: Streak,
        listener: Listener,
        *,
        wall_clock: Callable[[], float],
        accepted: Callable[[OpenTask], None],
    ) -> None:
        """`accepted` is told of each task as soon as its ID is in the journal."""
        self._service = service
        self._journal = journal
        self._halt = halt
        self._streak = streak
        self._listener = listener
        self._now = wall_clock
        self._accepted = accepted
        self.doubts: list[Doubt] = []
        """Rows of which only a look at the service's list can tell what became of them."""

    async def submit(self, jobs: Iterable[Job], *, workers: int) -> None:
        """Send every job once, `workers` at a time at most; a halt leaves the rest as it is.

        Returns when the last answer is in the journal. Systemic trouble halts the run and is never raised here.
        """
        waiting = iter(jobs)

        async def work() -> None:
            for job in waiting:
                if self._halt.reason is not None:
                    return
                try:
                    await self._send(job)
                except StoppedError as error:
                    self._halt.call(error)

        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)

    async def _send(self, job: Job) -> None:
        await self._journal.record(Sending(job, self._now()))
        try:
            answer = await self._service.create(job.request)
        except LaneClosedError:
            await self._journal.record(Withdrawn(job.line, self._now()))
        except StoppedError:
            await self._journal.record(Withdrawn(job.line, self._now()))
            raise
        else:
            await self._take(job, answer)
            self._listener.sent()

    async def _take(self, job: Job, answer: CreateAnswer) -> None:
        """Store what the service answered; nothing else happens to the row before that."""
        match answer:
            case Accepted(task_id):
                await self._journal.record(TakenOn(job.line, task_id, self._now()))
                self._accepted(OpenTask(job, task_id))
            case Created(mailbox_id):
                await self._end(job, Status.CREATED, mailbox_id=mailbox_id)
                self._streak.succeeded()
            case Refused(reason, duplicate):
                if duplicate:
                    await self._doubt(job, Status.REJECTED, reason)
                else:
                    await self._end(job, Status.REJECTED, reason)
                    self._streak.failed(job.request.anonymous(reason))
            case Lost(reason):
                await self._doubt(replace(job, doubtful=True), Status.UNKNOWN, f"sent, but no clear answer: {reason}")
                self._streak.failed(reason)

    async def _end(self, job: Job, status: Status, error: str = "", mailbox_id: str | None = None) -> None:
        await self._journal.record(Ended(job.line, status, self._now(), error, mailbox_id))
        self._listener.ended(status)

    async def _doubt(self, job: Job, status: Status, error: str) -> None:
        """The status holds unless the service's list says better."""
        now = self._now()
        await self._journal.record(Ended(job.line, status, now, error))
        self.doubts.append(Doubt(job, now, status, resend=status is Status.UNKNOWN))
