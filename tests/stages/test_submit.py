"""Sending creates: against the stand-in, with a journal on the disk."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from itertools import count
from threading import Barrier
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from running import context_of
from scripted import Scripted, reply

from provisioner.errors import JournalError, KeyRefusedError, SameFailureError, ServiceDownError
from provisioner.records import OpenTask, Rate, Status
from provisioner.secret import Secret
from provisioner.service.rate_limiter import Permit, Priority
from provisioner.service.transport import ConnectionPool
from provisioner.stages.submit import Submitter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provisioner.journal import Journal
    from provisioner.records import Job
    from provisioner.settings import Connection
    from provisioner.stages.context import RunContext

pytestmark = pytest.mark.anyio


class Work:
    """A submitter with all that it needs, and what came of it."""

    def __init__(self, context: RunContext) -> None:
        self.limiter = context.limiter
        self.stop_signal = context.stop_signal
        self.stop_signal.on_set(lambda _reason: self.limiter.close(Priority.CREATE))
        self.accepted: list[OpenTask] = []
        self.submitter = Submitter(context, accepted=self.accepted.append)
        self.submit = self.submitter.submit


@asynccontextmanager
async def working(to: Connection, journal: Journal, listener: Any, **options: Any) -> AsyncIterator[Work]:
    context = context_of(to, journal, listener, **options)
    async with context.service:
        yield Work(context)


def statuses(stored: Any) -> list[str]:
    return [line["status"] for line in stored()]


def history(stored: Any, job: Job) -> list[str]:
    """Everything that the journal wrote down about one row, in order."""
    return [event["kind"] for event in stored("SELECT * FROM events ORDER BY id") if event["row_id"] == job.row_id]


async def test_every_job_becomes_a_task_once(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Each row is created once, its task ID stored before anybody is told of it."""
    running = sandbox()
    todo = await jobs(50)
    async with working(connection(running), journal, listener) as work:
        await work.submit(todo, workers=8)
    assert {received.received for received in running.state.creates.values()} == {1}
    assert len(running.state.creates) == 50
    assert {task.job.row_id: task.task_id for task in work.accepted} == {
        line["id"]: line["task_id"] for line in stored()
    }
    assert statuses(stored) == [Status.UNFINISHED] * 50
    assert len(listener.all("sent")) == 50
    assert history(stored, todo[0]) == ["sending", "accepted"]


