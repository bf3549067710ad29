"""From the bytes of a text file to its lines, and how sure that is."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError

if TYPE_CHECKING:
    from collections.abc import Iterator

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FALLBACK: Final = "cp1252"
_LOOKED_AT: Final = 4096
_HALF_EMPTY: Final = 0.6


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file are to be read."""

    name: str
    certain: bool
    """False if the encoding was guessed: then only ASCII characters are certain."""


def find_encoding(data: bytes, named: str | None = None) -> Encoding:
    """The encoding of a file: the one that is named, otherwise what its bytes show, otherwise a guess.

    Raises:
        SheetError: There is none in which the whole of `data` can be read.
    """
    if named is not None:
        return _named(data, named)
    for mark, name in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _proved(data, name)
    if wide := _without_mark(data):
        return _proved(data, wide)
    if data.isascii() or _decodes(data, "utf-8"):
        return Encoding("utf-8", certain=True)
    if _decodes(data, _FALLBACK):
        return Encoding(_FALLBACK, certain=False)
    raise SheetError(
        "The sheet's text cannot be read: it is in none of the usual encodings.",
        remedy="Save it again as “CSV UTF-8”, or name its encoding with --encoding.",
    )


def lines(data: bytes, encoding: Encoding) -> Iterator[str]:
    """The lines without their ends, whatever ended them in the file, as they are asked for."""
    return (line.removesuffix("\n") for line in io.TextIOWrapper(io.BytesIO(data), encoding.name))


def _named(data: bytes, name: str) -> Encoding:
    try:
        known = codecs.lookup(name)
        "".encode(name)
    except (LookupError, ValueError) as error:
        raise SheetError(
            f"There is no encoding called “{name}”.", remedy="Use a name such as utf-8, utf-16, cp1250 or mac-roman."
        ) from error
    canonical = "utf-8-sig" if known.name == "utf-8" else known.name
    proved = next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if proved is not None and not canonical.startswith(proved.removesuffix("-sig")):
        raise SheetError(
            f"The sheet begins with the mark of {proved.removesuffix('-sig')}, and --encoding says {name}.",
            remedy="Leave out --encoding.",
        )
    return _proved(data, canonical)


def _proved(data: bytes, name: str) -> Encoding:
    if not _decodes(data, name):
        raise SheetError(
            f"The sheet's text is not wholly in the encoding {name}: the file is damaged or cut off, or it is another.",
            remedy="Save it again as “CSV UTF-8”, or name its encoding with --encoding.",
        )
    return Encoding(name, certain=True)


def _decodes(data: bytes, name: str) -> bool:
    try:
        # As lines are: without a mark UTF-16 is none, although bytes.decode takes it for one.
        codecs.getincrementaldecoder(name)().decode(data, final=True)
    except UnicodeError:
        return False
    return True


def _without_mark(data: bytes) -> str | None:
    """UTF-16 of either order where every other byte is mostly NUL, as with text of the Latin alphabets."""
    evens, odds = data[:_LOOKED_AT:2], data[1:_LOOKED_AT:2]
    if odds and odds.count(0) > _HALF_EMPTY * len(odds) and evens.count(0) < len(evens) / 10:
        return "utf-16-le"
    if odds and evens.count(0) > _HALF_EMPTY * len(evens) and odds.count(0) < len(odds) / 10:
        return "utf-16-be"
    return None
