"""Every route of the page, walked: nothing is reached by anybody but the person who opened it."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import check

from provisioner.web.access import Gate
from provisioner.web.app import build
from provisioner.web.folder import id_of
from provisioner.web.workspace import PageOptions, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Recorder
    from running_page import RunningPage
    from starlette.types import ASGIApp, Message

HOST = "127.0.0.1:49152"
ORIGIN = f"http://{HOST}"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
GUARDS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}


class Walked:
    """The page's gate and application without a server, and what it takes to be let in."""

    def __init__(self, folder: Path) -> None:
        workspace = Workspace(PageOptions(folder=folder, practise=None))  # type: ignore[arg-type] # nothing is run
        self.app = build(workspace)
        self.gate = Gate(self.app, ORIGIN, lambda _: None)
        code = self.gate.new_address().rpartition("=")[2]
        _, headers = anyio.run(ask, self.gate, "GET", "/enter", {"host": HOST}, f"code={code}")
        self.own = {
            "host": HOST,
            "cookie": headers["set-cookie"].partition(";")[0],
            "origin": ORIGIN,
            "x-provisioner": "1",
        }

    def paths(self) -> Iterator[str]:
        """A path of each route."""
        for route in self.app.routes:
            yield re.sub(r"\{[^}]*\}", "x", getattr(route, "path"))  # noqa: B009 - not every kind of route has one


async def ask(
    app: ASGIApp, method: str, path: str, headers: dict[str, str] | list[tuple[bytes, bytes]], query: str = ""
) -> tuple[int, dict[str, str]]:
    """The status and the headers of an answer."""
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": b"{}"}])

    async def receive() -> Message:
        # Event streams end when the browser leaves.
        return next(received, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()] if isinstance(headers, dict) else headers
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    await app(scope, receive, send)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.fixture
def walked(tmp_path: Path) -> Walked:
    return Walked(tmp_path)


FOREIGN_READERS: dict[str, dict[str, Any]] = {
    "other port": {"host": "127.0.0.1:49153"},
    "no port": {"host": "127.0.0.1"},
    "other name": {"host": "localhost:49152"},
    "evil name": {"host": "evil.example:49152"},
    "empty": {"host": ""},
    "port alone": {"host": ":8000"},
    "many colons": {"host": "a:b:c"},
    "with a path": {"host": f"{HOST}/"},
    "no host": {"host": None},
    "no cookie": {"cookie": None},
    "wrong cookie": {"cookie": "provisioner-49152=x"},
    "cookie of another port": {"cookie": "provisioner-49153=x"},
}
FOREIGN_WRITERS: dict[str, dict[str, Any]] = {
    **FOREIGN_READERS,
    "no origin": {"origin": None},
    "null": {"origin": "null"},
    "other port's": {"origin": "http://127.0.0.1:49153"},
    "other name's": {"origin": "http://localhost:49152"},
    "https": {"origin": f"https://{HOST}"},
    "evil origin": {"origin": "https://evil.example"},
    "longer": {"origin": f"{ORIGIN}.evil.example"},
    "no header": {"x-provisioner": None},
    "other header": {"x-provisioner": "0"},
}


@pytest.mark.parametrize("case", FOREIGN_WRITERS)
def test_every_route_refuses_whoever_is_not_let_in(walked: Walked, case: str) -> None:
    """Whatever the route and the method, one thing that is not as it must be is enough to be refused."""
    headers = {name: value for name, value in {**walked.own, **FOREIGN_WRITERS[case]}.items() if value is not None}
    paths = [*walked.paths(), "/", "/nothing-here", "/enter"]
    assert len(paths) > 10

    async def walk() -> None:
        for path, method in itertools.product(paths, METHODS):
            if method in ("GET", "HEAD") and case not in FOREIGN_READERS:
                continue
            status, answer = await ask(walked.gate, method, path, headers)
            assert (status, answer["content-type"]) == (403, "text/plain; charset=utf-8"), f"{method} {path}"
            assert GUARDS.items() <= answer.items()

    anyio.run(walk)


@pytest.mark.parametrize("name", ["host", "origin", "x-provisioner"])
def test_a_header_that_comes_twice_is_refused(walked: Walked, name: str) -> None:
    """What two programs may read in two ways opens nothing."""
    headers = [(key.encode(), value.encode()) for key, value in walked.own.items()]
    for other in (walked.own[name], "evil.example"):
        status, _ = anyio.run(ask, walked.gate, "POST", "/practice", [*headers, (name.encode(), other.encode())])
        assert status == 403


