"""The network's side of the client: a request goes out, and what came of it comes back in this program's words.

The one module that knows httpx and its errors. It speaks HTTP through httpx's own transport, on connections that it
keeps itself.
"""

from __future__ import annotations

import json
import math
import re
import select
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import httpcore
import httpx
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSAttribute, TLSStream

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from anyio.abc import ByteStream

    from provisioner.settings import Connection

CONNECT_TIMEOUT: Final = 10.0
KEEPALIVE: Final = 4.0
"""Seconds an idle connection is kept: shorter than servers keep theirs, so that none is closed under a request."""

NEVER_CONNECTED: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""httpx's errors after which not a byte of the request has left."""
NO_ANSWER: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""All others: whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: object
    """The decoded JSON; None where it is none."""
    retry_after: float | None = None
    """Seconds that it asks to wait for."""
    location: str = ""

    @property
    def is_json(self) -> bool:
        return self.body is not None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request left, at least in part, and no whole answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeverConnected:
    """Not a byte of the request left."""

    reason: str


class BrokenOffError(Exception):
    """An answer that was read in pieces did not come to its end; the message says why."""


class Wires:
    """Connections to one origin: as many as requests are under way at once, each used again while it is open."""

    def __init__(self, connection: Connection) -> None:
        self._origin = connection.api_url.rstrip("/")
        self._url = httpx.URL(self._origin)
        self._timeout = connection.answer_timeout
        self._proxy = connection.proxy
        self._redact = connection.api_key.redact
        self._headers = httpx.Headers(
            {
                "Authorization": f"Api-Key {connection.api_key.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "provisioner",
            }
        )
        self._ssl: ssl.SSLContext | bool = False
        self._all: list[_Wire] = []
        self._idle: list[_Wire] = []

    @property
    def is_encrypted(self) -> bool:
        return self._url.scheme == "https"

    @property
    def opened(self) -> int:
        """How many there are."""
        return len(self._all)

    def trust(self, context: ssl.SSLContext) -> None:
        """Let every connection be encrypted, and proved by this context."""
        self._ssl = context

    async def aclose(self) -> None:
        """Close all of them; the next request opens another."""
        for wire in self._all:
            await wire.transport.aclose()
        self._all.clear()
        self._idle.clear()

    async def exchange(
        self, method: str, path: str, content: bytes | None, leaving: Callable[[], Awaitable[None]]
    ) -> Reply | NoAnswer | NeverConnected:
        """Send one request on a connection of its own, and read the whole answer.

        `leaving` is awaited where a connection had to be opened for it, when the request is about to leave: what it
        raises goes through, and nothing has left. The time-out counts from then on.
        """
        wire = self._idle.pop() if self._idle else self._new()
        extensions: dict[str, Any] = {"target": path.encode("ascii")}
        try:
            is_open = await wire.is_open()
            with anyio.fail_after(self._timeout if is_open else None) as limit:
                if not is_open:
                    extensions["timeout"] = {"connect": CONNECT_TIMEOUT}
                    extensions["trace"] = self._awaiting(leaving, limit)
                request = httpx.Request(
                    method, self._url, headers=self._headers, content=content, extensions=extensions
                )
                response = await wire.transport.handle_async_request(request)
                return _read(response, await _content(response))
        except NEVER_CONNECTED as error:
            return NeverConnected(self._technical(error))
        except TimeoutError:
            return NoAnswer(f"no answer within {self._timeout:g} seconds")
        except NO_ANSWER as error:
            return NoAnswer(self._technical(error))
        finally:
            self._idle.append(wire)

    @asynccontextmanager
    async def file(self, path: str) -> AsyncIterator[AsyncIterator[bytes] | Reply]:
        """Ask for a CSV file: its pieces as they arrive, or the reply where that is none.

        Raises BrokenOffError, also from within the context where the file does not come to its end.
        """
        timeout = httpx.Timeout(self._timeout, connect=CONNECT_TIMEOUT).as_dict()
        headers = {**self._headers, "Accept": "text/csv, */*"}
        request = httpx.Request("GET", self._origin + path, headers=headers, extensions={"timeout": timeout})
        try:
            response = await self._new().transport.handle_async_request(request)
            async with aclosing(response):
                if response.status_code == httpx.codes.OK and _is_file(response):
                    yield response.aiter_bytes()
                else:
                    yield _read(response, await response.aread())
        except NEVER_CONNECTED + NO_ANSWER as error:
            raise BrokenOffError(self._technical(error)) from error

    def target(self, path: str, link: str) -> str | None:
        """Path and query that a link within the answer at `path` leads to; None where it leads to another host."""
        try:
            target = httpx.URL(self._origin + path).join(link)
        except (ValueError, httpx.InvalidURL):
            return None
        # Behind a proxy that speaks TLS for it, the service writes http:// into its own links.
        return target.raw_path.decode("ascii") if target.host == self._url.host else None

    def _awaiting(
        self, leaving: Callable[[], Awaitable[None]], limit: anyio.CancelScope
    ) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        async def trace(event: str, _details: Mapping[str, Any]) -> None:
            if event.endswith(".send_request_headers.started"):
                limit.deadline = math.inf
                await leaving()
                limit.deadline = anyio.current_time() + self._timeout

        return trace

    def _new(self) -> _Wire:
        """No client stands above it: that would keep cookies, follow redirects if told so, and cost a fifth more."""
        transport = httpx.AsyncHTTPTransport(
            verify=self._ssl,
            # The environment is the command line's to read; a proxy would see a loopback request's key in clear.
            trust_env=False,
            proxy=self._proxy if self._ssl else None,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE),
        )
        self._all.append(_Wire(transport))
        return self._all[-1]

    def _technical(self, error: Exception) -> str:
        return self._redact(str(error) or type(error).__name__)


