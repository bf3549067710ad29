"""A file of another kind says what it is and what to do, whatever it is called."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from provisioner.errors import SheetError
from provisioner.sheets.kinds import Kind, kind_of, xls_stream

SAMPLES = Path(__file__).parent.parent.parent / "sample_csvs"
PATH = Path("clients/acme.xls")
CSV = b"email,domain,relay_server,password\njohn,101,201,Abcdef1!\n"
ODS = b"application/vnd.oasis.opendocument.spreadsheet"
LOCKED_PART = b'<manifest:manifest><manifest:file-entry><manifest:encryption-data manifest:checksum="x"/>'


def archive(**parts: bytes) -> bytes:
    """A ZIP archive; `__` in a name stands for a slash, `_` for a dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in parts.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return out.getvalue()


def compound_file(*streams: str) -> bytes:
    """A container with empty streams: a header, one sector of allocation table, one of directory for each four."""
    entries = [_entry("Root Entry", 5, child=1 if streams else -1)]
    for place, name in enumerate(streams, start=1):
        entries.append(_entry(name, 2, right=place + 1 if place < len(streams) else -1))
    entries += [bytes(128)] * (-len(entries) % 4)
    sectors = len(entries) // 4
    table = [-3, *range(2, sectors + 1), -2]
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<iiiiiiiii", 0, 1, 1, 0, 4096, -2, 0, -2, 0) + struct.pack("<109i", 0, *[-1] * 108)
    return header + struct.pack("<128i", *table, *[-1] * (128 - len(table))) + b"".join(entries) + bytes(2048)


def _entry(name: str, kind: int, *, left: int = -1, right: int = -1, child: int = -1) -> bytes:
    encoded = name.encode("utf-16-le")
    head = encoded.ljust(64, b"\0") + struct.pack("<HBBiii", len(encoded) + 2, kind, 1, left, right, child)
    return (head + bytes(36) + struct.pack("<iQ", -2, 0))[:128].ljust(128, b"\0")


def xlsx() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet()
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (xlsx(), Kind.XLSX),
        ((SAMPLES / "opendocument.ods").read_bytes(), Kind.ODS),
        ((SAMPLES / "excel_97.xls").read_bytes(), Kind.XLS),
        (CSV, Kind.TEXT),
        (CSV.decode().encode("utf-16"), Kind.TEXT),
        (b"<Email>,<Domain>,<Table no>\na,b,c\n", Kind.TEXT),
        (b"{email},{domain}\n", Kind.TEXT),
        (b"[email],[domain]\n", Kind.TEXT),
        (b"[unclear]john,101,201\n", Kind.TEXT),
        (b"", Kind.TEXT),
    ],
)
def test_what_can_be_read_is_known_by_its_content(data: bytes, kind: Kind) -> None:
    """The name of the file says nothing; headers in brackets are no markup."""
    assert kind_of(data, PATH) is kind


@pytest.mark.parametrize(
    ("data", "what", "remedy"),
    [
        (b"<html><body><table><tr><td>email</td></tr></table></body></html>", "a web page", "save it as .xlsx"),
        (b"\xef\xbb\xbf\r\n  <!DOCTYPE html>\n<html>", "a web page", "save it as .xlsx"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html>', "a web page", "save it as .xlsx"),
        ("<table><tr><td>email".encode("utf-16"), "a web page", "save it as .xlsx"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related; x", "a web page in one file", "save it as .xlsx"),
        (
            b'<?xml version="1.0"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"><Table>',
            "an XML Spreadsheet 2003 file",
            "save it as .xlsx",
        ),
        (b'<?xml version="1.0"?><rows/>', "an XML file", "save it as .xlsx"),
        (b'[\n {\n  "email": "john"', "JSON", "Export it"),
        (b'{"users": [', "JSON", "Export it"),
        (b'["email", "domain"]\n', "JSON", "Export it"),
        (b"%PDF-1.7\n", "a PDF document", "Name the spreadsheet itself"),
        (b"{\\rtf1", "a text document", "Name the spreadsheet itself"),
        (b"\x1f\x8b\x08", "gzip", "Unpack it"),
        (b"SQLite format 3\0", "a database", "Name the spreadsheet itself"),
        (archive(march_csv=CSV), "a ZIP archive", "Unpack it"),
        (archive(word__document_xml=b"<x/>"), "a Word document", "Name the spreadsheet itself"),
        (archive(ppt__presentation_xml=b"<x/>"), "a PowerPoint", "Name the spreadsheet itself"),
        (archive(xl__workbook_bin=b"x"), "a binary workbook", "save it as .xlsx"),
        (archive(Index__Document_iwa=b"x"), "an Apple Numbers document", "export it as Excel"),
        (archive(mimetype=b"application/vnd.oasis.opendocument.text"), "OpenDocument file of another kind", "Name the"),
        (compound_file("WordDocument"), "a Word document", "Name the spreadsheet itself"),
        (compound_file("Something"), "holds no workbook", "Name the spreadsheet itself"),
    ],
)
def test_a_file_of_another_kind_says_what_it_is(data: bytes, what: str, remedy: str) -> None:
    """With its path, and with what to do."""
    with pytest.raises(SheetError, match=what) as refusal:
        kind_of(data, PATH)
    assert str(PATH) in refusal.value.message
    assert remedy in refusal.value.remedy


@pytest.mark.parametrize(
    "data",
    [
        compound_file("EncryptionInfo", "EncryptedPackage"),
        archive(mimetype=ODS, content_xml=b"?", **{"META-INF__manifest_xml": LOCKED_PART}),
        archive(**{"mimetype": ODS, "encrypted-package": b"?"}),
    ],
)
def test_a_locked_workbook_says_so(data: bytes) -> None:
    """It is neither damaged nor of an unknown kind."""
    with pytest.raises(SheetError, match="locked with a password") as refusal:
        kind_of(data, PATH)
    assert "without the password" in refusal.value.remedy


def test_a_locked_workbook_of_excel_97_says_so() -> None:
    """Its second record says how it is encrypted."""
    data = bytearray((SAMPLES / "excel_97.xls").read_bytes())
    records = xls_stream(bytes(data))
    second = data.index(records[:64]) + 4 + struct.unpack_from("<H", records, 2)[0]
    struct.pack_into("<H", data, second, 0x2F)
    with pytest.raises(SheetError, match="locked with a password"):
        kind_of(bytes(data), PATH)


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 99, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 300])
def test_a_damaged_container_is_refused(data: bytes) -> None:
    """With a word on how to save it again."""
    with pytest.raises(SheetError, match="damaged") as refusal:
        kind_of(data, PATH)
    assert "save it as .xlsx" in refusal.value.remedy


def test_a_directory_whose_entries_name_each_other_is_not_followed() -> None:
    """Of forty entries that each name the next one twice, a reader would visit 2**40."""
    data = bytearray(compound_file(*(f"s{number}" for number in range(40))))
    start = data.index("s0".encode("utf-16-le"))
    for place in range(39):
        left = start + place * 128 + 68
        data[left : left + 4] = data[left + 4 : left + 8]
    with pytest.raises(SheetError, match="holds no workbook"):
        kind_of(bytes(data), PATH)
