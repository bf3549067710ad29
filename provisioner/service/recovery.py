"""How long to keep trying a service that cannot be reached or asks us to wait, and what to say if that is too long."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import ServiceDownError
from provisioner.messages import duration
from provisioner.service import stops
from provisioner.service.rate_limiter import Priority

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.service.rate_limiter import Permit, RateLimiter
    from provisioner.service.transport import NeverConnected
    from provisioner.settings import Connection

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0
"""Seconds."""
MOST_DOUBLINGS = 10
MISDIRECTED_TRIES = 5
LONGEST_THROTTLE = 15 * 60.0
"""Seconds the service may keep every request waiting before the run is better continued later."""


class Recovery:
    """Counts failures in a row and pauses everything that is sent. For one service and one event loop."""

    def __init__(self, connection: Connection, limiter: RateLimiter, listener: Listener) -> None:
        self._connection = connection
        self._origin = connection.api_url.rstrip("/")
        self._limiter = limiter
        self._listener = listener
        self._failures = 0
        self._paused_at = float("-inf")
        self._unreached_since: float | None = None
        self._throttled_since: dict[Priority, float] = {}
        self._refused_creates = 0
        """In a row; a refusal of a create that left before the last pause says nothing new."""
        self._creates_at = float("-inf")
        """When a create may be tried again."""

    def answered(self, priority: Priority) -> None:
        """The service answered, and did not ask us to wait.

        An answer to a question says nothing of creates: a quota refuses them alone.
        """
        self._failures, self._unreached_since = 0, None
        self._throttled_since.pop(priority, None)
        if priority is Priority.CREATE:
            self._refused_creates = 0

    async def create_allowed(self) -> None:
        """Wait while creates are refused, so that questions go on; then one at a time may try whether that is over."""
        while self._are_creates_refused and (wait := self._creates_at - anyio.current_time()) > 0:
            with anyio.move_on_after(wait):
                await self._limiter.until_closed(Priority.CREATE)
                return
        self._creates_at = anyio.current_time() + FIRST_BACKOFF

    @property
    def _are_creates_refused(self) -> bool:
        return self._refused_creates > 1

    def unreached(self, failure: NeverConnected, permit: Permit, *, met: bool) -> None:
        """Pause before the next attempt; a service that never answered (`met`) is not tried again.

        Raises ServiceDownError when it was tried for long enough, and WrongServiceError for a bad certificate.
        """
        if failure.certificate is not None:
            raise stops.untrusted(self._origin, failure)
        if failure.proxy_status is not None and failure.proxy_status < 500:
            raise stops.proxy_refused(self._connection, failure.proxy_status)
        proxy = ", the proxy in HTTPS_PROXY" if self._connection.proxy else ""
        patience = self._connection.patience if met else 0.0
        if permit <= self._paused_at:
            return
        now = anyio.current_time()
        if self._unreached_since is None:
            self._unreached_since = now
        wait = self._backoff()
        if now + wait - self._unreached_since > patience:
            raise ServiceDownError(
                f"Nothing answers at {self._origin}.",
                remedy=f"Check the address{proxy} and your connection to the network, then run again.",
                technical=failure.reason,
            )
        self._pause(wait, f"the service cannot be reached (trying for {duration(patience)})")

    def misdirected(self, permit: Permit, attempt: int) -> None:
        """Pause before a request is sent again that reached a machine which does not answer for the service (421).

        Raises ServiceDownError when it was sent often enough.
        """
        if attempt == MISDIRECTED_TRIES:
            raise ServiceDownError(
                f"{self._origin} keeps leading requests to a wrong machine (421).", remedy=stops.TRY_LATER
            )
        if permit > self._paused_at:
            self._pause(self._backoff(), "a request reached the wrong machine of the service")

    def throttled(self, seconds: float | None, permit: Permit, priority: Priority, reason: str, said: str = "") -> None:
        """Pause for as long as the service asks; None: it does not say how long.

        Creates that are refused again and again wait by themselves where it does not say how long, and a little longer
        than the questions where it does. `said` is the service's own sentence. Raises ServiceDownError when it asks to
        wait for too long, counted from the first refusal.
        """
        if priority is Priority.CREATE and permit > self._paused_at:
            self._refused_creates += 1
        if seconds is None and permit <= self._paused_at:
            return
        now = anyio.current_time()
        self._unreached_since = None
        since = self._throttled_since.setdefault(priority, now)
        creates_alone = priority is Priority.CREATE and self._are_creates_refused
        failures = self._refused_creates - 1 if creates_alone else None
        wait = seconds if seconds is not None else self._backoff(failures)
        if now + wait - since > LONGEST_THROTTLE:
            raise ServiceDownError(
                f"{self._origin} asked us to wait more than {LONGEST_THROTTLE / 60:.0f} minutes{stops.quoted(said)}.",
                remedy="Run again later, with a lower --rate if this happens often.",
            )
        reason = f"{reason}{stops.quoted(said)}"
        if creates_alone:
            self._creates_at = now + wait + (FIRST_BACKOFF if seconds is not None else 0.0)
        if creates_alone and seconds is None:
            self._paused_at = now
            self._listener.paused(wait, reason)
        else:
            self._pause(wait, reason)

    def _pause(self, seconds: float, reason: str) -> None:
        """Let everything wait. What was under way by then and fails in the same way is no further failure."""
        self._paused_at = anyio.current_time()
        if self._limiter.pause(seconds):
            self._listener.paused(seconds, reason)

    def _backoff(self, failures: int | None = None) -> float:
        """Seconds to wait after one more failure in a row; spread, so that many programs do not return together.

        `failures` is how many there were before; None takes those of requests of any kind.
        """
        if failures is None:
            failures = self._failures
            self._failures += 1
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, MOST_DOUBLINGS))
        return wait * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, guards nothing
