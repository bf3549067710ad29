"""The first screen in a real browser: dropping, choosing and pasting a sheet, and what the page costs to load."""

from __future__ import annotations

import socket
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from running import check
from running_page import apart

from provisioner.events import NullListener
from provisioner.settings import Connection
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page as Tab
    from playwright.sync_api import Response
    from running_page import RunningPage

SHEET = "email,domain\nann,acme.example\n"
DROP = """([names, text]) => {
    const data = new DataTransfer();
    for (const name of names) data.items.add(new File([text], name));
    const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
    document.querySelector("main").dispatchEvent(event);
}"""
FETCH = """async () => (await fetch("/", {signal: AbortSignal.timeout(10_000)})).status"""
SEEN = "(seen) => { window.seen = seen; document.dispatchEvent(new Event('visibilitychange')); }"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 800}},
}
PASTE = """(text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


@pytest.fixture
def tab(page_server: Callable[..., RunningPage], open_page: Callable[..., Tab]) -> Tab:
    return open_page(page_server())


def arrives(tab: Tab, name: str) -> None:
    """The screen of that sheet is opened."""
    tab.wait_for_url(f"**/sheets/{id_of(name)}/**")


def test_a_sheet_is_dropped_or_chosen(tab: Tab, tmp_path: Path) -> None:
    """A dropped sheet's screen opens at once; so does that of a file that is chosen, by its label."""
    tab.evaluate(DROP, [["acme.csv"], SHEET])
    arrives(tab, "acme.csv")
    assert (tmp_path / "acme.csv").read_text() == SHEET
    tab.goto(tab.url.partition("/sheets")[0])
    tab.get_by_label("Sheet", exact=True).set_input_files(
        {"name": "other.csv", "mimeType": "text/csv", "buffer": SHEET.encode()}
    )
    arrives(tab, "other.csv")


def test_a_file_that_was_not_taken_can_be_chosen_again(tab: Tab, tmp_path: Path) -> None:
    """A browser tells of no choice that is the same as the one before, so none is left standing."""
    (tmp_path / "acme.csv").write_text("older\n")
    field = tab.get_by_label("Sheet", exact=True)
    field.set_input_files({"name": "acme.csv", "mimeType": "text/csv", "buffer": SHEET.encode()})
    tab.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(field).to_have_value("")


def test_another_sheet_of_that_name_is_asked_about(tab: Tab, tmp_path: Path) -> None:
    """The dialog says what it is about; Escape and Cancel change nothing, and the answer is the person's."""
    (tmp_path / "acme.csv").write_text("older\n")
    for key in ("Escape", "Enter"):
        tab.evaluate(DROP, [["acme.csv"], SHEET])
        dialog = tab.get_by_role("dialog", name="There is another sheet named “acme.csv”")
        expect(dialog.get_by_role("button", name="Replace it")).to_be_focused()
        if key == "Enter":
            tab.get_by_role("button", name="Cancel").focus()
        tab.keyboard.press(key)
        expect(dialog).to_be_hidden()
    assert (tmp_path / "acme.csv").read_text() == "older\n"
    tab.evaluate(DROP, [["acme.csv"], SHEET])
    tab.get_by_role("button", name="Replace it").click()
    arrives(tab, "acme.csv")
    assert sorted(path.read_text() for path in tmp_path.glob("*.csv")) == [SHEET, "older\n"]


def test_a_failures_file_is_put_back_where_it_belongs(
    page_server: Callable[..., RunningPage], open_page: Callable[..., Tab], tmp_path: Path, write_sheet: Any
) -> None:
    """Dropped on the first screen, it takes the place of its sheet's rows, and becomes no sheet of its own unasked."""
    running = page_server()
    for name in ("acme.csv", "other.csv"):
        write_sheet([(name[:4], "101", "201", "weak", "", "")], name)
        apart(check, tmp_path / name, NullListener())
    content = (tmp_path / "acme-run" / "failures.csv").read_text("utf-8-sig").replace("weak", "Str0ng-Passw0rd!")
    tab = open_page(running)
    tab.evaluate(DROP, [["failures (1).csv"], content])
    dialog = tab.get_by_role("dialog", name="Which sheet does “failures (1).csv” belong to?")
    dialog.get_by_role("button", name="other.csv").click()
    expect(tab.get_by_role("alert")).to_contain_text("This file does not hold rows to fix of this sheet.")
    tab.evaluate(DROP, [["failures (1).csv"], content])
    dialog.get_by_role("button", name="acme.csv").click()
    arrives(tab, "acme.csv")
    expect(tab.get_by_role("heading", level=1)).to_have_text("1 row: 1 ready")
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["acme.csv", "other.csv"]
    tab.goto(running.origin)
    tab.evaluate(DROP, [["failures (1).csv"], content])
    dialog.get_by_role("button", name="None of these").click()
    arrives(tab, "failures (1).csv")


