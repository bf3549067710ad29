"""Finds a pattern that takes too long, before a cell meets it.

A pattern such as `(a+)+b` takes twice as long for each further letter, and nothing can stop Python's regular
expressions once they have begun. So the patterns of an office's own schema are tried in a process of their own, which
can be ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS: Final = 5.0
"""For all patterns of a schema together. Good ones take a tenth of a second."""
LONGEST_CELL: Final = 1000
"""Characters of a cell that is sent, and so of a probe. It keeps the time of every pattern of a schema bounded."""

# Repeats every character and every pair of the pattern itself, beside one of each kind, with and without an end that
# does not fit; prints a line for each pattern that is done.
_CHILD: Final = f"""
import json, re, sys
for pattern, whole in json.load(sys.stdin):
    find = re.compile(pattern).fullmatch if whole else re.compile(pattern).search
    pieces = {{*pattern, *map("".join, zip(pattern, pattern[1:])), *"aA0 .-@_\\u00e9"}}
    for piece in pieces:
        for end in ("", "\\0", "!"):
            find((piece * {LONGEST_CELL})[: {LONGEST_CELL} - 1] + end)
    print(flush=True)
"""


def slow_pattern(patterns: Sequence[tuple[str, bool]]) -> str | None:
    """The first of the patterns that takes too long on a text of repeated characters, or None if there is none.

    With each pattern stands whether it must match the whole text, or any part of it.
    """
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    try:
        subprocess.run(command, input=json.dumps(patterns).encode(), capture_output=True, timeout=SECONDS, check=True)  # noqa: S603 - the command is constant
    except subprocess.TimeoutExpired as late:
        return patterns[(late.stdout or b"").count(b"\n")][0]
    except (OSError, subprocess.CalledProcessError):
        # A pattern that this process has compiled can be compiled there too: the machine lacks something.
        return None
    return None
