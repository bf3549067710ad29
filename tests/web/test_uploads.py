"""A sheet from the browser becomes a file of the folder, whole or not at all."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import SheetError
from provisioner.web import forms
from provisioner.web.uploads import LONGEST_NAME, NameTakenError, receiving, safe_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from running_page import RunningPage


@pytest.mark.parametrize(
    ("given", "saved"),
    [
        ("acme.csv", "acme.csv"),
        ("Acme März 2026.XLSX", "Acme März 2026.xlsx"),
        ("../../etc/acme.csv", "acme.csv"),
        ("/etc/cron.d/acme.csv", "acme.csv"),
        ("..\\..\\acme.csv", "acme.csv"),
        ("C:\\Users\\ann\\acme.csv", "acme.csv"),
        ("..%2f..%2facme.csv", "..%2f..%2facme.csv".lstrip(".")),
        ("....csv", "sheet.csv"),
        (".csv", "sheet.csv"),
        (".hidden.csv", "hidden.csv"),
        ("~$acme.xlsx", "$acme.xlsx"),
        ("a\0b\r\n.csv", "ab.csv"),
        ("acme\u202evsc.csv", "acmevsc.csv"),
        ("CON.csv", "sheet-CON.csv"),
        ("nul.old.csv", "sheet-nul.old.csv"),
        ("com1.csv", "sheet-com1.csv"),
        ("a:b*c?.csv", "a-b-c-.csv"),
        ("acme . .csv", "acme.csv"),
    ],
)
def test_a_name_is_made_safe(given: str, saved: str) -> None:
    """No folder, no hidden file, no device and nothing that hides is left of a name, whatever was sent."""
    assert safe_name(given) == saved


@pytest.mark.parametrize("name", ["", "acme", "acme.exe", "acme.csv.html", "acme.csv/", "journal.sqlite3", "..", "csv"])
def test_what_is_no_sheet_by_its_name_is_refused(name: str) -> None:
    """Only files that end as sheets do come into the folder."""
    with pytest.raises(SheetError):
        safe_name(name)


@given(st.text(max_size=300))
def test_any_name_is_one_that_every_system_takes(name: str) -> None:
    """It is one part of a path, not hidden, short enough, and the same when it is made safe again."""
    safe = safe_name(f"{name}.csv")
    assert safe == safe_name(safe)
    assert Path(safe).name == safe
    assert not safe.startswith((".", "~"))
    assert len(safe.encode()) <= LONGEST_NAME + len(".csv")


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    """A sheet whose sending ends halfway, or whose name is taken, is gone."""
    (tmp_path / "acme.csv").write_bytes(b"old")
    with receiving(tmp_path) as part:
        part.write(b"new")
        with pytest.raises(NameTakenError):
            part.keep("acme.csv", "")
    with suppress(KeyError), receiving(tmp_path) as part:
        part.write(b"new")
        raise KeyError
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_disk_that_is_full_is_said(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told in words, and nothing is left half written."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    answer = client.put("/sheets?name=acme.csv", content=b"email")
    assert answer.status_code == 409
    assert "could not be saved" in answer.text
    assert "No space left on device" in answer.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_nothing_is_written_through_what_stands_in_the_way(tmp_path: Path, kind: str) -> None:
    """A link, a folder or a pipe of the sheet's name is left alone; the sheet gets a name of its own."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"other")
    folder = tmp_path / "folder"
    folder.mkdir()
    taken = folder / "acme.csv"
    if kind == "link":
        taken.symlink_to(elsewhere)
    elif kind == "folder":
        taken.mkdir()
    else:
        os.mkfifo(taken)
    for existing in ("", "replace", "both"):
        with receiving(folder) as part:
            part.write(existing.encode())
            kept = part.keep("acme.csv", existing)
        assert kept.name.startswith("acme ")
        assert kept.read_bytes() == existing.encode()
    assert elsewhere.read_bytes() == b"other"


def test_a_sheet_that_is_too_large_is_refused_before_it_is_read(
    page_server: Callable[..., RunningPage], tmp_path: Path
) -> None:
    """What is said to be too large is not received at all, and the page says how much is too much."""
    head = b"PUT /sheets?name=acme.csv HTTP/1.1\r\nHost: {HOST}\r\nOrigin: http://{HOST}\r\nX-Provisioner: 1\r\n"
    refused = page_server().send(head + b"Content-Length: 1000000000000")
    assert refused.startswith(b"HTTP/1.1 413 ")
    assert b"more than 64 MB" in refused
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_does_not_say_how_large_it_is_is_cut_off(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a length, as soon as it is too large; nothing of it stays."""
    monkeypatch.setattr(forms, "LARGEST_SHEET", 1 << 20)
    pieces = (b"x" * (1 << 16) for _ in range(40))
    refused = client.put("/sheets?name=acme.csv", content=pieces)
    assert refused.status_code == 413
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_that_breaks_off_leaves_nothing(client: httpx.Client, tmp_path: Path) -> None:
    """A browser that is closed while it sends leaves no half sheet."""
    host, port = client.base_url.host, client.base_url.port or 0
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    with socket.create_connection((host, port)) as sender:
        sender.sendall(
            f"PUT /sheets?name=acme.csv HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
            f"X-Provisioner: 1\r\nCookie: {cookie}\r\nContent-Length: 1000\r\n\r\nemail".encode()
        )
        while not list(tmp_path.iterdir()):
            assert client.get("/static/icon.svg").status_code == 200
    while list(tmp_path.iterdir()):
        assert client.get("/static/icon.svg").status_code == 200


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bomb.xlsx", lambda: hostile.xlsx([hostile.row(3, "x" * 50_000)] * 4_000), "unpacks to"),
        ("damaged.xlsx", lambda: hostile.xlsx()[:-200], "damaged"),
        ("page.csv", lambda: b"<!doctype html><table><tr><td>email</td></tr></table>", "is a web page (HTML)"),
        ("empty.csv", lambda: b"\r\n\r\n", "is empty"),
    ],
)
def test_what_the_reader_refuses_is_said_on_the_page(
    client: httpx.Client, name: str, content: Callable[[], bytes], said: str
) -> None:
    """A hostile or unreadable sheet gets the command line's sentence, and the page goes on."""
    opened = client.put("/sheets", params={"name": name}, content=content()).json()["location"]
    screen = client.get(opened, follow_redirects=True, timeout=30)
    assert said in screen.text
    assert client.get("/").status_code == 200