def test_what_cannot_be_taken_is_said_where_it_was_dropped(tab: Tab, tmp_path: Path) -> None:
    """Several files, one that is no sheet, and one that is too large: each is told in words, and nothing is saved."""
    trouble = tab.get_by_role("alert")
    tab.evaluate(DROP, [["a.csv", "b.csv"], SHEET])
    expect(trouble).to_contain_text("one sheet at a time")
    tab.evaluate(DROP, [["<b>photo.png"], SHEET])
    expect(trouble).to_contain_text("“<b>photo.png” is not a sheet.")
    tab.evaluate("document.querySelector('[data-drop]').dataset.most = '3'")
    tab.evaluate(DROP, [["a.csv"], SHEET])
    expect(trouble).to_contain_text("more than 64 MB")
    assert list(tmp_path.iterdir()) == []


def test_rows_are_pasted(tab: Tab, tmp_path: Path) -> None:
    """Rows pasted anywhere but into a field stand in the field for them, and are used as they are."""
    tab.evaluate(PASTE, "email\tdomain\nann\tacme.example\n")
    expect(tab.get_by_label("Rows, copied")).to_be_focused()
    tab.get_by_role("button", name="Use these rows").click()
    tab.wait_for_url("**/sheets/*/**")
    (saved,) = tmp_path.iterdir()
    assert saved.read_text() == "email\tdomain\nann\tacme.example\n"


def test_practice_is_said_on_every_screen(
    page_server: Callable[..., RunningPage], open_page: Callable[..., Tab]
) -> None:
    """The button makes a sheet to practise with; its screens say that it is practice, the list does too."""
    running = page_server(sandbox=False, connect=None)
    tab = open_page(running)
    expect(tab.get_by_label("Practice")).to_have_count(0)
    tab.get_by_role("button", name="Practise").click()
    arrives(tab, "practice.csv")
    tab.goto(running.origin)
    expect(tab.get_by_role("row", name="practice.csv")).to_contain_text("(practice)")
    assert running.workspace.works[id_of("practice.csv")].practice


def test_the_keyboard_is_enough(tab: Tab, tmp_path: Path) -> None:
    """Every control is reached with Tab alone, in the order in which it is read."""
    (tmp_path / "acme.csv").write_text(SHEET)
    tab.reload()
    reached = []
    for _ in range(8):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
    sheet = ""
    wanted = ["Skip to the content", "provisioner", sheet, "Paste rows", "Download an empty sheet", "as CSV"]
    assert reached == [*wanted, "Open a sample sheet", "Check: acme.csv"]


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("options", [{}, {"sandbox": False, "connect": None}], ids=["practice", "no key"])
def test_nothing_keeps_anybody_out(
    page_server: Callable[..., RunningPage],
    open_page: Callable[..., Tab],
    tmp_path: Path,
    look: str,
    options: dict[str, Any],
) -> None:
    """axe finds nothing on the first screen, in any of its looks, and nothing is wider than a narrow window."""
    (tmp_path / "acme.csv").write_text(SHEET)
    tab = open_page(page_server(**options), **LOOKS[look])
    found = Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_first_load_is_small(tab: Tab) -> None:
    """At most 100 kB in four requests, the icon's included, 25 kB of them script, and none to anywhere else."""
    origin = tab.url.rstrip("/")
    loaded: list[Response] = []
    fresh = tab.context.new_page()
    fresh.on("response", lambda response: loaded.append(response))  # noqa: PLW0108 - playwright marks its handlers
    fresh.goto(origin, wait_until="networkidle")
    sizes = {response.url.removeprefix(origin): int(response.headers["content-length"]) for response in loaded}
    print(sizes)
    assert len(loaded) <= 4
    assert {"/", "/static/page.css", "/static/page.js"} <= set(sizes)
    assert set(sizes) <= {"/", "/static/page.css", "/static/page.js", "/static/icon.svg"}
    assert sum(sizes.values()) <= 100_000
    assert sizes["/static/page.js"] <= 25_000


@pytest.mark.slow
def test_eight_tabs_are_served_at_once(page_server: Callable[..., RunningPage], open_page: Callable[..., Tab]) -> None:
    """A browser opens six connections to one host: tabs that cannot be seen keep none, so no request waits for one."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connection = apart(Connection, api_url=url, api_key="a-key")
        running = page_server(sandbox=False, connect=lambda _: nullcontext(connection))
        first = open_page(running)
        # A browser without windows takes every tab for one that can be seen.
        first.context.add_init_script("Object.defineProperty(document, 'hidden', {get: () => !window.seen})")
        tabs = [first, *(first.context.new_page() for _ in range(7))]
        for tab in tabs:
            tab.goto(running.origin)
            tab.evaluate(SEEN, True)  # noqa: FBT003 - it takes arguments by position
            if tab is not tabs[-1]:
                tab.evaluate(SEEN, False)  # noqa: FBT003 - the same
        assert [tab.evaluate(FETCH) for tab in tabs] == [200] * 8
