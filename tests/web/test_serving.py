"""The page as a whole, over a real socket and in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Page as Tab
    from running_page import RunningPage


@pytest.mark.smoke
def test_the_page_answers(client: httpx.Client) -> None:
    """Whoever has entered sees the sheets, and the page's own files are there, each of its own kind."""
    assert "<h1>Sheets</h1>" in client.get("/").text
    kinds = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
    for name, kind in kinds.items():
        answer = client.get(f"/static/{name}")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, kind)


def test_a_browser_shows_the_page(
    page_server: Callable[..., RunningPage], open_page: Callable[[RunningPage], Tab]
) -> None:
    """The printed address leads a browser to the sheets, and its console has nothing to complain of."""
    tab = open_page(page_server())
    assert tab.get_by_role("heading", name="Sheets").is_visible()
