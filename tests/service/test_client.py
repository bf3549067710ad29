"""The client, against the stand-in and against small servers that misbehave in ways that it does not."""

from __future__ import annotations

import json
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import pytest
from scripted import CUT, HANG, Dripping, Last, Scripted, reply

from provisioner.errors import KeyRefusedError, ServiceDownError, StoppedError, WrongServiceError
from provisioner.records import (
    Accepted,
    CreateAnswer,
    Created,
    Failed,
    Gone,
    Job,
    Lost,
    OpenTask,
    Pending,
    Rate,
    Refused,
    Request,
    RowId,
    TaskAnswer,
    TaskId,
)
from provisioner.resources import Account, Listing, Mailbox, MailServer, Resource
from provisioner.secret import Secret
from provisioner.service import ListingUnavailableError, Service, answers, recovery
from provisioner.service.rate_limiter import LimiterClosedError, Permit, Priority, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.settings import Connection

pytestmark = pytest.mark.anyio

PASSWORD = "Se\"cure  <Pass>&word'123!"
JANE = Request("jane", 101, 201, Secret(PASSWORD), None, None)
ACCOUNT = {"id": 1, "ibx_smtp": "smtp.example", "api_key": "never to be shown"}
KNOWN = Account({"id": "1", "ibx_smtp": "smtp.example"}, smtp=MailServer("smtp.example", 465), imap=None)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back off by hundredths of a second in place of seconds."""
    monkeypatch.setattr(recovery, "FIRST_BACKOFF", 0.02)
    monkeypatch.setattr(recovery, "LONGEST_BACKOFF", 0.1)


async def create(connection: Connection, listener: Any, request: Request = JANE) -> CreateAnswer:
    """One create on its own."""
    limiter = RateLimiter(connection.rates)
    async with Service(connection, limiter, listener) as service:
        return await service.create(request, await limiter.acquire(Priority.CREATE))


async def ask(connection: Connection, listener: Any, task_id: str = "t-1") -> TaskAnswer:
    """One question about a task on its own."""
    limiter = RateLimiter(connection.rates)
    async with Service(connection, limiter, listener) as service:
        return await service.task(OpenTask(Job(RowId(1), JANE), TaskId(task_id)), await limiter.acquire(Priority.QUERY))


async def mailboxes(connection: Connection, listener: Any) -> list[Mailbox]:
    async with Service(connection, RateLimiter(connection.rates), listener) as service:
        return [mailbox async for mailbox in service.mailboxes()]


async def account(connection: Connection, listener: Any) -> Any:
    async with Service(connection, RateLimiter(connection.rates), listener) as service:
        return await service.account()


def no_port() -> str:
    """An address on loopback at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("celery_states", [False, True])
async def test_a_mailbox_from_create_to_success(
    sandbox: Any, connection: Any, listener: Any, *, celery_states: bool
) -> None:
    """A create becomes a task, the task a mailbox with an ID, and the list shows it under its address."""
    to = connection(sandbox(latency=0.0, celery_states=celery_states))
    accepted = await create(to, listener)
    assert isinstance(accepted, Accepted)
    finished = await ask(to, listener, accepted.task_id)
    listed = (await mailboxes(to, listener))[-1]
    assert finished == Created(listed.id)
    assert (listed.address, listed.domain) == ("jane@acme-mail.example", 101)


async def test_the_references_form_of_create_is_understood_too(sandbox: Any, connection: Any, listener: Any) -> None:
    """Where create answers the mailbox itself, there is no task to wait for."""
    running = sandbox(create_form="reference")
    assert isinstance(await create(connection(running, create_path="/mailbox/"), listener), Created)


async def test_a_duplicate_is_told_from_other_refusals(sandbox: Any, connection: Any, listener: Any) -> None:
    """The second create of one address is refused as a duplicate, a wrong domain simply refused, with the field."""
    to = connection(sandbox(latency=0.0))
    await create(to, listener)
    again = await create(to, listener)
    wrong = await create(to, listener, Request("jane", 999, 201, None, None, None))
    assert isinstance(again, Refused)
    assert again.duplicate
    assert isinstance(wrong, Refused)
    assert not wrong.duplicate
    assert wrong.reason.startswith("domain: ")


async def test_a_task_that_has_not_ended_is_pending_and_one_that_is_not_known_gone(
    sandbox: Any, connection: Any, listener: Any
) -> None:
    """A running task is told from one that the service does not know."""
    to = connection(sandbox(latency=60.0))
    accepted = await create(to, listener)
    assert isinstance(accepted, Accepted)
    assert await ask(to, listener, accepted.task_id) == Pending()
    assert await ask(to, listener, accepted.task_id + "x") == Gone()


async def test_a_failed_task_says_why(sandbox: Any, connection: Any, listener: Any) -> None:
    """The service's own sentence is the reason."""
    to = connection(sandbox(latency=0.0, fail_share=1.0, seed=1))
    accepted = await create(to, listener)
    assert isinstance(accepted, Accepted)
    failed = await ask(to, listener, accepted.task_id)
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("The ")


