"""Follow every open task to its end: all task IDs together, each asked about when that is next worth a request."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import StoppedError
from provisioner.halt import Streak
from provisioner.journal import Ended, Journal
from provisioner.pace import Grant, Lane, LaneClosedError
from provisioner.records import Created, Doubt, Failed, OpenTask, Pending, Status, TaskAnswer
from provisioner.wording import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provisioner.halt import Halt
    from provisioner.pace import Pace
    from provisioner.progress import Listener
    from provisioner.service import Service

YOUNGEST = 1.0
"""Seconds: no task is asked about sooner, nor two questions about it follow each other more closely."""
PATIENCE = 0.3
"""A task that was pending is asked about again when it is so much older, as a part of its age: so it is noticed late
by less than that."""
LONGEST_PAUSE = 60.0
FIRST_STEP, SHORTEST_STEP, LONGEST_STEP = 0.3, 0.05, 0.4
"""How far the typical age is moved by one answer, as a difference of its logarithm."""
SAME_WAY, OTHER_WAY = 1.25, 0.6
"""Steps grow while answers agree and shrink when they do not, so it is found soon and then hardly moves."""
CLOSE = 1.15
"""Ages that differ by no more than this factor say something about each other."""


class TypicalAge:
    """The age at which about half of the tasks have ended, learned from the first answer about each.

    A task found ended long after that age says nothing: it may have ended at any time before. So learning is not misled
    when the pace, and not the service, is what tasks wait for.
    """

    def __init__(self) -> None:
        self.seconds = YOUNGEST
        self._step = FIRST_STEP
        self._direction = 0

    def learn(self, age: float, *, ended: bool) -> None:
        """A task that was asked about for the first time at this age had ended by then, or not."""
        if age > self.seconds * CLOSE if ended else age < self.seconds / CLOSE:
            return
        direction = -1 if ended else 1
        step = self._step * (SAME_WAY if direction == self._direction else OTHER_WAY)
        self._step = min(LONGEST_STEP, max(SHORTEST_STEP, step))
        self._direction = direction
        self.seconds = max(YOUNGEST, self.seconds * math.exp(direction * self._step))


@dataclass(slots=True)
class Followed:
    """A task that is followed. Times are on the event loop's clock."""

    task: OpenTask
    since: float
    """When it was accepted, or taken over from an earlier run."""
    fresh: bool
    """It was accepted in this run and never asked about."""

    def age(self, now: float) -> float:
        return now - self.since


class Agenda:
    """Tasks by when they are next worth asking about. Knows no clock and waits for nothing."""

    def __init__(self, timeout: float) -> None:
        """Each is due once more when it is `timeout` seconds old, whatever was learned."""
        self._timeout = timeout
        self._typical = TypicalAge()
        self._fresh: deque[Followed] = deque()
        """In the order of their age, which is that of their turn, however the typical age moves."""
        self._others: list[tuple[float, int, Followed]] = []
        self._number = 0

    def add(self, followed: Followed) -> None:
        """A fresh task when it is worth it, one from an earlier run at once."""
        if followed.fresh:
            self._fresh.append(followed)
        else:
            self._push(followed.since, followed)

    def next_at(self) -> float:
        """When the next task is due; infinity where there is none."""
        fresh = self._fresh_at()
        return min(fresh, self._others[0][0]) if self._others else fresh

    def take(self) -> Followed | None:
        """The task that is due first, no matter when; None where there is none."""
        if not self._others:
            return self._fresh.popleft() if self._fresh else None
        if self._fresh and self._fresh_at() <= self._others[0][0]:
            return self._fresh.popleft()
        return heapq.heappop(self._others)[2]

    def ended(self, followed: Followed, now: float) -> None:
        """It was asked about at `now`, and is not to be asked about again."""
        if followed.fresh:
            self._typical.learn(followed.age(now), ended=True)

    def pending(self, followed: Followed, now: float) -> None:
        """It was asked about at `now`, and had not ended: it is due again when it is somewhat older."""
        age = followed.age(now)
        if followed.fresh:
            self._typical.learn(age, ended=False)
            followed.fresh = False
        pause = min(max(YOUNGEST, age * PATIENCE), LONGEST_PAUSE)
        at = max(now + pause, followed.since + self._typical.seconds)
        self._push(max(now, min(at, followed.since + self._timeout)), followed)

    def clear(self) -> Iterator[Followed]:
        """Take every task, in no order that means anything."""
        while (followed := self.take()) is not None:
            yield followed

    def _fresh_at(self) -> float:
        wait = min(self._typical.seconds, self._timeout)
        return self._fresh[0].since + wait if self._fresh else math.inf

    def _push(self, at: float, followed: Followed) -> None:
        self._number += 1
        heapq.heappush(self._others, (at, self._number, followed))