async def test_the_intent_is_on_the_disk_before_the_service_hears_of_it(
    sandbox: Any,
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whenever a request leaves, another process that opens the journal finds its row marked as sent."""
    seen: list[str] = []
    send = ConnectionPool.send

    async def look_first(self: ConnectionPool, *request: Any) -> Any:
        seen.extend(await anyio.to_thread.run_sync(statuses, stored))
        return await send(self, *request)

    monkeypatch.setattr(ConnectionPool, "send", look_first)
    async with working(connection(sandbox()), journal, listener) as work:
        await work.submit(await jobs(1), workers=1)
    assert seen == [Status.UNKNOWN]


async def test_few_rows_are_announced_while_they_wait(
    sandbox: Any,
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many workers there are, no more than two rows are in doubt that were not sent, at a slow rate."""
    running = sandbox()
    to = connection(running, rates=(Rate(5, 1.0),))
    waiting: list[int] = []
    permits = 0

    async def counted(priority: Priority) -> Permit:
        nonlocal permits
        permit = await acquire(priority)
        permits += 1
        return permit

    async with working(to, journal, listener) as work, anyio.create_task_group() as group:
        todo, acquire = await jobs(12), work.limiter.acquire
        monkeypatch.setattr(work.limiter, "acquire", counted)
        group.start_soon(lambda: work.submit(todo, workers=20))
        while len(work.accepted) < 6:
            await anyio.sleep(0.02)
            waiting.append(len(stored("SELECT * FROM events WHERE kind = 'sending'")) - permits)
    assert 0 < max(waiting) <= 2
    assert running.state.throttled == 0


async def test_a_lane_that_closes_takes_the_intent_back(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """What was announced and not sent when the run was stopped is unsent, as is all that was not announced."""
    running = sandbox()
    to = connection(running, rates=(Rate(1, 60.0),))
    todo = await jobs(5)
    async with working(to, journal, listener) as work, anyio.create_task_group() as group:
        group.start_soon(lambda: work.submit(todo, workers=5))
        while "sending" not in history(stored, todo[1]):  # noqa: ASYNC110 - looked at from outside
            await anyio.sleep(0.01)
        work.stop_signal.set(KeyRefusedError("stop"))
    assert statuses(stored) == [Status.UNFINISHED, *[Status.UNSENT] * 4]
    assert history(stored, todo[1]) == ["sending", "cancelled"]
    assert history(stored, todo[4]) == []
    assert len(running.state.creates) == 1


async def test_a_refused_key_stops_all_workers(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Nothing was made, so every row is unsent, and the first refusal is the reason."""
    running = sandbox()
    async with working(connection(running, api_key=Secret("wrong")), journal, listener) as work:
        await work.submit(await jobs(100), workers=4)
    assert isinstance(work.stop_signal.reason, KeyRefusedError)
    assert statuses(stored) == [Status.UNSENT] * 100
    assert len(running.state.requests) <= 4


async def test_refused_rows_are_rejected_and_the_rest_goes_on(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """The service's sentence stays with its row."""
    todo = await jobs(6)
    todo[2:4] = [type(job)(job.row_id, type(job.request)("x", 999, 201, None, None, None)) for job in todo[2:4]]
    async with working(connection(sandbox()), journal, listener) as work:
        await work.submit(todo, workers=3)
    assert statuses(stored) == [*[Status.UNFINISHED] * 2, *[Status.REJECTED] * 2, *[Status.UNFINISHED] * 2]
    assert stored()[2]["explanation"].startswith("domain: ")
    assert listener.all("finished") == [(Status.REJECTED,)] * 2


async def test_row_after_row_with_one_cause_stops_the_run(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Twenty refusals in a row for the same reason: the rows behind them are not sent."""
    running = sandbox()
    async with working(connection(running), journal, listener, stop_after=20) as work:
        await work.submit(await jobs(200, domain=104), workers=5)
    assert isinstance(work.stop_signal.reason, SameFailureError)
    assert 20 <= statuses(stored).count(Status.REJECTED) <= 25
    assert set(statuses(stored)) == {Status.REJECTED, Status.UNSENT}


async def test_an_accepted_row_breaks_the_streak(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Refusals with accepted rows between them do not stop the run."""
    todo = await jobs(40)
    for number in range(0, 40, 2):
        job = todo[number]
        todo[number] = type(job)(job.row_id, type(job.request)("x", 104, 201, None, None, None))
    async with working(connection(sandbox()), journal, listener, stop_after=3) as work:
        await work.submit(todo, workers=1)
    assert work.stop_signal.reason is None


async def test_lost_creates_are_in_doubt_and_sent_once(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """A cut connection leaves the row unknown, to be looked up and not simply sent again."""
    running = sandbox(lost_share=0.5, seed=3)
    async with working(connection(running), journal, listener) as work:
        await work.submit(await jobs(40), workers=4)
    lost = [line for line in stored() if line["status"] == Status.UNKNOWN]
    assert 10 <= len(lost) <= 30
    assert {unconfirmed.job.row_id for unconfirmed in work.submitter.unconfirmed_rows} == {line["id"] for line in lost}
    assert all(unconfirmed.resend and unconfirmed.job.maybe_sent for unconfirmed in work.submitter.unconfirmed_rows)
    assert all(line["explanation"].startswith("sent, but no clear answer: ") for line in lost)
    assert {received.received for received in running.state.creates.values()} == {1}


async def test_a_duplicate_is_looked_up_and_not_sent_again(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """The service says the address is taken: by whom, its list must tell; until then the row is unsent."""
    running = sandbox()
    todo = await jobs(1)
    async with working(connection(running), journal, listener) as work:
        await work.submit(todo, workers=1)
        await work.submit(todo, workers=1)
    (unconfirmed,) = work.submitter.unconfirmed_rows
    assert (unconfirmed.status, unconfirmed.resend) == (Status.UNSENT, False)
    assert "exists" in unconfirmed.reason
    assert unconfirmed.if_absent is Status.REJECTED
    assert listener.all("finished") == []


@pytest.mark.parametrize(
    ("answer", "before", "status", "if_absent"),
    [
        (reply(409, {"detail": "Conflict."}), {"maybe_sent": True}, Status.UNKNOWN, Status.UNKNOWN),
        (reply(400, {"password": ["Too weak."]}), {"maybe_sent": True}, Status.UNKNOWN, Status.UNKNOWN),
        (reply(409, {"detail": "Conflict."}), {"was_absent": True}, Status.UNKNOWN, Status.REJECTED),
        (reply(409, {"detail": "Conflict."}), {}, Status.UNSENT, Status.REJECTED),
    ],
    ids=range(4),
)
async def test_a_refusal_after_an_unclear_create_is_looked_up_whatever_its_words(
    connection: Any,
    listener: Any,
    journal: Journal,
    jobs: Any,
    stored: Any,
    *,
    answer: bytes,
    before: dict[str, bool],
    status: Status,
    if_absent: Status,
) -> None:
    """It may be our own mailbox that is in the way: the row is never simply refused, and keeps the sentence."""
    with closing(Scripted(answer)) as server:
        async with working(connection(server.url), journal, listener) as work:
            (job,) = await jobs(1)
            await work.submit([replace(job, **before)], workers=1)
    (unconfirmed,) = work.submitter.unconfirmed_rows
    assert (unconfirmed.status, unconfirmed.if_absent, unconfirmed.resend) == (status, if_absent, False)
    assert statuses(stored) == [status]
    assert ("Conflict" in stored()[0]["explanation"]) or ("Too weak" in stored()[0]["explanation"])


async def test_a_service_that_asks_to_wait_for_hours_stops_the_run_after_its_answer_is_stored(
    connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """503 with a long Retry-After: the create may have been carried out, so its row is unknown; the rest is unsent."""
    with closing(Scripted(reply(503, {"detail": "Maintenance."}, Retry_After="99999"))) as server:
        async with working(connection(server.url), journal, listener) as work:
            await work.submit(await jobs(5), workers=1)
    assert isinstance(work.stop_signal.reason, ServiceDownError)
    assert statuses(stored) == [Status.UNKNOWN, *[Status.UNSENT] * 4]
    assert "Maintenance" in stored()[0]["explanation"]


async def test_a_journal_that_cannot_be_written_sends_nothing(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Where the intent cannot be stored, no request leaves."""
    running = sandbox()
    todo = await jobs(10)
    with closing(sqlite3.connect(journal._path)) as other:
        other.execute("CREATE TRIGGER full BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        other.commit()
    async with working(connection(running), journal, listener) as work:
        await work.submit(todo, workers=3)
    assert isinstance(work.stop_signal.reason, JournalError)
    assert running.state.requests == []
    assert statuses(stored) == [Status.UNSENT] * 10


async def test_cancelled_in_flight_a_row_is_unknown(
    sandbox: Any, connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """Stopped at once while a create is under way: nobody knows what became of it, and the journal says so."""
    running = sandbox(slow_share=1.0, slow_by=30.0)
    async with working(connection(running), journal, listener) as work, anyio.create_task_group() as group:
        todo = await jobs(3)
        group.start_soon(lambda: work.submit(todo, workers=3))
        while len(running.state.creates) < 3:  # noqa: ASYNC110 - the stand-in tells nobody
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert statuses(stored) == [Status.UNKNOWN] * 3


async def test_no_create_waits_for_the_answer_to_another(
    connection: Any, listener: Any, journal: Journal, jobs: Any, stored: Any
) -> None:
    """However long a service takes to answer, it gets the whole rate, on as many connections as needed and no more."""
    together, numbers = Barrier(12), count()

    def answer(_said: str) -> bytes:
        together.wait(20)
        return reply(202, {"task_id": f"task-{next(numbers)}"})

    with closing(Scripted(answer)) as server:
        todo = await jobs(24)
        async with working(connection(server.url, rates=(Rate(40, 1.0),)), journal, listener) as work:
            with anyio.fail_after(15):
                await work.submit(todo[:12], workers=40)
                await work.submit(todo[12:], workers=12)
    assert statuses(stored) == [Status.UNFINISHED] * 24
    assert server.connections == 12
