"""The Mission Inbox client: the only module that knows HTTP, httpx and its errors, and the service's paths and words.

What the service documents is its guide and its API reference (https://api-v2.missioninbox.com); where they are silent
it is read as Django REST framework and Celery behave. A field or status that is not known here is never an error.
"""

from __future__ import annotations

import json
import math
import random
import re
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote

import anyio
import httpx

from provisioner.errors import KeyRefusedError, ServiceDownError, SettingsError, WrongServiceError
from provisioner.pace import Grant, Lane, LaneClosedError, Pace
from provisioner.records import (
    IMAPS_PORT,
    SMTPS_PORT,
    Accepted,
    Account,
    CreateAnswer,
    Created,
    Exchange,
    Failed,
    Gone,
    Holding,
    Listing,
    Lost,
    Mailbox,
    MailServer,
    OpenTask,
    Pending,
    Refused,
    Request,
    RequestCounts,
    TaskAnswer,
    TaskId,
)
from provisioner.trust import trusted

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping

    import httpcore

    from provisioner.progress import Listener
    from provisioner.settings import Connection

ACCOUNT_PATH = "/api/userinfo/"
TASK_PATH = "/api/tasks/{}/"
EXPORT_PATH = "/mailbox/download/{}/"
LISTING_PATHS = {
    Listing.MAILBOXES: "/api/mailboxes/",
    Listing.DOMAINS: "/api/domains/",
    Listing.RELAY_SERVERS: "/api/relay-servers/",
    # In no published page; an account without it gets a 404, which costs nothing.
    Listing.PROJECTS: "/api/projects/",
}

CONNECT_TIMEOUT = 10.0
KEEPALIVE = 4.0
"""Seconds an idle connection is kept: shorter than servers keep theirs, so that none is closed under a request."""
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0
LONGEST_THROTTLE = 15 * 60.0
"""Seconds the service may keep every request waiting before the run is better continued later."""
LISTING_TRIES = 4
SECRET_NAME = re.compile(r"pass|secret|key|token", re.IGNORECASE)
"""Fields that are never shown."""
REASON_LENGTH = 500
REASON_DEPTH = 8
"""Levels of an error body that are read; sentences stand in the first three."""

