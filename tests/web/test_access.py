"""Who gets in: the page is for the person at this computer alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from provisioner.web.access import ANNOUNCED_EVERY, CODE_LIFETIME, Gate

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

ORIGIN = "http://127.0.0.1:49152"
OWN = {"origin": ORIGIN, "x-provisioner": "1"}


async def reached(request: Request) -> Response:
    return PlainTextResponse(f"reached by {request.method}")


class Browser:
    """Sends one request at a time to the gate, and keeps its cookies."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.cookies = httpx.Cookies()

    def get(self, url: str, **options: Any) -> httpx.Response:
        return self.request("GET", url, **options)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._gate)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self.cookies) as client:
                response = await client.request(method, url, **options)
                self.cookies.update(client.cookies)
                return response

        return anyio.run(send)


class Page:
    """A gate before an application, and a browser before the gate."""

    def __init__(self) -> None:
        self.announced: list[str] = []
        self.now = 1000.0
        app = Starlette(routes=[Route("/{path:path}", reached, methods=["GET", "POST", "PUT", "DELETE"])])
        self.gate = Gate(app, ORIGIN, self.announced.append, clock=lambda: self.now)
        self.browser = Browser(self.gate)

    def enter(self) -> None:
        assert self.browser.get(self.gate.new_address()).status_code == 303


@pytest.fixture
def page() -> Page:
    return Page()


def test_the_printed_address_lets_one_browser_in_once(page: Page) -> None:
    """A code is exchanged for a cookie that scripts cannot read, and no secret stays in the address."""
    address = page.gate.new_address()
    first = page.browser.get(address)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert f"{page.gate.cookie}=" in first.headers["set-cookie"]
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(first.headers["set-cookie"].split("; "))
    assert page.browser.get("/").text == "reached by GET"
    page.browser.cookies.clear()
    assert page.browser.get(address).status_code == 403


def test_an_address_that_was_used_leads_its_own_browser_to_the_page(page: Page) -> None:
    """Somebody who opens it a second time, from the terminal or the history, is not told to look for another."""
    address = page.gate.new_address()
    page.browser.get(address)
    again = page.browser.get(address)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert not page.announced


def test_a_code_is_worth_nothing_after_a_minute(page: Page) -> None:
    """A code from the terminal's history lets nobody in."""
    address = page.gate.new_address()
    page.now += CODE_LIFETIME
    assert page.browser.get(address).status_code == 403


def test_the_cookies_name_holds_the_port(page: Page) -> None:
    """Two pages on two ports do not take each other's cookie for their own."""
    assert page.gate.cookie == "provisioner-49152"


def test_without_the_cookie_the_page_says_how_to_open_it(page: Page) -> None:
    """Whoever opens the bare address is told where a new one was printed, and that one works."""
    refused = page.browser.get("/")
    assert refused.status_code == 403
    assert "has been printed" in refused.text
    assert page.browser.get(page.announced[-1]).status_code == 303


@pytest.mark.parametrize(
    ("method", "headers", "announced"),
    [
        ("GET", {"accept": "text/html,*/*"}, True),
        ("PUT", OWN, True),
        ("GET", {"accept": "text/event-stream"}, False),
        ("GET", {"accept": "image/png"}, False),
        ("PUT", {**OWN, "origin": "https://evil.example"}, False),
    ],
)
def test_a_page_that_was_left_open_gets_a_new_address(
    page: Page,
    method: str,
    headers: dict[str, str],
    announced: bool,  # noqa: FBT001 - a case
) -> None:
    """Whoever reloads a page of an earlier start, or presses something on it, finds an address printed as it says."""
    refused = page.browser.request(method, "/sheets/1/check", headers=headers)
    assert refused.status_code == 403
    assert bool(page.announced) == announced


def test_no_foreign_page_can_fill_the_terminal(page: Page) -> None:
    """However often the page is asked for, a new address is announced every few seconds at most; each is good."""
    for _ in range(100):
        assert page.browser.get("/").status_code == 403
    assert len(page.announced) == 1
    page.now += ANNOUNCED_EVERY
    page.browser.get("/")
    assert len(page.announced) == 2
    assert page.browser.get(page.announced[0]).status_code == 303


@pytest.mark.parametrize(
    "host",
    ["evil.example:49152", "127.0.0.1", "127.0.0.1:49153", "localhost:49152", "[::1]:49152", "", ":49152", "a:b:c"],
)
def test_a_foreign_host_is_refused(page: Page, host: str) -> None:
    """No other name, port or malformed Host reaches anything, cookie or not."""
    page.enter()
    assert page.browser.get("/", headers={"host": host}).status_code == 403
    assert page.browser.get(page.gate.new_address(), headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-provisioner": "1"},
        {"origin": ORIGIN},
        {"origin": "null", "x-provisioner": "1"},
        {"origin": "http://127.0.0.1:49153", "x-provisioner": "1"},
        {"origin": "http://localhost:49152", "x-provisioner": "1"},
        {"origin": "https://evil.example", "x-provisioner": "1"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_foreign_origin_changes_nothing(page: Page, method: str, headers: dict[str, str]) -> None:
    """What changes something is taken from this page alone, even with the cookie."""
    page.enter()
    assert page.browser.request(method, "/sheets", headers=headers).status_code == 403
    assert page.browser.request(method, "/sheets", headers=OWN).text == f"reached by {method}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("cookie", ["", "wrong", "\xe9"])
def test_nothing_is_reached_without_the_cookie(page: Page, method: str, cookie: str) -> None:
    """A missing, wrong or malformed cookie opens no route by any method."""
    headers = {**OWN, "cookie": f"{page.gate.cookie}={cookie}"}
    refused = page.browser.request(method, "/anything", headers={k: v.encode("latin-1") for k, v in headers.items()})
    assert refused.status_code == 403


def test_every_answer_forbids_to_keep_frame_or_extend_it(page: Page) -> None:
    """Refusals and pages alike carry the headers that keep other sites and the cache out."""
    for answer in (page.browser.get("/"), page.browser.get(page.gate.new_address()), page.browser.get("/")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
