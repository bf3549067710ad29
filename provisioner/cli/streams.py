"""The three standard streams, in a state that cannot end a run."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


def prepare() -> None:
    """Make the standard streams safe to use: closed ones, full ones, and ones with a small code page."""
    _open_closed_streams()
    codecs.register_error("provisioner", _plain)
    for stream in (sys.stdout, sys.stderr):
        # A code page that lacks a character of a name must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="provisioner")
    sys.stderr = cast("TextIO", _Lenient(sys.stderr))


def _open_closed_streams() -> None:
    """Give each stream that the caller closed the null device, before another file is opened under its number.

    Reading gives nothing, what is written to stderr is lost, and writing to stdout fails, as it should.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w", encoding="utf-8", closefd=False))


class _Lenient:
    """A stream for people: what cannot be shown, because its device is full or gone, is lost and ends nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What to write in place of characters that a stream cannot show: their plain forms, else their numbers."""
    assert isinstance(error, UnicodeEncodeError)
    plain = {"“": '"', "”": '"', "\u2019": "'", "…": "...", "•": "*", "·": "-"}
    lacking = error.object[error.start : error.end]
    return "".join(plain.get(char) or f"U+{ord(char):04X}" for char in lacking), error.end
