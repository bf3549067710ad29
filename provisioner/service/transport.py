"""Sends one request and returns its response, or what kind of failure came instead.

The only module that imports httpx and knows its errors. It uses httpx's transports directly: a client on top of them
would keep cookies. Each request that is under way has a transport of its own, with one connection, which the next
request uses again. All of them share one TLS context.
"""

from __future__ import annotations

import json
import math
import re
import ssl
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import httpx

from provisioner.certificates import trusted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from provisioner.settings import Connection

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for everything that precedes the request: TCP, the proxy, TLS."""
KEEPALIVE: Final = 4.0
"""Seconds that an idle connection is kept. Servers keep theirs longer, so that none is closed under a request."""
LARGEST_BODY: Final = 1 << 28
"""Bytes. A list of a million mailboxes fits; a body without end does not fill the memory."""
TEXT_LENGTH: Final = 1000

NEVER_CONNECTED: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""httpx's errors after which no byte of the request was sent."""
NO_ANSWER: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""All others: it is not known whether the request was carried out."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response."""

    status: int
    body: object
    """The decoded JSON, or None if the body is not JSON."""
    retry_after: float | None = None
    """Seconds that the service asked us to wait."""
    location: str = ""
    """Where a redirect leads."""
    is_web_page: bool = False
    text: str = ""
    """A short body of plain text."""
    links_on: bool = False
    """Whether its Link header names a next page."""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_json(self) -> bool:
        return self.body is not None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request was sent, at least in part, and no whole response came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeverConnected:
    """No byte of the request was sent."""

    reason: str
    certificate: int | None = None
    """OpenSSL's verification error, if the server's certificate was not accepted."""
    proxy_status: int | None = None
    """What the proxy answered, if it refused to connect."""


class DownloadError(Exception):
    """A download ended before it was whole; the message says why."""


class ConnectionPool:
    """Connections to one origin: one for each request under way, kept open for the next request."""

    def __init__(self, connection: Connection) -> None:
        self._url = httpx.URL(connection.api_url.rstrip("/"))
        self._timeout = connection.answer_timeout
        self._proxy = connection.proxy
        self._headers = httpx.Headers(
            {
                "Authorization": f"Api-Key {connection.api_key.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "provisioner",
            }
        )
        self._context: ssl.SSLContext | None = None
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def open(self) -> None:
        """Load the certificates by which the servers of an https origin are verified. To be called before the rest."""
        if self._url.scheme == "https":
            self._context = await anyio.to_thread.run_sync(trusted)

    async def aclose(self) -> None:
        """Close the connections; the next request opens another."""
        while self._idle:
            await self._idle.pop().aclose()

    async def send(
        self, method: str, path: str, content: bytes | None, leaving: Callable[[], Awaitable[None]]
    ) -> Reply | NoAnswer | NeverConnected:
        """Send one request and read the whole response.

        `leaving` is awaited just before the request is sent, if a connection had to be opened for it. If it raises,
        nothing is sent. The answer's time limit starts when the request is sent.
        """
        transport = self._idle.pop() if self._idle else self._transport()
        progress = _Progress(leaving, self._timeout)
        is_reusable = False
        try:
            with progress.scope:
                response = await transport.handle_async_request(self._request(method, path, content, progress))
                reply = _read(response, await _content(response))
                # 421: to be sent again on another connection.
                is_reusable = reply.status != 421
                return reply
            return progress.timed_out()
        except NO_ANSWER as error:
            return progress.failed(error)
        finally:
            if is_reusable:
                self._idle.append(transport)
            else:
                with anyio.CancelScope(shield=True):
                    await transport.aclose()

    async def download(self, path: str) -> bytes | Reply:
        """Ask for a CSV file. Returns the reply if it is none. Raises DownloadError.

        The time limit is for each piece: a large file on a slow line may take longer.
        """
        request = self._request("GET", path, None, None)
        request.headers["Accept"] = "text/csv, */*"
        request.extensions["timeout"] = httpx.Timeout(self._timeout, connect=CONNECT_TIMEOUT).as_dict()
        try:
            async with self._transport() as transport:
                response = await transport.handle_async_request(request)
                content = await _content(response)
        except NO_ANSWER as error:
            raise DownloadError(_description(error)) from error
        is_file = response.status_code == httpx.codes.OK and _may_be_file(response)
        return content if is_file else _read(response, content)

    def target(self, path: str, link: str, *, own_path: str) -> str | None:
        """Path and query of a link in the response to `path`, to be asked at this origin; None if it leads elsewhere.

        A link to `own_path` on another host is the same list under the name that the service has for itself inside.
        """
        try:
            target = self._at(path).join(link)
            is_own = target.host == self._url.host or target.path == own_path
            # Behind a proxy that speaks TLS for it, the service writes http:// into its own links.
            return target.raw_path.decode("ascii") if is_own else None
        except (ValueError, httpx.InvalidURL):
            return None

    def _at(self, path: str) -> httpx.URL:
        return self._url.copy_with(raw_path=path.encode("ascii"))

    def _request(self, method: str, path: str, content: bytes | None, trace: _Progress | None) -> httpx.Request:
        extensions = {"trace": trace} if trace is not None else {}
        return httpx.Request(method, self._at(path), headers=self._headers, content=content, extensions=extensions)

    def _transport(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=KEEPALIVE)
        verify = self._context or False
        return httpx.AsyncHTTPTransport(verify=verify, trust_env=False, proxy=self._through(), limits=limits)

    def _through(self) -> httpx.Proxy | None:
        # A proxy would see the key of a request to loopback, which is not encrypted.
        if self._proxy is None or self._context is None:
            return None
        return httpx.Proxy(self._proxy, ssl_context=self._context if self._proxy.startswith("https:") else None)


