"""The examples of docs/python.md run as they are shown."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import provisioner as p
from provisioner.library import RunKeywords, SheetKeywords

PAGE = (Path(__file__).parent.parent / "docs" / "python.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_examples_run_in_their_order(
    tmp_path: Path, write_sheet: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one session, as in a notebook; each says what the page says of it."""
    write_sheet(3)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", "a-key-of-the-tests")
    session: dict[str, Any] = {}
    results: list[p.RunResult] = []
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)):
        code = compile(block, f"example {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, session))
        else:
            exec(code, session)
        if (result := session.pop("result", None)) is not None:
            results.append(result)
    created, again, stopped = results
    assert created.statuses == again.statuses == {p.Status.CREATED: 3}
    assert created.frame()["status"].tolist() == ["created"] * 3
    assert isinstance(stopped.stopped, p.InterruptedRunError)
    out = capsys.readouterr().out
    assert out.count("a row is created") == 3
    assert "nosuch.csv" in out


def test_every_option_is_explained() -> None:
    """The table has each keyword once, and no other; the help names them too."""
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(RunKeywords.__annotations__)
    for function, names in ((p.check, SheetKeywords), (p.run, RunKeywords)):
        told = re.findall(r"\w+", f"{p.check.__doc__} {function.__doc__}")
        assert names.__annotations__.keys() <= set(told)


def test_every_error_is_named() -> None:
    """Each that the page names is there."""
    named = set(re.findall(r"\b\w+Error\b", PAGE))
    assert named <= set(p.__all__)
