"""Poll every open task to its end: all together, each when asking about it is next worth a request."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import StoppedError
from provisioner.journal import Finished
from provisioner.messages import duration
from provisioner.records import Created, Failed, Gone, OpenTask, Pending, Status, TaskAnswer, Unconfirmed
from provisioner.service.rate_limiter import LimiterClosedError, Permit, Priority
from provisioner.stages.stop_signal import FailureStreak

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.stages.context import RunContext

YOUNGEST = 0.5
"""Seconds after its creation before a task is asked about, and between two questions about it."""
PATIENCE, IMPATIENCE = 0.3, 0.05
"""A pending task is asked about again when it has aged by this share of its age: the first while there are many, the
second while there are few, which everyone waits for."""
ASKING_SHARE = 0.5
"""Share of all requests that may go to tasks that were pending before. It decides what is few and what is many."""
EARLY = 0.8
"""Tasks are first asked about at this part of the age at which half of them have ended: one question too many costs
less than a thousand tasks that were accepted together and are all noticed late. Simulated with a median of 10 s at 200
requests a second, 0.9 has them noticed later by an eighth, and 0.7 asks more without noticing them much sooner."""
NOTHING_KNOWN, SPREAD, DRIFT = 1.4, 0.5, 0.024
"""As differences of logarithms: how far off the typical duration may be before anything is learned, how far from it a
task's duration usually is, and how far it moves from one answer to the next. Simulated with medians of 0.5 to
60 s and spreads of 0.3 to 0.6, neither half nor double of any changes the outcome by more than a few percent."""

GONE_AFTER = 60.0
"""Seconds for which a task that the service does not know is polled on: a new one may not be known everywhere yet.
After that it is given up, and its row is unknown."""


class TypicalAge:
    """The age at which a task is first worth asking about, learned from the first answer about each.

    The logarithm of the age at which half of them have ended is believed to be normally distributed, and each answer,
    ended or not at some age, moves the belief by Bayes' rule with moments matched, as TrueSkill does it for won or lost
    (https://www.microsoft.com/en-us/research/publication/trueskilltm-a-bayesian-skill-rating-system/). So an answer
    that was to be expected, such as that of a task that waited long for its turn, moves it little.
    """

    def __init__(self) -> None:
        self._mean = math.log(YOUNGEST)
        self._variance = NOTHING_KNOWN**2
        self._side, self._in_a_row = 0.0, 0

    @property
    def seconds(self) -> float:
        return max(YOUNGEST, math.exp(self._mean) * EARLY)

    def learn(self, age: float, *, finished: bool) -> None:
        """A task that was asked about for the first time at this age had ended by then, or had not."""
        side = -1.0 if finished else 1.0
        scale = math.sqrt(SPREAD**2 + self._variance)
        surprise = side * (math.log(max(age, YOUNGEST / 10)) - self._mean) / scale
        # Beyond this the tail of the normal distribution is nothing to a float; the two sides meet as they should.
        surprise = min(surprise, 8.0)
        density = math.exp(-(surprise**2) / 2) / math.sqrt(2 * math.pi)
        lean = density / (math.erfc(surprise / math.sqrt(2)) / 2)
        self._mean += side * lean * self._variance / scale
        self._variance *= 1 - lean * (lean - surprise) * self._variance / scale**2
        # Answers to one side, one after another, are the sign of a belief that is too sure of itself.
        self._in_a_row = self._in_a_row + 1 if side == self._side else 1
        self._side = side
        self._variance += DRIFT**2 * self._in_a_row * lean**2


@dataclass(slots=True)
class Followed:
    """A task that is being polled. Times are on the event loop's clock."""

    task: OpenTask
    since: float
    """When it was accepted, or taken over from an earlier run."""
    fresh: bool
    """It was accepted in this run, and never asked about yet."""
    due: float = 0.0
    """When it was last worth asking about; the question may have waited for its turn since."""

    def age(self, now: float) -> float:
        return now - self.since


class Agenda:
    """Orders tasks by when they are next worth asking about. It has no clock and never waits."""

    def __init__(self, timeout: float, spacing: Callable[[], float]) -> None:
        """Each is due once more when it is `timeout` seconds old, whatever was learned.

        `spacing` returns how many seconds each question costs.
        """
        self._timeout = timeout
        self._spacing = spacing
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
        """When the next task is due; infinity if there is none."""
        fresh = self._fresh_at()
        return min(fresh, self._others[0][0]) if self._others else fresh

    def take(self) -> Followed | None:
        """Remove and return the task that is due first, no matter when; None if there is none."""
        if not self._others:
            return self._fresh.popleft() if self._fresh else None
        if self._fresh and self._fresh_at() <= self._others[0][0]:
            return self._fresh.popleft()
        return heapq.heappop(self._others)[2]

    def finished(self, followed: Followed, now: float) -> None:
        """Learn from a task that was asked about at `now` and had ended."""
        if followed.fresh:
            self._typical.learn(followed.age(now), finished=True)

    def pending(self, followed: Followed, now: float) -> None:
        """Learn from a task that was asked about at `now` and had not ended; it is due again later."""
        age = followed.age(now)
        if followed.fresh:
            self._typical.learn(age, finished=False)
            followed.fresh = False
        at = max(now + self._pause(age), followed.since + self._typical.seconds)
        self._push(max(now, min(at, followed.since + self._timeout)), followed)

    def _pause(self, age: float) -> float:
        affordable = len(self._others) * self._spacing() / ASKING_SHARE
        return max(YOUNGEST, age * IMPATIENCE, min(age * PATIENCE, affordable))

    def _fresh_at(self) -> float:
        wait = min(self._typical.seconds, self._timeout)
        return self._fresh[0].since + wait if self._fresh else math.inf

    def _push(self, at: float, followed: Followed) -> None:
        self._number += 1
        heapq.heappush(self._others, (at, self._number, followed))


class Poller:
    """Polls the tasks of one run; its workers share it."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._streak = FailureStreak(context.stop_signal, context.options.stop_after)
        self._task_timeout = context.options.task_timeout
        self._agenda = Agenda(self._task_timeout, lambda: context.limiter.spacing)
        self.open = 0
        """How many tasks have not ended."""
        self._complete = False
        self._given_up = False
        self._choosing = anyio.Lock(fast_acquire=True)
        self._wake = anyio.Event()
        self.slowest = 0.0
        """Seconds that the slowest task took, by when it was due and not by when the question had its turn."""
        self.unconfirmed_rows: list[Unconfirmed] = []
        """Rows that only the service's list can settle."""

    def follow(self, task: OpenTask, *, fresh: bool = True) -> None:
        """Poll a task, which was accepted just now; or, unless `fresh`, in an earlier run, no matter how long ago."""
        self.open += 1
        if self._given_up:
            self._leave()
            return
        self._agenda.add(Followed(task, anyio.current_time(), fresh))
        self._wake.set()

    def no_more(self) -> None:
        """Say that no further task will come: `poll` returns when the last open one has ended."""
        self._complete = True
        self._wake.set()

    async def poll(self, *, workers: int) -> None:
        """Ask about every task, at most `workers` at a time, until none is open, or the limiter is closed.

        Systemic trouble stops the run and is never raised here.
        """
        async with anyio.create_task_group() as watch:
            watch.start_soon(self._give_up_when_closed)
            async with anyio.create_task_group() as group:
                for _ in range(workers):
                    group.start_soon(self._work)
            watch.cancel_scope.cancel()

    async def _work(self) -> None:
        while (turn := await self._next()) is not None:
            followed, permit = turn
            try:
                await self._take(followed, await self._context.service.task(followed.task, permit))
            except LimiterClosedError:
                self._leave()
            except StoppedError as error:
                self._leave()
                self._context.stop_signal.set(error)

    async def _next(self) -> tuple[Followed, Permit] | None:
        """Return the task to ask about now, with the permit to ask; None when all is done.

        One worker at a time waits here, and it chooses only when it may send: what is worth asking changes meanwhile.
        """
        async with self._choosing:
            while (self.open or not self._complete) and not self._given_up:
                at = self._agenda.next_at()
                if at > anyio.current_time():
                    await self._sleep_until(at)
                    continue
                try:
                    permit = await self._context.limiter.acquire(Priority.QUERY)
                except LimiterClosedError:
                    self._give_up()
                    return None
                due = self._agenda.next_at()
                if (followed := self._agenda.take()) is not None:
                    followed.due = due
                    return followed, permit
        return None

    async def _sleep_until(self, at: float) -> None:
        """Sleep until then, or until something else may be due or nothing is left."""
        self._wake = anyio.Event()
        with anyio.CancelScope(deadline=at):
            await self._wake.wait()

    async def _take(self, followed: Followed, answer: TaskAnswer) -> None:
        now = anyio.current_time()
        job = followed.task.job
        match answer:
            case Created(mailbox_id):
                self._agenda.finished(followed, now)
                self.slowest = max(self.slowest, followed.age(followed.due))
                await self._end(followed, Status.CREATED, mailbox_id=mailbox_id)
                self._streak.succeeded()
            case Failed():
                self._agenda.finished(followed, now)
                await self._take_failure(followed, answer)
            case Gone() if followed.age(now) >= GONE_AFTER:
                self._agenda.finished(followed, now)
                gone = replace(job, maybe_sent=True)
                reason = "the service no longer knows its task"
                await self._leave_unconfirmed(
                    Unconfirmed(gone, followed.since, Status.UNKNOWN, resend=True, reason=reason)
                )
            case Pending() | Gone() if followed.age(now) >= self._task_timeout:
                waited = duration(self._task_timeout)
                reason = f"accepted, and not done after {waited}"
                await self._leave_unconfirmed(Unconfirmed(job, followed.since, Status.UNFINISHED, reason=reason))
            case Pending() | Gone() if self._given_up:
                self._leave()
            case Pending() | Gone():
                self._agenda.pending(followed, now)
                self._wake.set()

    async def _end(self, followed: Followed, status: Status, error: str = "", mailbox_id: str | None = None) -> None:
        context, row_id = self._context, followed.task.job.row_id
        await context.finish(Finished(row_id, status, context.wall_clock(), error, mailbox_id))
        self._close_one()

    async def _take_failure(self, followed: Followed, answer: Failed) -> None:
        job, reason = followed.task.job, answer.reason
        if not (answer.duplicate or answer.contradictory or job.maybe_sent):
            await self._end(followed, Status.FAILED, reason)
            self._streak.failed(job.request.anonymous(reason))
            return
        # The mailbox may be there all the same: by an earlier create of ours, or by this task, which ran twice.
        is_ours = job.maybe_sent or job.was_absent or answer.contradictory
        status = Status.UNKNOWN if is_ours else Status.FAILED
        if_absent = Status.UNKNOWN if job.maybe_sent else Status.FAILED
        job = replace(job, maybe_sent=job.maybe_sent or answer.contradictory)
        await self._leave_unconfirmed(Unconfirmed(job, followed.since, status, if_absent=if_absent, reason=reason))

    async def _leave_unconfirmed(self, unconfirmed: Unconfirmed) -> None:
        """The status holds unless the service's list says better; only then may it be sent again, if at all."""
        row_id, reason, now = unconfirmed.job.row_id, unconfirmed.reason, self._context.wall_clock()
        await self._context.journal.record(Finished(row_id, unconfirmed.status, now, reason, reason=reason))
        self.unconfirmed_rows.append(unconfirmed)
        self._close_one()

    async def _give_up_when_closed(self) -> None:
        await self._context.limiter.until_closed(Priority.QUERY)
        self._give_up()

    def _give_up(self) -> None:
        """Stop waiting for tasks, since nothing may be asked any more."""
        self._given_up = True
        while self._agenda.take() is not None:
            self._leave()
        self._wake.set()

    def _leave(self) -> None:
        """Leave a task as it is: the journal already says that it is unfinished."""
        self._context.listener.finished(Status.UNFINISHED)
        self._close_one()

    def _close_one(self) -> None:
        self.open -= 1
        if not self.open:
            self._wake.set()
