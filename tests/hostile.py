"""Workbooks of a few kilobytes that would fill the memory, or take minutes, if they were read as they say."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONSHIPS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
SPREADSHEET: Final = "application/vnd.oasis.opendocument.spreadsheet"
HEADER: Final = ("email", "domain", "relay_server", "password", "project")
GOOD: Final = ("john", "101", "201", "Abcdef1!", "789")
ENTITIES: Final = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


def repeated(piece: str, count: int) -> Iterable[str]:
    """So many times a piece, of which no more than a thousand are in memory at once."""
    return (piece * min(1000, count - done) for done in range(0, count, 1000))


def archive(parts: dict[str, Iterable[str]]) -> bytes:
    """A ZIP archive of parts that are written a little at a time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            with file.open(name, "w") as part:
                for piece in content:
                    part.write(piece.encode())
    return out.getvalue()


def cell(reference: str, text: str) -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


def row(number: int, *texts: str) -> str:
    cells = (cell(f"{letter}{number}", text) for letter, text in zip("ABCDE", texts, strict=False))
    return f'<row r="{number}">{"".join(cells)}</row>'


def xlsx(
    rows: Iterable[str] = (),
    *,
    before: str = "",
    columns: str = "",
    after: Iterable[str] = (),
    shared: Iterable[str] | None = None,
    sheets: int = 1,
    in_book: Iterable[str] = (),
) -> bytes:
    """A workbook with a header, a good row and what is given: further rows, and what stands around them."""
    numbers = range(1, sheets + 1)
    relations = "".join(
        f'<Relationship Id="r{number}" Type="{RELATIONSHIPS}/worksheet" Target="worksheets/sheet1.xml"/>'
        for number in numbers
    )
    if shared is not None:
        relations += f'<Relationship Id="s" Type="{RELATIONSHIPS}/sharedStrings" Target="sharedStrings.xml"/>'
    names = "".join(f'<sheet name="Sheet{number}" sheetId="{number}" r:id="r{number}"/>' for number in numbers)
    parts: dict[str, Iterable[str]] = {
        "[Content_Types].xml": ["<Types/>"],
        "_rels/.rels": [
            (
                f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r" Type="{RELATIONSHIPS}/officeDocument" '
                'Target="xl/workbook.xml"/></Relationships>'
            )
        ],
        "xl/workbook.xml": [f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheets>{names}</sheets>'],
        "xl/_rels/workbook.xml.rels": [f'<Relationships xmlns="{PACKAGE}">{relations}</Relationships>'],
        "xl/worksheets/sheet1.xml": _sheet(rows, before, columns, after),
    }
    parts["xl/workbook.xml"] = [*parts["xl/workbook.xml"], *in_book, "</workbook>"]
    if shared is not None:
        parts["xl/sharedStrings.xml"] = _around(f'<sst xmlns="{MAIN}">', shared, "</sst>")
    return archive(parts)


def _sheet(rows: Iterable[str], before: str, columns: str, after: Iterable[str]) -> Iterable[str]:
    yield f'{before}<worksheet xmlns="{MAIN}">{columns}<sheetData>{row(1, *HEADER)}{row(2, *GOOD)}'
    yield from rows
    yield "</sheetData>"
    yield from after
    yield "</worksheet>"


def _around(first: str, pieces: Iterable[str], last: str) -> Iterable[str]:
    yield first
    yield from pieces
    yield last


def ods_cell(text: str, attributes: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {attributes}><text:p>{text}</text:p></table:table-cell>'


def ods_row(*texts: str, attributes: str = "", more: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(map(ods_cell, texts))}{more}</table:table-row>"


def ods(rows: Iterable[str] = (), *, before: str = "", tables: int = 1) -> bytes:
    """A spreadsheet with a header, a good row and further rows, in so many equal sheets."""
    namespaces = "".join(
        f' xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
        for prefix in ("office", "table", "text")
    )
    start = f"{before}<office:document-content{namespaces}><office:body><office:spreadsheet>"
    end = "</office:spreadsheet></office:body></office:document-content>"
    table = [f'<table:table table:name="Sheet">{ods_row(*HEADER)}{ods_row(*GOOD)}', *rows, "</table:table>"]
    content = (piece for _ in range(tables) for piece in table)
    return archive({"mimetype": [SPREADSHEET], "content.xml": _around(start, content, end)})
