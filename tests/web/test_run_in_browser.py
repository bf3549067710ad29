"""The question, the run and its result in a real browser."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from running_page import apart
from sites import Site, until

from provisioner.records import Rate, Status
from provisioner.web.runs import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator
    from playwright.sync_api import Page as Tab

FAST = {"latency": 0.02, "latency_spread": 0.0}
SLOW = {"latency": 60.0, "latency_spread": 0.0}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 800}},
}

LOOKED_AT = """(hidden) => {
    Object.defineProperty(document, "hidden", {value: Boolean(hidden), configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def visit(open_page: Any) -> Callable[..., Tab]:
    """Open a screen of a site's sheet in a tab of its own."""

    def start(site: Site, screen: str = "check", **options: Any) -> Tab:
        tab: Tab = open_page(site.running, **options)
        tab.goto(f"{site.running.origin}{site.path}/{screen}")
        return tab

    return start


def dialog(tab: Tab) -> Locator:
    return tab.get_by_role("dialog")


def press_create(tab: Tab) -> None:
    tab.locator("#create").click()
    expect(dialog(tab).get_by_role("button", name="Back")).to_be_visible()


def downloaded(tab: Tab, link: str) -> bytes:
    with tab.expect_download() as waiting:
        tab.get_by_role("link", name=link, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def creates(service: Any) -> list[int]:
    return [received.carried_out for received in service.state.creates.values()]


@pytest.mark.smoke
def test_from_the_check_to_the_credentials_by_keyboard(site: Any, sandbox: Any, visit: Any) -> None:
    """Create, agree, watch, and take the files home; Enter on the question that has just come up creates nothing."""
    service = sandbox(**FAST)
    tab = visit(apart(site, service, 5))
    tab.locator("#create").focus()
    tab.keyboard.press("Enter")
    expect(dialog(tab).get_by_role("heading", name="Create 5 mailboxes?")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Enter")
    expect(dialog(tab)).to_be_visible()
    assert creates(service) == []
    tab.keyboard.press("Tab")
    expect(dialog(tab).get_by_role("button", name="Create 5 mailboxes")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="5 created", exact=True)).to_be_visible(timeout=20_000)
    assert creates(service) == [1] * 5
    rows = list(csv.DictReader(io.StringIO(downloaded(tab, "Credentials").decode("utf-8-sig"))))
    assert [row["address"] for row in rows] == [f"user{n:04}@acme-mail.example" for n in range(5)]
    assert downloaded(tab, "results.csv").count(b"created") == 5
    assert b"<html" in downloaded(tab, "report.html")


def test_the_question_stands_after_a_reload_and_escape_is_back(site: Any, sandbox: Any, visit: Any) -> None:
    """Whoever reloads is asked again; Escape sends nothing, and the focus returns to the button that asked."""
    service = sandbox(**FAST)
    page = apart(site, service, 4)
    tab = visit(page)
    press_create(tab)
    tab.reload()
    expect(dialog(tab).get_by_role("button", name="Create 3 first")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(dialog(tab)).to_have_count(0)
    apart(page.wait, "idle")
    press_create(tab)
    tab.keyboard.press("Escape")
    expect(dialog(tab)).to_have_count(0)
    expect(tab.locator("#create")).to_be_focused()
    assert creates(service) == []


def test_two_tabs_cannot_both_answer(site: Any, sandbox: Any, visit: Any) -> None:
    """One agrees; the other, which says Back, is told that this did nothing, and nothing is created twice."""
    service = sandbox(**FAST)
    page = apart(site, service, 4)
    one, other = visit(page), visit(page)
    press_create(one)
    press_create(other)
    dialog(one).get_by_role("button", name="Create 4 mailboxes").click()
    expect(one.get_by_role("heading", name="4 created", exact=True)).to_be_visible(timeout=20_000)
    dialog(other).get_by_role("button", name="Create 4 mailboxes").click()
    expect(other.get_by_role("alert").filter(has_text="this answer did nothing")).to_be_visible()
    expect(dialog(other)).to_have_count(0)
    assert creates(service) == [1] * 4


def test_a_run_is_watched_and_stopped(site: Any, sandbox: Any, visit: Any) -> None:
    """Both bars move, Stop becomes “Stop at once” without losing the focus, and then the result stands there."""
    service = sandbox(**SLOW)
    page = apart(site, service, 6)
    tab = visit(page)
    press_create(tab)
    dialog(tab).get_by_role("button", name="Create 6 mailboxes").click()
    expect(tab.get_by_role("progressbar", name="Sent")).to_have_js_property("value", 6, timeout=20_000)
    expect(tab.get_by_role("progressbar", name="Finished")).to_have_js_property("value", 0)
    expect(tab.get_by_text("You may close this tab")).to_be_visible()
    tab.reload()
    tab.get_by_role("button", name="Stop", exact=True).click()
    expect(tab.get_by_text("Stopping: nothing more is sent; waiting for 6 mailboxes that were sent.")).to_be_visible()
    expect(tab.locator("#run-stop")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Stop at once")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="0 created", exact=True)).to_be_visible(timeout=20_000)
    expect(tab.get_by_role("button", name="Run the rest again")).to_be_visible()
    assert apart(page.statuses) == {Status.UNFINISHED: 6}


def test_a_tab_that_comes_back_shows_the_present_state(site: Any, sandbox: Any, visit: Any) -> None:
    """While nobody looks no stream is open; whoever looks again sees how it stands, or that it has ended."""
    page = apart(site, sandbox(**FAST), 20, rates=(Rate(20, 1.0),))
    tab = visit(page)
    press_create(tab)
    dialog(tab).get_by_role("button", name="Create 20 mailboxes").click()
    tab.wait_for_url("**/run")
    tab.evaluate(LOOKED_AT, "hidden")
    until(lambda: page.run.phase is Phase.ENDED)
    assert tab.url.endswith("/run")
    tab.evaluate(LOOKED_AT, "")
    expect(tab.get_by_role("heading", name="20 created", exact=True)).to_be_visible()


def test_a_program_that_has_ended_is_said(site: Any, sandbox: Any, visit: Any) -> None:
    """The screen of the run does not stand still without a word."""
    page = apart(site, sandbox(**SLOW), 3)
    tab = visit(page)
    press_create(tab)
    dialog(tab).get_by_role("button", name="Create 3 mailboxes").click()
    expect(tab.get_by_role("button", name="Stop")).to_be_visible()
    apart(page.running.stop)
    expect(tab.get_by_role("alert").filter(has_text="The program does not answer")).to_be_visible()
    assert sum(apart(page.statuses).values()) == 3


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_the_screens(site: Any, sandbox: Any, visit: Any, look: str) -> None:
    """axe finds nothing wrong with the question, the run and the result; nothing is wider than the screen."""
    page = apart(site, sandbox(**FAST, fail_share=0.5, stuck_share=0.3, seed=1), 12)
    tab = visit(page, **LOOKS[look])
    press_create(tab)
    fits(tab)
    dialog(tab).get_by_role("button", name="Create 12 mailboxes").click()
    expect(tab.get_by_role("table")).to_be_visible(timeout=20_000)
    fits(tab)
    tab.get_by_role("button", name="Stop").click()
    tab.get_by_role("button", name="Stop at once").click()
    expect(tab.get_by_role("heading", name="created")).to_be_visible(timeout=20_000)
    fits(tab)


def fits(tab: Tab) -> None:
    found = Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
