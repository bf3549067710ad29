"""Every request of one account: each with a permit, counted, reported, and sent again where that is certainly safe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import anyio

from provisioner.messages import found_rate
from provisioner.records import Exchange, RequestCounts
from provisioner.redaction import Secrets
from provisioner.secret import Secret
from provisioner.service import answers
from provisioner.service.rate_limiter import LimiterClosedError, Permit, Priority, RateLimiter
from provisioner.service.recovery import Recovery
from provisioner.service.transport import ConnectionPool, NeverConnected, NoAnswer, Reply

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.settings import Connection

HIDDEN_PATH = "(a path that is not shown)"


@dataclass(frozen=True, slots=True)
class _Outgoing:
    purpose: str
    priority: Priority
    method: str
    path: str
    body: bytes | None = None


class Session:
    """Sends requests. What cannot have been carried out (never connected, 421, 429) is sent again with a new permit.

    So is a question that is answered 503 with Retry-After: asking twice changes nothing.
    """

    def __init__(self, connection: Connection, limiter: RateLimiter, listener: Listener) -> None:
        self.secrets = Secrets(connection.api_key, _proxy_password(connection))
        """Everything that is sent and must not be shown."""
        self.pool = ConnectionPool(connection)
        self.met = False
        """Whether the service has answered as it does, and accepted the key."""
        self._limiter = limiter
        self._listener = listener
        self.recovery = Recovery(connection, limiter, listener)
        self._counts = dict.fromkeys(asdict(RequestCounts()), 0)

    @property
    def counts(self) -> RequestCounts:
        return RequestCounts(**self._counts)

    def said(self, reply: Reply) -> str:
        """The service's own sentences, if it gives any that can be shown."""
        body = reply.body if reply.is_json else reply.text
        return answers.shown(answers.sentences(body, by_field=not reply.is_success), self.secrets)

    async def ask(self, path: str, *, purpose: str = "other", permit: Permit | None = None) -> Reply | NoAnswer:
        """Ask a question. Raises StoppedError and LimiterClosedError."""
        return await self._send(_Outgoing(purpose, Priority.QUERY, "GET", path), permit)

    async def create(self, path: str, body: bytes, permit: Permit) -> Reply | NoAnswer:
        """Send a create. Raises StoppedError and LimiterClosedError, after which nothing was created."""
        return await self._send(_Outgoing("create", Priority.CREATE, "POST", path, body), permit)

    def count(self, purpose: str) -> None:
        """Count a request that is sent in another way."""
        self._counts[purpose] += 1

    def must_wait(self, reply: Reply, permit: Permit, priority: Priority) -> bool:
        """Pause what is sent if the reply asks for that, and return whether it does.

        Raises ServiceDownError if it asks us to wait for too long.
        """
        if reply.status != 429 and not _is_unavailable(reply):
            return False
        reason = "the service is not available"
        if reply.status == 429:
            reason = "the service asked us to slow down"
            self._counts["throttled"] += 1
            self._limiter.refused(permit, reply.retry_after)
        self.recovery.throttled(reply.retry_after, permit, priority, reason, self.said(reply))
        return True

    async def _send(self, request: _Outgoing, permit: Permit | None) -> Reply | NoAnswer:
        attempt = 0
        while True:
            if attempt and request.priority is Priority.CREATE:
                await self.recovery.create_allowed()
            if permit is None or attempt:
                permit = await self._limiter.acquire(request.priority)
            reply = await self._send_once(request, permit, is_repeated=attempt > 0)
            attempt += 1
            if isinstance(reply, NeverConnected):
                self.recovery.unreached(reply, permit, met=self.met)
            elif isinstance(reply, NoAnswer):
                return reply
            elif reply.status == 421:
                self.recovery.misdirected(permit, attempt)
            elif reply.status == 429 or (request.body is None and _is_unavailable(reply)):
                self.must_wait(reply, permit, request.priority)
            else:
                self.recovery.answered(request.priority)
                return reply

    async def _send_once(
        self, request: _Outgoing, permit: Permit, *, is_repeated: bool
    ) -> Reply | NoAnswer | NeverConnected:
        self._counts[request.purpose] += 1
        self._counts["retried"] += is_repeated
        began = anyio.current_time()

        async def leaving() -> None:
            # Counted from now on: else the first requests would reach the service late, bunched with those behind them.
            nonlocal permit
            permit = await self._limiter.renew(permit, request.priority)

        try:
            reply = await self.pool.send(request.method, request.path, request.body, leaving)
        except LimiterClosedError:
            self._counts[request.purpose] -= 1
            self._counts["retried"] -= is_repeated
            raise
        if isinstance(reply, Reply) and reply.status < 500 and reply.status not in (421, 429):
            found = self._limiter.answered(permit, request.priority)
            if found is not None:
                self._listener.note(found_rate(found))
        status, fault = (reply.status, "") if isinstance(reply, Reply) else (None, reply.reason)
        # Only the service gives paths with a query: those of a list's further pages.
        path = self.secrets.safe(request.path, HIDDEN_PATH) if "?" in request.path else request.path
        self._listener.answered(Exchange(request.method, path, status, anyio.current_time() - began, fault))
        return reply


def _is_unavailable(reply: Reply) -> bool:
    return reply.status == 503 and reply.retry_after is not None


def _proxy_password(connection: Connection) -> Secret | None:
    password = urlsplit(connection.proxy).password if connection.proxy else None
    return Secret(unquote(password)) if password else None
