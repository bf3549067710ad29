"""Following tasks: what to ask when, by calculation; and the asking itself, against the stand-in."""

from __future__ import annotations

import math
import statistics
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import context_of

from provisioner.errors import KeyRefusedError, SameFailureError
from provisioner.records import Accepted, Failed, Job, OpenTask, Rate, Request, RowId, Status, TaskId
from provisioner.secret import Secret
from provisioner.service.rate_limiter import Priority
from provisioner.stages import poll
from provisioner.stages.poll import EARLY, YOUNGEST, Agenda, Followed, Poller, TypicalAge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from provisioner.journal import Journal
    from provisioner.settings import Connection
    from provisioner.stages.context import RunContext

SPACING = 0.1


@pytest.fixture(autouse=True)
def swift_practice() -> None:
    """Here tasks are asked about when they are for people."""


def followed(number: int, since: float, *, fresh: bool = True) -> Followed:
    job = Job(RowId(number), Request(f"user{number}", 101, 201, None, None, None))
    return Followed(OpenTask(job, TaskId(str(number))), since, fresh)


@pytest.mark.parametrize("median", [0.7, 2.0, 10.0, 60.0, 600.0])
@pytest.mark.parametrize("spread", [0.1, 0.3, 0.6])
def test_the_typical_age_is_found_within_a_few_dozen_answers(median: float, spread: float) -> None:
    """Asked about somewhat before the age that is believed typical, fifty tasks teach that age, within a third."""
    draw = Random(f"{median}/{spread}")
    typical = TypicalAge()
    ages = []
    for _ in range(150):
        ages.append(typical.seconds)
        typical.learn(typical.seconds, finished=draw.lognormvariate(math.log(median), spread) <= typical.seconds)
    assert max(ages) < 6 * median
    assert median / 1.35 < statistics.median(ages[50:]) / EARLY < median * 1.35


@pytest.mark.parametrize(("before", "after"), [(10.0, 40.0), (10.0, 2.0)])
def test_a_service_that_changes_its_speed_is_followed(before: float, after: float) -> None:
    """Four times slower or five times faster than it was for a thousand tasks is noticed within two hundred."""
    draw = Random(1)
    typical = TypicalAge()
    for number in range(1300):
        duration = draw.lognormvariate(math.log(before if number < 1000 else after), 0.3)
        typical.learn(typical.seconds, finished=duration <= typical.seconds)
    assert after / 1.4 < typical.seconds < after * 1.4


def test_tasks_found_late_do_not_mislead() -> None:
    """That a task of ten seconds had ended after five minutes says next to nothing."""
    typical = TypicalAge()
    draw = Random(1)
    for _ in range(200):
        typical.learn(typical.seconds, finished=draw.lognormvariate(math.log(10), 0.3) <= typical.seconds)
    learned = typical.seconds
    for _ in range(1000):
        typical.learn(300.0, finished=True)
    assert learned / 1.5 < typical.seconds <= learned


@given(st.lists(st.tuples(st.floats(0, 1e9), st.booleans()), max_size=300))
def test_no_answers_break_the_belief(answers: list[tuple[float, bool]]) -> None:
    """Whatever is answered at whatever age, the typical age stays a positive, finite number."""
    typical = TypicalAge()
    for age, finished in answers:
        typical.learn(age, finished=finished)
    assert YOUNGEST <= typical.seconds < math.inf


def test_fresh_tasks_come_in_the_order_of_their_age_when_they_are_old_enough() -> None:
    """Nothing is due before the youngest age; then the oldest first."""
    agenda = Agenda(900.0, lambda: SPACING)
    assert agenda.next_at() == math.inf
    for number in range(3):
        agenda.add(followed(number, since=float(number)))
    assert agenda.next_at() == YOUNGEST
    assert [task.task.task_id for task in iter(agenda.take, None)] == ["0", "1", "2"]
    assert agenda.take() is None


def test_what_is_learned_moves_all_tasks_that_wait() -> None:
    """Once a few young tasks were still pending, the others are left alone for longer."""
    agenda = Agenda(900.0, lambda: SPACING)
    for number in range(10):
        agenda.add(followed(number, since=0.0))
    for _ in range(4):
        now = agenda.next_at()
        first = agenda.take()
        assert first is not None
        agenda.pending(first, now)
    assert agenda.next_at() > 3 * YOUNGEST


