"""Decides what may be shown of a text that somebody else wrote: the service, a proxy, a mail server.

What was sent can come back in many spellings. A text is shown only if no secret of the run is in it in any of them;
otherwise something that is safe to say takes its place. Nothing is masked within a text, since a piece could be left.
"""

from __future__ import annotations

import html
import re
import unicodedata
from base64 import urlsafe_b64decode
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.secret import Secret

LONGEST: Final = 4000
"""Characters of a text that are examined. Much less than that is ever shown."""
LAYERS: Final = 4
"""How many encodings, one within the other, are undone."""
MOST_SPELLINGS: Final = 500

ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
"""As JSON, Python and JavaScript escape a letter."""
HEXADECIMAL = re.compile(r"[0-9a-fA-F]{4,}")
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{4,}")


class Secrets:
    """The key, the proxy's password and every password that was sent."""

    def __init__(self, *secrets: Secret | None) -> None:
        self._texts: set[str] = set()
        self._lengths: set[int] = set()
        self._shortest = LONGEST
        """Letters. No spelling that is shorter can hold a secret."""
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret | None) -> None:
        """Keep one more secret from being shown; None, or a blank one, is ignored."""
        plain = "".join(secret.reveal().split()) if secret is not None else ""
        if plain:
            text = _normalize(plain)
            self._texts.add(text)
            self._lengths.add(len(text))
            self._shortest = min(self._shortest, len(text), len(plain), len(unicodedata.normalize("NFC", plain)))

    def safe(self, text: str, instead: str) -> str:
        """`text` if it holds no secret, else `instead`."""
        return instead if self.are_in(text) else text

    def are_in(self, text: str) -> bool:
        """Whether any of the secrets stands in `text`, however it is spelled there."""
        if not self._texts or len(text) < self._shortest:
            return False
        return any(map(self._contains, _spellings(text[:LONGEST], self._shortest)))

    def _contains(self, spelling: str) -> bool:
        text = _normalize(spelling)
        return any(
            text[start : start + length] in self._texts
            for length in self._lengths
            for start in range(len(text) - length + 1)
        )


def _normalize(text: str) -> str:
    """A text without what is often changed on the way: blanks, capitals, and composed letters."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _spellings(text: str, shortest: int) -> Iterator[str]:
    """The text, and everything of at least `shortest` letters that it may be an encoding of."""
    known, latest = {text}, [text]
    yield text
    for _ in range(LAYERS):
        upcoming = []
        for spelling in latest:
            for decoded in _decoded(spelling, shortest):
                if len(decoded) >= shortest and decoded not in known and len(known) < MOST_SPELLINGS:
                    known.add(decoded)
                    upcoming.append(decoded)
                    yield decoded
        latest = upcoming


def _decoded(text: str, shortest: int) -> Iterator[str]:
    """The text with one encoding undone, once for each encoding that it may have."""
    yield "".join(text.split())
    if "&" in text:
        yield html.unescape(text)
    if "\\" in text:
        yield _unescaped(text)
    if "%" in text:
        yield unquote(text)
    if "+" in text:
        yield text.replace("+", " ")
    for run in (found[0] for found in HEXADECIMAL.finditer(text) if len(found[0]) >= shortest):
        for start in range(2):
            digits = run[start:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2]).decode(errors="ignore")
    for run in (found[0] for found in BASE64.finditer(text) if len(found[0]) >= shortest):
        # Other letters may stand before it without a gap.
        for start in range(4):
            letters = run[start:].replace("+", "-").replace("/", "_")
            whole = letters[: len(letters) - 1] if len(letters) % 4 == 1 else letters
            yield urlsafe_b64decode(whole + "=" * (-len(whole) % 4)).decode(errors="ignore")


def _unescaped(text: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else found[3]

    # A letter beyond the first 65,536 is written as two halves.
    return ESCAPE.sub(letter, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
