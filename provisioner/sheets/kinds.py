"""What kind of file a sheet is, known by its content: a file's name is no proof of it."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.sheets.compound import SIGNATURE as COMPOUND_FILE
from provisioner.sheets.compound import CompoundFile

if TYPE_CHECKING:
    from pathlib import Path


class Kind(StrEnum):
    """The kinds of file that can be read."""

    XLSX = "xlsx"
    ODS = "ods"
    XLS = "xls"
    TEXT = "text"
    """Cells separated by commas or the like. Anything that is not recognized counts as text."""


_ZIP: Final = b"PK\x03\x04"

_FILE_PASS: Final = 0x2F
"""The record that says how a workbook is encrypted (MS-XLS 2.4.117)."""
_END: Final = 0x0A
"""The record EOF, which ends the workbook's own records; those of its sheets follow."""

_SAVE_AS: Final = "Open it in the spreadsheet program and save it as .xlsx, or as “CSV UTF-8”."
_UNLOCK: Final = "Open it in the spreadsheet program, save it without the password, or as “CSV UTF-8”."
_NAME_THE_SHEET: Final = "Name the spreadsheet itself, saved as .xlsx, .ods or “CSV UTF-8”."

_SIGNATURES: Final = (
    (b"%PDF-", "a PDF document", _NAME_THE_SHEET),
    (b"{\\rtf", "a text document (RTF)", _NAME_THE_SHEET),
    (b"PK\x05\x06", "an empty ZIP archive", _NAME_THE_SHEET),
    (b"\x1f\x8b", "a compressed archive (gzip)", "Unpack it, and name the sheet that is in it."),
    (b"7z\xbc\xaf\x27\x1c", "a compressed archive (7z)", "Unpack it, and name the sheet that is in it."),
    (b"Rar!\x1a\x07", "a compressed archive (RAR)", "Unpack it, and name the sheet that is in it."),
    (b"SQLite format 3\0", "a database", _NAME_THE_SHEET),
    (b"\x89PNG", "a picture", _NAME_THE_SHEET),
    (b"\xff\xd8\xff", "a picture", _NAME_THE_SHEET),
)

_LOOKED_AT: Final = 4096
_NOT_TEXT: Final = b" \t\r\n\xef\xbb\xbf\xff\xfe"
"""Blanks and byte order marks."""
_SPREADSHEET_2003: Final = b"urn:schemas-microsoft-com:office:spreadsheet"
_WEB_PAGE: Final = re.compile(rb"<(?:!doctype\s+html|html|head|body|table|meta|style|div)\b", re.IGNORECASE)
_MARKUP: Final = re.compile(rb"<(?:\?xml|!doctype|!--)", re.IGNORECASE)
_WEB_ARCHIVE: Final = re.compile(rb"mime-version:.{,999}multipart/related", re.IGNORECASE | re.DOTALL)
_JSON: Final = re.compile(rb"""\{\s*(?:"|\})|\[\s*(?:[\[{\]]|"(?:[^"\\]|\\.)*"\s*[,\]])""")


def kind_of(data: bytes, path: Path) -> Kind:
    """The kind of the file whose content is `data`. `path` is for the message.

    Raises:
        SheetError: It is recognized as a file of a kind that cannot be read, or is locked with a password.
    """
    for signature, what, remedy in _SIGNATURES:
        if data.startswith(signature):
            raise SheetError(f"{path} is {what}, not a spreadsheet.", remedy=remedy)
    if data.startswith(_ZIP):
        return _kind_of_zip(data, path)
    if data.startswith(COMPOUND_FILE):
        return _kind_of_compound_file(data, path)
    _refuse_markup(data, path)
    return Kind.TEXT


def damaged(error: BaseException) -> SheetError:
    """What to say of a workbook that cannot be read."""
    return SheetError("The workbook cannot be read: it is damaged.", remedy=_SAVE_AS, technical=repr(error))


def locked(path: Path) -> SheetError:
    """What to say of a workbook that can be opened with a password alone."""
    return SheetError(f"{path} is a workbook that is locked with a password.", remedy=_UNLOCK)


