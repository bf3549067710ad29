"""The sheets that are open at the page: how many stay in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.web.folder import id_of
from provisioner.web.workspace import MOST_OPEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from running_page import RunningPage

ROW = ("ann", "101", "201", "Sound-Passw0rd!", "", "")


def test_only_the_latest_sheets_stay_in_memory(
    page_server: Callable[..., RunningPage], write_sheet: Callable[..., Path]
) -> None:
    """Those looked at longest ago are let go of, and are opened again as soon as somebody looks at them."""
    page = page_server()
    client = page.enter()
    names = [f"sheet{number}.csv" for number in range(MOST_OPEN + 2)]
    for name in [*names, names[0]]:
        write_sheet([ROW], name)
        assert client.get(f"/sheets/{id_of(name)}/check").status_code == 200
    works = page.workspace.works
    assert {name for name in names if works[id_of(name)].is_open} == {names[0], *names[3:]}
