"""A sandbox in this process, or one in a process of its own, with a client that holds its key."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provisioner.sandbox.state import State


@pytest.fixture(autouse=True)
def swift_practice() -> None:
    """Here the stand-in is as it is for people."""


@dataclass(frozen=True)
class Practice:
    """A running sandbox and a client with its key."""

    client: httpx.Client
    state: State

    def create(self, email: str = "john.doe", **fields: object) -> httpx.Response:
        body = {"email": email, "domain": 101, "relay_server": 201, **fields}
        return self.client.post("/api/mailboxes/", json=body)

    def task(self, answer: httpx.Response) -> dict[str, Any]:
        task: dict[str, Any] = self.client.get(f"/api/tasks/{answer.json()['task_id']}/").json()
        return task


@contextmanager
def practising(**options: Any) -> Iterator[Practice]:
    """A sandbox with the given options, its tasks done at once unless told otherwise."""
    with serve(
        SandboxOptions(**{"api_key": "sandbox-key", "latency": 0.0, "keep_passwords": True, **options})
    ) as running:
        key = {"Authorization": f"Api-Key {running.api_key}"}
        with httpx.Client(base_url=running.url, headers=key) as client:
            yield Practice(client, running.state)


@pytest.fixture
def practice() -> Iterator[Callable[..., Practice]]:
    """Start any number of sandboxes, each with the options given."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(practising(**options))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Practice]:
    """One sandbox for all tests of a module that leave nothing behind, or do not mind what others left."""
    with practising() as one:
        yield one


@dataclass(frozen=True)
class SandboxProcess:
    """A sandbox started by its command."""

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client


@pytest.fixture
def sandbox_process() -> Callable[..., Any]:
    """Start `python -m provisioner.sandbox` with the given arguments; it is killed at the end of the block."""

    @contextmanager
    def start(*arguments: str) -> Iterator[SandboxProcess]:
        command = [sys.executable, "-m", "provisioner.sandbox", "--api-key", "sandbox-key", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                key = {"Authorization": "Api-Key sandbox-key"}
                with httpx.Client(base_url=url, headers=key) as client:
                    yield SandboxProcess(process, url, client)
            finally:
                process.kill()

    return start