def test_tasks_of_an_earlier_run_are_due_at_once_and_teach_nothing() -> None:
    """How old they are is not known: they come first, and the typical age stays as it was."""
    agenda = Agenda(900.0, lambda: SPACING)
    agenda.add(followed(1, since=100.0))
    agenda.add(followed(2, since=100.0, fresh=False))
    assert agenda.next_at() == 100.0
    old = agenda.take()
    assert old is not None
    assert old.task.task_id == "2"
    agenda.pending(old, 100.0)
    assert agenda._typical.seconds == pytest.approx(YOUNGEST)


def test_a_pending_task_is_asked_about_again_after_a_part_of_its_age() -> None:
    """Less often the older it is; more often when there are few, down to a twentieth of its age."""
    many, few = Agenda(9000.0, lambda: SPACING), Agenda(9000.0, lambda: SPACING)
    for number in range(1000):
        many.add(followed(number, since=100.0, fresh=False))
    for agenda, part in ((many, 0.3), (few, 0.05)):
        task = followed(9999, since=0.0, fresh=False)
        agenda.pending(task, 100.0)
        due = next(at for at, _, waiting in agenda._others if waiting is task)
        assert due == pytest.approx(100.0 + part * 100.0)


def test_a_task_is_asked_about_when_its_time_is_up() -> None:
    """However long the pauses have become, the last question comes at the time-out."""
    agenda = Agenda(100.0, lambda: SPACING)
    task = followed(1, since=0.0, fresh=False)
    agenda.pending(task, 99.0)
    assert agenda.next_at() == 100.0


@dataclass
class Outcome:
    polls: float
    """For each mailbox."""
    lateness: float
    """Of the median task, as a part of its duration."""
    seconds_late: float
    wall: float
    """Against the least possible."""


def simulate(count: int, rate: float, median: float, spread: float, seed: int = 1) -> Outcome:
    """A whole run on paper: creates first, a tenth for questions, one request each `1 / rate` seconds."""
    draw = Random(seed)
    agenda = Agenda(900.0, lambda: 1 / rate)
    ends: dict[str, tuple[float, float]] = {}
    late: list[tuple[float, float]] = []
    now, asked, in_a_row = 0.0, 0, 0
    while len(late) < count:
        due = agenda.next_at() <= now
        if len(ends) < count and not (due and in_a_row >= 9):
            duration = draw.lognormvariate(math.log(median), spread)
            task = followed(len(ends), since=now)
            ends[task.task.task_id] = (now + duration, duration)
            agenda.add(task)
            in_a_row += 1
        elif due and (chosen := agenda.take()):
            asked, in_a_row = asked + 1, 0
            end, duration = ends[chosen.task.task_id]
            if end <= now:
                agenda.finished(chosen, now)
                late.append(((now - end) / duration, now - end))
            else:
                agenda.pending(chosen, now)
        now += 1 / rate
    longest = max(duration for _, duration in ends.values())
    least = max(2 * count / rate, count / rate + longest)
    parts, seconds = zip(*late, strict=True)
    return Outcome(asked / count, statistics.median(parts), statistics.median(seconds), now / least)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("median", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("rate", [5, 20])
def test_where_the_rate_is_the_limit_tasks_are_asked_about_once(rate: int, median: float, seed: int) -> None:
    """A thousand tasks that end sooner than they can be asked about cost one question each, and the least time."""
    outcome = simulate(1000, rate, median, 0.3, seed)
    assert outcome.polls <= 1.1
    assert outcome.wall <= 1.05


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("count", "rate", "median"), [(1000, 200, 60), (100, 5, 60), (20, 5, 10)])
def test_where_the_rate_is_not_the_limit_tasks_are_noticed_soon(
    count: int, rate: int, median: float, seed: int
) -> None:
    """The median task is noticed within a fifth of its duration or two seconds, and the last one hardly late."""
    outcome = simulate(count, rate, median, 0.3, seed)
    assert outcome.lateness <= 0.2 or outcome.seconds_late <= 2.0
    assert outcome.wall <= 1.08
    assert outcome.polls <= 6