ENDED_WELL = frozenset({"success", "succeeded", "completed", "complete", "done"})
ENDED_BADLY = frozenset({"failure", "failed", "error", "revoked"})
DUPLICATE = re.compile(
    r"already\s+(?:exists?|in\s+use|taken|registered|been\s+taken)|must\s+be\s+unique|must\s+make\s+a\s+unique|duplicate",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: object
    """The decoded JSON; None where it is none."""
    retry_after: float | None = None
    location: str = ""

    @property
    def is_json(self) -> bool:
        return self.body is not None


@dataclass(frozen=True, slots=True)
class _NoAnswer:
    """The request left, at least in part, and no whole answer came back."""

    reason: str


@dataclass(frozen=True, slots=True)
class _NeverConnected:
    """Not a byte of the request left."""

    reason: str


class _Wire:
    """One connection to the service, opened anew where it was closed.

    It takes the place of the transport's own pool, which looks through its connections before and after each request
    and so costs half as much again as the request. The pool only makes the connections.
    """

    def __init__(self, transport: httpx.AsyncHTTPTransport) -> None:
        self.transport = transport
        self._pool = transport._pool  # noqa: SLF001 - httpx names no other way to it
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


class ListingUnavailableError(Exception):
    """The service does not give this list now, or does not have it; the message says which in plain words."""


class Service:
    """One account's view of the service. An asynchronous context manager, which may be entered again.

    Every request needs a grant of the pace; a create's and a task's is brought by the caller, who decides at the last
    moment what to send. What certainly was not carried out (never connected, 429, 503 with Retry-After) is sent again
    by itself with a fresh grant; all else is told to the caller.
    """

    def __init__(self, connection: Connection, pace: Pace, listener: Listener) -> None:
        self._connection = connection
        self._origin = connection.api_url.rstrip("/")
        self._pace = pace
        self._listener = listener
        self._ssl: ssl.SSLContext | bool = False
        self._headers = httpx.Headers(
            {
                "Authorization": f"Api-Key {connection.api_key.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "provisioner",
            }
        )
        self._url = httpx.URL(self._origin)
        self._wires: list[_Wire] = []
        self._idle: list[_Wire] = []
        self._counts = dict.fromkeys(asdict(RequestCounts()), 0)
        self._strikes = 0
        self._held_at = float("-inf")
        self._unreached_since: float | None = None
        self._throttled_since: float | None = None
        self._met = False

    @property
    def met(self) -> bool:
        """Whether it has answered as the service does, and accepted the key."""
        return self._met

    @property
    def counts(self) -> RequestCounts:
        return RequestCounts(**self._counts)

    async def __aenter__(self) -> Self:
        if self._origin.startswith("https"):
            self._ssl = await anyio.to_thread.run_sync(trusted)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            for wire in self._wires:
                await wire.transport.aclose()
            self._wires.clear()
            self._idle.clear()

    async def account(self) -> Account:
        """Who the key belongs to, as the service tells it; empty where it has no such page.

        Raises KeyRefusedError, ServiceDownError, WrongServiceError: the first call to make.
        """
        reply = await self._send("other", Lane.ASK, "GET", ACCOUNT_PATH)
        if isinstance(reply, _NoAnswer):
            raise ServiceDownError(
                f"{self._origin} accepted the connection and gave no answer: {reply.reason}.", remedy=_TRY_LATER
            )
        self._check_key(reply)
        if reply.status >= 500:
            raise ServiceDownError(
                f"{self._origin} answers that it is out of order ({reply.status}).", remedy=_TRY_LATER
            )
        if not reply.is_json or 300 <= reply.status < 400:
            raise self._wrong_service(reply)
        self._met = True
        return _account(reply.body if reply.status == 200 and isinstance(reply.body, dict) else {})

    async def create(self, request: Request, grant: Grant) -> CreateAnswer:
        """Ask for one mailbox, once, with a grant of the lane for creates.

        Raises KeyRefusedError, ServiceDownError or WrongServiceError, and LaneClosedError where the pace was closed;
        after each of them nothing was made.
        """
        body = {key: value for key, value in _body(request) if value is not None}
        path, hide = self._connection.create_path, request.redact
        reply = await self._send("create", Lane.CREATE, "POST", path, body=body, grant=grant, hide=hide)
        if isinstance(reply, _NoAnswer):
            return Lost(reply.reason)
        await self._check_key_elsewhere(reply, hide)
        if 300 <= reply.status < 400 or (reply.status in (404, 405) and not reply.is_json):
            raise self._wrong_service(reply, hide)
        if 200 <= reply.status < 300:
            return _accepted(reply)
        if reply.status == 408 or reply.status >= 500:
            return Lost(f"the service answered {reply.status}")
        reason = self._plain(reply, request)
        return Refused(reason, duplicate=bool(DUPLICATE.search(reason)))

    async def task(self, task: OpenTask, grant: Grant) -> TaskAnswer:
        """Ask once how a task stands, with a grant of the lane that asks; an answer that says nothing is pending.

        Raises KeyRefusedError, ServiceDownError and LaneClosedError.
        """
        path, hide = TASK_PATH.format(quote(task.task_id, safe="")), task.job.request.redact
        reply = await self._send("poll", Lane.ASK, "GET", path, grant=grant, hide=hide)
        if isinstance(reply, _NoAnswer):
            return Pending()
        await self._check_key_elsewhere(reply, hide)
        if reply.status == 404:
            return Gone()
        if reply.status != 200 or not isinstance(reply.body, dict):
            return Pending()
        state = str(reply.body.get("status") or reply.body.get("state") or "").lower()
        if state in ENDED_WELL:
            return Created(_mailbox_id(reply.body))
        if state in ENDED_BADLY:
            reason = self._plain(reply, task.job.request)
            return Failed(reason, duplicate=bool(DUPLICATE.search(reason)))
        return Pending()

    async def mailboxes(self) -> AsyncIterator[Mailbox]:
        """Every mailbox of the account, each with a name to know it by.

        Raises ListingUnavailableError, also for an item without such a name, and as `account` does.
        """
        async for page in self.pages(Listing.MAILBOXES):
            for item in page:
                yield _mailbox(item)

    async def holdings(self, listing: Listing) -> tuple[Holding, ...]:
        """The account's domains, relay servers or projects. Raises ListingUnavailableError, and as `account` does."""
        items = [item async for page in self.pages(listing) for item in page]
        return tuple(holding for holding in map(_holding, items) if holding is not None)

    async def pages(self, listing: Listing) -> AsyncGenerator[list[Mapping[str, Any]], None]:
        """A list page by page as the service gives it; a bare array is one page. Pages elsewhere are not followed.

        Raises ListingUnavailableError, also at the end of a list that was not given or not understood whole, and as
        `account` does.
        """
        seen: set[str] = set()
        given = 0
        following: str | None = LISTING_PATHS[listing]
        while following is not None:
            if following in seen:
                raise ListingUnavailableError("the service's list goes round in a circle")
            seen.add(following)
            body = await self._page(following)
            page = body if isinstance(body, dict) else {"results": body}
            items = page.get("results")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise ListingUnavailableError(_UNKNOWN_FORM)
            yield items
            given += len(items)
            following = self._next_page(following, page.get("next"))
        count = page.get("count")
        if isinstance(count, int) and given < count:
            raise ListingUnavailableError(f"the service's list is not whole: {given} of {count}")

    def _next_page(self, path: str, following: object) -> str | None:
        """Path and query of the next page; the key goes to the configured origin alone, whatever the link says."""
        if not following:
            return None
        try:
            target = httpx.URL(self._origin + path).join(str(following))
            # Behind a proxy that speaks TLS for it, the service writes http:// into its own links.
            elsewhere = target.host != self._url.host
        except (ValueError, httpx.InvalidURL):
            elsewhere = True
        if elsewhere:
            raise ListingUnavailableError("the service's list goes on at another address, which is not followed")
        return target.raw_path.decode("ascii")

    async def download(self, export: str) -> AsyncGenerator[bytes, None]:
        """The CSV made for a sending service, in pieces as it arrives.

        Raises SettingsError where there is no such export, WrongServiceError where the answer is no file, and as
        `account` does.
        """
        request = httpx.Request(
            "GET",
            self._origin + EXPORT_PATH.format(quote(export, safe="")),
            headers={**self._headers, "Accept": "text/csv, */*"},
            extensions={"timeout": httpx.Timeout(self._connection.answer_timeout, connect=CONNECT_TIMEOUT).as_dict()},
        )
        while True:
            grant = await self._pace.grant(Lane.ASK)
            self._counts["other"] += 1
            try:
                response = await self._new_wire().transport.handle_async_request(request)
                async with aclosing(response):
                    if response.status_code == 200 and _is_file(response):
                        async for piece in response.aiter_bytes():
                            yield piece
                        return
                    await response.aread()
            except NEVER_CONNECTED + NO_ANSWER as error:
                raise ServiceDownError(
                    f"The download from {self._origin} broke off: {self._technical(error)}.", remedy=_TRY_LATER
                ) from error
            self._refuse_download(_read(response), export, grant)

    def _refuse_download(self, reply: _Reply, export: str, grant: Grant) -> None:
        """Raise what the answer means; returns only where it asks to wait, after the pace is held."""
        if _is_not_now(reply):
            self._hold_throttled(reply, grant)
            return
        self._check_key(reply)
        if reply.status >= 500:
            raise ServiceDownError(f"{self._origin} could not make the export ({reply.status}).", remedy=_TRY_LATER)
        if reply.status in (400, 404):
            raise SettingsError(
                f"The service has no export “{export}”.",
                remedy="Its guide names smartlead, instantly, reply.io, woodpecker and emailbison; see that the name "
                "is written as there.",
            )
        raise self._wrong_service(reply)

    async def _page(self, path: str) -> object:
        reason = ""
        for _ in range(LISTING_TRIES):
            reply = await self._send("other", Lane.ASK, "GET", path)
            if isinstance(reply, _NoAnswer):
                reason = reply.reason
                continue
            if reply.status == 401 or not self._met:
                # A 403 to a key that was accepted before forbids this list alone.
                self._check_key(reply)
            if reply.status == 200 and reply.is_json:
                return reply.body
            reason = f"the service answered {reply.status}"
            if 300 <= reply.status < 500:
                break
        raise ListingUnavailableError(f"the service's list could not be had: {reason}")

    async def _send(
        self,
        purpose: str,
        lane: Lane,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        grant: Grant | None = None,
        hide: Callable[[str], str] = str,
    ) -> _Reply | _NoAnswer:
        """Send one request, again only where it certainly was not carried out, and answer what came of it.

        `hide` takes what the request holds out of the reasons.
        """
        content = json.dumps(body).encode() if body is not None else None
        attempt = 0
        while True:
            if grant is None or attempt:
                grant = await self._pace.grant(lane)
            self._counts[purpose] += 1
            self._counts["retried"] += attempt > 0
            began = anyio.current_time()
            try:
                reply = await self._exchange(method, path, content, grant, lane)
            except LaneClosedError:
                self._counts[purpose] -= 1
                self._counts["retried"] -= attempt > 0
                raise
            attempt += 1
            if not isinstance(reply, _Reply):
                reply = replace(reply, reason=hide(reply.reason))
            self._tell(method, path, reply, anyio.current_time() - began)
            if isinstance(reply, _NeverConnected):
                self._hold_unreached(reply.reason, grant)
            elif isinstance(reply, _Reply) and _is_not_now(reply):
                self._hold_throttled(reply, grant)
            else:
                if isinstance(reply, _Reply):
                    self._strikes, self._unreached_since, self._throttled_since = 0, None, None
                return reply

    def _tell(self, method: str, path: str, reply: _Reply | _NoAnswer | _NeverConnected, seconds: float) -> None:
        """What may be shown of a request to anybody: neither header nor body, and so no secret."""
        status = reply.status if isinstance(reply, _Reply) else None
        fault = "" if isinstance(reply, _Reply) else self._connection.api_key.redact(reply.reason)
        self._listener.answered(Exchange(method, path, status, seconds, fault))

    async def _exchange(
        self, method: str, path: str, content: bytes | None, grant: Grant, lane: Lane
    ) -> _Reply | _NoAnswer | _NeverConnected:
        """One request on one connection of its own, and httpx's errors in this program's words.

        Raises LaneClosedError where a connection had to be opened for so long that the lane was closed: nothing left.
        """
        wire = self._idle.pop() if self._idle else self._new_wire()
        extensions: dict[str, Any] = {"target": path.encode("ascii")}
        try:
            is_open = await wire.is_open()
            with anyio.fail_after(self._connection.answer_timeout if is_open else None) as limit:
                if not is_open:
                    extensions |= {"timeout": {"connect": CONNECT_TIMEOUT}, "trace": self._leaving(grant, lane, limit)}
                request = httpx.Request(
                    method, self._url, headers=self._headers, content=content, extensions=extensions
                )
                response = await wire.transport.handle_async_request(request)
                await response.aread()
        except NEVER_CONNECTED as error:
            return _NeverConnected(self._technical(error))
        except TimeoutError:
            return _NoAnswer(f"no answer within {self._connection.answer_timeout:g} seconds")
        except NO_ANSWER as error:
            return _NoAnswer(self._technical(error))
        finally:
            self._idle.append(wire)
        return _read(response)

    def _leaving(
        self, grant: Grant, lane: Lane, limit: anyio.CancelScope
    ) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        """Counts a request, and its time-out, from when it leaves, where a connection must be opened for it first.

        Else the first requests would reach the service late, and bunched with those behind them.
        """
        latest = grant

        async def trace(event: str, _details: Mapping[str, Any]) -> None:
            nonlocal latest
            if event.endswith(".send_request_headers.started"):
                limit.deadline = math.inf
                latest = await self._pace.delay(latest, lane)
                limit.deadline = anyio.current_time() + self._connection.answer_timeout

        return trace

    def _new_wire(self) -> _Wire:
        """No client stands above it: that would keep cookies, follow redirects if told so, and cost a fifth more."""
        transport = httpx.AsyncHTTPTransport(
            verify=self._ssl,
            # The environment is the command line's to read; a proxy would see a loopback request's key in clear.
            trust_env=False,
            proxy=self._connection.proxy if self._ssl else None,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE),
        )
        self._wires.append(_Wire(transport))
        return self._wires[-1]

    def _hold_unreached(self, reason: str, grant: Grant) -> None:
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            raise WrongServiceError(
                f"{self._origin} does not prove who it is ({reason}).",
                remedy="Check the address. If your office's network reads encrypted traffic, its certificate must be "
                "installed on this computer.",
            )
        if grant <= self._held_at:
            return
        now = anyio.current_time()
        if self._unreached_since is None:
            self._unreached_since = now
        wait = self._backoff()
        patience = self._connection.patience if self._met else 0.0
        if now + wait - self._unreached_since > patience:
            raise ServiceDownError(
                f"Nothing answers at {self._origin} ({reason}).",
                remedy="Check the address and your connection to the network, then run again.",
            )
        self._hold(wait, "the service cannot be reached")

    def _hold_throttled(self, reply: _Reply, grant: Grant) -> None:
        too_fast = reply.status == 429
        self._counts["throttled"] += too_fast
        if too_fast:
            self._pace.ease(grant)
        if reply.retry_after is None and grant <= self._held_at:
            return
        now = anyio.current_time()
        self._unreached_since = None
        if self._throttled_since is None:
            self._throttled_since = now
        wait = reply.retry_after if reply.retry_after is not None else self._backoff()
        if now + wait - self._throttled_since > LONGEST_THROTTLE:
            raise ServiceDownError(
                f"{self._origin} asks to wait for longer than {LONGEST_THROTTLE / 60:.0f} minutes.",
                remedy="Run again later, with a lower --rate if this happens often.",
            )
        self._hold(wait, "the service asks to send more slowly" if too_fast else "the service is not available")

    def _hold(self, seconds: float, reason: str) -> None:
        """Let everyone wait. What was under way by then and fails in the same way is no further failure."""
        self._held_at = anyio.current_time()
        if self._pace.hold(seconds):
            self._listener.held(seconds, reason)

    def _backoff(self) -> float:
        """Seconds to wait after one more failure in a row; spread, so that many programs do not return together."""
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**self._strikes)
        self._strikes += 1
        return wait * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, guards nothing

    def _check_key(self, reply: _Reply, hide: Callable[[str], str] = str) -> None:
        if reply.status in (401, 403):
            said = self._sentences(reply, hide)
            raise KeyRefusedError(
                f"The service refused the API key ({reply.status}{': ' + said if said else ''}).",
                remedy="Check the key with whoever manages the account at Mission Inbox, then run again.",
            )

    async def _check_key_elsewhere(self, reply: _Reply, hide: Callable[[str], str]) -> None:
        """As `_check_key`; but a 403 forbids this request alone if the account's page is still given for the key."""
        if reply.status == 403 and self._met:
            page = await self._send("other", Lane.ASK, "GET", ACCOUNT_PATH)
            if isinstance(page, _Reply) and page.is_json and page.status in (200, 404):
                return
        self._check_key(reply, hide)

    def _wrong_service(self, reply: _Reply, hide: Callable[[str], str] = str) -> WrongServiceError:
        if 300 <= reply.status < 400:
            where = self._hide(hide(reply.location))[:REASON_LENGTH]
            what = f"redirects to {where or 'another address'}, which is not followed"
        elif reply.status == 404:
            what = "has no such page (404)"
        else:
            what = f"answers with a web page instead of data ({reply.status})"
        return WrongServiceError(
            f"{self._origin} {what}: this is not the service's address.",
            remedy="Check --api-url or MISSION_INBOX_URL.",
        )

    def _plain(self, reply: _Reply, request: Request) -> str:
        """The service's own sentences about a request, without its password."""
        return self._sentences(reply, request.redact) or f"the service answered {reply.status} and no reason"

    def _sentences(self, reply: _Reply, hide: Callable[[str], str] = str) -> str:
        """The sentences of an error body. Secrets are hidden before anything is cut, which could split one."""
        hidden = (" ".join(self._hide(hide(sentence)).split()) for sentence in _flatten(reply.body))
        text = "; ".join(sentence for sentence in hidden if sentence)
        return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"

    def _technical(self, error: Exception) -> str:
        return self._hide(str(error) or type(error).__name__)

    def _hide(self, text: str) -> str:
        return self._connection.api_key.redact(text)