def _kind_of_zip(data: bytes, path: Path) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "content.xml" in names or "mimetype" in names:
                return _kind_of_opendocument(archive, names, path)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, LookupError, NotImplementedError) as error:
        raise damaged(error) from error
    except RuntimeError as error:  # What zipfile raises where a part is encrypted.
        raise locked(path) from error
    if "xl/workbook.bin" in names:
        raise SheetError(f"{path} is a binary workbook (.xlsb), which cannot be read.", remedy=_SAVE_AS)
    if "Index/Document.iwa" in names or "Index.zip" in names:
        raise SheetError(
            f"{path} is an Apple Numbers document, which cannot be read.",
            remedy="Open it in Numbers, and export it as Excel or CSV.",
        )
    for folder, what in (("word/", "a Word document"), ("ppt/", "a PowerPoint presentation")):
        if any(name.startswith(folder) for name in names):
            raise SheetError(f"{path} is {what}, not a spreadsheet.", remedy=_NAME_THE_SHEET)
    if "[Content_Types].xml" in names or "xl/workbook.xml" in names:
        return Kind.XLSX
    raise SheetError(
        f"{path} is a ZIP archive, not a spreadsheet.", remedy="Unpack it, and name the sheet that is in it."
    )


def _kind_of_opendocument(archive: zipfile.ZipFile, names: set[str], path: Path) -> Kind:
    if "encrypted-package" in names or b"encryption-data" in _head(archive, names, "META-INF/manifest.xml"):
        raise locked(path)
    media_type = _head(archive, names, "mimetype").decode("ascii", "replace").strip()
    if media_type and "spreadsheet" not in media_type:
        what = "an e-book" if "epub" in media_type else "an OpenDocument file of another kind"
        raise SheetError(f"{path} is {what}, not a spreadsheet.", remedy=_NAME_THE_SHEET)
    return Kind.ODS


def _head(archive: zipfile.ZipFile, names: set[str], part: str) -> bytes:
    """As much of a part of the archive as tells what it is; empty if there is none."""
    if part not in names:
        return b""
    with archive.open(part) as file:
        return file.read(16 * _LOOKED_AT)


def xls_stream(data: bytes) -> bytes:
    """The records of an XLS workbook; empty if the file holds none. Raises SheetError if it is damaged."""
    file = _opened(data)
    try:
        return file.stream("Workbook") or file.stream("Book")
    except (ValueError, LookupError) as error:
        raise damaged(error) from error


def _kind_of_compound_file(data: bytes, path: Path) -> Kind:
    file = _opened(data)
    if "EncryptedPackage" in file:
        raise locked(path)
    for name, what in (("WordDocument", "a Word document"), ("PowerPoint Document", "a PowerPoint presentation")):
        if name in file:
            raise SheetError(f"{path} is {what}, not a spreadsheet.", remedy=_NAME_THE_SHEET)
    records = xls_stream(data)
    if not records:
        raise SheetError(f"{path} is a Microsoft Office file that holds no workbook.", remedy=_NAME_THE_SHEET)
    if _is_locked(records):
        raise locked(path)
    return Kind.XLS


def _opened(data: bytes) -> CompoundFile:
    try:
        return CompoundFile(data)
    except (ValueError, LookupError, struct.error) as error:
        raise damaged(error) from error


def _is_locked(records: bytes) -> bool:
    place = 0
    while place + 4 <= len(records):
        number, length = struct.unpack_from("<HH", records, place)
        if number in (_FILE_PASS, _END):
            return bool(number == _FILE_PASS)
        place += 4 + length
    return False


def _refuse_markup(data: bytes, path: Path) -> None:
    """Refuse web pages, XML and JSON, which programs like to name .xls or .csv."""
    # Without the NULs, UTF-16 reads like ASCII.
    head = data[:_LOOKED_AT].replace(b"\0", b"").lstrip(_NOT_TEXT)
    what = None
    if _MARKUP.match(head) and _SPREADSHEET_2003 in head:
        what = "an XML Spreadsheet 2003 file"
    elif _WEB_PAGE.match(head) or (_MARKUP.match(head) and _WEB_PAGE.search(head)):
        what = "a web page (HTML)"
    elif _MARKUP.match(head):
        what = "an XML file"
    elif _WEB_ARCHIVE.match(head):
        what = "a web page in one file (MHTML)"
    if what:
        raise SheetError(f"{path} is {what}, whatever its name says.", remedy=_SAVE_AS)
    if _JSON.match(head):
        raise SheetError(
            f"{path} holds JSON, not a spreadsheet.",
            remedy="Export it as “CSV UTF-8” or as .xlsx from where it is from.",
        )