@given(
    durations=st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=40),
    rate=st.sampled_from([1.0, 5.0, 100.0]),
)
def test_every_task_is_asked_about_until_it_ends_or_its_time_is_up(durations: Sequence[float], rate: float) -> None:
    """No task is forgotten, however the others behave, and none is asked about twice within the youngest age."""
    agenda = Agenda(900.0, lambda: 1 / rate)
    now = 0.0
    last_asked: dict[str, float] = {}
    for number, _ in enumerate(durations):
        agenda.add(followed(number, since=0.0))
    open_tasks = len(durations)
    while open_tasks:
        now = max(now + 1 / rate, agenda.next_at())
        task = agenda.take()
        assert task is not None
        assert now - last_asked.get(task.task.task_id, -math.inf) >= min(YOUNGEST, 900.0 - now) - 1e-9
        last_asked[task.task.task_id] = now
        if durations[task.task.job.row_id] <= now or now >= 900.0:
            agenda.finished(task, now)
            open_tasks -= 1
        else:
            agenda.pending(task, now)
    assert agenda.next_at() == math.inf


class Work:
    """A poller with all that it needs."""

    def __init__(self, context: RunContext) -> None:
        self.service = context.service
        self.limiter = context.limiter
        self.stop_signal = context.stop_signal
        self.poller = Poller(context)

    async def accept(self, job: Job) -> OpenTask:
        """Create a mailbox without the journal's knowing how."""
        answer = await self.service.create(job.request, await self.limiter.acquire(Priority.CREATE))
        assert isinstance(answer, Accepted)
        return OpenTask(job, answer.task_id)

    async def follow(self, jobs: Sequence[Job], *, workers: int = 8) -> None:
        """Create all, and ask until they have ended."""
        for job in jobs:
            self.poller.follow(await self.accept(job))
        self.poller.no_more()
        await self.poller.poll(workers=workers)


@asynccontextmanager
async def working(to: Connection, journal: Journal, listener: Any, **options: Any) -> AsyncIterator[Work]:
    context = context_of(to, journal, listener, **options)
    async with context.service:
        yield Work(context)


def statuses(stored: Callable[[], Any]) -> list[str]:
    return [line["status"] for line in stored()]


@pytest.mark.anyio
async def test_every_task_is_followed_to_its_end(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Mailboxes are created or failed as the service says, with their IDs and reasons in the journal."""
    running = sandbox(latency=0.3, fail_share=0.3, seed=4)
    async with working(connection(running), journal, listener) as work:
        await work.follow(await jobs(30))
    states = list(running.state.tasks.values())
    assert statuses(stored).count(Status.CREATED) == states.count("success")
    assert statuses(stored).count(Status.FAILED) == states.count("failure") > 0
    assert all(line["mailbox_id"] for line in stored() if line["status"] == Status.CREATED)
    assert all(line["explanation"] for line in stored() if line["status"] == Status.FAILED)
    assert len(listener.all("finished")) == 30


@pytest.mark.anyio
async def test_nothing_to_follow_ends_at_once(connection: Any, listener: Any, journal: Journal) -> None:
    """A poller without tasks that is told so returns, before or after it began."""
    async with working(connection("http://127.0.0.1:9"), journal, listener) as work:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work.poller.poll(workers=3))
            await anyio.wait_all_tasks_blocked()
            work.poller.no_more()
        await work.poller.poll(workers=3)


@pytest.mark.anyio
async def test_tasks_may_come_while_others_are_asked_about(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Polling begins with the first task and goes on with the last, whoever is waiting for what."""
    async with working(connection(sandbox(latency=0.2)), journal, listener) as work:
        todo = await jobs(12)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work.poller.poll(workers=3))
            for job in todo:
                await anyio.sleep(0.1)
                work.poller.follow(await work.accept(job))
            assert statuses(stored).count(Status.CREATED) > 0
            work.poller.no_more()
    assert statuses(stored) == [Status.CREATED] * 12