@pytest.mark.parametrize("paginated", [False, True])
async def test_lists_are_read_whole_however_they_come(
    sandbox: Any, connection: Any, listener: Any, *, paginated: bool
) -> None:
    """A bare array and pages give the same mailboxes and domains."""
    to = connection(sandbox(latency=0.0, paginated=paginated, page_size=3))
    for number in range(10):
        await create(to, listener, Request(f"jane{number}", 101, 201, None, None, None))
    names = [mailbox.username for mailbox in await mailboxes(to, listener)]
    assert names == ["info", "sales", *(f"jane{number}" for number in range(10))]
    async with Service(to, RateLimiter(to.rates), listener) as service:
        assert (await service.resources(Listing.DOMAINS))[0] == Resource(101, "acme-mail.example", verified=True)


async def test_counts_tell_what_was_sent(sandbox: Any, connection: Any, listener: Any) -> None:
    """Requests are counted by purpose, as the service saw them."""
    running = sandbox(latency=0.0)
    limiter = RateLimiter([Rate(1000, 1.0)])
    async with Service(connection(running), limiter, listener) as service:
        await service.account()
        accepted = await service.create(JANE, await limiter.acquire(Priority.CREATE))
        assert isinstance(accepted, Accepted)
        task = OpenTask(Job(RowId(1), JANE), accepted.task_id)
        for _ in range(2):
            await service.task(task, await limiter.acquire(Priority.QUERY))
        counts = service.counts
    assert (counts.other, counts.create, counts.poll, counts.throttled, counts.retried) == (1, 1, 2, 0, 0)
    assert [request.kind for request in running.state.requests] == ["userinfo", "create", "task", "task"]


async def test_connections_are_reused_and_no_more_than_needed(sandbox: Any, connection: Any, listener: Any) -> None:
    """Requests one after another share one connection; twenty at once have twenty."""
    to = connection(sandbox(latency=0.0))
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        for _ in range(5):
            await service.account()
        assert len(service._session.pool._idle) == 1
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(service.account)
        assert len(service._session.pool._idle) == 20


async def test_a_download_that_stands_still_is_told(server: Any, connection: Any, listener: Any) -> None:
    """An export of which nothing more comes ends when an answer's time is over, not never."""
    half = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 100\r\n\r\na,b\r\n"
    to = connection(server(half).url, answer_timeout=0.2)
    with anyio.fail_after(5):
        async with Service(to, RateLimiter(to.rates), listener) as service:
            with pytest.raises(ServiceDownError, match="broke off"):
                await service.download("smartlead")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(202, {"task_id": "t-9"}), Accepted(TaskId("t-9"))),
        (reply(200, {"task_id": 17}), Accepted(TaskId("17"))),
        (reply(201, {"task_id": "t-9", "id": 5}), Accepted(TaskId("t-9"))),
        (reply(201, {"id": 5, "email": "jane"}), Created("5")),
        (reply(201, {"task_id": None, "id": 5}), Created("5")),
        (reply(400, {"email": ["Enter a valid name."]}), Refused("email: Enter a valid name.")),
        (
            reply(400, {"email": ["Too short.", "No dots."], "non_field_errors": ["Not  now."]}),
            Refused("Not now.; email: Too short.; email: No dots."),
        ),
        (reply(400, {"detail": "JSON parse error - line 1"}), Refused("JSON parse error - line 1")),
        (reply(400, ["Plain words."]), Refused("Plain words.")),
        (reply(400, {"reply_to": {"0": ["Nested."]}}), Refused("reply_to: 0: Nested.")),
        (reply(404, {"detail": "Not found."}), Refused("Not found.")),
        (
            reply(413, b"<html>too large</html>"),
            Refused("something in front of the service refused this row with a web page (413)"),
        ),
        (
            reply(409, {"detail": "The name is already in use."}),
            Refused("The name is already in use.", duplicate=True),
        ),
        (reply(400, {"email": ["mailbox with this email already exists."]}), None),
        (
            reply(400, {"non_field_errors": ["The fields email, domain must make a unique set."]}),
            Refused("The fields email, domain must make a unique set.", duplicate=True),
        ),
    ],
    ids=range(15),
)
async def test_what_the_service_answers_to_a_create(
    server: Any, connection: Any, listener: Any, answer: bytes, expected: CreateAnswer | None
) -> None:
    """Every documented answer, and Django REST framework's errors, in this program's terms."""
    came = await create(connection(server(answer).url), listener)
    if expected is None:
        assert isinstance(came, Refused)
        assert came.duplicate
    else:
        assert came == expected