class _Progress:
    """How far one request has come, as httpx's trace extension reports it, and the time limit of each part.

    See https://www.python-httpx.org/advanced/extensions/#trace.
    """

    def __init__(self, leaving: Callable[[], Awaitable[None]], timeout: float) -> None:
        self._leaving = leaving
        self._timeout = timeout
        self._is_connecting = False
        self.scope = anyio.CancelScope(deadline=anyio.current_time() + CONNECT_TIMEOUT)

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self._is_connecting = True
        # The proxy's CONNECT is a request of its own.
        elif event.endswith(".send_request_headers.started") and info["request"].method != b"CONNECT":
            if self._is_connecting:
                self.scope.deadline = math.inf
                await self._leaving()
            self._is_connecting = False
            self.scope.deadline = anyio.current_time() + self._timeout

    def failed(self, error: Exception) -> NoAnswer | NeverConnected:
        """What an error means: while the connection was being opened, nothing had been sent, whatever the error."""
        if self._is_connecting or isinstance(error, NEVER_CONNECTED):
            return NeverConnected(_description(error), _certificate_error(error), _proxy_status(error))
        return NoAnswer(_description(error))

    def timed_out(self) -> NoAnswer | NeverConnected:
        if self._is_connecting:
            return NeverConnected(f"no connection within {CONNECT_TIMEOUT:g} seconds")
        return NoAnswer(f"no answer within {self._timeout:g} seconds")


def _description(error: BaseException) -> str:
    """An error in words that quote nothing the other side sent."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate was not accepted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or type(cause).__name__}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" in str(error):
        return "the connection was closed without an answer"
    return _DESCRIPTIONS.get(type(error), f"the connection failed ({type(error).__name__})")


_DESCRIPTIONS: Final[Mapping[type[BaseException], str]] = {
    httpx.ConnectError: "the connection could not be opened",
    httpx.ConnectTimeout: "the connection could not be opened in time",
    httpx.DecodingError: "the answer could not be decoded",
    httpx.LocalProtocolError: "the request is malformed",
    httpx.ProxyError: "the proxy did not open the connection",
    httpx.ReadError: "the connection broke off before the answer was complete",
    httpx.RemoteProtocolError: "the answer is malformed, or broke off",
    httpx.StreamError: "the answer is larger than this program reads",
    httpx.WriteError: "the connection broke off while the request was being sent",
}
"""Of the errors that occur; the others are named."""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _certificate_error(error: BaseException) -> int | None:
    codes = (cause.verify_code for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError))
    return next(codes, None)


def _proxy_status(error: BaseException) -> int | None:
    """The status is all that is taken from a proxy's answer."""
    found = re.match("[1-5][0-9][0-9] ", str(error)) if isinstance(error, httpx.ProxyError) else None
    return int(found[0]) if found else None


async def _content(response: httpx.Response) -> bytes:
    """The whole body. Raises httpx.StreamError if it is too large."""
    async with aclosing(response):
        pieces, size = [], 0
        async for piece in response.aiter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_BODY:
                raise httpx.StreamError("too large")
    return b"".join(pieces)


def _read(response: httpx.Response, content: bytes) -> Reply:
    try:
        body = json.loads(content)
        if b"\\" in content or not content.isascii():
            # JSON can spell halves of characters, which no file and no database takes: they become question marks.
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    kind = response.headers.get("content-type", "").lower()
    return Reply(
        response.status_code,
        body,
        retry_after=None if response.is_success else _retry_after(response.headers),
        location=response.headers.get("location", ""),
        is_web_page=body is None and ("html" in kind or content.lstrip()[:1] == b"<"),
        text=content[:TEXT_LENGTH].decode(errors="replace") if body is None and "text/plain" in kind else "",
        links_on="next" in response.links,
    )


def _may_be_file(response: httpx.Response) -> bool:
    """Whether the response may be a CSV file: a web page or JSON is not, whatever its status."""
    kind = response.headers.get("content-type", "").lower()
    return not ("html" in kind or "json" in kind)


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that a response asks us to wait, given as a number or a date; None if it gives neither.

    A value that cannot be calculated with counts as none.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds())
    except (KeyError, TypeError, ValueError, OverflowError, IndexError):
        return None