_TRY_LATER = "Run again in a few minutes; if it stays so, ask Mission Inbox's support."

_UNKNOWN_FORM = "the service's list has a form that this program does not know"

NEVER_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""httpx's errors after which not a byte of the request has left."""
NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
"""All others: whether the request was carried out is not known."""


def _body(request: Request) -> Iterator[tuple[str, object]]:
    yield "email", request.email
    yield "domain", request.domain
    yield "relay_server", request.relay_server
    yield "password", request.password.reveal() if request.password else None
    yield "project", request.project
    yield "reply_to", request.reply_to


def _read(response: httpx.Response) -> _Reply:
    try:
        body = json.loads(response.content)
        if b"\\" in response.content or not response.content.isascii():
            # JSON can spell halves of characters, which no file and no database takes: they become question marks.
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    if 200 <= response.status_code < 300:
        return _Reply(response.status_code, body)
    location = response.headers.get("location", "")
    return _Reply(response.status_code, body, _retry_after(response.headers), location)


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


def _is_not_now(reply: _Reply) -> bool:
    """Whether the reply says that the request was not carried out and may be sent again."""
    return reply.status == 429 or (reply.status == 503 and reply.retry_after is not None)


def _accepted(reply: _Reply) -> CreateAnswer:
    if isinstance(reply.body, dict):
        task_id, mailbox_id = reply.body.get("task_id"), reply.body.get("id")
        if isinstance(task_id, str | int) and task_id != "":
            return Accepted(TaskId(str(task_id)))
        if isinstance(mailbox_id, str | int) and mailbox_id != "":
            return Created(str(mailbox_id))
    return Lost(f"the service answered {reply.status} without a task ID")


