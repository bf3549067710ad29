"""The first screen: how a sheet comes in, and what it says of those that are there."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from sites import Site

from provisioner.web.folder import id_of
from provisioner.web.practice import make_sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx
    from running_page import RunningPage

SHEET = b"email,domain\nann,acme.example\n"


def put(client: httpx.Client, name: str, content: bytes = SHEET, **query: str) -> httpx.Response:
    return client.put("/sheets", params={"name": name, **query}, content=content)


def test_without_javascript_the_page_says_that_it_can_do_nothing(client: httpx.Client) -> None:
    """Its buttons would do nothing, without a word."""
    assert '<noscript><p class="panel" role="alert">This page cannot do anything' in client.get("/").text


def test_a_sheet_is_saved_whole_and_for_its_owner_alone(client: httpx.Client, tmp_path: Path) -> None:
    """What is dropped lies in the folder under its own name, and its screen is opened."""
    answer = put(client, "acme.csv")
    assert answer.json() == {"location": f"/sheets/{id_of('acme.csv')}"}
    assert (tmp_path / "acme.csv").read_bytes() == SHEET
    assert stat.S_IMODE((tmp_path / "acme.csv").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["acme.csv"]


def test_the_same_sheet_again_is_simply_opened(client: httpx.Client, tmp_path: Path) -> None:
    """Dropping a sheet that is there already asks nothing and keeps one file."""
    assert put(client, "acme.csv").json() == put(client, "acme.csv").json()
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failures_file_is_a_sheet_where_no_other_is_left_to_fix(client: httpx.Client) -> None:
    """What a colleague sends is opened without a question."""
    put(client, "acme.csv")
    assert put(client, "failures.csv").json() == {"location": f"/sheets/{id_of('failures.csv')}"}


def test_another_sheet_of_that_name_is_asked_about(client: httpx.Client, tmp_path: Path) -> None:
    """Nothing is replaced unasked: the person may replace the old one, which is kept, or keep both."""
    put(client, "acme.csv")
    asked = put(client, "acme.csv", b"newer")
    assert asked.status_code == 409
    assert all(f">{button}</button>" in asked.text for button in ("Replace it", "Keep both", "Cancel"))
    assert (tmp_path / "acme.csv").read_bytes() == SHEET

    assert put(client, "acme.csv", b"newer", existing="both").json() == {"location": f"/sheets/{id_of('acme 2.csv')}"}
    assert (tmp_path / "acme 2.csv").read_bytes() == b"newer"

    replaced = put(client, "acme.csv", b"newest", existing="replace").json()
    assert replaced == {"location": f"/sheets/{id_of('acme.csv')}/check"}
    assert (tmp_path / "acme.csv").read_bytes() == b"newest"
    (kept,) = tmp_path.glob("acme (until *).csv")
    assert kept.read_bytes() == SHEET


def test_a_sheet_that_is_kept_beside_another_has_no_run_yet(client: httpx.Client, tmp_path: Path) -> None:
    """The run folder of a sheet that is gone stays that sheet's: with it, rows would be taken for done."""
    put(client, "acme.csv")
    (tmp_path / "acme 2-run").mkdir()
    put(client, "acme.csv", b"newer", existing="both")
    assert (tmp_path / "acme 3.csv").read_bytes() == b"newer"


def test_a_copy_of_a_sheet_that_was_practised_with_is_for_real(
    page_server: Callable[..., RunningPage], tmp_path: Path
) -> None:
    """It has a name and a run folder that nothing had before, so that its mailboxes can be created."""
    sheet = make_sheet(tmp_path, None)
    (tmp_path / "practice 2-run").mkdir()
    running = page_server(sandbox=False, connect=None)
    client = running.enter()
    assert ">Open a copy</button>" in client.get(f"/sheets/{id_of('practice.csv')}/check").text
    copied = client.post(f"/sheets/{id_of('practice.csv')}/copy", json={})
    assert copied.json() == {"location": f"/sheets/{id_of('practice 3.csv')}/check"}
    assert (tmp_path / "practice 3.csv").read_bytes() == sheet.read_bytes()
    assert 'aria-label="Practice"' not in client.get(copied.json()["location"]).text
    assert not running.workspace.works[id_of("practice 3.csv")].practice
    assert client.post(f"/sheets/{id_of('practice 3.csv')}/copy", json={}).status_code == 404
    assert not (tmp_path / "practice 4.csv").exists()


