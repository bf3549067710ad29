"""The Mission Inbox client: the only module that knows HTTP, httpx and its errors, and the service's paths and words.

What the service documents is its guide and its API reference (https://api-v2.missioninbox.com); where they are silent
it is read as Django REST framework and Celery behave. A field or status that is not known here is never an error.
"""

from __future__ import annotations

import json
import random
import re
import ssl
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urljoin, urlsplit

import anyio
import certifi
import httpx

from provisioner.errors import KeyRefusedError, ServiceDownError, WrongServiceError
from provisioner.pace import Lane, Pace
from provisioner.records import (
    Accepted,
    CreateAnswer,
    Created,
    Exchange,
    Failed,
    Lost,
    Mailbox,
    OpenTask,
    Pending,
    Refused,
    Request,
    RequestCounts,
    TaskAnswer,
    TaskId,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from provisioner.progress import Listener
    from provisioner.settings import Connection

ACCOUNT_PATH = "/api/userinfo/"
TASK_PATH = "/api/tasks/{}/"
MAILBOXES_PATH = "/api/mailboxes/"
DOMAINS_PATH = "/api/domains/"

CONNECT_TIMEOUT = 10.0
KEEPALIVE = 4.0
"""Seconds an idle connection is kept: shorter than servers keep theirs, so that none is closed under a request."""
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0
LONGEST_THROTTLE = 15 * 60.0
"""Seconds the service may keep every request waiting before the run is better continued later."""
LISTING_TRIES = 4
REASON_LENGTH = 500

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
    text: str
    """The start of a body that is not JSON."""
    retry_after: float | None
    location: str

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


class ListingUnavailableError(Exception):
    """The service does not give this list now, or does not have it; the message says which in plain words."""


class Service:
    """One account's view of the service. An asynchronous context manager; for one event loop.

    Every request waits for a grant of the pace first. What certainly was not carried out (never connected, 429, 503
    with Retry-After) is sent again by itself with a fresh grant; all else is told to the caller.
    """

    def __init__(self, connection: Connection, pace: Pace, listener: Listener) -> None:
        self._connection = connection
        self._origin = connection.api_url.rstrip("/")
        self._pace = pace
        self._listener = listener
        self._ssl: ssl.SSLContext | bool = False
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []
        self._counts = dict.fromkeys(asdict(RequestCounts()), 0)
        self._strikes = 0
        self._unreached_since: float | None = None
        self._throttled_since: float | None = None
        self._met = False

    @property
    def counts(self) -> RequestCounts:
        return RequestCounts(**self._counts)

    async def __aenter__(self) -> Self:
        if self._origin.startswith("https"):
            self._ssl = await anyio.to_thread.run_sync(_trust)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            for client in self._clients:
                await client.aclose()

    async def account(self) -> Mapping[str, Any]:
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
        return reply.body if reply.status == 200 and isinstance(reply.body, dict) else {}

    async def create(self, request: Request) -> CreateAnswer:
        """Ask for one mailbox, once.

        Raises KeyRefusedError, ServiceDownError or WrongServiceError, and LaneClosedError where the pace was closed;
        after each of them nothing was made.
        """
        body = {key: value for key, value in _body(request) if value is not None}
        reply = await self._send("create", Lane.CREATE, "POST", self._connection.create_path, body)
        if isinstance(reply, _NoAnswer):
            return Lost(reply.reason)
        self._check_key(reply)
        if 300 <= reply.status < 400 or (reply.status in (404, 405) and not reply.is_json):
            raise self._wrong_service(reply)
        if 200 <= reply.status < 300:
            return _accepted(reply)
        if reply.status == 408 or reply.status >= 500:
            return Lost(f"the service answered {reply.status}")
        reason = self._plain(reply, request)
        return Refused(reason, duplicate=bool(DUPLICATE.search(reason)))

    async def task(self, task: OpenTask) -> TaskAnswer:
        """Ask once how a task stands. An answer that says nothing counts as pending. Raises as `create` does."""
        path = TASK_PATH.format(quote(task.task_id, safe=""))
        reply = await self._send("poll", Lane.ASK, "GET", path)
        if isinstance(reply, _NoAnswer):
            return Pending()
        self._check_key(reply)
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
        """Every mailbox of the account. Raises ListingUnavailableError, and as `account` does."""
        async for item in self._listing(MAILBOXES_PATH):
            yield _mailbox(item)

    async def domain_names(self) -> dict[int, str]:
        """The account's domains by ID. Raises ListingUnavailableError, and as `account` does."""
        return {
            item["id"]: str(item.get("name") or item.get("domain") or "")
            async for item in self._listing(DOMAINS_PATH)
            if isinstance(item.get("id"), int)
        }

    async def _listing(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """The items of a list, whether it comes as a bare array or in pages; pages of another origin are refused."""
        url: str | None = self._origin + path
        seen: set[str] = set()
        while url and url not in seen:
            seen.add(url)
            body = await self._page(url)
            items = body if isinstance(body, list) else body.get("results") if isinstance(body, dict) else None
            if not isinstance(items, list):
                raise ListingUnavailableError("the service's list has a form that this program does not know")
            for item in items:
                if isinstance(item, dict):
                    yield item
            url = self._next_page(url, body.get("next") if isinstance(body, dict) else None)

    def _next_page(self, url: str, following: object) -> str | None:
        if not following:
            return None
        target = urljoin(url, str(following))
        if urlsplit(target)[:2] != urlsplit(self._origin)[:2]:
            raise ListingUnavailableError("the service's list goes on at another address, which is not followed")
        return target

    async def _page(self, url: str) -> object:
        reason = ""
        for _ in range(LISTING_TRIES):
            reply = await self._send("other", Lane.ASK, "GET", url.removeprefix(self._origin))
            if isinstance(reply, _NoAnswer):
                reason = reply.reason
                continue
            self._check_key(reply)
            if reply.status == 200 and reply.is_json:
                return reply.body
            reason = f"the service answered {reply.status}"
            if reply.status < 500:
                break
        raise ListingUnavailableError(f"the service's list could not be had: {reason}")

    async def _send(
        self, purpose: str, lane: Lane, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> _Reply | _NoAnswer:
        """Send one request, again only where it certainly was not carried out, and answer what came of it."""
        content = json.dumps(body).encode() if body is not None else None
        attempt = 0
        while True:
            await self._pace.grant(lane)
            self._counts[purpose] += 1
            self._counts["retried"] += attempt > 0
            attempt += 1
            began = anyio.current_time()
            reply = await self._exchange(method, path, content)
            self._tell(method, path, reply, anyio.current_time() - began)
            if isinstance(reply, _NeverConnected):
                self._hold_unreached(reply.reason)
            elif isinstance(reply, _Reply) and _is_not_now(reply):
                self._hold_throttled(reply)
            else:
                if isinstance(reply, _Reply):
                    self._strikes, self._unreached_since, self._throttled_since = 0, None, None
                return reply

    def _tell(self, method: str, path: str, reply: _Reply | _NoAnswer | _NeverConnected, seconds: float) -> None:
        """What may be shown of a request to anybody: neither header nor body, and so no secret."""
        status = reply.status if isinstance(reply, _Reply) else None
        fault = "" if isinstance(reply, _Reply) else self._connection.api_key.redact(reply.reason)
        self._listener.answered(Exchange(method, path, status, seconds, fault))

    async def _exchange(self, method: str, path: str, content: bytes | None) -> _Reply | _NoAnswer | _NeverConnected:
        """One request on one connection of its own, and httpx's errors in this program's words."""
        client = self._idle.pop() if self._idle else self._new_client()
        try:
            response = await client.request(method, path, content=content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            return _NeverConnected(_technical(error))
        except httpx.ReadTimeout:
            return _NoAnswer(f"no answer within {self._connection.answer_timeout:.0f} seconds")
        except (httpx.RequestError, httpx.InvalidURL, httpx.StreamError) as error:
            return _NoAnswer(_technical(error))
        finally:
            self._idle.append(client)
        return _read(response)

    def _new_client(self) -> httpx.AsyncClient:
        """A client that holds one connection: httpx's own pool rescans all of its connections for each request."""
        client = httpx.AsyncClient(
            base_url=self._origin,
            headers={
                "Authorization": f"Api-Key {self._connection.api_key.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
            verify=self._ssl,
            # The environment is the command line's to read; a proxy would see a loopback request's key in clear.
            trust_env=False,
            proxy=self._connection.proxy if self._ssl else None,
            follow_redirects=False,
            timeout=httpx.Timeout(self._connection.answer_timeout, connect=CONNECT_TIMEOUT),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE),
        )
        self._clients.append(client)
        return client

    def _hold_unreached(self, reason: str) -> None:
        now = anyio.current_time()
        self._unreached_since = self._unreached_since or now
        wait = self._backoff()
        patience = self._connection.patience if self._met else 0.0
        if now + wait - self._unreached_since > patience:
            raise ServiceDownError(
                f"Nothing answers at {self._origin} ({reason}).",
                remedy="Check the address and your connection to the network, then run again.",
            )
        if self._pace.hold(wait):
            self._listener.held(wait, "the service cannot be reached")

    def _hold_throttled(self, reply: _Reply) -> None:
        now = anyio.current_time()
        self._unreached_since = None
        self._throttled_since = self._throttled_since or now
        self._counts["throttled"] += reply.status == 429
        wait = reply.retry_after if reply.retry_after is not None else self._backoff()
        if now + wait - self._throttled_since > LONGEST_THROTTLE:
            raise ServiceDownError(
                f"{self._origin} asks to wait for longer than {LONGEST_THROTTLE / 60:.0f} minutes.",
                remedy="Run again later, with a lower --rate if this happens often.",
            )
        if self._pace.hold(wait, ease=reply.status == 429):
            asked = "asks to send more slowly" if reply.status == 429 else "is not available"
            self._listener.held(wait, f"the service {asked}")

    def _backoff(self) -> float:
        """Seconds to wait after one more failure in a row; spread, so that many programs do not return together."""
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**self._strikes)
        self._strikes += 1
        return wait * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, guards nothing

    def _check_key(self, reply: _Reply) -> None:
        if reply.status in (401, 403):
            said = self._sentences(reply)
            raise KeyRefusedError(
                f"The service refused the API key ({reply.status}{': ' + said if said else ''}).",
                remedy="Check the key with whoever manages the account at Mission Inbox, then run again.",
            )

    def _wrong_service(self, reply: _Reply) -> WrongServiceError:
        if 300 <= reply.status < 400:
            what = f"redirects to {reply.location or 'another address'}, which is not followed"
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
        return request.redact(self._sentences(reply)) or f"the service answered {reply.status} and no reason"

    def _sentences(self, reply: _Reply) -> str:
        text = "; ".join(_flatten(reply.body)) if reply.is_json else ""
        return self._connection.api_key.redact(text)[:REASON_LENGTH]


_TRY_LATER = "Run again in a few minutes; if it stays so, ask Mission Inbox's support."


def _trust() -> ssl.SSLContext:
    """Certificates that the machine trusts (an office's own among them), and the usual public ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _body(request: Request) -> Iterator[tuple[str, object]]:
    yield "email", request.email
    yield "domain", request.domain
    yield "relay_server", request.relay_server
    yield "password", request.password.reveal() if request.password else None
    yield "project", request.project
    yield "reply_to", request.reply_to


def _read(response: httpx.Response) -> _Reply:
    try:
        body = response.json()
    except ValueError:
        body = None
    return _Reply(
        status=response.status_code,
        body=body,
        text="" if body is not None else response.text[:200],
        retry_after=_retry_after(response.headers),
        location=response.headers.get("location", ""),
    )


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds that a reply asks to wait for, given as such or as a date; None where it does not say."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
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
        if reply.body.get("task_id"):
            return Accepted(TaskId(str(reply.body["task_id"])))
        if reply.body.get("id") is not None:
            return Created(str(reply.body["id"]))
    return Lost(f"the service answered {reply.status} without a task ID")


def _mailbox_id(body: Mapping[str, Any]) -> str | None:
    """The new mailbox's ID in a task that ended, wherever the service puts it."""
    for place in (body, body.get("result"), body.get("mailbox"), body.get("data")):
        if isinstance(place, dict):
            found = place.get("mailbox_id") or (place.get("id") if place is not body else None)
            if found is not None:
                return str(found)
    return None


def _mailbox(item: Mapping[str, Any]) -> Mailbox:
    domain = item.get("domain")
    nested = domain if isinstance(domain, dict) else {}
    number = nested.get("id", domain)
    name = item.get("domain_name") or nested.get("name") or (domain if isinstance(domain, str) else None)
    return Mailbox(
        id=str(item["id"]) if item.get("id") is not None else None,
        email=str(item.get("email") or item.get("address") or item.get("username") or ""),
        domain=number if isinstance(number, int) else None,
        domain_name=str(name) if name else None,
    )


# Keys under which a failure's sentence stands beside fields that say nothing to a reader.
_REASON_KEYS = ("error", "errors", "detail", "message", "reason", "result", "non_field_errors")


def _flatten(body: object) -> Iterator[str]:
    """The sentences of an error body in reading order: Django REST framework's by field, a task's by its reason."""
    if isinstance(body, str):
        yield " ".join(body.split())
    elif isinstance(body, list):
        for item in body:
            yield from _flatten(item)
    elif isinstance(body, dict):
        reasons = [key for key in _REASON_KEYS if body.get(key)]
        is_task = "status" in body or "state" in body
        for key in reasons:
            yield from _flatten(body[key])
        for key, value in body.items():
            if not is_task and key not in reasons:
                yield from (f"{key}: {sentence}" for sentence in _flatten(value))


def _technical(error: Exception) -> str:
    return str(error) or type(error).__name__
