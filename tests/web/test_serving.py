"""The page as a whole, over a real socket and in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Page as Tab
    from running_page import RunningPage


def test_the_page_answers(client: httpx.Client) -> None:
    """Whoever has entered sees the sheets."""
    assert "<h1>Sheets</h1>" in client.get("/").text


def test_a_browser_shows_the_page(
    page_server: Callable[..., RunningPage], open_page: Callable[[RunningPage], Tab]
) -> None:
    """The printed address leads a browser to the sheets, and its console has nothing to complain of."""
    tab = open_page(page_server())
    assert tab.get_by_role("heading", name="Sheets").is_visible()