@pytest.mark.usefixtures("patient")
def test_a_sheet_is_not_replaced_while_it_is_run(
    page_server: Callable[..., RunningPage], write_sheet: Callable[..., Path]
) -> None:
    """Until the run has ended or is given up, another sheet of that name may only be kept beside it."""
    before = write_sheet(2).read_bytes()
    site = Site(page_server())
    question = site.ask()
    refused = put(site.client, "acme.csv", b"newer", existing="replace")
    assert (refused.status_code, "is being run now" in refused.text) == (409, True)
    assert (site.running.folder / "acme.csv").read_bytes() == before
    site.post("answer", create="none", question=question)
    site.wait("idle")
    assert put(site.client, "acme.csv", b"newer", existing="replace").status_code == 200


@pytest.mark.usefixtures("patient")
def test_a_sheet_is_not_replaced_if_a_run_begins_while_it_is_received(
    page_server: Callable[..., RunningPage], write_sheet: Callable[..., Path]
) -> None:
    """Whoever follows that run would not find it again under the sheet's name."""
    before = write_sheet(2).read_bytes()
    site = Site(page_server())

    def pieces() -> Iterator[bytes]:
        yield b"newer "
        site.ask()
        yield b"and newer"

    query = {"name": "acme.csv", "existing": "replace"}
    refused = site.client.put("/sheets", params=query, content=pieces())
    assert (refused.status_code, "is being run now" in refused.text) == (409, True)
    assert (site.running.folder / "acme.csv").read_bytes() == before
    assert site.run.phase.value == "confirming"


@pytest.mark.usefixtures("patient")
def test_the_list_leads_to_a_run_that_is_under_way(
    page_server: Callable[..., RunningPage], write_sheet: Callable[..., Path]
) -> None:
    """A sheet that is worked on at this moment says so, and its link leads to where that is seen."""
    write_sheet(2)
    site = Site(page_server())
    assert ">Check</a>" in site.client.get("/").text
    question = site.ask()
    listed = site.client.get("/").text
    assert ("running now" in listed, f'href="{site.path}"' in listed, ">Watch</a>" in listed) == (True, True, True)
    assert site.get("").headers["location"] == f"{site.path}/check"
    site.post("answer", create="none", question=question)


def test_pasted_rows_become_a_sheet(client: httpx.Client, tmp_path: Path) -> None:
    """What a spreadsheet program copies is saved as it is: tabs, and line breaks and quotes in quoted cells."""
    rows = 'email\tnotes\nann\t"two\nlines, ""quoted"""\n'
    answer = client.put("/pasted", json={"rows": rows})
    (saved,) = tmp_path.iterdir()
    assert answer.json() == {"location": f"/sheets/{id_of(saved.name)}"}
    assert (saved.suffix, saved.read_bytes()) == (".tsv", rows.encode())


def test_pasting_nothing_is_said(client: httpx.Client, tmp_path: Path) -> None:
    """Blank rows make no file."""
    answer = client.put("/pasted", json={"rows": " \n\t"})
    assert answer.status_code == 409
    assert "No rows were pasted." in answer.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_empty_sheet_can_be_downloaded_and_dropped(client: httpx.Client, kind: str) -> None:
    """It comes as an attachment under the program's own name, and is taken back."""
    empty = client.get(f"/template.{kind}")
    assert empty.headers["content-disposition"] == f"attachment; filename*=utf-8''mailboxes.{kind}"
    assert put(client, f"mailboxes.{kind}", empty.content).status_code == 200
    assert client.get("/template.html").status_code == 404


def test_hostile_names_are_shown_as_they_are(client: httpx.Client, tmp_path: Path) -> None:
    """A name is text on the page, whatever it holds: markup, invisible signs, or bytes that are no text."""
    for name in (
        b"<img src=x onerror=alert(1)>.csv",
        "acme\u202evsc.csv".encode(),
        b"\xff\xfe.csv",
        b"{{ 7 * 7 }}.csv",
    ):
        (tmp_path / os.fsdecode(name)).touch()
    page = client.get("/", params={"q": "<script>"}).text + client.get("/").text
    assert "<img" not in page
    assert "<script>" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.csv" in page
    assert "acme\\u202evsc.csv" in page
    assert "{{ 7 * 7 }}.csv" in page
    opened = client.get(f"/sheets/{id_of(os.fsdecode(bytes([255, 254]) + b'.csv'))}", follow_redirects=True)
    assert "is not text in UTF-8" in opened.text
