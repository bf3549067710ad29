"""What reaches the terminal, whoever wrote the text."""

from __future__ import annotations

import ast
import json
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import provisioner
from provisioner import console
from provisioner.console import terminal
from provisioner.console.terminal import Line, beside, bold, wrap
from provisioner.messages import visible

PACKAGE = Path(provisioner.__file__).parent
HOSTILE = ["\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\u202egnp.exe", "\u200b", "\r", "\x7f", "\udc80"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_acts_on_the_terminal(text: str) -> None:
    """Escape sequences, direction marks, control characters and stray bytes are shown as their numbers."""
    stream = StringIO()
    terminal.write(stream, [f"a{text}b", bold(text), ("plain", bold(text))])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


@given(st.text(), st.integers(20, 100))
def test_wrapped_text_loses_nothing(text: str, width: int) -> None:
    """Whatever is wrapped, no visible character gets lost, and only a single long word is wider than the screen."""
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(visible(text).split())
    assert all(len(line) <= width or " " not in line for line in lines)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), st.integers(30, 100))
def test_a_text_beside_a_number_keeps_to_its_column(text: str, width: int) -> None:
    """The first line begins with what stands beside it, and no line is wider than the screen."""
    lines: list[Line] = beside(f"{7:>9,}  ", text, width)
    stream = StringIO()
    terminal.write(stream, lines)
    shown = stream.getvalue().splitlines()
    assert shown[0].startswith("        7  ")
    assert all(len(line) <= width for line in shown)


def test_a_list_in_json_is_safe_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """What a name holds is escaped on the way to the terminal and comes back whole."""
    entries = [{"name": text} for text in HOSTILE]
    table = console.JsonTable([])
    table.show(entries[:3])
    table.show(entries[3:])
    table.close()
    text = capsys.readouterr().out
    assert text.replace("\n", "").isprintable()
    assert json.loads(text) == entries


def test_an_empty_list_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A list without entries is an empty array."""
    console.JsonTable([]).close()
    assert json.loads(capsys.readouterr().out) == []


def test_there_is_one_way_to_the_terminal() -> None:
    """In console and cli only `write` puts text on a stream; nothing else prints."""
    for path in (*(PACKAGE / "console").glob("*.py"), *(PACKAGE / "cli").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                assert called not in ("print", "echo", "secho"), f"{path.name}:{node.lineno}"
