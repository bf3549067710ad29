"""OpenDocument spreadsheets: what LibreOffice shows is what is read, or the row says why not."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import UNCERTAIN, Sheet
from provisioner.stages.read import read

if TYPE_CHECKING:
    from pathlib import Path

MAILBOX = schema.load()
HEADER = ("email", "domain", "relay_server", "password", "project")
GOOD = ("john", "101", "201", "Abcdef1!")
NAMESPACES = "".join(
    f' xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0"'
    for prefix in ("office", "table", "text", "style", "drawing")
)


def ods(body: str, *, styles: str = "", table_style: str = "ta1", beside: str = "") -> bytes:
    """The smallest spreadsheet that there is, with the given rows."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{NAMESPACES} '
            'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
            'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0">'
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
            f'{beside}<table:table table:name="Mailboxes" table:style-name="{table_style}">{body}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
        archive.writestr("META-INF/manifest.xml", '<?xml version="1.0"?><manifest/>')
    return out.getvalue()


def cell(content: str, attributes: str = 'office:value-type="string"') -> str:
    return f"<table:table-cell {attributes}>{content}</table:table-cell>"


def row(*texts: str, more: str = "", attributes: str = "") -> str:
    cells = "".join(cell(f"<text:p>{text}</text:p>") for text in texts)
    return f"<table:table-row {attributes}>{cells}{more}</table:table-row>"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "sheet.ods"


def opened(path: Path, body: str, **more: str) -> Sheet:
    path.write_bytes(ods(body, **more))
    return read(path, MAILBOX)


def test_a_sheet_is_read(saved: Path) -> None:
    """As LibreOffice saves it, with a million blank rows and columns after the last."""
    blanks = '<table:table-cell table:number-columns-repeated="16379"/>'
    end = f'<table:table-row table:number-rows-repeated="1048570">{blanks}</table:table-row>'
    gap = f'<table:table-row table:number-rows-repeated="3">{blanks}</table:table-row>'
    sheet = opened(saved, row(*HEADER, more=blanks) + row(*GOOD, more=blanks) + gap + row("anna", *GOOD[1:]) + end)
    assert sheet.rows == [2, 6]
    assert sheet.own_cells(6) == ["anna", "101", "201", "Abcdef1!", ""]
    assert not sheet.unreadable


@pytest.mark.parametrize(
    ("odd", "shown"),
    [
        (cell("", 'office:value-type="string" office:string-value="" calcext:value-type="error"'), "#ERROR!"),
        (cell("<text:p>#NV</text:p>", 'office:value-type="string" office:string-value=""'), "#NV"),
        (cell("<text:p>#N/D</text:p>", 'office:value-type="string" calcext:value-type="error"'), "#N/D"),
        (cell("<text:p>Err:508</text:p>", 'table:formula="of:=x"'), "Err:508"),
        (cell("<text:p>#DIV/0!</text:p>", 'office:value-type="float" office:value="0"'), "#DIV/0!"),
        *((cell(f"<text:p>{error}</text:p>"), error) for error in ("#REF!", "#N/A", "#NAME?", "#VALUE!")),
        (cell("<text:p>789</text:p>", 'table:style-name="ce1"'), "789"),
        ('<table:table-cell table:style-name="ce1" table:formula="of:=[.A1]"/>', "=[.A1]"),
        ('<table:table-cell office:value-type="string" table:formula="of:=[.A1]"/>', "=[.A1]"),
        ('<table:table-cell office:value-type="float" table:formula="of:=[.A1]"/>', "=[.A1]"),
    ],
)
def test_a_failed_formula_is_not_blank(saved: Path, odd: str, shown: str) -> None:
    """In whatever language: its row is refused with its cell, and the others are read."""
    sheet = opened(saved, row(*HEADER) + row(*GOOD, more=odd) + row("anna", *GOOD[1:]))
    assert list(sheet.unreadable) == [2]
    assert "E2 shows an error" in sheet.unreadable[2]
    assert sheet.own_cells(2)[4] == UNCERTAIN + shown


def test_a_password_that_was_taken_for_a_formula_says_so(saved: Path) -> None:
    """A password that begins with = has become a formula with an error."""
    password = cell("<text:p>#NAME?</text:p>", 'table:formula="of:=Equals-Only14!" calcext:value-type="error"')
    sheet = opened(saved, row(*HEADER) + row("john", "101", "201", more=password))
    assert "D2 shows an error" in sheet.unreadable[2]
    assert "begins with =, format the cell as text" in sheet.unreadable[2]
    assert "Equals" not in sheet.unreadable[2]


def test_a_formula_with_a_blank_result_is_a_blank_cell(saved: Path) -> None:
    """LibreOffice writes it with an empty paragraph and no type; a row of nothing else is no row."""
    blank = '<table:table-cell table:formula="of:=IF([.A9];1;&quot;&quot;)"><text:p/></table:table-cell>'
    sheet = opened(saved, row(*HEADER) + row(*GOOD, more=blank) + row(more=blank * 5))
    assert sheet.rows == [2]
    assert sheet.own_cells(2)[4] == ""
    assert not sheet.unreadable


@pytest.mark.parametrize("state", ["filter", "collapse"])
def test_a_hidden_row_is_not_sent(saved: Path, state: str) -> None:
    """Whether what nobody sees is meant is not certain."""
    hidden = row("anna", *GOOD[1:], attributes=f'table:visibility="{state}"')
    sheet = opened(saved, row(*HEADER) + row(*GOOD) + hidden)
    assert list(sheet.unreadable) == [3]
    assert "hidden" in sheet.unreadable[3]


