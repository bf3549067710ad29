"""The Mission Inbox client: the service's calls and paths, and what to do where it does not answer as hoped."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import anyio
import anyio.to_thread

from provisioner.certificates import trusted
from provisioner.errors import KeyRefusedError, ServiceDownError, SettingsError, WrongServiceError
from provisioner.records import (
    Account,
    CreateAnswer,
    Created,
    Exchange,
    Failed,
    Gone,
    Listing,
    Lost,
    Mailbox,
    OpenTask,
    Pending,
    Refused,
    Request,
    RequestCounts,
    Resource,
    TaskAnswer,
)
from provisioner.service import answers
from provisioner.service.answers import ListingUnavailableError
from provisioner.service.rate_limiter import LimiterClosedError, Permit, Priority, RateLimiter
from provisioner.service.recovery import Recovery
from provisioner.service.transport import ConnectionPool, DownloadError, NeverConnected, NoAnswer, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping

    from provisioner.events import Listener
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

LISTING_TRIES = 4
REASON_LENGTH = 500


class Service:
    """One account's view of the service. An asynchronous context manager, which may be entered again.

    Every request needs a grant of the pace; a create's and a task's is brought by the caller, who decides at the last
    moment what to send. What certainly was not carried out (never connected, 429, 503 with Retry-After) is sent again
    by itself with a fresh grant; all else is told to the caller.
    """

    def __init__(self, connection: Connection, limiter: RateLimiter, listener: Listener) -> None:
        self._connection = connection
        self._origin = connection.api_url.rstrip("/")
        self._limiter = limiter
        self._listener = listener
        self._pool = ConnectionPool(connection)
        self._counts = dict.fromkeys(asdict(RequestCounts()), 0)
        self._recovery = Recovery(connection, limiter, listener)
        self._met = False

    @property
    def met(self) -> bool:
        """Whether it has answered as the service does, and accepted the key."""
        return self._met

    @property
    def counts(self) -> RequestCounts:
        return RequestCounts(**self._counts)

    async def __aenter__(self) -> Self:
        if self._pool.is_encrypted:
            self._pool.trust(await anyio.to_thread.run_sync(trusted))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._pool.aclose()

    async def account(self) -> Account:
        """Who the key belongs to, as the service tells it; empty where it has no such page.

        Raises KeyRefusedError, ServiceDownError, WrongServiceError: the first call to make.
        """
        reply = await self._send("other", Priority.QUERY, "GET", ACCOUNT_PATH)
        if isinstance(reply, NoAnswer):
            raise ServiceDownError(
                f"{self._origin} accepted the connection and gave no answer.",
                remedy=_TRY_LATER,
                technical=reply.reason,
            )
        self._check_key(reply)
        if reply.status >= 500:
            raise ServiceDownError(
                f"{self._origin} answers that it is out of order ({reply.status}).", remedy=_TRY_LATER
            )
        if not reply.is_json or 300 <= reply.status < 400:
            raise self._wrong_service(reply)
        self._met = True
        return answers.account(reply.body if reply.status == 200 and isinstance(reply.body, dict) else {})

    async def create(self, request: Request, permit: Permit) -> CreateAnswer:
        """Ask for one mailbox, once, with a grant of the lane for creates.

        Raises KeyRefusedError, ServiceDownError or WrongServiceError, and LimiterClosedError where the pace was closed;
        after each of them nothing was made.
        """
        path, body, hide = self._connection.create_path, answers.body_of(request), request.redact
        reply = await self._send("create", Priority.CREATE, "POST", path, body=body, permit=permit, hide=hide)
        if isinstance(reply, NoAnswer):
            return Lost(reply.reason)
        await self._check_key_elsewhere(reply, hide)
        if 300 <= reply.status < 400 or (reply.status in (404, 405) and not reply.is_json):
            raise self._wrong_service(reply, hide)
        if 200 <= reply.status < 300:
            return answers.accepted(reply)
        if reply.status == 408 or reply.status >= 500:
            return Lost(f"the service answered {reply.status}")
        reason = self._plain(reply, request)
        return Refused(reason, duplicate=bool(answers.DUPLICATE.search(reason)))

    async def task(self, task: OpenTask, permit: Permit) -> TaskAnswer:
        """Ask once how a task stands, with a grant of the lane that asks; an answer that says nothing is pending.

        Raises KeyRefusedError, ServiceDownError and LimiterClosedError.
        """
        path, hide = TASK_PATH.format(quote(task.task_id, safe="")), task.job.request.redact
        reply = await self._send("poll", Priority.QUERY, "GET", path, permit=permit, hide=hide)
        if isinstance(reply, NoAnswer):
            return Pending()
        await self._check_key_elsewhere(reply, hide)
        if reply.status == 404:
            return Gone()
        if reply.status != 200 or not isinstance(reply.body, dict):
            return Pending()
        state = str(reply.body.get("status") or reply.body.get("state") or "").lower()
        if state in answers.ENDED_WELL:
            return Created(answers.mailbox_id(reply.body))
        if state in answers.ENDED_BADLY:
            reason = self._plain(reply, task.job.request)
            return Failed(reason, duplicate=bool(answers.DUPLICATE.search(reason)))
        return Pending()

    async def mailboxes(self) -> AsyncIterator[Mailbox]:
        """Every mailbox of the account, each with a name to know it by.

        Raises ListingUnavailableError, also for an item without such a name, and as `account` does.
        """
        async for page in self.pages(Listing.MAILBOXES):
            for item in page:
                yield answers.mailbox(item)

    async def resources(self, listing: Listing) -> tuple[Resource, ...]:
        """The account's domains, relay servers or projects. Raises ListingUnavailableError, and as `account` does."""
        items = [item async for page in self.pages(listing) for item in page]
        return tuple(resource for resource in map(answers.resource, items) if resource is not None)

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
                raise ListingUnavailableError(answers.UNKNOWN_FORM)
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
        target = self._pool.target(path, str(following))
        if target is None:
            raise ListingUnavailableError("the service's list goes on at another address, which is not followed")
        return target

    async def download(self, export: str) -> AsyncGenerator[bytes, None]:
        """The CSV made for a sending service, in pieces as it arrives.

        Raises SettingsError where there is no such export, WrongServiceError where the answer is no file, and as
        `account` does.
        """
        path = EXPORT_PATH.format(quote(export, safe=""))
        while True:
            permit = await self._limiter.acquire(Priority.QUERY)
            self._counts["other"] += 1
            try:
                async with self._pool.download(path) as file:
                    if not isinstance(file, Reply):
                        async for piece in file:
                            yield piece
                        return
            except DownloadError as error:
                raise ServiceDownError(
                    f"The download from {self._origin} broke off.", remedy=_TRY_LATER, technical=str(error)
                ) from error
            self._refuse_download(file, export, permit)

    def _refuse_download(self, reply: Reply, export: str, permit: Permit) -> None:
        """Raise what the answer means; returns only where it asks to wait, after the pace is held."""
        if _is_not_now(reply):
            self._pause_throttled(reply, permit)
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
            reply = await self._send("other", Priority.QUERY, "GET", path)
            if isinstance(reply, NoAnswer):
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
        priority: Priority,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        permit: Permit | None = None,
        hide: Callable[[str], str] = str,
    ) -> Reply | NoAnswer:
        """Send one request, again only where it certainly was not carried out, and answer what came of it.

        `hide` takes what the request holds out of the reasons.
        """
        attempt = 0
        while True:
            if permit is None or attempt:
                permit = await self._limiter.acquire(priority)
            self._counts[purpose] += 1
            self._counts["retried"] += attempt > 0
            began = anyio.current_time()
            try:
                reply = await self._pool.send(method, path, body, self._leaving(permit, priority))
            except LimiterClosedError:
                self._counts[purpose] -= 1
                self._counts["retried"] -= attempt > 0
                raise
            attempt += 1
            if not isinstance(reply, Reply):
                reply = replace(reply, reason=hide(reply.reason))
            self._tell(method, path, reply, anyio.current_time() - began)
            if isinstance(reply, NeverConnected):
                self._recovery.unreached(reply, permit, met=self._met)
            elif isinstance(reply, Reply) and _is_not_now(reply):
                self._pause_throttled(reply, permit)
            else:
                if isinstance(reply, Reply):
                    self._recovery.answered()
                return reply

    def _tell(self, method: str, path: str, reply: Reply | NoAnswer | NeverConnected, seconds: float) -> None:
        """What may be shown of a request to anybody: neither header nor body, and so no secret."""
        status = reply.status if isinstance(reply, Reply) else None
        fault = "" if isinstance(reply, Reply) else self._connection.api_key.redact(reply.reason)
        self._listener.answered(Exchange(method, path, status, seconds, fault))

    def _leaving(self, permit: Permit, priority: Priority) -> Callable[[], Awaitable[None]]:
        """Counts a request from when it leaves, where a connection had to be opened for it first.

        Else the first requests would reach the service late, and bunched with those behind them.
        """
        latest = permit

        async def leaving() -> None:
            nonlocal latest
            latest = await self._limiter.renew(latest, priority)

        return leaving

    def _pause_throttled(self, reply: Reply, permit: Permit) -> None:
        too_fast = reply.status == 429
        self._counts["throttled"] += too_fast
        if too_fast:
            self._limiter.slow_down(permit)
        reason = "the service asked us to slow down" if too_fast else "the service is not available"
        self._recovery.throttled(reply.retry_after, permit, reason)

    def _check_key(self, reply: Reply, hide: Callable[[str], str] = str) -> None:
        if reply.status in (401, 403):
            said = self._sentences(reply, hide)
            raise KeyRefusedError(
                f"The service refused the API key ({reply.status}{': ' + said if said else ''}).",
                remedy="Check the key with whoever manages the account at Mission Inbox, then run again.",
            )

    async def _check_key_elsewhere(self, reply: Reply, hide: Callable[[str], str]) -> None:
        """As `_check_key`; but a 403 forbids this request alone if the account's page is still given for the key."""
        if reply.status == 403 and self._met:
            page = await self._send("other", Priority.QUERY, "GET", ACCOUNT_PATH)
            if isinstance(page, Reply) and page.is_json and page.status in (200, 404):
                return
        self._check_key(reply, hide)

    def _wrong_service(self, reply: Reply, hide: Callable[[str], str] = str) -> WrongServiceError:
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

    def _plain(self, reply: Reply, request: Request) -> str:
        """The service's own sentences about a request, without its password."""
        return self._sentences(reply, request.redact) or f"the service answered {reply.status} and no reason"

    def _sentences(self, reply: Reply, hide: Callable[[str], str] = str) -> str:
        """The sentences of an error body. Secrets are hidden before anything is cut, which could split one."""
        hidden = (" ".join(self._hide(hide(sentence)).split()) for sentence in answers.sentences(reply.body))
        text = "; ".join(sentence for sentence in hidden if sentence)
        return text if len(text) <= REASON_LENGTH else text[: REASON_LENGTH - 1] + "…"

    def _hide(self, text: str) -> str:
        return self._connection.api_key.redact(text)


_TRY_LATER = "Run again in a few minutes; if it stays so, ask Mission Inbox's support."


def _is_not_now(reply: Reply) -> bool:
    """Whether the reply says that the request was not carried out and may be sent again."""
    return reply.status == 429 or (reply.status == 503 and reply.retry_after is not None)
