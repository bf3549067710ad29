"""Follow every open task to its end: one queue of all task IDs, ordered by when each is next worth asking."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import StoppedError
from provisioner.journal import Ended, Journal
from provisioner.pace import LaneClosedError
from provisioner.records import Created, Doubt, Failed, OpenTask, Pending, Status, TaskAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.halt import Halt, Streak
    from provisioner.progress import Listener
    from provisioner.service import Service

FIRST_ASK = 1.0
"""Seconds after it was accepted that a task is asked about for the first time."""
PATIENCE = 1.25
"""Each next question comes when the task is so many times as old, so that none is noticed much too late."""
LONGEST_PAUSE = 30.0


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    task: OpenTask = field(compare=False)
    accepted_at: float = field(compare=False)


class TaskQueue:
    """Open tasks by when they are next worth asking about. For one event loop."""

    def __init__(self) -> None:
        self._heap: list[_Due] = []
        self._number = 0
        self._asking = 0
        self._closed = False
        self._changed = anyio.Event()

    def put(self, task: OpenTask) -> None:
        """Take on a task that was accepted just now, or in an earlier run."""
        now = anyio.current_time()
        self._push(_Due(now + FIRST_ASK, self._number, task, now))

    def close(self) -> None:
        """No further task will be put: `get` ends when the last one has ended."""
        self._closed = True
        self._notify()

    async def get(self) -> _Due | None:
        """The next task, when it is due; None when there is none left. Each is to be `put_back` or `end`ed."""
        while True:
            if self._heap and self._heap[0].at <= anyio.current_time():
                self._asking += 1
                return heapq.heappop(self._heap)
            if self._closed and not self._heap and not self._asking:
                return None
            changed = self._changed
            with anyio.move_on_at(self._heap[0].at) if self._heap else anyio.CancelScope():
                await changed.wait()

    def put_back(self, due: _Due) -> None:
        """The task has not ended: ask again when it is somewhat older."""
        now = anyio.current_time()
        pause = max(FIRST_ASK, (now - due.accepted_at) * (PATIENCE - 1))
        self._asking -= 1
        self._push(replace(due, at=now + min(pause, LONGEST_PAUSE)))

    def end(self) -> None:
        """The task is not to be asked about again."""
        self._asking -= 1
        self._notify()

    def _push(self, due: _Due) -> None:
        self._number += 1
        heapq.heappush(self._heap, due)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Poller:
    """What the pollers of one run share."""

    def __init__(
        self,
        service: Service,
        journal: Journal,
        halt: Halt,
        streak: Streak,
        listener: Listener,
        *,
        wall_clock: Callable[[], float],
        task_timeout: float,
    ) -> None:
        """`task_timeout` is how many seconds a task may take in this run before it is left `unfinished`."""
        self._service = service
        self._journal = journal
        self._halt = halt
        self._streak = streak
        self._listener = listener
        self._now = wall_clock
        self._task_timeout = task_timeout
        self.queue = TaskQueue()
        self.doubts: list[Doubt] = []
        """Rows of which only a look at the service's list can tell what became of them."""

    async def poll(self, *, workers: int) -> None:
        """Ask about every task of the queue until it is closed and empty, or the pace lets nothing be asked any more.

        Systemic trouble halts the run and is never raised here.
        """
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(self._work)

    async def _work(self) -> None:
        while (due := await self.queue.get()) is not None:
            try:
                await self._take(due, await self._service.task(due.task))
            except LaneClosedError:
                self._give_up()
            except StoppedError as error:
                self._give_up()
                self._halt.call(error)

    async def _take(self, due: _Due, answer: TaskAnswer) -> None:
        job = due.task.job
        match answer:
            case Created(mailbox_id):
                await self._end(due, Status.CREATED, mailbox_id=mailbox_id)
                self._streak.succeeded()
            case Failed(reason, duplicate):
                if duplicate:
                    await self._doubt(due, Status.FAILED, reason)
                else:
                    await self._end(due, Status.FAILED, reason)
                    self._streak.failed(job.request.anonymous(reason))
            case Pending() if anyio.current_time() - due.accepted_at >= self._task_timeout:
                minutes = self._task_timeout / 60
                await self._doubt(due, Status.UNFINISHED, f"accepted, and not done after {minutes:g} minutes")
            case Pending():
                self.queue.put_back(due)

    async def _end(self, due: _Due, status: Status, error: str = "", mailbox_id: str | None = None) -> None:
        await self._journal.record(Ended(due.task.job.line, status, self._now(), error, mailbox_id))
        self._listener.ended(status)
        self.queue.end()

    async def _doubt(self, due: _Due, status: Status, error: str) -> None:
        """The status holds unless the service's list says better."""
        now = self._now()
        await self._journal.record(Ended(due.task.job.line, status, now, error))
        self.doubts.append(Doubt(due.task.job, now, status))
        self.queue.end()

    def _give_up(self) -> None:
        """The journal says already that the task is unfinished."""
        self._listener.ended(Status.UNFINISHED)
        self.queue.end()