class _Wire:
    """One connection, opened anew where it was closed.

    It takes the place of the transport's own pool, which looks through its connections before and after each request
    and so costs half as much again as the request. The pool only makes the connections.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self.transport = transport
        self._pool = transport._pool  # noqa: SLF001 - httpx names no other way to it
        self._pool._network_backend = _Network()  # noqa: SLF001 - nor to this
        self._connection: httpcore.AsyncConnectionInterface | None = None
        transport._pool = cast("Any", self)  # noqa: SLF001

    async def is_open(self) -> bool:
        """Whether the next request finds a connection; one that was closed, or idle for too long, is let go."""
        connection = self._connection
        if connection is not None and (not connection.is_idle() or connection.has_expired()):
            await self.aclose()
        return self._connection is not None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, for the transport."""
        if self._connection is None:
            self._connection = self._pool.create_connection(request.url.origin)
        return await self._connection.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the connection, if there is one; the next request opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()


class _Network(httpcore.AsyncNetworkBackend):
    """Opens connections whose streams are `_Stream`."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: object = None,  # noqa: ARG002 - none are set
    ) -> httpcore.AsyncNetworkStream:
        with _connecting(), anyio.fail_after(timeout):
            return _Stream(await anyio.connect_tcp(host, port, local_host=local_address))


class _Stream(httpcore.AsyncNetworkStream):
    """A connection's bytes. What is written leaves with the next reading: head and body of a request as one.

    httpcore's own stream sends them apart, and sets a time-out around each, which costs as much as the rest of it.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._unsent = b""
        self._socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - no Django here

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        if timeout is None:
            return await self._exchange(max_bytes)
        try:
            with anyio.fail_after(timeout):
                return await self._exchange(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - the same
        self._unsent += buffer

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        try:
            with _connecting(), anyio.fail_after(timeout):
                return _Stream(
                    await TLSStream.wrap(
                        self._stream, hostname=server_hostname, ssl_context=ssl_context, standard_compatible=False
                    )
                )
        except BaseException:
            await self.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return _is_readable(self._socket)
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)  # noqa: S610 - no Django here
        return self._socket if info == "socket" else None

    async def _exchange(self, max_bytes: int) -> bytes:
        try:
            if self._unsent:
                unsent, self._unsent = self._unsent, b""
                # Whoever hangs up may have answered before.
                with suppress(anyio.BrokenResourceError):
                    await self._stream.send(unsent)
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
            raise httpcore.ReadError(str(error)) from error


@contextmanager
def _connecting() -> Iterator[None]:
    """What goes wrong before there is a connection, in httpcore's words."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        raise httpcore.ConnectError(str(error)) from error


def _is_readable(connection: socket.socket) -> bool:
    """Whether something arrived while nothing was asked: the other side has closed it, or is out of step."""
    number = connection.fileno()
    if number < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


async def _content(response: httpx.Response) -> bytes:
    """The whole body. Decoding is left to httpx, and only where something was encoded, which nobody asked for."""
    if any(name.lower() == b"content-encoding" for name, _ in response.headers.raw):
        return await response.aread()
    stream = cast("httpx.AsyncByteStream", response.stream)
    async with aclosing(stream):
        return b"".join([piece async for piece in stream])


def _read(response: httpx.Response, content: bytes) -> Reply:
    try:
        body = json.loads(content)
        if b"\\" in content or not content.isascii():
            # JSON can spell halves of characters, which no file and no database takes: they become question marks.
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    if response.is_success:
        return Reply(response.status_code, body)
    location = response.headers.get("location", "")
    return Reply(response.status_code, body, _retry_after(response.headers), location)


def _is_file(response: httpx.Response) -> bool:
    """Whether the answer may be a CSV file: a web page or data is none, whatever its status."""
    kind = response.headers.get("content-type", "").lower()
    return not ("html" in kind or "json" in kind)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that a reply asks to wait for, given as such or as a date; None where it does not say."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None
