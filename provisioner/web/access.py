"""Who gets in: the one place that decides which requests reach the page.

Every request passes three checks, in this order, whatever its route:

1. Its Host is exactly the address that is served, port included, so that no name that somebody else points at
   127.0.0.1 leads here (DNS rebinding).
2. It carries the cookie, or it is the one request that brings a code that was shown in the terminal and gets the cookie
   for it. Ports do not keep cookies apart (RFC 6265, section 8.5), so the cookie's name holds the port.
3. Any request other than GET or HEAD comes from this very origin and carries a header that no form and no link can add.

Every response forbids the browser to keep it, to show it within another page, or to load anything from elsewhere.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CODE_LIFETIME: Final = 60.0
"""Seconds for which a code can be used, once."""
ANNOUNCED_EVERY: Final = 5.0
"""Seconds between two announcements, so that no foreign page can fill the terminal. The code before is still good."""
ENTRY: Final = "/enter"
"""The path to which a code is brought."""
OWN_HEADER: Final = "x-provisioner"
"""The page's script adds it to what it sends; a foreign page cannot without being asked first (CORS)."""

_READING: Final = ("GET", "HEAD")
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # With no-referrer a browser would send `Origin: null`.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_NOT_YOURS: Final = "This page answers only at the address that the program shows."
_FOREIGN: Final = "This was not sent by this page, so nothing was done."
_NO_COOKIE: Final = (
    "This page is open only to the person who started it. A new address has been printed where the program runs: "
    "open that one."
)


class Gate:
    """Lets requests through to an application, or answers them itself.

    `announce` is called with a new address to open whenever a browser without the cookie asks for the page: a code
    can be used once, and only for a minute.
    """

    def __init__(
        self, app: ASGIApp, origin: str, announce: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`origin` is such as `http://127.0.0.1:49152`."""
        self._app = app
        self._origin = origin
        self._host = origin.partition("://")[2]
        self._announce = announce
        self._clock = clock
        self._secret = secrets.token_urlsafe(32)
        self._announced_at = float("-inf")
        self._codes: dict[str, float] = {}
        """Until when each code can be used, by the clock."""

    @property
    def cookie(self) -> str:
        """The cookie's name."""
        return f"provisioner-{self._host.rpartition(':')[2]}"

    def new_address(self) -> str:
        """An address that lets one browser in, within a minute."""
        now = self._clock()
        self._codes = {code: until for code, until in self._codes.items() if until > now}
        code = secrets.token_urlsafe(16)
        self._codes[code] = now + CODE_LIFETIME
        return f"{self._origin}{ENTRY}?code={code}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            # Neither WebSockets nor anything else is served.
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that does not get through; None if it does."""
        headers = Headers(scope=scope)
        if headers.getlist("host") != [self._host]:
            return Response(_NOT_YOURS, 403, media_type="text/plain")
        if scope["method"] in _READING and scope["path"] == ENTRY:
            return self._enter(scope, headers)
        from_here = headers.getlist("origin") == [self._origin] and headers.getlist(OWN_HEADER) == ["1"]
        if not self._has_cookie(headers):
            # A page that was left open when the program was started again asks for more than the first one.
            if scope["path"] == "/" or from_here or "text/html" in headers.get("accept", ""):
                self._announce_new()
            return Response(_NO_COOKIE, 403, media_type="text/plain")
        if scope["method"] not in _READING and not from_here:
            return Response(_FOREIGN, 403, media_type="text/plain")
        return None

    def _enter(self, scope: Scope, headers: Headers) -> Response:
        """Exchange a code for the cookie; the address that then stands in the browser holds no secret."""
        (code,) = parse_qs(scope["query_string"].decode("ascii", "replace")).get("code", [""])[:1]
        if self._codes.pop(code, 0.0) <= self._clock():
            if self._has_cookie(headers):
                return RedirectResponse("/", 303)
            self._announce_new()
            return Response(_NO_COOKIE, 403, media_type="text/plain")
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie, self._secret, httponly=True, samesite="strict", path="/")
        return response

    def _announce_new(self) -> None:
        if self._clock() - self._announced_at >= ANNOUNCED_EVERY:
            self._announced_at = self._clock()
            self._announce(self.new_address())

    def _has_cookie(self, headers: Headers) -> bool:
        given = [cookie_parser(line).get(self.cookie, "") for line in headers.getlist("cookie")]
        return any(hmac.compare_digest(value.encode(), self._secret.encode()) for value in given)