def _mailbox_id(body: Mapping[str, Any]) -> str | None:
    """The new mailbox's ID in a task that ended, wherever the service puts it."""
    for place in (body, body.get("result"), body.get("mailbox"), body.get("data")):
        if isinstance(place, dict):
            found = place.get("mailbox_id") or (place.get("id") if place is not body else None)
            if found is not None:
                return str(found)
    return None


def _account(body: Mapping[str, Any]) -> Account:
    servers = {key: str(body.get(key) or "").strip() for key in ("ibx_smtp", "ibx_imap")}
    return Account(
        facts={
            key: str(value)
            for key, value in body.items()
            if isinstance(value, str | int | float) and value != "" and not SECRET_NAME.search(key)
        },
        smtp=MailServer(servers["ibx_smtp"], SMTPS_PORT) if servers["ibx_smtp"] else None,
        imap=MailServer(servers["ibx_imap"], IMAPS_PORT) if servers["ibx_imap"] else None,
    )


def _holding(item: Mapping[str, Any]) -> Holding | None:
    """None where the item has no number to name it by."""
    number = str(item.get("id", ""))
    if not (number.isascii() and number.isdecimal()):
        return None
    # Relay servers are documented with a provider, and no name.
    name = next((item[key] for key in ("name", "domain", "domain_name", "provider") if item.get(key)), "")
    verified = next((item[key] for key in ("verified", "is_verified") if isinstance(item.get(key), bool)), None)
    return Holding(int(number), str(name), verified)