@pytest.mark.parametrize(
    "answer",
    [
        CUT,
        reply(500, {"detail": "oops"}),
        reply(500, b"<html>"),
        reply(502, b"<html>bad gateway"),
        reply(503, b"<html>no Retry-After"),
        reply(504, b""),
        reply(408, {"detail": "slow"}),
        reply(200, b"<html>Sign in</html>"),
        reply(200, b""),
        reply(204, b""),
        reply(202, {}),
        reply(202, {"task_id": ""}),
        reply(202, {"task_id": {"id": 1}}),
        reply(202, []),
        reply(200, b"[" * 100_000),
        reply(200, b'{"task_id": "\xff\xfe"}'),
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=range(20),
)
async def test_an_answer_that_says_nothing_is_a_create_lost_and_not_sent_again(
    server: Any, connection: Any, listener: Any, answer: bytes
) -> None:
    """Cut, out of order, cut short, garbled or empty: one request left, its outcome is not known."""
    running = server(answer)
    came = await create(connection(running.url, answer_timeout=0.3), listener)
    assert isinstance(came, Lost)
    assert came.reason
    assert len(running.requests) == 1


async def test_an_answer_that_drips_is_a_create_lost(server: Any, connection: Any, listener: Any) -> None:
    """The time-out is for the whole answer: one that comes letter by letter holds nobody up."""
    whole = reply(200, ACCOUNT)
    running = server(whole, Dripping(reply(202, {"task_id": "t"})), whole)
    to = connection(running.url, answer_timeout=0.5)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        with anyio.fail_after(5):
            answer = await service.create(JANE, await limiter.acquire(Priority.CREATE))
        assert answer == Lost("no answer within 0.5 seconds")
        await service.account()
    assert running.connections == 2


async def test_a_connection_that_the_service_closed_is_opened_anew(server: Any, connection: Any, listener: Any) -> None:
    """A service that closes what is idle costs no request: the next one finds out before it is sent."""
    running = server(reply(200, ACCOUNT), Last(reply(200, ACCOUNT)), reply(202, {"task_id": "t"}))
    to = connection(running.url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        await service.account()
        await anyio.to_thread.run_sync(running.closed.wait, 5)
        assert await service.create(JANE, await limiter.acquire(Priority.CREATE)) == Accepted(TaskId("t"))
    assert (running.connections, len(running.requests)) == (2, 3)


async def test_an_answer_that_never_comes_is_a_create_lost(server: Any, connection: Any, listener: Any) -> None:
    """The time-out is told in seconds, and nothing is sent again."""
    running = server(HANG)
    came = await create(connection(running.url, answer_timeout=0.2), listener)
    assert came == Lost("no answer within 0.2 seconds")
    assert len(running.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("call", [create, ask, account, mailboxes])
async def test_a_refused_key_stops_the_run(server: Any, connection: Any, listener: Any, status: int, call: Any) -> None:
    """Whatever was asked, 401 and 403 mean the key, and the service's sentence is shown."""
    running = server(reply(status, {"detail": "Authentication credentials were not provided."}))
    with pytest.raises(KeyRefusedError, match=f"{status}: Authentication credentials were not provided"):
        await call(connection(running.url), listener)
    assert len(running.requests) == 1


FORBIDDEN = reply(403, {"detail": "You do not have permission to use this domain."})


async def test_what_is_forbidden_to_a_good_key_stops_one_row_alone(server: Any, connection: Any, listener: Any) -> None:
    """403 while the account's page is still given refuses the one create, and says nothing of the one task."""
    running = server(reply(200, ACCOUNT), FORBIDDEN, reply(200, ACCOUNT), FORBIDDEN, reply(200, ACCOUNT))
    to = connection(running.url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        refused = await service.create(JANE, await limiter.acquire(Priority.CREATE))
        task = OpenTask(Job(RowId(1), JANE), TaskId("t"))
        asked = await service.task(task, await limiter.acquire(Priority.QUERY))
        counts = service.counts
    assert refused == Refused("You do not have permission to use this domain.")
    assert asked == Pending()
    assert (counts.create, counts.poll, counts.other) == (1, 1, 3)


@pytest.mark.parametrize(
    ("account_page", "error", "words"),
    [
        (reply(401), KeyRefusedError, "rejected the API key"),
        (reply(403, {"detail": "No."}), KeyRefusedError, "403: No"),
        (reply(403, b"<html>"), WrongServiceError, "key and your sheet are not the cause"),
        (reply(502, b"<html>"), ServiceDownError, "did not say whether the API key is still good"),
        (reply(302, b"", Location="/login/"), ServiceDownError, "did not say whether the API key is still good"),
        (CUT, ServiceDownError, "did not say whether the API key is still good"),
    ],
    ids=range(6),
)
async def test_403_blames_the_key_only_if_the_account_page_does(
    server: Any, connection: Any, listener: Any, account_page: bytes, error: type[StoppedError], words: str
) -> None:
    """403 to a create of a key that was good before: the run stops, and what the account's page says is the reason."""
    running = server(reply(200, ACCOUNT), FORBIDDEN, account_page)
    to = connection(running.url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        with pytest.raises(error, match=words):
            await service.create(JANE, await limiter.acquire(Priority.CREATE))
    assert len(running.requests) == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(server: Any, connection: Any, listener: Any, status: int) -> None:
    """Neither a create nor the first look at the account goes where a redirect points, and the key does not either.

    302 and 303 may follow a create that was carried out; the others cannot.
    """
    elsewhere = server(reply(200, ACCOUNT))
    running = server(reply(status, b"", Location=elsewhere.url + "/api/mailboxes/"))
    with pytest.raises(WrongServiceError, match="redirects to"):
        await account(connection(running.url), listener)
    if status in (302, 303):
        assert await create(connection(running.url), listener) == Lost(f"the service redirected it ({status})")
    else:
        with pytest.raises(WrongServiceError, match="redirects to"):
            await create(connection(running.url), listener)
    assert elsewhere.connections == 0


async def test_where_a_redirect_points_is_told_in_few_words(server: Any, connection: Any, listener: Any) -> None:
    """A log-in page may get a whole state in its address."""
    running = server(reply(302, b"", Location="https://x.example/?state=" + "a" * 3_000))
    with pytest.raises(WrongServiceError, match="aaa…") as raised:
        await account(connection(running.url), listener)
    assert len(f"{raised.value}") < 700


async def test_the_key_goes_to_the_configured_origin_in_one_header(server: Any, connection: Any, listener: Any) -> None:
    """Each request bears the key once, as the service wants it, and no cookie that an answer set."""
    running = server(reply(200, ACCOUNT, Set_Cookie="session=1"))
    to = connection(running.url)
    async with Service(to, RateLimiter(to.rates), listener) as service:
        await service.account()
        await service.account()
    for said in running.requests:
        assert said.count("a-key-of-the-tests") == 1
        assert "\r\nauthorization: api-key a-key-of-the-tests\r\n" in said.lower()
        assert "cookie" not in said.lower()


async def test_a_body_holds_what_the_row_holds_and_nothing_else(server: Any, connection: Any, listener: Any) -> None:
    """Fields that a row leaves blank are not sent; numbers are numbers; the password is sent to the letter."""
    running = server(reply(202, {"task_id": "t"}))
    await create(connection(running.url), listener)
    await create(connection(running.url), listener, Request("j", 1, 2, None, 3, "boss@acme.example"))
    first, second = (json.loads(said.partition("\r\n\r\n")[2]) for said in running.requests)
    assert first == {"email": "jane", "domain": 101, "relay_server": 201, "password": PASSWORD}
    assert second == {"email": "j", "domain": 1, "relay_server": 2, "project": 3, "reply_to": "boss@acme.example"}


@pytest.mark.parametrize("after", ["1", "0.5", "a date"])
async def test_too_fast_holds_everyone_back_and_is_sent_again(
    server: Any, connection: Any, listener: Any, after: str
) -> None:
    """429 with Retry-After in seconds or as a date: all wait, the user is told why, the create is sent again."""
    headers = {"Retry_After": after}
    if after == "a date":
        headers = {"Retry_After": "Wed, 21 Oct 2026 07:28:01 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    running = server(reply(429, {"detail": "Daily quota used up."}, **headers), reply(202, {"task_id": "t"}))
    to = connection(running.url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        started = anyio.current_time()
        answer = await service.create(JANE, await limiter.acquire(Priority.CREATE))
        waited = anyio.current_time() - started
        counts = service.counts
    assert answer == Accepted(TaskId("t"))
    wait = 0.5 if after == "0.5" else 1.0
    assert waited >= wait
    assert (counts.create, counts.retried, counts.throttled) == (2, 1, 1)
    assert listener.all("paused") == [(wait, "the service asked us to slow down: Daily quota used up")]


async def test_unavailable_holds_everyone_back_and_leaves_the_create_unknown(
    server: Any, connection: Any, listener: Any
) -> None:
    """503 with Retry-After may come from a gateway behind which the create was carried out: it is not sent again."""
    running = server(reply(503, {"detail": "Try later."}, Retry_After="30"))
    assert await create(connection(running.url), listener) == Lost("the service answered 503: Try later")
    assert listener.all("paused") == [(30.0, "the service is not available: Try later")]
    assert len(running.requests) == 1


async def test_unavailable_for_too_long_stops_the_run_after_the_create_is_stored(
    server: Any, connection: Any, listener: Any
) -> None:
    """A 503 that asks for hours ends the run, but not as if the create had not been carried out."""
    answer = await create(connection(server(reply(503, b"", Retry_After="99999")).url), listener)
    assert isinstance(answer, Lost)
    assert isinstance(answer.stop, ServiceDownError)


async def test_a_question_is_asked_again_when_the_service_is_available(
    server: Any, connection: Any, listener: Any
) -> None:
    """503 with Retry-After to a question is waited for: asking twice changes nothing."""
    running = server(reply(503, b"", Retry_After="0.1"), reply(200, ACCOUNT))
    assert await account(connection(running.url), listener) == KNOWN


@pytest.mark.parametrize("body", [b"", {"detail": "Misdirected."}])
async def test_a_misdirected_create_is_sent_again_on_another_connection(
    server: Any, connection: Any, listener: Any, short_waits: None, body: Any
) -> None:
    """421: nothing was done, so it is sent again by itself, where another machine may answer."""
    running = server(reply(421, body), reply(202, {"task_id": "t"}))
    assert await create(connection(running.url), listener) == Accepted(TaskId("t"))
    assert (len(running.requests), running.connections) == (2, 2)


async def test_creates_that_are_always_misdirected_end_the_run(
    server: Any, connection: Any, listener: Any, short_waits: None
) -> None:
    """421 again and again is not tried for ever."""
    running = server(reply(421))
    with pytest.raises(ServiceDownError, match="wrong machine"):
        await create(connection(running.url), listener)
    assert len(running.requests) == 5


async def test_a_throttle_without_a_time_backs_off(
    server: Any, connection: Any, listener: Any, short_waits: None
) -> None:
    """429 that does not say how long: each further one waits longer, until the create is taken."""
    running = server(*[reply(429, b"")] * 3, reply(202, {"task_id": "t"}))
    assert await create(connection(running.url), listener) == Accepted(TaskId("t"))
    waits = [seconds for seconds, _ in listener.all("paused")]
    assert len(waits) == 3
    assert waits == sorted(waits)


async def test_many_refused_at_once_wait_once(
    server: Any, connection: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty requests in flight that are refused together count as one refusal, told once."""
    monkeypatch.setattr(recovery, "FIRST_BACKOFF", 0.02)
    barrier = threading.Barrier(20)

    def refuse(_said: str) -> bytes:
        barrier.wait(5)
        return reply(429, b"")

    running = server(*[refuse] * 20, reply(202, {"task_id": "t"}))
    to = connection(running.url)
    limiter = RateLimiter([Rate(1000, 1.0)])
    async with Service(to, limiter, listener) as service, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(service.create, JANE, await limiter.acquire(Priority.CREATE))
    assert len(listener.all("paused")) == 1


async def test_a_throttle_for_too_long_ends_the_run(server: Any, connection: Any, listener: Any) -> None:
    """Asked to wait for an hour, the run stops and says so; nothing waits."""
    running = server(reply(429, b"", Retry_After="3600"))
    with pytest.raises(ServiceDownError, match="asked us to wait more than 15 minutes"):
        await create(connection(running.url), listener)


async def test_refused_connections_are_tried_again_then_end_the_run(
    server: Any, connection: Any, listener: Any, short_waits: None
) -> None:
    """A service that was there and is gone is tried again with fresh grants for as long as patience lasts."""
    running = server(reply(200, ACCOUNT))
    to = connection(running.url, patience=0.5)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        running.close()
        await service._session.pool.aclose()
        with pytest.raises(ServiceDownError, match="Nothing answers at"):
            await service.create(JANE, await limiter.acquire(Priority.CREATE))
        assert service.counts.retried >= 3
    assert {reason for _, reason in listener.all("paused")} == {
        "the service cannot be reached (trying for 0.5 seconds)"
    }


async def test_a_service_that_comes_back_gets_the_create_once(
    server: Any, connection: Any, listener: Any, short_waits: None
) -> None:
    """Connections were refused for a while; then the create arrives, one time."""
    running = server(reply(200, ACCOUNT))
    address = running._listener.getsockname()
    to = connection(running.url, patience=20.0)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        await service.account()
        running.close()
        await service._session.pool.aclose()
        answers: list[CreateAnswer] = []

        async def one() -> None:
            answers.append(await service.create(JANE, await limiter.acquire(Priority.CREATE)))

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            while service.counts.retried < 2:  # noqa: ASYNC110 - the service tells nobody when it tries again
                await anyio.sleep(0.01)
            back = await anyio.to_thread.run_sync(_serve_at, address)
    assert answers == [Accepted(TaskId("back"))]
    assert len(back.requests) == 1
    back.close()


def _serve_at(address: tuple[str, int]) -> Scripted:
    scripted = Scripted(reply(202, {"task_id": "back"}))
    scripted._listener.close()
    scripted._listener = socket.create_server(address)
    threading.Thread(target=scripted._accept, daemon=True).start()
    return scripted


async def test_a_wrong_address_is_told_at_once(connection: Any, listener: Any) -> None:
    """Where nothing ever answered, nobody is kept waiting."""
    with anyio.fail_after(5), pytest.raises(ServiceDownError, match="Nothing answers"):
        await account(connection(no_port()), listener)
    assert listener.all("paused") == []


async def test_a_lane_that_closes_ends_the_waiting(server: Any, connection: Any, listener: Any) -> None:
    """A create that waits to be sent again when the run is stopped is not sent, and its caller is told."""
    running = server(reply(429, b"", Retry_After="60"))
    to = connection(running.url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service, anyio.create_task_group() as group:

        async def close() -> None:
            while not listener.all("paused"):  # noqa: ASYNC110 - a listener is told, and tells nobody
                await anyio.sleep(0.01)
            limiter.close(Priority.CREATE)

        group.start_soon(close)
        with pytest.raises(LimiterClosedError):
            await service.create(JANE, await limiter.acquire(Priority.CREATE))
    assert len(running.requests) == 1


async def test_the_account_is_what_the_service_says(server: Any, connection: Any, listener: Any) -> None:
    """The page as it is; an empty one where a service has none."""
    assert await account(connection(server(reply(200, ACCOUNT)).url), listener) == KNOWN
    assert await account(connection(server(reply(404, {"detail": "Not found."})).url), listener) == Account(
        {}, None, None
    )


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (reply(200, b"<html>Welcome to nginx!</html>"), WrongServiceError, "web page instead of data"),
        (reply(404, b"<html>"), WrongServiceError, "no such page"),
        (reply(500, b"<html>"), ServiceDownError, "out of order"),
        (reply(502, b""), ServiceDownError, "out of order"),
        (CUT, ServiceDownError, "gave no answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", ServiceDownError, "gave no answer"),
        (HANG, ServiceDownError, "gave no answer"),
    ],
    ids=range(7),
)
async def test_what_is_not_the_service_is_noticed_first(
    server: Any, connection: Any, listener: Any, answer: bytes, error: type[StoppedError], words: str
) -> None:
    """Before anything is created, the first call tells another kind of server, or none, from the service."""
    with pytest.raises(error, match=words) as caught:
        await account(connection(server(answer).url, answer_timeout=0.3), listener)
    assert caught.value.remedy
    if answer == HANG:
        assert caught.value.technical == "no answer within 0.3 seconds"


@pytest.mark.parametrize("answer", [reply(404, b"<html>"), reply(405, b"<html>")])
async def test_a_page_that_takes_no_creates_stops_the_run(
    server: Any, connection: Any, listener: Any, answer: bytes
) -> None:
    """A web page's 404 or 405 to a create: the address or the path is wrong for every row."""
    with pytest.raises(WrongServiceError):
        await create(connection(server(answer).url), listener)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "success"}, Created(None)),
        ({"status": "SUCCESS", "result": {"id": 7}}, Created("7")),
        ({"state": "Success", "mailbox": {"id": "m7"}}, Created("m7")),
        ({"status": "success", "mailbox_id": 7, "id": "t-1"}, Created("7")),
        ({"status": "failure", "error": "No room."}, Failed("No room.")),
        ({"status": "FAILURE", "result": "Quota exceeded", "traceback": "File x, line 1"}, Failed("Quota exceeded")),
        ({"status": "REVOKED"}, Failed("the service gave no reason")),
        ({"status": "failure", "error": "jane already exists"}, Failed("jane already exists", duplicate=True)),
        ({"status": "failure", "errors": {"email": ["Bad."]}}, Failed("email: Bad.")),
        ({"status": "pending"}, Pending()),
        ({"status": "PENDING"}, Pending()),
        ({"status": "STARTED"}, Pending()),
        ({"status": "RETRY", "error": "will be tried again"}, Pending()),
        ({"status": "a new word"}, Pending()),
        ({"status": None}, Pending()),
        ({"status": {"code": 1}}, Pending()),
        ({}, Pending()),
        ([], Pending()),
    ],
    ids=range(18),
)
async def test_how_a_task_stands(server: Any, connection: Any, listener: Any, body: object, expected: object) -> None:
    """The guide's words and Celery's, whatever their case; an unknown word is not an end."""
    assert await ask(connection(server(reply(200, body)).url), listener) == expected


@pytest.mark.parametrize(
    "answer", [CUT, reply(405, b"<html>"), reply(500, b""), reply(502, b"<html>"), reply(200, b"<html>"), reply(204)]
)
async def test_a_question_without_an_answer_is_asked_again_later(
    server: Any, connection: Any, listener: Any, answer: bytes
) -> None:
    """Nothing that goes wrong with a question is taken for the task's end."""
    assert await ask(connection(server(answer).url), listener) == Pending()


HALF = "\ud800"
"""Half of a character, as JSON can spell it: no text that could be stored or sent."""


@pytest.mark.parametrize(
    ("answer", "call", "expected"),
    [
        (reply(202, {"task_id": f"t{HALF}"}), create, Accepted(TaskId("t?"))),
        (reply(201, {"id": f"5{HALF}"}), create, Created("5?")),
        (reply(400, {HALF: [f"Bad {HALF}."]}), create, Refused("?: Bad ?.")),
        (reply(400, b'{"detail": "Bad \xed\xa0\x80."}'), create, Refused("Bad ?.")),
        (reply(200, {"status": "failure", "error": {"detail": HALF}}), ask, Failed("?")),
        (reply(200, {"status": "success", "result": {"id": HALF}}), ask, Created("?")),
        (reply(200, [{"email": f"a{HALF}@b.example"}]), mailboxes, [Mailbox(None, "a?@b.example", None, None)]),
        (reply(200, {"name": "Zo\u00eb \U0001f600"}), account, Account({"name": "Zo\u00eb \U0001f600"}, None, None)),
    ],
    ids=range(8),
)
async def test_whatever_the_service_says_can_be_stored(
    server: Any, connection: Any, listener: Any, answer: bytes, call: Any, expected: object
) -> None:
    """Halves of characters become question marks in every text and ID; whole ones stay as they are."""
    assert await call(connection(server(answer).url), listener) == expected


@pytest.mark.parametrize("answer", [reply(404, b"<html>"), reply(404, {"detail": "Not found."}), reply(404)])
async def test_a_task_that_the_service_does_not_know_is_gone(
    server: Any, connection: Any, listener: Any, answer: bytes
) -> None:
    """404, in whatever words, says that there is no such task."""
    assert await ask(connection(server(answer).url), listener) == Gone()


async def test_a_strange_task_id_stays_within_its_path(server: Any, connection: Any, listener: Any) -> None:
    """A task ID from the service cannot turn the request into another one."""
    running = server(reply(200, {"status": "pending"}))
    await ask(connection(running.url), listener, "../../userinfo/?a=b#c")
    assert running.requests[0].startswith("GET /api/tasks/..%2F..%2Fuserinfo%2F%3Fa%3Db%23c/ HTTP/1.1\r\n")


async def test_a_page_elsewhere_is_not_followed(server: Any, connection: Any, listener: Any) -> None:
    """A link to another host is refused, and no request goes there."""
    with pytest.raises(ListingUnavailableError, match="another address"):
        await mailboxes(
            connection(server(reply(200, {"results": [], "next": "http://other.example/api/?page=2"})).url), listener
        )


@pytest.mark.parametrize(
    "link",
    [
        "{url}/api/mailboxes/?page=2",
        "/api/mailboxes/?page=2",
        "?page=2",
        "http://127.0.0.1/api/mailboxes/?page=2",
        "http://10.0.0.5:8000/api/mailboxes/?page=2",
        "https://backend.internal/api/mailboxes/?page=2",
    ],
)
async def test_a_next_page_is_asked_at_the_configured_origin(
    server: Any, connection: Any, listener: Any, link: str
) -> None:
    """With the port, the scheme or the host that a proxy hides, or without: the path is asked where the key belongs."""
    pages: list[bytes] = []
    running = server(lambda _said: pages.pop(0))
    pages += [
        reply(200, {"results": [{"email": "a@b.example"}], "next": link.format(url=running.url)}),
        reply(200, {"results": [{"email": "c@b.example"}], "next": None}),
    ]
    found = await mailboxes(connection(running.url), listener)
    assert [mailbox.email for mailbox in found] == ["a@b.example", "c@b.example"]
    assert running.requests[1].startswith("GET /api/mailboxes/?page=2 ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(404, {"detail": "Not found."}), "answered 404"),
        (reply(200, {"mailboxes": []}), "form"),
        (reply(200, "a sentence"), "form"),
        (reply(200, {"results": [], "next": "/api/mailboxes/"}), "circle"),
        (reply(200, {"results": [], "next": "http://[::1"}), "another address"),
        (reply(200, b"<html>"), "web page \\(200\\)"),
        (reply(500, b""), "answered 500"),
        (CUT, "without an answer"),
        (reply(200, [{"email": "a@b.example"}, "a sentence"]), "form"),
        (reply(200, {"results": [None], "next": None}), "form"),
        (reply(200, [{"email": "a@b.example"}, {"id": 1, "mailbox": "jane@b.example"}]), "form"),
        (reply(200, [{"email": {"local": "jane"}}]), "form"),
        (reply(200, [{"email": " "}]), "form"),
        (reply(200, {"results": [{"email": "a@b.example"}], "count": 2, "next": None}), "1 of 2"),
        (reply(200, {"results": [], "count": 1}), "0 of 1"),
    ],
    ids=range(15),
)
async def test_a_list_that_is_not_whole_is_no_list(
    server: Any, connection: Any, listener: Any, answer: bytes, words: str
) -> None:
    """Nobody may conclude from half a list that a mailbox is not there."""
    with pytest.raises(ListingUnavailableError, match=words):
        await mailboxes(connection(server(answer).url), listener)


async def test_a_list_that_fails_now_and_then_is_asked_again(server: Any, connection: Any, listener: Any) -> None:
    """A cut and a 502 on the way do not lose the list."""
    running = server(CUT, reply(502, b""), reply(200, [{"id": 1, "email": "a@b.example"}]))
    assert len(await mailboxes(connection(running.url), listener)) == 1


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"id": 1, "email": "a@b.example", "domain": 5}, Mailbox("1", "a@b.example", 5, None)),
        ({"id": 1, "email": "a", "domain": "5"}, Mailbox("1", "a", 5, None)),
        ({"id": 1, "email": "a", "domain": "b.example"}, Mailbox("1", "a", None, "b.example")),
        ({"id": 1, "email": "a", "domain": {"id": 5, "name": "b.example"}}, Mailbox("1", "a", 5, "b.example")),
        ({"email": "a", "domain_name": "b.example"}, Mailbox(None, "a", None, "b.example")),
        ({"username": "a"}, Mailbox(None, "a", None, None)),
        ({"address": "a@b.example", "email": None}, Mailbox(None, "a@b.example", None, None)),
    ],
    ids=range(7),
)
async def test_a_mailbox_is_known_however_it_is_listed(
    server: Any, connection: Any, listener: Any, item: object, expected: Mailbox
) -> None:
    """The domain as a number, a text, a name or an object; the address whole or in parts."""
    assert await mailboxes(connection(server(reply(200, [item])).url), listener) == [expected]


