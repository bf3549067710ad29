"""The border to httpx: TLS, connections, every error, and headers from outside."""

from __future__ import annotations

import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import reply

from provisioner.errors import ServiceDownError, WrongServiceError
from provisioner.records import CreateAnswer, Lost, Rate, Request
from provisioner.resources import Account
from provisioner.secret import Secret
from provisioner.service import Service, transport
from provisioner.service.rate_limiter import LimiterClosedError, Priority, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

    from provisioner.settings import Connection

pytestmark = pytest.mark.anyio

JANE = Request("jane", 101, 201, Secret("Zx-4711-pw!"), None, None)
ACCOUNT = {"name": "Agency"}
KNOWN = Account(ACCOUNT, None, None)


async def create(connection: Connection, listener: Any) -> CreateAnswer:
    """One create on its own."""
    limiter = RateLimiter(connection.rates)
    async with Service(connection, limiter, listener) as service:
        return await service.create(JANE, await limiter.acquire(Priority.CREATE))


async def account(connection: Connection, listener: Any) -> Account:
    async with Service(connection, RateLimiter(connection.rates), listener) as service:
        return await service.account()


@pytest.fixture
def encrypted(certified: Callable[[str], ssl.SSLContext]) -> ssl.SSLContext:
    return certified("localhost")


@pytest.mark.usefixtures("trusted_authority")
async def test_certificates_that_the_machine_trusts_are_trusted(
    server: Any, connection: Any, listener: Any, encrypted: ssl.SSLContext
) -> None:
    """An office's own authority counts, and one shared context serves every connection."""
    running = server(reply(200, ACCOUNT), context=encrypted)
    assert await account(connection(running.url), listener) == KNOWN


@pytest.mark.usefixtures("trusted_authority")
async def test_a_slow_handshake_does_not_bunch_requests(
    server: Any, connection: Any, listener: Any, encrypted: ssl.SSLContext
) -> None:
    """Requests that waited for their connections count from when they left: no window is overfull at the door."""
    shake = threading.Event()
    running = server(reply(200, ACCOUNT), context=encrypted, shake=shake)
    to = connection(running.url, rates=(Rate(5, 0.5),))
    async with Service(to, RateLimiter(to.rates), listener) as service, anyio.create_task_group() as group:
        for _ in range(9):
            group.start_soon(service.account)
        while running.connections < 9:  # noqa: ASYNC110 - the server tells nobody
            await anyio.sleep(0.01)
        none_left_before = time.monotonic()
        shake.set()
    assert len(running.arrived) == 9
    assert sorted(running.arrived)[5] >= none_left_before + 0.5


@pytest.mark.usefixtures("trusted_authority")
async def test_a_create_whose_connection_came_too_late_is_not_sent(
    server: Any, connection: Any, listener: Any, encrypted: ssl.SSLContext
) -> None:
    """Its room at the pace went to another while it connected, and then the lane closed: not a byte of it leaves."""
    shake = threading.Event()
    running = server(reply(202, {"task_id": "t"}), context=encrypted, shake=shake)
    to = connection(running.url, rates=(Rate(1, 0.1),))
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service, anyio.create_task_group() as group:

        async def use_up_and_close() -> None:
            await limiter.acquire(Priority.CREATE)
            limiter.close(Priority.CREATE)
            shake.set()

        permit = await limiter.acquire(Priority.CREATE)
        group.start_soon(use_up_and_close)
        with pytest.raises(LimiterClosedError):
            await service.create(JANE, permit)
        assert service.counts.create == 0
    assert running.requests == []


async def test_an_impostor_gets_no_request(
    server: Any, connection: Any, listener: Any, encrypted: ssl.SSLContext
) -> None:
    """A certificate that nobody vouches for: nothing is sent, nobody tries again, and the message says what to do."""
    running = server(reply(200, ACCOUNT), context=encrypted)
    with pytest.raises(WrongServiceError, match="does not prove who it is") as caught:
        await account(connection(running.url), listener)
    assert "certificate" in caught.value.remedy
    assert running.requests == []


