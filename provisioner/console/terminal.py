"""What is known of the terminal, and text that is safe to show on it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, TextIO

from provisioner.messages import visible

if TYPE_CHECKING:
    from provisioner.records import Status

WIDEST = 100
"""Lines are easier to read when they are not endlessly long."""


def say_wrapped(text: str) -> None:
    """Text for people that may be long, broken between words."""
    width, _ = size(sys.stderr)
    print(textwrap.fill(visible(text), width, break_long_words=False, break_on_hyphens=False), file=sys.stderr)


def say(sentence: str) -> None:
    """A line for people."""
    print(sentence, file=sys.stderr)


def shown(value: object) -> str:
    """A value from outside on one line, without what acts on a terminal."""
    if value is None:
        return ""
    return visible(("no", "yes")[value] if isinstance(value, bool) else str(value))


class Paint:
    """Weight and colour where a terminal shows them; they repeat what the words say."""

    def __init__(self, stream: TextIO) -> None:
        self._on = is_terminal(stream) and not os.environ.get("NO_COLOR")

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def bad(self, text: str) -> str:
        return self._in("1;31", text)

    def status(self, status: Status, text: str) -> str:
        return self._in("32" if status.done else "33", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def size(stream: TextIO) -> tuple[int, int]:
    """Columns that a line may fill, and lines that a screen has; the usual ones where a terminal does not know."""
    usual = shutil.get_terminal_size()
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, lines = usual
    return max(20, min((columns or usual.columns) - 1, WIDEST)), lines or usual.lines
