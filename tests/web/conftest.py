"""The real page on loopback over a folder of the test's, and a real browser to look at it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import sync_playwright
from running_page import RunningPage, apart
from sites import Site

from provisioner.cli.connection import connector
from provisioner.settings import RunOptions
from provisioner.web.screens import confirm
from provisioner.web.workspace import PageOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from playwright.sync_api import Browser
    from playwright.sync_api import Page as Tab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page_server(tmp_path: Path) -> Iterator[Callable[..., RunningPage]]:
    """Start the page over the test's folder, with the sandbox unless told otherwise; all of them end with the test.

    The options are those of PageOptions.
    """
    with ExitStack() as running:

        def start(**options: Any) -> RunningPage:
            practise = apart(connector, {"sandbox": True, "api_url": None, "profile": None})
            known = {"folder": tmp_path, "practise": practise, "connect": practise, "sandbox": True}
            page = RunningPage(PageOptions(**{**known, **options}))
            running.callback(page.stop)
            return page

        yield start


@pytest.fixture
def client(page_server: Callable[..., RunningPage]) -> httpx.Client:
    """A client that has entered a page over the test's folder, all of it practice."""
    return page_server().enter()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a press on Create is answered by what it leads to."""
    monkeypatch.setattr(confirm, "PATIENCE", 30.0)


@pytest.fixture
def site(
    page_server: Callable[..., RunningPage],
    write_sheet: Any,
    connection: Any,
    patient: None,
) -> Callable[..., Site]:
    """Start the page over a sheet of so many rows, or the sheet that is there, before a stand-in or an address.

    `how` holds keywords of RunOptions, `page` of PageOptions; the rest are Connection's.
    """

    def start(service: Any, rows: Any = 10, *, how: Any = None, page: Any = None, **options: Any) -> Site:
        if rows is not None:
            write_sheet(rows)
        to = connection(service, **options)
        in_a_hurry = RunOptions(**{"look_up_after": 0.2, "task_timeout": 20.0, "stop_after": 0, **(how or {})})
        connect = lambda _: nullcontext(to)  # noqa: E731 - one line
        known = {"connect": connect, "practise": connect, "rates": to.rates, "run": in_a_hurry}
        return Site(page_server(**{"sandbox": False, **known, **(page or {})}))

    return start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's own Chromium, for the tests of one module.

    While it is there, the tests' thread counts as an event loop's: call the program there with `apart`.
    """
    if CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ:
        pytest.skip("no Chromium is installed (Debian: chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Tab]]:
    """Enter a running page in a window of its own. What its console complains of fails the test."""
    with ExitStack() as stack:

        def enter(running: RunningPage, **options: Any) -> Tab:
            return stack.enter_context(_entered(browser, running, options))

        yield enter


@contextmanager
def _entered(browser: Browser, running: RunningPage, options: dict[str, Any]) -> Iterator[Tab]:
    complaints: list[str] = []
    context = browser.new_context(**options)
    context.set_default_timeout(10_000)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    # A refusal that the page shows is in the console too.
    context.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    tab = context.new_page()
    tab.goto(running.new_address())
    try:
        yield tab
    finally:
        context.close()
    assert complaints == []
