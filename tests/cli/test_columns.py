"""A header that does not say which column it means: the command says it once, and the run folder remembers it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from provisioner.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SHEET = "Postfach,domain,relay_server,password,Projct\nann,101,201,Sheet-Pass-77!,p\nb b,101,201,Sheet-Pass-78!,p\n"
SAID = ("--column", "Postfach=Username", "--column", "Projct=")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the program in the test's own folder, without a key."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "acme.csv").write_text(SHEET, encoding="utf-8")

    def call(*arguments: str) -> Result:
        environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MISSION_INBOX")}
        return CliRunner().invoke(main, arguments, env=environment, prog_name="provisioner", catch_exceptions=False)

    return call


def test_what_a_header_means_is_said_once(command: Any, tmp_path: Path) -> None:
    """The next check needs no option, nor does failures.csv, and the next command repeats none."""
    assert "--column" not in command("check", "acme.csv").stderr
    (tmp_path / "acme.csv").write_text(SHEET.replace("Projct", "Note"), encoding="utf-8")
    refused = command("check", "acme.csv")
    assert refused.exit_code == 2
    assert "say which header it is with --column HEADER=email" in refused.stderr
    (tmp_path / "acme.csv").write_text(SHEET, encoding="utf-8")
    said = command("check", "acme.csv", *SAID)
    assert said.exit_code == 1
    assert "Ignored column: Projct." in said.stderr
    assert command("check", "acme.csv").exit_code == 1
    failures = tmp_path / "acme-run" / "failures.csv"
    failures.write_bytes(failures.read_bytes().replace(b"b b", b"bob"))
    fixed = command("check", str(failures))
    assert fixed.exit_code == 0
    assert "--column" not in fixed.stderr


def test_a_later_option_wins_over_what_is_remembered(command: Any) -> None:
    """A mistake in it can be corrected."""
    command("check", "acme.csv", "--column", "Postfach=email", "--column", "Projct=project")
    again = command("check", "acme.csv", *SAID)
    assert "Ignored column: Projct." in again.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--column", "Postfach"), "is not of the form HEADER=COLUMN"),
        (("--column", "Postfach=colour"), "There is no column “colour” that “Postfach” could mean."),
        (("--column", "Postfach=email", "--column", "Projct=", "--column", "Prj=project"), "no header “Prj”"),
    ],
)
def test_a_slip_in_what_is_said_is_refused(command: Any, words: tuple[str, ...], told: str) -> None:
    """It would go unnoticed: the column would be ignored."""
    refused = command("check", "acme.csv", *words)
    assert refused.exit_code == 2
    assert told in refused.stderr
