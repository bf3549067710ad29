"""The command, in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from provisioner.sandbox.command import duration, sandbox, share
from provisioner.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.smoke
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_serves_until_interrupted(sandbox_process: Callable[..., Any]) -> None:
    """Its address is the one line on stdout, the rest is told on stderr, and Ctrl-C ends it with exit code 0."""
    with sandbox_process("--latency", "0") as running:
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+", running.url)
        assert running.client.get("/api/userinfo/").status_code == 200
        running.process.send_signal(signal.SIGINT)
        stdout, stderr = running.process.communicate(timeout=20)
    assert running.process.returncode == 0
    assert stdout == ""
    assert stderr.endswith("Stopped.\n")
    assert "Traceback" not in stderr
    for word in ("sandbox-key", "101", "acme-mail.example", "not verified", "201", "MissionInbox", "789"):
        assert word in stderr
    assert "info@acme-mail.example" in stderr
    assert f"MISSION_INBOX_API_KEY=sandbox-key provisioner run SHEET --api-url {running.url}" in stderr


def test_options_reach_the_service(sandbox_process: Callable[..., Any]) -> None:
    """What is asked for on the command line is what the service does."""
    arguments = ["--throttle", "2/min", "--paginated", "--page-size", "1", "--no-projects", "--smtp-host", "smtp.test"]
    with sandbox_process(*arguments) as running:
        client = running.client
        assert client.get("/api/projects/").status_code == 404
        assert client.get("/api/userinfo/").json()["ibx_smtp"] == "smtp.test"
        assert len(client.get("/api/domains/").json()["results"]) == 1
        assert client.get("/api/domains/").status_code == 429


def test_every_option_can_be_given() -> None:
    """The command has an option for each field of SandboxOptions, with the same default, and a help text."""
    chosen = sandbox.make_context("sandbox", []).params
    assert set(chosen) == set(SandboxOptions.__dataclass_fields__)
    given = {name: value for name, value in chosen.items() if value is not None}
    key = SandboxOptions().api_key
    assert SandboxOptions(**{**given, "api_key": key}) == SandboxOptions(api_key=key)
    assert all(isinstance(option, click.Option) and option.help for option in sandbox.params)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2.0), ("1m", 60.0), ("3", 3.0), ("0.25", 0.25), (" 2 s ", 2.0)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """A duration is a number with ms, s or m, or bare seconds."""
    assert duration(text) == seconds


@pytest.mark.parametrize(("text", "fraction"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1.0), ("1", 1.0), ("0", 0.0)])
def test_shares_are_read(text: str, fraction: float) -> None:
    """A share is a percentage or a fraction."""
    assert share(text) == pytest.approx(fraction)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--latency", "soon"], "write 500ms, 2s, 1m or a number of seconds"),
        (["--latency", "-1"], "write 500ms, 2s, 1m or a number of seconds"),
        (["--fail", "101%"], "write 5% or 0.05"),
        (["--fail", "5"], "write 5% or 0.05"),
        (["--throttle", "fast"], "write NUMBER/PERIOD such as 20/s"),
        (["--fail", "60%", "--stuck", "60%"], "The shares of fail and stuck together must not exceed 100%."),
        (["--state", "/missing/state.sqlite3"], "cannot be written"),
        (["--host", "192.0.2.1"], "Cannot serve on 192.0.2.1 port 0"),
    ],
)
def test_a_wrong_option_is_told_before_anything_starts(arguments: list[str], sentence: str) -> None:
    """A value that makes no sense ends the command with exit code 2 and says how to write it."""
    result = CliRunner().invoke(sandbox, arguments)
    assert result.exit_code == 2
    assert sentence in result.output


def test_help_loads_no_web_server() -> None:
    """Importing the command or the options loads neither starlette nor uvicorn."""
    code = (
        "import sys, provisioner.sandbox.command, provisioner.sandbox.options;"
        "assert not {'starlette', 'uvicorn', 'asyncio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_stands_on_its_own() -> None:
    """The sandbox, server and all, imports nothing of the rest of the program."""
    code = (
        "import sys, provisioner.sandbox.command, provisioner.sandbox.server;"
        "print([name for name in sys.modules if name.startswith('provisioner.')"
        " and not name.startswith('provisioner.sandbox')])"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
