"""The server as a whole: started, asked, stopped."""

from __future__ import annotations

import gc
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.server import _listen, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.conftest import Practice

KEY = {"Authorization": "Api-Key sandbox-key"}
BODY = {"email": "john.doe", "domain": 101, "relay_server": 201}


@pytest.mark.smoke
def test_creates_a_mailbox_from_end_to_end(practice: Callable[..., Practice]) -> None:
    """A create is answered with a task, and its mailbox is listed once that has succeeded."""
    sandbox = practice()
    answer = sandbox.create()
    listed = sandbox.client.get("/api/mailboxes/").json()
    assert answer.status_code == 202
    assert sandbox.task(answer)["result"] == {"id": listed[-1]["id"], "email": "john.doe@acme-mail.example"}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_serves_a_caller_that_runs_its_own_loop(backend: str) -> None:
    """The server has its own thread and loop: the caller's may be of either kind, on the main thread."""

    async def create_many() -> list[int]:
        statuses = []

        async def create(number: int) -> None:
            statuses.append((await client.post("/api/mailboxes/", json=BODY | {"email": f"user{number}"})).status_code)

        async with httpx.AsyncClient(base_url=running.url, headers=KEY) as client, anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(create, number)
        return statuses

    with serve(SandboxOptions(api_key="sandbox-key")) as running:
        assert anyio.run(create_many, backend=backend) == [202] * 20


def test_leaves_nothing_behind(tmp_path: Path) -> None:
    """At the end of the block thread, port and files are let go, though connections are open."""
    before = threading.enumerate()
    with (
        serve(SandboxOptions(api_key="sandbox-key", keep_passwords=True, state=tmp_path / "state.sqlite3")) as running,
        httpx.Client(headers=KEY) as client,
    ):
        assert client.get(running.url + "/api/mailboxes/").status_code == 200
        mute = socket.create_connection((urlsplit(running.url).hostname, urlsplit(running.url).port))
    mute.close()
    assert threading.enumerate() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url + "/sandbox/state/")
    gc.collect()  # whatever was left open would now warn, and a warning fails the test


def test_stops_though_a_request_is_half_sent(caplog: pytest.LogCaptureFixture) -> None:
    """A client that never finishes its request does not keep the server from stopping, and nothing is complained of."""
    with serve(SandboxOptions(api_key="sandbox-key")) as running:
        address = urlsplit(running.url)
        half = socket.create_connection((address.hostname, address.port))
        half.sendall(b"POST /api/mailboxes/ HTTP/1.1\r\nHost: sandbox\r\nContent-Length: 10\r\n\r\n{")
        _until(lambda: len(running.state.requests) == 1)
    half.close()
    assert not running.thread.is_alive()
    assert caplog.messages == []


def test_answers_held_back_go_out_when_it_stops() -> None:
    """A stop does not wait for answers that are late on purpose."""
    got: list[int] = []

    def ask(url: str) -> None:
        got.append(httpx.get(url + "/api/userinfo/", headers=KEY).status_code)

    with serve(SandboxOptions(api_key="sandbox-key", slow_share=1.0, slow_by=600.0)) as running:
        asking = threading.Thread(target=ask, args=(running.url,))
        asking.start()
        _until(lambda: len(running.state.requests) == 1)
    asking.join()
    assert got == [200]


def test_a_failing_block_stops_the_server_too() -> None:
    """An exception of the caller's passes through, and the server is stopped."""
    with pytest.raises(KeyError), serve(SandboxOptions(api_key="sandbox-key")) as running:
        raise KeyError
    assert not running.thread.is_alive()


def test_a_port_in_use_is_told_at_once() -> None:
    """Asking for a port that is taken raises before anything is started."""
    with serve(SandboxOptions(api_key="sandbox-key")) as running:
        taken = urlsplit(running.url).port
        assert taken is not None
        with pytest.raises(OSError, match="Address already in use"), serve(SandboxOptions(port=taken)):
            pass


def test_answers_are_not_held_back_by_nagle() -> None:
    """The listener is TCP by name: for another asyncio leaves Nagle's algorithm on, and each answer takes 40 ms."""
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