def _exceptions_of_httpx() -> list[type[Exception]]:
    classes = [value for name in httpx.__all__ if isinstance(value := getattr(httpx, name), type)]
    return sorted((cls for cls in classes if issubclass(cls, Exception)), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("kind", _exceptions_of_httpx(), ids=lambda kind: kind.__name__)
async def test_every_error_of_httpx_is_translated(
    connection: Any, listener: Any, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    """Each class that httpx can raise becomes a lost create, or one that certainly never left; none gets through."""

    async def fail(_self: object, _request: httpx.Request) -> httpx.Response:
        raise _make(kind)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", fail)
    never_connected = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol"}
    if kind.__name__ in never_connected:
        with pytest.raises(ServiceDownError, match="Nothing answers"):
            await create(connection("http://127.0.0.1:9"), listener)
    else:
        assert isinstance(await create(connection("http://127.0.0.1:9"), listener), Lost)


def _make(kind: type[Exception]) -> Exception:
    request = httpx.Request("GET", "http://127.0.0.1:9")
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("it broke", request=request, response=httpx.Response(500))
    if issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
        stream_error: Callable[[], Exception] = kind  # its kinds know their own sentence
        return stream_error()
    return kind("it broke")


@pytest.mark.parametrize(
    ("not_before", "not_after", "words"),
    [(-20, -10, "has expired"), (10, 20, "is not valid yet")],
)
@pytest.mark.usefixtures("trusted_authority")
async def test_a_certificate_that_is_not_valid_by_the_clock_names_the_clock(
    server: Any, connection: Any, listener: Any, authority: trustme.CA, not_before: int, not_after: int, words: str
) -> None:
    """The clock of this computer is what is most often wrong: the message says what it says."""
    now = datetime.now(tz=UTC)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    since, until = now + timedelta(days=not_before), now + timedelta(days=not_after)
    authority.issue_cert("localhost", not_before=since, not_after=until).configure_cert(context)
    running = server(reply(200, ACCOUNT), context=context)
    with pytest.raises(WrongServiceError, match=words) as caught:
        await account(connection(running.url), listener)
    assert f"{now.astimezone():%Y-%m-%d}" in caught.value.message
    assert "clock" in caught.value.remedy
    assert running.requests == []


@given(
    value=st.text(max_size=40)
    | st.from_regex(r"[0-9]{1,400}(\.[0-9]{1,30})?", fullmatch=True)
    | st.from_regex(
        r"(Mon|Sun)?,? ?[0-9]{1,3} (Jan|Feb|Dec) [0-9]{1,12} [0-9]{1,3}:[0-9]{2}:[0-9]{2} (GMT|[+-][0-9]{1,30}|EST|)",
        fullmatch=True,
    ),
    date=st.sampled_from(["Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00", "soon", ""]),
)
def test_no_retry_after_is_more_than_the_program_can_calculate_with(value: str, date: str) -> None:
    """A number or a date of any size, or nonsense, is some seconds or none, and never an error."""
    headers = httpx.Headers([(b"Retry-After", value.encode(errors="replace")), (b"Date", date.encode())])
    seconds = transport._retry_after(headers)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("seconds", ["9" * 400, "9" * 20, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_of_centuries_ends_the_run(server: Any, connection: Any, listener: Any, seconds: str) -> None:
    """It is asked for in earnest, so nobody waits for it."""
    running = server(reply(429, b"", Retry_After=seconds, Date="Wed, 21 Oct 2026 07:28:00 GMT"))
    with pytest.raises(ServiceDownError, match="asked us to wait more than 15 minutes"):
        await create(connection(running.url), listener)


async def test_a_body_without_end_is_not_read_to_its_end(
    server: Any, connection: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body larger than any list is given up; whether a create was carried out is not known."""
    monkeypatch.setattr(transport, "LARGEST_BODY", 1000)
    running = server(reply(200, b"x" * 2000))
    assert await create(connection(running.url), listener) == Lost("the answer is larger than this program reads")


@pytest.mark.parametrize(
    "answer",
    [
        b"NOT HTTP Zx-4711-pw! a-key-of-the-tests\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nZx-4711-pw! a-key-of-the-tests\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: Zx-4711-pw!\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: a-key-of-the-tests\r\n\r\n",
    ],
    ids=range(4),
)
async def test_a_malformed_answer_is_described_and_never_quoted(
    server: Any, connection: Any, listener: Any, answer: bytes
) -> None:
    """Neither the reason nor what the log is told holds a letter of it."""
    came = await create(connection(server(answer).url), listener)
    assert came == Lost("the answer is malformed, or broke off")
    assert "4711" not in repr(listener.heard)


async def test_nobody_sends_more_than_one_request_on_a_connection_that_failed(
    server: Any, connection: Any, listener: Any
) -> None:
    """After an answer that broke off, the next request has a connection of its own."""
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"
    running = server(broken, reply(200, ACCOUNT))
    to = connection(running.url, answer_timeout=0.2)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        assert isinstance(await service.create(JANE, await limiter.acquire(Priority.CREATE)), Lost)
        assert await service.account() == KNOWN
    assert running.connections == 2