@pytest.mark.parametrize("write", [str, repr, json.dumps], ids=["plain", "Python", "JSON"])
async def test_no_reason_holds_the_password_or_the_key(
    server: Any, connection: Any, listener: Any, write: Callable[[str], str]
) -> None:
    """A sentence that repeats what was sent, in whatever notation, is not shown; its field and the others are."""
    said = f"{{'password': {write(PASSWORD)}}} is weak"
    to = connection(server(reply(400, {"password": [said], "email": ["Too short."]})).url)
    refused = await create(to, listener)
    assert refused == Refused(f"password: {answers.NOT_SHOWN}; email: Too short.")
    told = {"status": "failure", "error": [said, "a-key-of-the-tests is weak", "Too short."]}
    failed = await ask(connection(server(reply(200, told)).url), listener)
    assert failed == Failed(f"{answers.NOT_SHOWN}; Too short.")


@pytest.mark.parametrize(
    "answer",
    [
        {"task_id": PASSWORD},
        {"task_id": "a-key-of-the-tests"},
        {"task_id": quote(PASSWORD), "id": 5},
        {"task_id": "."},
        {"task_id": ".."},
        {"task_id": "x" * 300},
        {"task_id": "a\tb"},
        {"task_id": " "},
        {"task_id": True},
        {"id": PASSWORD},
        {"id": "", "password": "made-by-the-service"},
    ],
    ids=range(11),
)
async def test_an_id_that_cannot_be_shown_is_none(
    server: Any, connection: Any, listener: Any, answer: dict[str, Any]
) -> None:
    """An ID that repeats a secret, or is no ID, is neither shown nor put into a path; the create is looked up."""
    assert await create(connection(server(reply(202, answer)).url), listener) == Lost(
        "the service answered 202 without a task ID"
    )


