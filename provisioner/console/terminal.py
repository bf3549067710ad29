"""The one way to the screen: everything printed passes through `write`, which makes it safe for a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from provisioner.errors import OutputError
from provisioner.messages import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provisioner.records import Status

WIDEST = 100
"""Lines are easier to read when they are not endlessly long."""
NAME_LENGTH = 30
"""Characters of a name from the sheet, which takes no more than a part of a line."""


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with weight or colour where a terminal shows them; they only repeat what the words say."""

    text: str
    code: str


Line = str | Styled | tuple[str | Styled, ...]


def bold(text: str) -> Styled:
    return Styled(text, "1")


def bad(text: str) -> Styled:
    return Styled(text, "1;31")


def coloured(status: Status, text: str) -> Styled:
    return Styled(text, "32" if status.done else "33")


def say(*lines: Line) -> None:
    """Print lines for people, on stderr."""
    write(sys.stderr, lines)


def say_wrapped(text: str) -> None:
    """Print a long text for people, broken between words."""
    say(*wrap(text))


def print_out(*lines: str) -> None:
    """Print lines of the outcome, on stdout. Raises OutputError if they cannot be written."""
    with _output_errors():
        write(sys.stdout, lines)


def print_file(content: bytes) -> None:
    """Print a text file on stdout: byte by byte as it is, unless that is a terminal. Raises OutputError."""
    if is_terminal(sys.stdout):
        print_out(*content.decode(errors="replace").splitlines())
        return
    with _output_errors():
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(error) from error


def output_error(error: OSError) -> OutputError:
    return OutputError(
        f"Standard output cannot be written: {error.strerror or error}.",
        remedy="Make room on the disk, or send the output somewhere else, then run the command again.",
    )


def write(stream: TextIO, lines: Iterable[Line]) -> None:
    """Print lines without anything in their text that acts on a terminal."""
    styles = is_terminal(stream) and not os.environ.get("NO_COLOR")
    stream.write("".join(f"{_rendered(line, styles=styles)}\n" for line in lines))
    stream.flush()


def _rendered(line: Line, *, styles: bool) -> str:
    if isinstance(line, tuple):
        return "".join(_rendered(part, styles=styles) for part in line)
    if isinstance(line, str):
        return visible(line)
    return f"\x1b[{line.code}m{visible(line.text)}\x1b[0m" if styles else visible(line.text)


def wrap(text: str, width: int | None = None) -> list[str]:
    """`text` as lines that fit `width`, or the screen; only a word that is longer, such as a path, does not."""
    width = width or size(sys.stderr)[0]
    return textwrap.wrap(visible(text), width, break_long_words=False, break_on_hyphens=False)


def beside(first: Line, text: str, width: int, column: int = 11) -> list[Line]:
    """`text` wrapped in a column of its own, with `first` to the left of its first line."""
    lines = textwrap.wrap(visible(text), max(1, width - column), break_on_hyphens=False) or [""]
    parts = first if isinstance(first, tuple) else (first,)
    return [(*parts, lines[0]), *(" " * column + line for line in lines[1:])]


def shown(value: object) -> str:
    """A value from outside on one line, without what acts on a terminal."""
    if value is None:
        return ""
    return visible(("no", "yes")[value] if isinstance(value, bool) else str(value))


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
