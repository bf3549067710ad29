"""Standard streams that are closed, full, or of a small code page, as a shell hands them over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from provisioner.cli.options import KEY_VARIABLE, URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")

SWIFT = "--yes --json --rate 100/s"


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call the program through a shell, in the test's own folder; for a stand-in, with its key and address."""

    def call(words: str, service: Any = None) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_INBOX")}
        if service:
            environment |= {KEY_VARIABLE: service.api_key, URL_VARIABLE: service.url}
        command = f"{sys.executable} -m provisioner {words}"
        return subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return call


@pytest.mark.parametrize(
    "words",
    [
        "--help > /dev/full",
        "check acme.csv --json > /dev/full",
        pytest.param("check acme.csv --json >&-", marks=pytest.mark.slow),
    ],
)
def test_an_outcome_that_cannot_be_printed_is_exit_2(shell: Any, write_sheet: Any, words: str) -> None:
    """Where nothing was sent, a full or closed output is a sentence; Python adds nothing of its own."""
    write_sheet(1)
    done = shell(words)
    assert done.returncode == 2, done.stderr
    assert "Standard output cannot be written" in done.stderr
    assert "Exception" not in done.stderr


def test_a_run_whose_outcome_cannot_be_printed_is_complete(
    shell: Any, sandbox: Any, write_sheet: Any, tmp_path: Path
) -> None:
    """Its mailboxes are created and its files written; exit 3 says that the command did not do all it was asked to."""
    write_sheet(1)
    done = shell(f"run acme.csv {SWIFT} > /dev/full", sandbox())
    assert done.returncode == 3, done.stderr
    assert "results.csv is complete" in done.stderr
    assert "created" in (tmp_path / "acme-run" / "results.csv").read_text("utf-8")


@pytest.mark.parametrize("streams", [pytest.param("2> /dev/full", marks=pytest.mark.slow), "2>&- <&-"])
def test_a_screen_that_shows_nothing_ends_nothing(shell: Any, sandbox: Any, write_sheet: Any, streams: str) -> None:
    """Without a stderr the outcome is still printed on stdout, alone, and the exit code is the same."""
    write_sheet(1)
    done = shell(f"run acme.csv {SWIFT} {streams}", sandbox())
    assert done.returncode == 0
    assert json.loads(done.stdout)["statuses"] == {"created": 1}


def test_the_program_alone_prints_its_help(shell: Any) -> None:
    """Without a command the help is shown, with its line breaks."""
    done = shell("")
    assert done.returncode == 2
    assert "\nCommands:\n  account " in done.stderr
    assert "\\u000a" not in done.stderr
