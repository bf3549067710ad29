"""Commands as they are pasted into a shell."""

from __future__ import annotations

import os
import re
import shlex
import subprocess


def command_line(*words: str, windows: bool = os.name == "nt") -> str:
    """Words as they are pasted into a shell: on Windows into PowerShell or the command prompt, else into any."""
    return " ".join(map(_windows_word if windows else shlex.quote, words))


def _windows_word(word: str) -> str:
    if re.fullmatch(r"[\w.:\\/+-][\w.:\\/+=-]*", word):
        return word
    if re.search(r"[$`]", word) and "'" not in word:
        return f"'{word}'"  # PowerShell would fill these in between double quotes
    quoted = subprocess.list2cmdline([word])
    if quoted.startswith('"'):
        return quoted
    return f'"{quoted}\\"' if quoted.endswith("\\") else f'"{quoted}"'