def test_every_answer_carries_the_guards(walked: Walked) -> None:
    """Pages, downloads, static files and errors alike forbid to be kept, framed or taken for something else."""

    async def walk() -> set[int]:
        statuses = set()
        for path in (*walked.paths(), "/nothing-here"):
            for method in ("GET", "DELETE"):
                status, answer = await ask(walked.gate, method, path, walked.own)
                assert GUARDS.items() <= answer.items(), f"{method} {path}"
                statuses.add(status)
        return statuses

    assert {200, 404, 405} <= anyio.run(walk)


@pytest.mark.parametrize("checked", [False, True], ids=["new", "checked before"])
def test_reading_changes_nothing(
    page_server: Callable[..., RunningPage],
    write_sheet: Callable[..., Path],
    listener: Recorder,
    checked: bool,  # noqa: FBT001 - a case
) -> None:
    """No route changes or removes a file when it is only read. At most a new sheet is checked, in its run folder."""
    sheet = write_sheet([("ann", "101", "201", "weak", "789", "")])
    if checked:
        check(sheet, listener)
    running = page_server()
    client = running.enter()
    before = contents(running.folder)
    for route in running.routes:
        path = re.sub(r"\{[^}]*\}", "x", route.replace("{id}", id_of(sheet.name)))
        with client.stream("GET", path) as answer:
            assert answer.status_code in (200, 204, 303, 404, 405, 409), path
            if "event-stream" not in answer.headers.get("content-type", ""):
                answer.read()
    running.stop()
    after = contents(running.folder)
    assert {path: after.get(path) for path in before} == before
    assert {path.parent.name for path in set(after) - set(before)} <= {"acme-run"}


def contents(folder: Path) -> dict[Path, bytes]:
    """Every sheet below a folder, those of run folders too. What SQLite writes is its own business."""
    return {path: path.read_bytes() for path in folder.rglob("*.csv")}


names = st.sampled_from([b"host", b"origin", b"cookie", b"x-provisioner"])


@given(headers=st.lists(st.tuples(names, st.binary(max_size=40)), max_size=6), method=st.sampled_from(METHODS))
def test_no_header_breaks_the_gate(headers: list[tuple[bytes, bytes]], method: str) -> None:
    """Whatever stands in Host, Origin and Cookie, however often: it is refused, and nothing fails."""

    async def never(*_: object) -> None:
        raise AssertionError("it was let through")

    gate = Gate(never, ORIGIN, lambda _: None)
    for known in ([], [(b"host", HOST.encode())]):
        status, _ = anyio.run(ask, gate, method, "/sheets", [*known, *headers])
        assert status == 403


HOSTILE_NAMES = [
    "..",
    "../page.js",
    "..%2f..%2faccess.py",
    "%2e%2e/access.py",
    "%2e%2e%2f%2e%2e%2fworkspace.py",
    "..%5caccess.py",
    "%00",
    "page.js%00",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "C:%5cWindows",
    "NUL",
    "con.csv",
    "%ff%fe",
    "%c0%ae%c0%ae%2f",
    "x" * 300,
    "",
    ".",
]


@pytest.mark.parametrize("below", ["/static/", "/sheets/", "/exports/", "/template.", "/sheets/x/files/", "/"])
def test_no_name_leads_out_of_its_list(page_server: Callable[..., RunningPage], below: str) -> None:
    """No listing, no traversal: a name that is not on the list is a page that is not there."""
    running = page_server()
    client = running.enter()
    for name in HOSTILE_NAMES:
        if below == "/" and name in ("", "."):
            continue
        answer = running.send(f"GET {below}{name} HTTP/1.1\r\nHost: {{HOST}}".encode(), cookie=True)
        status = int(answer.split(b" ", 2)[1])
        assert status in (307, 400, 404), (below, name, answer[:200])
        assert b"root:" not in answer
        assert b"import " not in answer
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["", "Host: \r\n", "Host: :8000\r\n", "Host: a:b:c\r\n", "Host: {HOST}\r\nHost: x\r\n"]
)
def test_a_malformed_host_is_refused_by_the_real_server(page_server: Callable[..., RunningPage], host: str) -> None:
    """No malformed Host, nor two of them, gets anything but a refusal from the socket itself."""
    answer = page_server().send(f"GET / HTTP/1.1\r\n{host}Accept: */*".encode())
    assert int(answer.split(b" ", 2)[1]) in (400, 403)
