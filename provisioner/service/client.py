"""The Mission Inbox client: the service's calls and paths, and what each response means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import quote

import anyio

from provisioner.errors import ServiceDownError, SettingsError
from provisioner.messages import shorten
from provisioner.records import (
    CreateAnswer,
    Created,
    Failed,
    Gone,
    Lost,
    OpenTask,
    Pending,
    Refused,
    Request,
    RequestCounts,
    TaskAnswer,
)
from provisioner.resources import Account, Listing, Mailbox, Resource
from provisioner.service import answers, stops
from provisioner.service.lists import READINGS, UNKNOWN_FORM, ListChangedError, ListingUnavailableError, read_pages
from provisioner.service.rate_limiter import Permit, Priority, RateLimiter
from provisioner.service.session import Session
from provisioner.service.stops import quoted
from provisioner.service.transport import DownloadError, NoAnswer, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

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
NOT_CARRIED_OUT = (301, 307, 308)
"""Redirects to the same request at another address. 302 and 303 may follow a create that was carried out."""
LATE = (408, 499)
"""Refusals that may come after a create was carried out."""
FIREWALL = (403, 406)
"""What firewalls answer to what looks like an attack."""
NO_REASON = "the service gave no reason"


class Service:
    """One account's view of the service. An asynchronous context manager, which may be entered again.

    Every request needs a permit of the limiter; a create's and a task's is brought by the caller, who decides at the
    last moment what to send.
    """

    def __init__(self, connection: Connection, limiter: RateLimiter | None, listener: Listener) -> None:
        """`limiter` is shared by all that keep one rate; None makes one for the connection's rates."""
        self._connection = connection
        self._origin = connection.api_url.rstrip("/")
        self._limiter = limiter or RateLimiter(connection.rates)
        self._session = Session(connection, self._limiter, listener)

    @property
    def met(self) -> bool:
        """Whether it has answered as the service does, and accepted the key."""
        return self._session.met

    @property
    def counts(self) -> RequestCounts:
        return self._session.counts

    def safe(self, text: str) -> str:
        """`text` of the service if it can be shown: not if the key or a password is in it."""
        return self._session.secrets.safe(text, answers.NOT_SHOWN)

    async def __aenter__(self) -> Self:
        await self._session.pool.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._session.pool.aclose()

    async def account(self) -> Account:
        """Who the key belongs to, as the service tells it; empty where it has no such page.

        The first call to make. Raises StoppedError.
        """
        reply = await self._session.ask(ACCOUNT_PATH)
        if isinstance(reply, NoAnswer):
            raise ServiceDownError(
                f"{self._origin} accepted the connection and gave no answer.",
                remedy=stops.TRY_LATER,
                technical=reply.reason,
            )
        self._check(reply)
        if reply.status >= 500:
            raise stops.out_of_order(self._origin, reply, self._session.said(reply))
        if not reply.is_json or 300 <= reply.status < 400:
            raise stops.wrong_service(self._origin, reply, self._location(reply))
        self._session.met = True
        body = reply.body if reply.status == 200 and isinstance(reply.body, dict) else {}
        return answers.account(body, self._session.secrets)

    async def create_allowed(self) -> None:
        """Wait while creates are refused and questions are not. Ends early if no create may be sent any more."""
        await self._session.recovery.create_allowed()

    async def create(self, request: Request, permit: Permit) -> CreateAnswer:
        """Ask for one mailbox, once, with a permit for a create.

        Raises StoppedError, and LimiterClosedError if the limiter was closed; after each of them nothing was created.
        """
        self._session.secrets.add(request.password)
        reply = await self._session.create(self._connection.create_path, answers.body_of(request), permit)
        if isinstance(reply, NoAnswer):
            return Lost(reply.reason)
        if reply.status == 503:
            return self._lost_while_unavailable(reply, permit)
        await self._check_in_run(reply)
        if reply.status in NOT_CARRIED_OUT:
            raise stops.wrong_service(self._origin, reply, self._location(reply))
        if reply.status == 405 or (reply.status == 404 and not reply.is_json):
            raise stops.nothing_creates(self._connection, reply)
        if reply.is_success and (accepted := answers.accepted(reply.body, self._session.secrets)) is not None:
            return accepted
        if 400 <= reply.status < 500 and reply.status not in LATE:
            return self._refused(reply, request)
        return Lost(self._unclear(reply))

    async def task(self, task: OpenTask, permit: Permit) -> TaskAnswer:
        """Ask once how a task stands, with a permit for a question; an answer that says nothing is pending.

        Raises StoppedError and LimiterClosedError.
        """
        self._session.secrets.add(task.job.request.password)
        if task.task_id in answers.NO_PATHS:
            return Gone()
        reply = await self._session.ask(TASK_PATH.format(quote(task.task_id, safe="")), purpose="poll", permit=permit)
        if isinstance(reply, NoAnswer):
            return Pending()
        await self._check_in_run(reply)
        if reply.status == 404:
            return Gone()
        return self._ended(reply) if reply.status == 200 else Pending()

    async def mailboxes(self) -> AsyncIterator[Mailbox]:
        """Every mailbox of the account.

        Raises ListingUnavailableError at the end if the list proves nothing about a mailbox that is not in it: it is
        not whole, changed while it was read, or has an entry that does not say which mailbox it is. Raises
        StoppedError.
        """
        is_understood = True
        async for page in self.pages(Listing.MAILBOXES):
            for item in page:
                mailbox = answers.mailbox(item, self._session.secrets)
                if mailbox is not None:
                    yield mailbox
                is_understood &= mailbox is not None
        if not is_understood:
            raise ListingUnavailableError(UNKNOWN_FORM)

    async def resources(self, listing: Listing) -> tuple[Resource, ...]:
        """The account's domains, relay servers or projects.

        Raises ListingUnavailableError, also if an entry has no ID that is understood. Raises StoppedError.
        """
        for reading in range(READINGS):
            try:
                items = [item async for page in self.pages(listing) for item in page]
                break
            except ListChangedError:
                if reading + 1 == READINGS:
                    raise
        found = [answers.resource(item, self._session.secrets) for item in items]
        if None in found:
            raise ListingUnavailableError(UNKNOWN_FORM)
        return tuple(resource for resource in found if resource is not None)

    def pages(self, listing: Listing) -> AsyncGenerator[list[Mapping[str, Any]], None]:
        """A list page by page as the service gives it; a bare array is one page. Pages elsewhere are not followed.

        Raises ListingUnavailableError, at the end if the list is not whole or changed while it was read. Raises
        StoppedError.
        """
        path = LISTING_PATHS[listing]

        def at_origin(page: str, link: str) -> str | None:
            return self._session.pool.target(page, link, own_path=path)

        return read_pages(path, self._page, at_origin)

    async def download(self, export: str) -> bytes:
        """The CSV made for a sending service.

        Raises SettingsError where there is no such export, WrongServiceError where the answer is no file, and as
        `account` does.
        """
        path = EXPORT_PATH.format(quote(export, safe=""))
        while True:
            permit = await self._limiter.acquire(Priority.QUERY)
            self._session.count("other")
            try:
                file = await self._session.pool.download(path)
            except DownloadError as error:
                raise ServiceDownError(
                    f"The download from {self._origin} broke off.", remedy=stops.TRY_LATER, technical=str(error)
                ) from error
            if not isinstance(file, Reply):
                return file
            if not self._session.must_wait(file, permit, Priority.QUERY):
                self._refuse_download(file, export)

    def _refuse_download(self, reply: Reply, export: str) -> NoReturn:
        """Raise the error for an answer that is neither a file nor a request to wait."""
        self._check(reply)
        if reply.status >= 500:
            raise ServiceDownError(
                f"{self._origin} could not make the export ({reply.status}{quoted(self._session.said(reply))}).",
                remedy=stops.TRY_LATER,
            )
        if reply.status in (400, 404):
            raise SettingsError(
                f"The service has no export “{export}”.",
                remedy="Its guide names smartlead, instantly, reply.io, woodpecker and emailbison; see that the name "
                "is written as there.",
            )
        raise stops.wrong_service(self._origin, reply, self._location(reply))

    async def _page(self, path: str) -> Reply:
        """One page of a list. Raises ListingUnavailableError and StoppedError."""
        reason = ""
        for _ in range(LISTING_TRIES):
            reply = await self._session.ask(path)
            if isinstance(reply, NoAnswer):
                reason = reply.reason
                continue
            if reply.status == 401 or not self.met:
                # A 403 to a key that was accepted before forbids this list alone.
                self._check(reply)
            if reply.status == 200 and reply.is_json:
                return reply
            reason = self._unclear(reply)
            if 300 <= reply.status < 500:
                break
        raise ListingUnavailableError(f"the service's list could not be read: {reason}")

    def _check(self, reply: Reply) -> None:
        """Raise if the reply refuses this program altogether."""
        if reply.status in (401, 403) and reply.is_web_page:
            raise stops.blocked(self._origin, reply)
        if reply.status in (401, 403):
            raise stops.key_refused(reply, self._session.said(reply))
        if reply.status == 402:
            raise stops.payment_required(self._session.said(reply))
        if reply.status == 407:
            raise stops.proxy_refused(self._connection, reply.status)

    async def _check_in_run(self, reply: Reply) -> None:
        """As `_check`; but 403 is about this request alone if the account's page is still given."""
        if reply.status == 403 and self.met:
            page = await self._session.ask(ACCOUNT_PATH)
            if isinstance(page, Reply) and page.is_json and page.status in (200, 404):
                return
            if isinstance(page, Reply):
                self._check(page)
            raise stops.key_uncertain(self._origin, reply, self._session.said(reply))
        self._check(reply)

    def _ended(self, reply: Reply) -> TaskAnswer:
        """What a task's page says."""
        if not isinstance(reply.body, dict):
            return Pending()
        state = str(reply.body.get("status") or reply.body.get("state") or "").lower()
        is_well, is_contradictory = state in answers.ENDED_WELL, answers.task_failed_within(reply.body)
        if is_well and not is_contradictory:
            return Created(answers.mailbox_id(reply.body, self._session.secrets))
        if is_well or state in answers.ENDED_BADLY:
            said = self._session.said(reply) or NO_REASON
            return Failed(said, duplicate=_names_duplicate(reply), contradictory=is_well)
        return Pending()

    def _refused(self, reply: Reply, request: Request) -> Refused:
        if reply.is_web_page:
            reason = f"something in front of the service refused this row with a web page ({reply.status})"
            if reply.status in FIREWALL and request.password is not None:
                reason += "; perhaps its password looks like an attack: try another"
        else:
            reason = self._session.said(reply) or f"{NO_REASON} ({reply.status})"
        return Refused(reason, duplicate=reply.status == 409 or _names_duplicate(reply))

    def _lost_while_unavailable(self, reply: Reply, permit: Permit) -> Lost:
        """503: a gateway may say so though the create was carried out behind it. The pace is kept as asked."""
        reason = self._unclear(reply)
        try:
            self._session.must_wait(reply, permit, Priority.CREATE)
        except ServiceDownError as error:
            return Lost(reason, stop=error)
        return Lost(reason)

    def _unclear(self, reply: Reply) -> str:
        """What a response says that tells nothing certain."""
        if reply.is_web_page:
            return f"something in front of the service answered with a web page ({reply.status})"
        if 300 <= reply.status < 400:
            return f"the service redirected it ({reply.status})"
        without = " without a task ID" if reply.is_success else ""
        return f"the service answered {reply.status}{without}{quoted(self._session.said(reply))}"

    def _location(self, reply: Reply) -> str:
        return shorten(self._session.secrets.safe(reply.location, ""), answers.REASON_LENGTH)


def _names_duplicate(reply: Reply) -> bool:
    return any(map(answers.DUPLICATE.search, answers.sentences(reply.body)))
