"""The README and docs/ show what the program really says. `python tests/test_readme.py` rewrites the blocks that do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest
import test_messages
from click.testing import CliRunner

from provisioner import schema
from provisioner.cli import exit_codes, main
from provisioner.messages import WORDS
from provisioner.records import Status

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"<!-- begin: (?P<name>[a-z ]+) -->\n(?P<content>.*?)<!-- end -->", re.DOTALL)


def first_run() -> str:
    """What the command of the first section prints, but for the time it takes."""
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "sample_csvs"
        samples.mkdir()
        shutil.copy(ROOT / "sample_csvs" / "mailboxes.csv", samples)
        program = Path(sysconfig.get_path("scripts")) / "provisioner"
        words = [str(program), "run", "sample_csvs/mailboxes.csv", "--sandbox"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_INBOX")}
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if " sent; " not in line]
    # The words to paste begin as the command itself was called, which may not be on this shell's path.
    return fenced("\n".join(lines).replace(str(program), "provisioner"))


def columns() -> str:
    """The sheet's columns, from the schema."""
    rows = [
        f"| `{column.name}` | {' '.join(column.description.split())} | {', '.join(column.names)} |"
        for column in schema.load().columns.values()
    ]
    return "\n".join(["| column | what it contains | also called |", "|---|---|---|", *rows]) + "\n"


def statuses() -> str:
    """What each status means and what to do about it."""
    rows = [f"| `{status}` | {WORDS[status].meaning} | {WORDS[status].remedy} |" for status in Status]
    return "\n".join(["| status | rows | what to do |", "|---|---|---|", *rows]) + "\n"


def helped(*words: str) -> str:
    shown = CliRunner().invoke(main, [*words, "--help"], prog_name="provisioner", terminal_width=100)
    assert shown.exit_code == 0
    return fenced(shown.output.rstrip())


def fenced(text: str) -> str:
    return f"```text\n{text.strip()}\n```\n"


def block(name: str) -> str:
    """The content that a block is to have."""
    match name.split():
        case ["help", *words]:
            return helped(*words)
        case ["columns"]:
            return columns()
        case ["statuses"]:
            return statuses()
        case ["first", "run"]:
            return first_run()
    raise AssertionError(f"nothing is known of the block “{name}”")


def timeless(text: str) -> str:
    return re.sub(r"\d+(\.\d)? seconds?|\d+ min( \d+ s)?", "… seconds", text)


def written(*pages: Path) -> dict[str, str]:
    """The blocks of pages by name."""
    return {found["name"]: found["content"] for page in pages for found in BLOCK.finditer(page.read_text("utf-8"))}


@pytest.mark.parametrize("name", sorted(written(*PAGES)))
def test_the_readme_shows_what_the_program_says(name: str) -> None:
    """Help, columns, statuses and the first run's output are the program's own; else run this file as a script."""
    assert timeless(written(*PAGES)[name]) == timeless(block(name))


def test_every_command_has_its_help_in_the_docs() -> None:
    """No command is left out."""
    names = set(main.list_commands(None))  # type: ignore[arg-type]  # the context is not looked at
    assert {name.removeprefix("help ") for name in written(COMMANDS) if name.startswith("help ")} == names


def test_the_exit_codes_are_the_programs() -> None:
    """The table of exit codes has those that the command line knows."""
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README.read_text("utf-8"), re.MULTILINE)}
    assert {
        exit_codes.DONE,
        exit_codes.ROWS_LEFT,
        exit_codes.UNUSABLE,
        exit_codes.STOPPED,
        exit_codes.INTERRUPTED,
    } <= told


def test_the_first_command_and_its_output_come_early() -> None:
    """A newcomer sees the first command within the first 30 lines, and what it prints right below."""
    top = README.read_text("utf-8").splitlines()[:36]
    assert any("provisioner run sample_csvs/mailboxes.csv --sandbox" in line for line in top[:30])
    assert any("mailboxes to create" in line for line in top)


def test_the_readme_is_short() -> None:
    """Whatever needs more room has a page of its own."""
    assert len(README.read_text("utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every file that a page links to exists."""
    links = re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_messages_to_look_up_are_the_programs() -> None:
    """What the page on trouble quotes is said somewhere in the program."""
    texts = [*test_messages.texts(), *(fault.message for fault in test_messages.faults())]
    said = "\n".join([*(text.words for text in texts), schema.shipped("mailbox.yaml").read_text("utf-8")])
    lines = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8").splitlines()
    quoted = [quote for line in lines for quote in re.findall(r"`([^`]+)`", line.split("|")[1] if "|" in line else "")]
    names = {"failures.csv", "[unclear]", *Status}
    states = {"refused", "unreachable"}
    assert len(quoted) > 20
    assert [quote for quote in quoted if quote not in names | states and quote.lower() not in said.lower()] == []


def renewed(found: re.Match[str]) -> str:
    """A block with the program's words of today; one in which only the time differs stays."""
    content = block(found["name"])
    same = timeless(content) == timeless(found["content"])
    return found[0] if same else f"<!-- begin: {found['name']} -->\n{content}<!-- end -->"


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text("utf-8")
        page.write_text(BLOCK.sub(renewed, text), "utf-8")
