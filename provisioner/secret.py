"""A text that is masked wherever it is shown."""

from __future__ import annotations

import json
from urllib.parse import quote

MASK = "•••"

HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
"""As the standard library's `html` does it, which takes longer to import than all of this module."""


class Secret:
    """A text that must not be seen: it shows as dots wherever it is printed, formatted or logged."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call it only where it is sent or written by design."""
        return self._text

    def redact(self, text: str) -> str:
        """`text` with every occurrence of the secret masked, as it is or as JSON, Python, HTML or a URL write it."""
        for form in sorted(self._forms(), key=len, reverse=True):
            text = text.replace(form, MASK)
        return text

    def _forms(self) -> set[str]:
        plain = self._text
        quoted = (json.dumps(plain), json.dumps(plain, ensure_ascii=False), repr(plain))
        escaped = (plain.translate(HTML), quote(plain, safe="", errors="replace"))
        return {plain, *escaped, *(form[1:-1] for form in quoted)} - {""}

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is never pickled")