async def test_no_task_is_asked_for_under_an_id_that_is_a_path(server: Any, connection: Any, listener: Any) -> None:
    """A failures file from elsewhere may name . and .. as tasks: nothing is sent for them."""
    running = server(reply(200, {"status": "success"}))
    for task_id in (".", ".."):
        assert await ask(connection(running.url), listener, task_id) == Gone()
    assert running.requests == []


async def test_a_long_reason_is_cut_after_it_was_masked(server: Any, connection: Any, listener: Any) -> None:
    """The cut cannot leave the beginning of a password behind."""
    said = "x" * 490 + " " + PASSWORD
    answer = await create(connection(server(reply(400, {"detail": said})).url), listener)
    assert isinstance(answer, Refused)
    assert len(answer.reason) <= 500
    assert "Se" not in answer.reason


@pytest.mark.parametrize(
    ("answer", "call"),
    [
        (reply(403, {"detail": "a-key-of-the-tests is unknown"}), account),
        (reply(301, b"", Location="https://x.example/?key=a-key-of-the-tests"), create),
        (reply(500, b""), account),
        (CUT, account),
        (reply(401, {"detail": f"{PASSWORD} came with an unknown key"}), create),
        (reply(403, {"password": [f"“{PASSWORD}” is not allowed"]}), create),
        (reply(403, {"detail": f"{PASSWORD} of this task is secret"}), ask),
        (reply(307, b"", Location=f"https://x.example/?password={quote(PASSWORD)}"), create),
    ],
    ids=range(8),
)
async def test_no_error_holds_a_secret(server: Any, connection: Any, listener: Any, answer: bytes, call: Any) -> None:
    """Message, remedy, repr and traceback of what ends a run are free of the key and the password."""
    to = connection(server(answer).url)
    with pytest.raises(StoppedError) as caught:
        await call(to, listener)
    text = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caught.value.remedy + repr(to)
    assert "a-key" not in text
    assert "<Pass" not in text
    assert "Pass%3E" not in text


async def test_garbage_that_repeats_the_password_is_masked(server: Any, connection: Any, listener: Any) -> None:
    """What the network's own errors quote of an answer shows no password, in the reason and to whoever listens."""
    password = "Secure-4711-Password"
    request = Request("jane", 101, 201, Secret(password), None, None)
    came = await create(connection(server(f"NOT HTTP {password}\r\n\r\n".encode()).url), listener, request)
    assert isinstance(came, Lost)
    assert password not in repr(came) + repr(listener.all("answered"))


async def test_what_the_client_logs_holds_no_secret(
    server: Any, connection: Any, listener: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With every library's log turned up to the last detail, neither secret is in it."""
    with caplog.at_level("DEBUG"):
        await create(connection(server(reply(202, {"task_id": "t"})).url), listener)
    shown = "".join(f"{record.getMessage()} {record.args}" for record in caplog.records)
    assert "a-key-of-the-tests" not in shown
    assert PASSWORD not in shown


def test_a_grant_is_needed_to_create_and_to_ask() -> None:
    """The signatures ask for it, so that no request can go round the pace."""
    assert Service.create.__annotations__["permit"] == "Permit"
    assert Service.task.__annotations__["permit"] == "Permit"
    assert Permit(1.0) == 1.0