@pytest.mark.anyio
async def test_a_task_of_an_earlier_run_is_asked_about_at_once(
    sandbox: Any,
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What ended long ago is noticed with the first request, without the wait that a new task is given."""
    monkeypatch.setattr(poll, "YOUNGEST", 3600.0)
    running = sandbox(latency=0.0)
    async with working(connection(running), journal, listener) as work:
        tasks = [await work.accept(job) for job in await jobs(5)]
        for task in tasks:
            work.poller.follow(task, fresh=False)
        work.poller.no_more()
        with anyio.fail_after(20):
            await work.poller.poll(workers=2)
    assert statuses(stored) == [Status.CREATED] * 5
    assert sum(request.kind == "task" for request in running.state.requests) == 5


@pytest.mark.anyio
async def test_a_stuck_task_is_left_unfinished_in_time(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """When its time is up it is in doubt, not forgotten and not sent again; the others are done."""
    running = sandbox(latency=0.1, stuck_share=0.3, seed=2)
    async with working(connection(running), journal, listener, task_timeout=1.5) as work:
        started = anyio.current_time()
        await work.follow(await jobs(10))
        assert anyio.current_time() - started >= 1.5
    stuck = [line for line in stored() if line["status"] == Status.UNFINISHED]
    assert 0 < len(stuck) < 10
    assert {unconfirmed.job.row_id for unconfirmed in work.poller.unconfirmed_rows} == {line["id"] for line in stuck}
    assert not any(unconfirmed.resend for unconfirmed in work.poller.unconfirmed_rows)
    assert stuck[0]["explanation"] == "accepted, and not done after 1.5 seconds"


@pytest.mark.anyio
@pytest.mark.parametrize("unknown_task", ["404", "pending"])
async def test_a_task_that_the_service_does_not_know_is_waited_for(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any, unknown_task: str
) -> None:
    """A 404 to a fresh task, or Celery's pending for what it never saw, counts as not ended until the time is up."""
    running = sandbox(unknown_task=unknown_task)
    async with working(connection(running), journal, listener, task_timeout=1.2) as work:
        (job,) = await jobs(1)
        work.poller.follow(OpenTask(job, TaskId("nobody-knows-it")))
        work.poller.no_more()
        await work.poller.poll(workers=2)
    assert statuses(stored) == [Status.UNFINISHED]
    assert sum(request.kind == "task" for request in running.state.requests) >= 2


@pytest.mark.anyio
@pytest.mark.parametrize("fresh", [True, False])
async def test_a_task_that_is_gone_for_good_may_be_sent_again_after_a_look(
    sandbox: Any,
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
    *,
    fresh: bool,
) -> None:
    """Not known for long enough: it ends as a doubt that allows another create, as one in doubt."""
    monkeypatch.setattr(poll, "GONE_AFTER", 1.2)
    running = sandbox()
    async with working(connection(running), journal, listener) as work:
        (job,) = await jobs(1)
        started = anyio.current_time()
        work.poller.follow(OpenTask(job, TaskId("nobody-knows-it")), fresh=fresh)
        work.poller.no_more()
        await work.poller.poll(workers=2)
        assert anyio.current_time() - started >= 1.2
    (unconfirmed,) = work.poller.unconfirmed_rows
    assert (unconfirmed.job, unconfirmed.status, unconfirmed.resend) == (
        replace(job, maybe_sent=True),
        Status.UNKNOWN,
        True,
    )
    assert statuses(stored) == [Status.UNKNOWN]
    assert stored()[0]["explanation"] == "the service no longer knows its task"
    assert sum(request.kind == "task" for request in running.state.requests) >= 2


@pytest.mark.anyio
@pytest.mark.parametrize(("maybe_sent", "status"), [(False, Status.FAILED), (True, Status.UNKNOWN)])
async def test_a_task_that_finds_its_address_taken_is_in_doubt(
    connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any, *, maybe_sent: bool, status: Status
) -> None:
    """The list decides; until then it failed, or is unknown where an unseen create of ours may have taken it."""
    async with working(connection("http://127.0.0.1:9"), journal, listener) as work:
        (job,) = await jobs(1)
        task = OpenTask(replace(job, maybe_sent=maybe_sent), TaskId("t"))
        await work.poller._take(Followed(task, anyio.current_time(), fresh=True), Failed("taken", duplicate=True))
    (unconfirmed,) = work.poller.unconfirmed_rows
    assert (unconfirmed.status, unconfirmed.resend) == (status, False)
    assert statuses(stored) == [status]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "before", "status", "if_absent"),
    [
        (Failed("no room", contradictory=True), {}, Status.UNKNOWN, Status.FAILED),
        (Failed("taken", duplicate=True), {"was_absent": True}, Status.UNKNOWN, Status.FAILED),
        (Failed("Conflict."), {"maybe_sent": True}, Status.UNKNOWN, Status.UNKNOWN),
    ],
    ids=["contradiction", "ran twice", "after an unclear create"],
)
async def test_a_failure_that_the_list_may_disprove_is_looked_up(
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    *,
    answer: Failed,
    before: dict[str, bool],
    status: Status,
    if_absent: Status,
) -> None:
    """A success that says it failed, a task that ran twice, one after an unclear create: the mailbox may be there."""
    async with working(connection("http://127.0.0.1:9"), journal, listener) as work:
        (job,) = await jobs(1)
        task = OpenTask(replace(job, **before), TaskId("t"))
        await work.poller._take(Followed(task, anyio.current_time(), fresh=True), answer)
    (unconfirmed,) = work.poller.unconfirmed_rows
    assert (unconfirmed.status, unconfirmed.if_absent, unconfirmed.reason) == (status, if_absent, answer.reason)
    assert statuses(stored) == [status]


