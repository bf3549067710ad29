"""The sheets that are open at the page: how many stay in memory."""

from __future__ import annotations

import json
import re
from html import unescape
from threading import Event
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from provisioner.checking import check_prepared
from provisioner.settings import SheetOptions
from provisioner.web import work
from provisioner.web.folder import id_of
from provisioner.web.workspace import MOST_OPEN, PageOptions, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

GOOD = ("ann", "101", "201", "Sound-Passw0rd!", "", "")
BLANK_IN_NAME = ("b ob", *GOOD[1:])


def test_only_the_latest_sheets_stay_in_memory(client: httpx.Client, write_sheet: Callable[..., Path]) -> None:
    """One looked at longer ago is read again when somebody comes back: its fix stands, and can no longer be undone."""
    names = [f"sheet{number}.csv" for number in range(MOST_OPEN + 1)]
    for name in names:
        write_sheet([BLANK_IN_NAME, GOOD], name)

    def show(name: str) -> str:
        return client.get(f"/sheets/{id_of(name)}/check").text

    sent = re.search(r"""<form id="form-2" .*? data-value='(.*?)'>""", show(names[0]))
    assert sent is not None
    fields = {"cell:email": "bob", **json.loads(unescape(sent[1]))}
    assert client.put(f"/sheets/{id_of(names[0])}/rows/2", json=fields).status_code == 200
    for name in names[1:-1]:
        show(name)
    assert 'id="undo"' in show(names[0])
    for name in names[1:]:
        show(name)
    page = show(names[0])
    assert "2 rows: 2 ready" in page
    assert 'id="undo"' not in page


def test_a_sheet_that_is_still_written_stays_in_memory(
    client: httpx.Client, write_sheet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its check holds the run folder: read again meanwhile, it would be told of another run, and refuse a fix."""
    names = [f"sheet{number}.csv" for number in range(MOST_OPEN + 1)]
    paths = [write_sheet([BLANK_IN_NAME, GOOD], name) for name in names]
    checked: list[Path] = []
    gate = Event()

    async def check(prepared: Any, *args: Any, **more: Any) -> Any:
        checked.append(prepared.sheet.path)
        if prepared.sheet.path == paths[0]:
            await anyio.to_thread.run_sync(gate.wait)
        return await check_prepared(prepared, *args, **more)

    monkeypatch.setattr("provisioner.fixing.working.check_prepared", check)
    for name in (*names, names[0]):
        shown = client.get(f"/sheets/{id_of(name)}/check").text
    gate.set()
    sent = re.search(r"""<form id="form-2" .*? data-value='(.*?)'>""", shown)
    assert sent is not None
    fields = {"cell:email": "bob", **json.loads(unescape(sent[1]))}
    assert client.put(f"/sheets/{id_of(names[0])}/rows/2", json=fields).status_code == 200
    assert checked.count(paths[0]) == 1


@pytest.mark.anyio
async def test_nobody_has_to_wait_until_a_sheet_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the program ends, the request that waits for it is cancelled, however large the sheet."""
    entered, leave, opened = Event(), Event(), Event()

    def open_slowly(_: SheetOptions) -> None:
        entered.set()
        leave.wait(10)
        opened.set()

    monkeypatch.setattr(work, "OpenSheet", open_slowly)
    never: Any = None
    workspace = Workspace(PageOptions(folder=tmp_path, practise=never))
    opening = work.Work("acme", SheetOptions(sheet=tmp_path / "acme.csv"), workspace, practice=True)
    async with anyio.create_task_group() as group:
        group.start_soon(opening.sheet)
        await anyio.to_thread.run_sync(entered.wait, 10)
        group.cancel_scope.cancel()
    assert not opened.is_set()
    leave.set()