class Poller:
    """What the workers that ask about the tasks of one run share."""

    def __init__(
        self,
        service: Service,
        pace: Pace,
        journal: Journal,
        halt: Halt,
        listener: Listener,
        *,
        wall_clock: Callable[[], float],
        stop_after: int,
        task_timeout: float,
    ) -> None:
        """`task_timeout` is how many seconds a task may take in this run before it is left `unfinished`."""
        self._service = service
        self._pace = pace
        self._journal = journal
        self._halt = halt
        self._streak = Streak(halt, stop_after)
        self._listener = listener
        self._now = wall_clock
        self._task_timeout = task_timeout
        self._agenda = Agenda(task_timeout)
        self._open = 0
        self._complete = False
        self._given_up = False
        self._choosing = anyio.Lock(fast_acquire=True)
        self._sleeps_until = math.inf
        self._wake = anyio.Event()
        self.doubts: list[Doubt] = []
        """Rows of which only a look at the service's list can tell what became of them."""

    def follow(self, task: OpenTask) -> None:
        """Take on a task that was accepted just now."""
        self._take_on(task, fresh=True)

    def resume(self, task: OpenTask) -> None:
        """Take on a task that was accepted in an earlier run, how long ago does not matter."""
        self._take_on(task, fresh=False)

    def no_more(self) -> None:
        """No further task will be taken on: `poll` ends with the last one that is open."""
        self._complete = True
        self._wake.set()

    async def poll(self, *, workers: int) -> None:
        """Ask about every task, `workers` at a time at most, until none is open or the pace lets nothing be asked.

        Systemic trouble halts the run and is never raised here.
        """
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._give_up_when_closed)
            async with anyio.create_task_group() as group:
                for _ in range(workers):
                    group.start_soon(self._work)
            watch.cancel_scope.cancel()

    async def _work(self) -> None:
        while (turn := await self._next()) is not None:
            followed, grant = turn
            try:
                await self._take(followed, await self._service.task(followed.task, grant))
            except LaneClosedError:
                self._leave()
            except StoppedError as error:
                self._leave()
                self._halt.call(error)

    async def _next(self) -> tuple[Followed, Grant] | None:
        """The task to ask about now, with the leave to ask; None when all is done.

        One worker at a time waits here, and chooses only when it may send: what is worth asking changes meanwhile.
        """
        async with self._choosing:
            while (self._open or not self._complete) and not self._given_up:
                at = self._agenda.next_at()
                if at > anyio.current_time():
                    await self._sleep_until(at)
                    continue
                try:
                    grant = await self._pace.grant(Lane.ASK)
                except LaneClosedError:
                    self._give_up()
                    return None
                if (followed := self._agenda.take()) is not None:
                    return followed, grant
        return None

    async def _sleep_until(self, at: float) -> None:
        """Until then, or until something is due sooner or nothing is left."""
        self._sleeps_until = at
        self._wake = anyio.Event()
        with anyio.CancelScope(deadline=at):
            await self._wake.wait()
        self._sleeps_until = math.inf

    async def _take(self, followed: Followed, answer: TaskAnswer) -> None:
        now = anyio.current_time()
        request = followed.task.job.request
        match answer:
            case Created(mailbox_id):
                self._agenda.ended(followed, now)
                await self._end(followed, Status.CREATED, mailbox_id=mailbox_id)
                self._streak.succeeded()
            case Failed(reason, duplicate):
                self._agenda.ended(followed, now)
                if duplicate:
                    await self._doubt(followed, Status.FAILED, reason)
                else:
                    await self._end(followed, Status.FAILED, reason)
                    self._streak.failed(request.anonymous(reason))
            case Pending() if followed.age(now) >= self._task_timeout:
                waited = duration(self._task_timeout)
                await self._doubt(followed, Status.UNFINISHED, f"accepted, and not done after {waited}")
            case Pending() if self._given_up:
                self._leave()
            case Pending():
                self._agenda.pending(followed, now)
                self._wake_if_sooner()

    async def _end(self, followed: Followed, status: Status, error: str = "", mailbox_id: str | None = None) -> None:
        await self._journal.record(Ended(followed.task.job.line, status, self._now(), error, mailbox_id))
        self._listener.ended(status)
        self._close_one()

    async def _doubt(self, followed: Followed, status: Status, error: str) -> None:
        """The status holds unless the service's list says better."""
        await self._journal.record(Ended(followed.task.job.line, status, self._now(), error))
        self.doubts.append(Doubt(followed.task.job, followed.since, status))
        self._close_one()

    def _take_on(self, task: OpenTask, *, fresh: bool) -> None:
        self._open += 1
        if self._given_up:
            self._leave()
            return
        self._agenda.add(Followed(task, anyio.current_time(), fresh))
        self._wake_if_sooner()

    async def _give_up_when_closed(self) -> None:
        await self._pace.until_closed(Lane.ASK)
        self._give_up()

    def _give_up(self) -> None:
        """Nothing may be asked any more, so no task is waited for."""
        self._given_up = True
        for _ in self._agenda.clear():
            self._leave()
        self._wake.set()

    def _leave(self) -> None:
        """Leave a task as it is: the journal says already that it is unfinished."""
        self._listener.ended(Status.UNFINISHED)
        self._close_one()

    def _close_one(self) -> None:
        self._open -= 1
        if not self._open:
            self._wake.set()

    def _wake_if_sooner(self) -> None:
        if self._agenda.next_at() < self._sleeps_until:
            self._wake.set()