@pytest.mark.anyio
async def test_task_after_task_with_one_cause_stops_the_run(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any
) -> None:
    """A cause that shows in the tasks alone halts the creates while there is still something to save."""
    running = sandbox(latency=0.0, fail_share=1.0, seed=1)
    async with working(connection(running), journal, listener, stop_after=3) as work:
        await work.follow(await jobs(60))
    assert isinstance(work.stop_signal.reason, SameFailureError)


@pytest.mark.anyio
async def test_when_nothing_may_be_asked_any_more_nobody_waits(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that are due in an hour are left at once when the lane closes, and so are those that come later."""
    monkeypatch.setattr(poll, "YOUNGEST", 3600.0)
    async with working(connection(sandbox(latency=600.0)), journal, listener, task_timeout=9000.0) as work:
        tasks = [await work.accept(job) for job in await jobs(12)]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: work.poller.poll(workers=4))
            for task in tasks[:10]:
                work.poller.follow(task)
            await anyio.wait_all_tasks_blocked()
            work.limiter.close(Priority.QUERY)
            await anyio.wait_all_tasks_blocked()
            for task in tasks[10:]:
                work.poller.follow(task)
            work.poller.no_more()
    assert listener.all("finished") == [(Status.UNFINISHED,)] * 12
    assert work.stop_signal.reason is None


@pytest.mark.anyio
async def test_a_key_that_is_refused_meanwhile_halts_the_run(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """The journal keeps every task as unfinished, and the run learns why it ends."""
    running = sandbox(latency=600.0)
    todo = await jobs(3)
    async with working(connection(running), journal, listener) as work:
        tasks = [await work.accept(job) for job in todo]
    async with working(connection(running, api_key=Secret("withdrawn")), journal, listener) as work:
        work.stop_signal.on_set(lambda _reason: work.limiter.close(Priority.QUERY))
        for task in tasks:
            work.poller.follow(task)
        work.poller.no_more()
        await work.poller.poll(workers=2)
    assert isinstance(work.stop_signal.reason, KeyRefusedError)
    assert listener.all("finished") == [(Status.UNFINISHED,)] * 3


@pytest.mark.anyio
async def test_questions_keep_to_the_pace(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """However many workers there are, questions take as long as the rate says."""
    running = sandbox(latency=0.2)
    async with working(connection(running, rates=(Rate(20, 1.0),)), journal, listener) as work:
        for job in await jobs(30):
            work.poller.follow(await work.accept(job))
        work.poller.no_more()
        started = anyio.current_time()
        await work.poller.poll(workers=20)
        seconds = anyio.current_time() - started
    questions = sum(request.kind == "task" for request in running.state.requests)
    assert 30 <= questions <= 1 + 20 * seconds
    assert statuses(stored) == [Status.CREATED] * 30
