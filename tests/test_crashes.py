"""Nothing lost and nothing made twice, proved by breaking things.

The service is a process of its own with faults on; the runs are processes that are killed without warning. A short
form runs always; `pytest tests/test_crashes.py --kills 200 --timeout 3600` is the long one, and prints its figures.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")

RUN = """
import sys
from contextlib import nullcontext
from pathlib import Path
import anyio
from provisioner import pipeline
from provisioner.events import NullListener
from provisioner.records import Rate
from provisioner.secret import Secret
from provisioner.settings import Connection, RunOptions, SheetOptions

sheet, url = sys.argv[1:]
connection = Connection(api_url=url, api_key=Secret("sandbox-key"), rates=(Rate(400, 1.0),), answer_timeout=5.0)
how = RunOptions(look_up_after=0.5, task_timeout=4.0, stop_after=0, refresh=0.2)
print("begins", flush=True)
options = SheetOptions(sheet=Path(sheet))
result = anyio.run(pipeline.run, options, how, lambda _: nullcontext(connection), NullListener())
print(result.stopped or "", {str(k): v for k, v in result.statuses.items()}, flush=True)
"""
"""A run as the command line starts it, but for the times after which things are given up: a test is in a hurry."""

FAULTS = ("--latency", "200ms", "--lost", "5%", "--error", "10%", "--stuck", "1%", "--throttle", "300/s")


KEY = {"Authorization": "Api-Key sandbox-key"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """The stand-in as a process that can be killed and comes back with all it had answered."""

    def __init__(self, state: Path, *options: str) -> None:
        self._port = free_port()
        self._words = [sys.executable, "-m", "provisioner", "sandbox", "--state", str(state), "--port", str(self._port)]
        self._words += ["--api-key", "sandbox-key", *options]
        self.url = f"http://127.0.0.1:{self._port}"
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            self._words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8"
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == self.url

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        self.kill()
        self._start()

    @property
    def state(self) -> Any:
        return httpx.get(f"{self.url}/sandbox/state/", headers=KEY, trust_env=False).json()

    def state_at_rest(self) -> Any:
        """The state once every task that ever ends has ended: it is the same for longer than such a task takes."""
        state = self.state
        for _ in range(20):
            time.sleep(1.0)
            before, state = state, self.state
            if before["counts"]["mailboxes"] == state["counts"]["mailboxes"]:
                break
        return state


@contextmanager
def service(state: Path, *options: str) -> Iterator[Service]:
    running = Service(state, *options)
    try:
        yield running
    finally:
        running.kill()


@contextmanager
def a_run(sheet: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has loaded its libraries and begins at this moment."""
    words = [sys.executable, "-c", RUN, str(sheet), url]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        try:
            yield process
        finally:
            process.kill()


def run_to_the_end(sheet: Path, url: str) -> None:
    with a_run(sheet, url) as process:
        _, err = process.communicate(timeout=50)
        assert process.returncode == 0, err


def is_settled(line: dict[str, str], state: Any) -> bool:
    """Whether the row stands as it will stand for ever, by what the service knows.

    A task that never ends is `unfinished`. If its answer was lost besides, it is `unknown`: the service refuses a
    second create of the address and never lists the first.
    """
    if line["status"] == "unknown":
        made = {mailbox["email"] for mailbox in state["mailboxes"]}
        address = f"{line['email']}@acme-mail.example"
        return address not in made and bool(state["creates"][address]["carried_out"])
    return line["status"] in ("created", "exists", "unfinished")


def check_the_record(lines: list[dict[str, str]], rows: int, state: Any) -> Counter[str]:
    """Every row once; as many mailboxes as the record says; no address carried out twice."""
    assert Counter(line["sheet_row"] for line in lines) == Counter(str(row) for row in range(2, rows + 2))
    statuses = Counter(line["status"] for line in lines)
    made = {mailbox["email"].partition("@")[0] for mailbox in state["mailboxes"]}
    told = {line["email"] for line in lines if line["status"] in ("created", "exists")}
    assert told <= made
    twice = {address: count for address, count in state["creates"].items() if count["carried_out"] > 1}
    assert not twice
    return statuses


@pytest.mark.slow
def test_killed_at_any_instant(
    tmp_path: Path, write_sheet: Any, read_csv: Any, pytestconfig: pytest.Config, record_property: Any
) -> None:
    """However often a run is killed, and its service with it, running again ends with each mailbox made once."""
    kills: int = pytestconfig.getoption("--kills")
    chance = random.Random(7)
    killed = sheets = finished_before = 0
    total: Counter[str] = Counter()
    while killed < kills:
        sheets += 1
        folder = tmp_path / str(sheets)
        folder.mkdir()
        sheet = write_sheet(300, name=f"{sheets}/acme.csv")
        with service(folder / "service.sqlite3", *FAULTS, "--seed", str(sheets)) as running:
            for _ in range(min(8, kills - killed)):
                with a_run(sheet, running.url) as process:
                    time.sleep(chance.uniform(0.0, 1.6))
                    finished_before += process.poll() is not None
                    process.send_signal(signal.SIGKILL)
                killed += 1
                results = folder / "acme-run" / "results.csv"
                if results.exists():
                    assert len(read_csv(results)) == 300, "the files are whole at every instant"
                if chance.random() < 0.2:
                    running.restart()
            for _ in range(6):
                run_to_the_end(sheet, running.url)
                lines, state = read_csv(results), running.state_at_rest()
                if all(is_settled(line, state) for line in lines):
                    break
            statuses = check_the_record(lines, 300, state)
            assert all(is_settled(line, state) for line in lines)
            total += statuses
            assert len(state["mailboxes"]) - 2 == statuses["created"] + statuses["exists"]
    print(f"\n{killed} kills over {sheets} sheets of 300 rows; {finished_before} came after the run's own end")
    print(f"in the end: {dict(total)}; no address was carried out twice")


@pytest.mark.slow
def test_the_service_dies_and_comes_back(tmp_path: Path, write_sheet: Any, read_csv: Any) -> None:
    """A service that is killed in the middle of a run and returns is waited for; nothing is lost or doubled."""
    sheet = write_sheet(200)
    with service(tmp_path / "service.sqlite3", "--latency", "300ms", "--throttle", "100/s", "--seed", "1") as running:
        with a_run(sheet, running.url) as process:
            deadline = time.monotonic() + 30
            while len(running.state["mailboxes"]) < 30:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            running.restart()
            out, err = process.communicate(timeout=50)
        assert process.returncode == 0, err
        run_to_the_end(sheet, running.url)
        statuses = check_the_record(read_csv(tmp_path / "acme-run" / "results.csv"), 200, running.state)
    assert statuses == {"created": 200}, out