def test_a_hidden_column_refuses_the_sheet(saved: Path) -> None:
    """A project that nobody sees may be an old one."""
    columns = '<table:table-column table:number-columns-repeated="2"/><table:table-column table:visibility="collapse"/>'
    with pytest.raises(SheetError, match=r"“relay_server” \(C\) is hidden"):
        opened(saved, columns + row(*HEADER) + row(*GOOD))


def test_a_hidden_sheet_is_not_taken(saved: Path) -> None:
    """Its style says that it is not shown."""
    style = '<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>'
    with pytest.raises(SheetError, match="Only hidden sheets"):
        opened(saved, row(*HEADER) + row(*GOOD), styles=style, table_style="ta2")
    assert len(opened(saved, row(*HEADER) + row(*GOOD), styles=style).rows) == 1


def test_a_merged_cell_is_not_blank(saved: Path) -> None:
    """One project over two rows is seen in both, and stands in the first alone; no cell shifts to the left."""
    spread = cell("<text:p>789</text:p>", 'office:value-type="string" table:number-rows-spanned="2"')
    covered = "<table:covered-table-cell/>"
    sheet = opened(saved, row(*HEADER) + row(*GOOD, more=spread) + row("anna", *GOOD[1:], more=covered))
    assert list(sheet.unreadable) == [3]
    assert "E3 is merged" in sheet.unreadable[3]


@pytest.mark.parametrize(
    ("attributes", "text", "said"),
    [
        ('office:value-type="float" office:value="7"', "007", "stored as a number"),
        ('office:value-type="percentage" office:value="1"', "100%", "stored as a number"),
        ('office:value-type="boolean" office:boolean-value="true"', "WAHR", "TRUE or FALSE"),
        ('office:value-type="date" office:date-value="2026-03-01"', "01.03.26", "stored as a date"),
        ('office:value-type="time" office:time-value="PT9H30M"', "09:30", "stored as a date"),
        ('office:value-type="something"', "789", "shows an error"),
    ],
)
def test_a_password_that_is_no_text_is_not_certain(saved: Path, attributes: str, text: str, said: str) -> None:
    """A number has lost its leading zeros, a date its form."""
    sheet = opened(saved, row(*HEADER) + row(*GOOD[:3], more=cell(f"<text:p>{text}</text:p>", attributes)))
    assert "D2" in sheet.unreadable[2]
    assert said in sheet.unreadable[2]


def test_numbers_are_ids(saved: Path) -> None:
    """A number is its value, however it is shown; a percentage is not, since 100% is 1."""

    def ids(kind: str, value: str, shown: str) -> str:
        attributes = f'office:value-type="{kind}" office:value="{value}" table:formula="of:=A1"'
        return row("john", more=cell(f"<text:p>{shown}</text:p>", attributes))

    body = ids("float", "101", "101,00") + ids("currency", "102", "102 €") + ids("percentage", "1", "100%")
    sheet = opened(saved, row(*HEADER) + body)
    assert [sheet.own_cells(number)[1] for number in (2, 3, 4)] == ["101", "102", "100%"]


def test_the_text_of_a_cell_is_what_it_shows(saved: Path) -> None:
    """Blanks, tabs, line breaks, paragraphs and parts of another format; not comments, pictures or tables within."""
    password = cell(
        '<office:annotation><text:p>a comment</text:p></office:annotation><text:p>Abc <text:s text:c="2"/>'
        "<text:span>d</text:span><text:a>e</text:a><text:tab/><text:line-break/><![CDATA[<f>]]></text:p><text:p>1!</text:p>"
        "<draw:frame><draw:text-box><text:p>a picture</text:p></draw:text-box></draw:frame>"
    )
    sheet = opened(saved, row(*HEADER) + row(*GOOD[:3], more=password))
    assert sheet.own_cells(2)[3] == "Abc   de\t\n<f>\n1!"


def test_what_stands_beside_the_sheets_is_not_read(saved: Path) -> None:
    """Earlier versions, copies of linked tables and tables in pictures are none of the sheet's rows."""
    other = f'<table:table table:name="Other">{row(*HEADER)}{row("eve", *GOOD[1:])}</table:table>'
    beside = f"<table:tracked-changes>{other}</table:tracked-changes><table:dde-links>{other}</table:dde-links>"
    within = f"<table:shapes><draw:frame>{other}</draw:frame></table:shapes>"
    sheet = opened(saved, within + row(*HEADER) + row(*GOOD), beside=beside)
    assert sheet.rows == [2]


def test_rows_in_groups_are_rows(saved: Path) -> None:
    """A header that is repeated on each printed page, and rows that can be folded."""
    header = f"<table:table-header-rows>{row(*HEADER)}</table:table-header-rows>"
    sheet = opened(saved, header + f"<table:table-row-group>{row(*GOOD)}</table:table-row-group>")
    assert sheet.rows == [2]


def test_a_row_that_is_repeated_stands_as_often(saved: Path) -> None:
    """Equal rows are written once."""
    sheet = opened(saved, row(*HEADER) + row(*GOOD, attributes='table:number-rows-repeated="3"'))
    assert sheet.rows == [2, 3, 4]
    assert sheet.own_cells(4)[0] == "john"


def test_unknown_prefixes_are_refused(saved: Path) -> None:
    """What goes by the names that are looked for must be what they say."""
    saved.write_bytes(ods(row(*HEADER) + row(*GOOD)))
    with zipfile.ZipFile(saved) as archive:
        content = archive.read("content.xml").replace(b"xmlns:text=", b"xmlns:t=").replace(b"text:", b"t:")
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("content.xml", content)
    with pytest.raises(SheetError, match="damaged"):
        read(saved, MAILBOX)
