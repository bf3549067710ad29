"""How long to keep trying a service that cannot be reached or asks to wait, and what to say when that is too long."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from provisioner.errors import ServiceDownError, WrongServiceError
from provisioner.messages import duration

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.service.rate_limiter import Permit, RateLimiter
    from provisioner.service.transport import NeverConnected
    from provisioner.settings import Connection

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 30.0
"""Seconds."""
LONGEST_THROTTLE = 15 * 60.0
"""Seconds the service may keep every request waiting before the run is better continued later."""
NOT_YET_VALID, EXPIRED = 9, 10
"""OpenSSL's verification errors, X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
PROXY_LOGIN = 407


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
        self._throttled_since: float | None = None

    def answered(self) -> None:
        """The service answered, and did not ask to wait."""
        self._failures, self._unreached_since, self._throttled_since = 0, None, None

    def unreached(self, failure: NeverConnected, permit: Permit, *, met: bool) -> None:
        """Pause before the next attempt; a service that never answered (`met`) is not tried again.

        Raises ServiceDownError when it was tried for long enough, and WrongServiceError for a bad certificate.
        """
        if failure.certificate is not None:
            raise self._untrusted(failure)
        if failure.proxy_status is not None and failure.proxy_status < 500:
            raise self._proxy_refused(failure)
        if permit <= self._paused_at:
            return
        now = anyio.current_time()
        if self._unreached_since is None:
            self._unreached_since = now
        wait = self._backoff()
        patience = self._connection.patience if met else 0.0
        if now + wait - self._unreached_since > patience:
            proxy = ", the proxy in HTTPS_PROXY" if self._connection.proxy else ""
            raise ServiceDownError(
                f"Nothing answers at {self._origin}.",
                remedy=f"Check the address{proxy} and your connection to the network, then run again.",
                technical=failure.reason,
            )
        self._pause(wait, f"the service cannot be reached (tried for {duration(patience)})")

    def throttled(self, seconds: float | None, permit: Permit, reason: str, said: str = "") -> None:
        """Pause for as long as the service asks; None: it does not say how long.

        `said` is the service's own sentence. Raises ServiceDownError when it asks to wait for too long.
        """
        if seconds is None and permit <= self._paused_at:
            return
        now = anyio.current_time()
        self._unreached_since = None
        if self._throttled_since is None:
            self._throttled_since = now
        wait = seconds if seconds is not None else self._backoff()
        if now + wait - self._throttled_since > LONGEST_THROTTLE:
            quoted = f" It says: {said}" if said else ""
            raise ServiceDownError(
                f"{self._origin} asks to wait for longer than {LONGEST_THROTTLE / 60:.0f} minutes.{quoted}",
                remedy="Run again later, with a lower --rate if this happens often.",
            )
        self._pause(wait, f"{reason} ({said})" if said else reason)

    def _pause(self, seconds: float, reason: str) -> None:
        """Let everything wait. What was under way by then and fails in the same way is no further failure."""
        self._paused_at = anyio.current_time()
        if self._limiter.pause(seconds):
            self._listener.paused(seconds, reason)

    def _backoff(self) -> float:
        """Seconds to wait after one more failure in a row; spread, so that many programs do not return together."""
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0**self._failures)
        self._failures += 1
        return wait * random.uniform(0.75, 1.0)  # noqa: S311 - spreads load, guards nothing

    def _untrusted(self, failure: NeverConnected) -> WrongServiceError:
        if failure.certificate in (NOT_YET_VALID, EXPIRED):
            now = datetime.now(tz=UTC).astimezone()
            when = "is not valid yet" if failure.certificate == NOT_YET_VALID else "has expired"
            return WrongServiceError(
                f"By this computer's clock, which says {now:%Y-%m-%d %H:%M}, the certificate of {self._origin} {when}.",
                remedy="If the clock is wrong, set it and run again. If it is right, ask Mission Inbox's support.",
                technical=failure.reason,
            )
        return WrongServiceError(
            f"{self._origin} does not prove who it is.",
            remedy="Check the address. If your office's network reads encrypted traffic, its certificate must be "
            "installed on this computer.",
            technical=failure.reason,
        )

    def _proxy_refused(self, failure: NeverConnected) -> ServiceDownError:
        if failure.proxy_status == PROXY_LOGIN:
            has_login = "@" in (self._connection.proxy or "")
            wants = (
                "does not accept the user name and password in HTTPS_PROXY"
                if has_login
                else ("wants a user name and password")
            )
            return ServiceDownError(
                f"Your office's proxy {wants} (407).",
                remedy="Write them into HTTPS_PROXY, like http://user:password@proxy.example:3128. Whoever keeps your "
                "office's network knows them.",
            )
        return ServiceDownError(
            f"Your office's proxy does not let this computer reach {self._origin} ({failure.proxy_status}).",
            remedy="Ask whoever keeps your office's network to allow that address.",
        )
