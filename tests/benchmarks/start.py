"""How soon the program answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from figures import Figure
from stand_in import run, write_sheet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 7
PLAIN = "import sys; sys.modules['hypothesis'] = None; "
"""As users have it: pandera loads hypothesis where it is installed, which takes a quarter of a second."""


def measure(folder: Path, *, full: bool) -> Iterator[Figure]:
    """The best of some rounds of each; `full` changes nothing here."""
    del full
    sheet = write_sheet(folder / "start.csv", 20)
    python = sys.executable
    normalize = _best(python, "-c", "pass")
    imports = _best(python, "-c", f"{PLAIN}import pandas, pandera.pandas")
    program = (python, "-c", f"{PLAIN}from provisioner.cli import main; main()")
    yield Figure(
        group="start", name="--help", measured=_best(*program, "--help"), unit="s", yardstick=normalize,
        of="a bare interpreter", at_most=8,
    )  # fmt: skip
    yield Figure(
        group="start", name="check of 20 rows", measured=_best(*program, "check", str(sheet)), unit="s",
        yardstick=imports + 0.1, of="importing pandas and pandera, and 0.1 s", at_most=1,
    )  # fmt: skip


def _best(*command: str) -> float:
    return min(run(*command).wall for _ in range(ROUNDS))