def _mailbox(item: Mapping[str, Any]) -> Mailbox:
    """Raises ListingUnavailableError where the item does not say which mailbox it is."""
    domain = item.get("domain")
    nested = domain if isinstance(domain, dict) else {}
    number = nested.get("id", domain)
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number)
    texts = (text for key in ("email", "address", "username") if isinstance(text := item.get(key), str))
    email = next((text for text in texts if text.strip()), None)
    if email is None:
        # Whoever looks for a mailbox must not take it for missing because it could not be read.
        raise ListingUnavailableError(_UNKNOWN_FORM)
    name = item.get("domain_name") or nested.get("name") or (number if isinstance(number, str) else None)
    return Mailbox(
        id=str(item["id"]) if item.get("id") is not None else None,
        email=email,
        domain=number if isinstance(number, int) else None,
        domain_name=str(name) if name else None,
    )


# Keys under which a failure's sentence stands beside fields that say nothing to a reader.
_REASON_KEYS = ("error", "errors", "detail", "message", "reason", "result", "non_field_errors")


def _flatten(body: object, depth: int = REASON_DEPTH) -> Iterator[str]:
    """The sentences of an error body in reading order: Django REST framework's by field, a task's by its reason."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, list) and depth:
        for item in body:
            yield from _flatten(item, depth - 1)
    elif isinstance(body, dict) and depth:
        reasons = [key for key in _REASON_KEYS if body.get(key)]
        is_task = "status" in body or "state" in body
        for key in reasons:
            yield from _flatten(body[key], depth - 1)
        for key, value in body.items():
            if not is_task and key not in reasons:
                yield from (f"{key}: {sentence}" for sentence in _flatten(value, depth - 1))
