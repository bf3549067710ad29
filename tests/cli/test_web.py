"""`provisioner web` as a process: its address, its signals, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from sites import allowed

from provisioner.cli import main
from provisioner.journal import overview
from provisioner.records import Status
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

HANG_UP = getattr(signal, "SIGHUP", signal.SIGTERM)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")

ADDRESS = re.compile(r"(http://127\.0\.0\.1:[0-9]+)/enter\?code=[\w-]+")
SHEET = id_of("acme.csv")


class Process:
    """The command in a process of its own, entered by a client."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        command = [sys.executable, "-m", "provisioner", "web", str(folder), *options]
        known = {name: value for name, value in os.environ.items() if not name.startswith(("MISSION", "SSH"))}
        quiet = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
        self.process = subprocess.Popen(
            command,
            env={**known, **quiet, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        found = ADDRESS.fullmatch(self.address)
        assert found, self.process.communicate()
        self.origin = found[1]

    @contextmanager
    def enter(self) -> Iterator[httpx.Client]:
        headers = {"origin": self.origin, "x-provisioner": "1"}
        with httpx.Client(base_url=self.origin, headers=headers, trust_env=False, timeout=20) as client:
            assert client.get(self.address).status_code == 303
            yield client

    def end(self, number: signal.Signals) -> tuple[int, float, str, str]:
        """Send a signal; returns the exit code, the seconds until the end, stdout, and stderr as one line."""
        began = time.perf_counter()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, time.perf_counter() - began, out, " ".join(err.split())


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    with ExitStack() as stack:

        def start(*options: str, **environment: str) -> Process:
            known = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", **environment}
            started = Process(tmp_path, "--no-browser", *options, **known)
            stack.callback(_end, started.process)
            return started

        yield start


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@contextmanager
def silent_service() -> Iterator[str]:
    """The address of a service that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def events_of(client: httpx.Client, path: str, stack: ExitStack) -> Any:
    """An event stream that is open and has begun."""
    response = stack.enter_context(client.stream("GET", path, timeout=30))
    lines = response.iter_lines()
    assert next(lines).startswith(":")
    return lines


def break_off(client: httpx.Client) -> None:
    """Begin to send a sheet, and hang up."""
    host, port = client.base_url.host, client.base_url.port or 0
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = f"PUT /sheets?name=acme.csv HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
    with socket.create_connection((host, port)) as sender:
        sender.sendall(f"{head}X-Provisioner: 1\r\nCookie: {cookie}\r\nContent-Length: 1000\r\n\r\nemail".encode())


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGTERM, HANG_UP))]
)
def test_a_signal_ends_it_within_two_seconds_however_many_streams_are_open(
    serve: Callable[..., Process], number: signal.Signals
) -> None:
    """Ctrl-C, SIGTERM and the closing of the terminal end it with three event streams open: no traceback, and code 0.

    For whoever came without a cookie meanwhile, a new address was printed; and nothing of a request that broke off.
    """
    with silent_service() as url, ExitStack() as stack:
        running = serve(MISSION_INBOX_URL=url, MISSION_INBOX_API_KEY="a-key")
        client = stack.enter_context(running.enter())
        streams = [events_of(client, "/service", stack) for _ in range(3)]
        stranger = stack.enter_context(httpx.Client(trust_env=False))
        assert {stranger.get(address).status_code for address in (running.address, running.origin)} == {403}
        break_off(client)
        code, seconds, out, err = running.end(number)
        assert code == 0, err
        assert seconds < allowed(2.0)
        assert [bool(ADDRESS.fullmatch(line)) for line in out.splitlines()] == [True]
        assert running.address not in out
        assert "to you alone" in err
        assert err.endswith("The page is closed. What was sent and fixed is kept.")
        assert "Traceback" not in err
        for lines in streams:
            list(lines)


def test_a_run_is_interrupted_and_its_files_are_written(
    serve: Callable[..., Process], write_sheet: Callable[..., Path], check_outputs: Callable[[Path], None]
) -> None:
    """Ctrl-C in the middle of a run ends in 2 s with 130; both files are whole, and every row has its status.

    Over SSH, it is said how to reach the page: by the very port that is served, since no other Host is answered.
    """
    sheet = write_sheet(200)
    running = serve("--sandbox", "--rate", "20/s", SSH_CONNECTION="198.51.100.1 50000 203.0.113.7 22")
    with running.enter() as client, ExitStack() as stack:
        create_all(client)
        for _ in range(3):
            events_of(client, f"/sheets/{SHEET}/events", stack)
        run = sheet.parent / "acme-run"
        while not statuses(run).get(Status.UNFINISHED):
            assert running.process.poll() is None
            time.sleep(0.01)
        code, seconds, _, err = running.end(signal.SIGINT)
    assert (code, "Traceback" in err) == (130, False), err
    assert seconds < allowed(2.0)
    port = running.origin.rpartition(":")[2]
    assert re.search(rf"ssh -N -L {port}:127\.0\.0\.1:{port} \w+@203\.0\.113\.7", err)
    assert err.endswith("A run was under way. To go on with it, start the page again and press “Continue”.")
    check_outputs(run)
    assert sum(statuses(run).values()) == 200


def create_all(client: httpx.Client) -> None:
    """Press Create, and answer the question as soon as the service has been asked."""
    question = None
    while question is None:
        asked = client.post(f"/sheets/{SHEET}/begin")
        assert asked.status_code == 200, asked.text
        question = re.search(r'"question": "(\d+)"', asked.text)
        time.sleep(0.01)
    answer = {"create": "all", "question": question[1]}
    assert client.post(f"/sheets/{SHEET}/answer", json=answer).json() == {"location": f"/sheets/{SHEET}/run"}


def statuses(run: Path) -> Mapping[Status, int]:
    known = overview(run / "journal.sqlite3")
    return known.statuses if known is not None else {}


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """One sentence and what to do, and the code of a command that cannot begin."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(main, ["web", str(tmp_path), "--port", str(port), "--no-browser"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Port {port} is used by another program." in done.stderr


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Nothing is served for a folder that does not exist, nor for a sheet."""
    (tmp_path / "acme.csv").touch()
    for name, told in {"gone": "There is no folder", "acme.csv": "acme.csv is not a folder."}.items():
        done = CliRunner().invoke(main, ["web", str(tmp_path / name), "--no-browser"])
        assert (done.exit_code, done.stdout) == (2, "")
        assert told in " ".join(done.stderr.split())
        assert done.stderr.endswith("Name the folder that your sheets are in.\n")


@pytest.mark.slow
@pytest.mark.parametrize("browser", ["/nowhere/browser", "false"])
def test_a_browser_that_cannot_be_opened_ends_nothing(tmp_path: Path, browser: str) -> None:
    """A browser that is missing or fails is no reason to stop, and nothing is said of it."""
    running = Process(tmp_path, BROWSER=browser, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    try:
        with running.enter():
            pass
        code, _, _, err = running.end(signal.SIGINT)
    finally:
        _end(running.process)
    assert (code, "Traceback" in err) == (0, False)


@pytest.mark.slow
def test_the_browser_gets_an_address_of_its_own(tmp_path: Path) -> None:
    """The address that is printed still works when the browser has used the one that it was opened with."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.part\nmv {tmp_path}/opened.part {tmp_path}/opened\n')
    browser.chmod(0o700)
    running = Process(tmp_path, BROWSER=str(browser), PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    try:
        opened = tmp_path / "opened"
        deadline = time.monotonic() + 20
        while not opened.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with httpx.Client(trust_env=False) as client:
            assert client.get(opened.read_text().strip()).status_code == 303
        with running.enter():
            pass
    finally:
        _end(running.process)
