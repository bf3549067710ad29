"""The stand-in in a process of its own, sheets for it, and this program run against it as its users run it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ROOT = Path(__file__).resolve().parents[2]
KEY = "sandbox-key"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "MISSION_INBOX_API_KEY": KEY, "NO_COLOR": "1"}
# Users have their modules compiled, by pip or by the first start.
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
MEGABYTE = 1024**2 if sys.platform == "darwin" else 1024
"""What the system counts the memory of a process in."""


@dataclass(frozen=True)
class Service:
    """A running stand-in."""

    url: str
    state: Path

    def requests(self) -> list[dict[str, Any]]:
        """Every request as it arrived: its moment on the monotonic clock, its kind and the answer's status."""
        requests: list[dict[str, Any]] = self._ask("/sandbox/requests/")
        return requests

    def summary(self) -> dict[str, Any]:
        state: dict[str, Any] = self._ask("/sandbox/state/")
        return state

    def _ask(self, path: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Api-Key {KEY}"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def ends(self) -> dict[str, tuple[float, float]]:
        """By task ID: when the task ended on the wall clock, and how long it took. Only once the stand-in has ended."""
        with contextlib.closing(sqlite3.connect(self.state)) as database:
            made = [json.loads(text) for (text,) in database.execute("SELECT creation FROM creates") if text]
        return {one["task_id"]: (one["due"], one["due"] - one["created"]) for one in made}


@contextlib.contextmanager
def serve(folder: Path, *, kept: bool = False, **options: object) -> Iterator[Service]:
    """Serve the stand-in for as long as the context lasts. With `kept` it remembers when each task ended."""
    state = folder / f"service-{time.monotonic_ns()}.sqlite3"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [
        sys.executable,
        "-m",
        "provisioner.sandbox",
        f"--api-key={KEY}",
        *flags,
        *([f"--state={state}"] if kept else []),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        try:
            yield Service(process.stdout.readline().strip(), state)
        finally:
            process.terminate()


def write_sheet(path: Path, rows: int) -> Path:
    """A sheet of so many good rows."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email,domain,relay_server,password,project,reply_to\n")
        for number in range(rows):
            file.write(f"user{number}.name,101,201,Sample-{number}-word!,789,replies@client.com\n")
    return path


@dataclass(frozen=True)
class Cost:
    """What a process took. Seconds and megabytes."""

    wall: float
    cpu: float
    memory: float
    said: str
    """What it printed on stdout."""


def run(*command: str, codes: Collection[int] = (0,)) -> Cost:
    """Run a command to its end. Raises CalledProcessError if it ends with another exit code than these."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=complained, env=ENVIRONMENT)
        # The one call that tells what a single child took; `resource` adds all children up.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        complained.seek(0)
        output, complaint = said.read(), complained.read()
    if process.returncode not in codes:
        raise subprocess.CalledProcessError(process.returncode, command, output, complaint)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEGABYTE, output)


def provision(sheet: Path, service: Service, *options: str) -> Cost:
    """One `provisioner run`, its progress, its log and its files included."""
    out = sheet.with_name(f"{sheet.stem}-{time.monotonic_ns()}-run")
    command = [sys.executable, "-m", "provisioner", "run", str(sheet), "--out", str(out), "--api-url", service.url]
    return run(*command, "--json", *options)


def outcome(cost: Cost) -> dict[str, Any]:
    """What a run printed about itself."""
    told: dict[str, Any] = json.loads(cost.said.splitlines()[-1])
    return told


def lines(told: dict[str, Any]) -> list[dict[str, Any]]:
    """A run's journal: what is known of each row, in the order of the sheet."""
    with contextlib.closing(sqlite3.connect(Path(told["run_folder"]) / "journal.sqlite3")) as database:
        database.row_factory = sqlite3.Row
        return [dict(line) for line in database.execute("SELECT * FROM rows ORDER BY sheet_row")]
