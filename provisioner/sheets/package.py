"""The parts of an XLSX or ODS workbook, which is a ZIP archive of XML: unpacked piece by piece, with limits."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final
from xml.parsers import expat

from provisioner.sheets.kinds import damaged
from provisioner.sheets.limits import LONGEST_CELL, cell_too_long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.sheets.limits import Budget

_PIECE: Final = 1 << 16
_LONGEST_TAG: Final = 1 << 20
"""In bytes. Expat scans a tag again from its beginning for each piece that it comes in."""
_PLAIN: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Handler:
    """What is told of the elements of an XML file, in their order. This one hears nothing."""

    done = False
    """Set by the handler when it needs no more."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins. `tag` has its prefix as it is written."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def text(self, text: str) -> None:
        """Characters between two tags, perhaps not all of them at once."""


class Package:
    """A workbook's archive. Reading raises SheetError where it is damaged or unpacks too far."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        with refusing_damage():
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        self._budget = budget
        # Names of parts do not depend on case, and some programs write backslashes.
        self._names = {name.replace("\\", "/").lower(): name for name in self._archive.namelist()}

    def __contains__(self, part: str) -> bool:
        return part.lower() in self._names

    def parse(self, part: str, handler: Handler) -> None:
        """Hand the elements of a part to `handler` until it is done."""
        with refusing_damage():
            info = self._archive.getinfo(self._names[part.lower()])
            if info.compress_type not in _PLAIN:
                raise damaged(ValueError("unusual compression"))
            self._budget.check_declared(info.file_size)
            with self._archive.open(info) as file:
                self._feed(file, handler)

    def _feed(self, file: IO[bytes], handler: Handler) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text
        fed = 0
        while not handler.done:
            piece = file.read(_PIECE)
            self._budget.take_bytes(len(piece))
            self._budget.take_tags(piece.count(b"<"))
            parser.Parse(piece, not piece)
            if not piece:
                break
            fed += len(piece)
            if fed - parser.CurrentByteIndex > _LONGEST_TAG:
                raise damaged(ValueError("a tag of more than a megabyte"))


class Texts:
    """Gathers the characters of an element that comes in pieces, up to the greatest length of a cell."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        """Take in a piece. Raises SheetError if the whole is too long."""
        self._length += len(text)
        if self._length > LONGEST_CELL:
            raise cell_too_long()
        self._pieces.append(text)

    def take(self) -> str:
        """The whole, after which the next one begins."""
        text = "".join(self._pieces)
        self._pieces, self._length = [], 0
        return text


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what is raised on a damaged workbook into a SheetError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, OSError, EOFError, LookupError, ArithmeticError) as error:
        raise damaged(error) from error
    except (ValueError, NotImplementedError, RuntimeError) as error:
        raise damaged(error) from error


def _refuse_doctype(*_: object) -> None:
    # No spreadsheet program writes one, and entities, which expand, need one.
    raise ValueError("a document type declaration")
