"""A computer that lets a program open few files is told about before anything begins."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


def limited(limits: str, sheet: Path) -> subprocess.CompletedProcess[str]:
    """Check a sheet in a shell with limits of its own."""
    command = f"ulimit {limits}; exec {sys.executable} -m provisioner check {sheet}"
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("most", [10, 16, 63])
def test_too_few_files_are_told_before_anything_begins(write_sheet: Callable[..., Path], most: int) -> None:
    """The sentence names the limit and what to type, nothing is made, and the exit code says that nothing was sent."""
    sheet = write_sheet(2)
    done = limited(f"-n {most}", sheet)
    assert done.returncode == 2
    assert f"open only {most} files" in done.stderr
    assert "ulimit -n" in done.stderr
    assert not (sheet.parent / "acme-run").exists()


def test_a_low_limit_that_may_be_raised_is_raised(write_sheet: Callable[..., Path]) -> None:
    """Nobody has to type what the program can do by itself."""
    assert limited("-S -n 12", write_sheet(2)).returncode == 0
