"""XLSX workbooks: every text comes back as it was written, and what a number format makes of a number is known."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import hostile
import libreoffice
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import SheetError
from provisioner.sheets import ods, xls, xlsx
from provisioner.sheets.grid import DATE, ERROR, FORMULA, HIDDEN, MERGED, NUMBER, is_date, is_percent

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1, max_size=30)


def first_column(data: bytes) -> list[str]:
    (tab,) = xlsx.tabs(data)
    return [record.cells[0] for record in tab.read(1 << 20).records()]


@given(st.lists(TEXT, min_size=1, max_size=8), st.booleans())
def test_every_text_comes_back(texts: list[str], inline: bool) -> None:  # noqa: FBT001 - hypothesis passes it by name.
    """Also those with characters that XML cannot hold, and those that look like the sign for one."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": inline}) as book:
        sheet = book.add_worksheet()
        for number, text in enumerate(texts):
            sheet.write_string(number, 0, text)
    assert first_column(out.getvalue()) == texts


@pytest.mark.parametrize(
    ("code", "date"),
    [
        ("yyyy-mm-dd", True),
        ("dd.mm.yyyy hh:mm", True),
        ("[h]:mm:ss", True),
        ("mm:ss.0", True),
        ("[$-407]d. mmmm yyyy;@", True),
        ("General", False),
        ("0.00E+00", False),
        ('0 "days"', False),
        ("#,##0.00\\ [$€-407]", False),
        ("[Red]0;[Blue]-0", False),
        ("_-* #,##0_-", False),
        ("0%", False),
    ],
)
def test_a_date_is_known_by_its_format(code: str, date: bool) -> None:  # noqa: FBT001 - pytest passes it by name.
    """Words, colours, currencies and conditions in the format are none of it."""
    assert is_date(code) is date
    assert is_percent(code) is (code == "0%")


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (46082, "yyyy-mm-dd", "2026-03-01"),
        (46082.5, "yyyy-mm-dd hh:mm", "2026-03-01 12:00:00"),
        (0.25, "hh:mm", "06:00:00"),
        (49170123456, "yyyy-mm-dd", "49170123456"),
        (1, "0%", "100%"),
        (0.07, "0%", "7%"),
        (101, "000000", "101"),
        (1e300, "0", "1E+300"),
        (0.1, "General", "0.1"),
    ],
)
def test_a_number_is_shown_by_its_format(value: float, code: str, shown: str) -> None:
    """Not to the letter, but so that nobody takes a percentage or a date for an ID."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet().write_number(0, 0, value, book.add_format({"num_format": code}))
    assert first_column(out.getvalue()) == [shown]


def test_dates_count_from_where_the_workbook_says() -> None:
    """Excel for the Mac counted from 1904."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"date_1904": True}) as book:
        book.add_worksheet().write_number(0, 0, 1, book.add_format({"num_format": "yyyy-mm-dd"}))
    assert first_column(out.getvalue()) == ["1904-01-02"]


def test_cells_without_a_place_stand_side_by_side() -> None:
    """Some programs write neither the number of a row nor the name of a cell."""
    (tab,) = xlsx.tabs(hostile.xlsx(['<row><c t="str"><v>a</v></c><c/><c t="str"><v>c</v></c></row>']))
    last = list(tab.read(1 << 20).records())[-1]
    assert (last.number, last.cells) == (3, ["a", "", "c", "", ""])


@pytest.mark.parametrize(
    ("shared", "text"),
    [
        ("<si><r><t>Abc</t></r><r><t xml:space='preserve'> def</t></r></si>", "Abc def"),
        ("<si><t>東京</t><rPh sb='0' eb='2'><t>とうきょう</t></rPh></si>", "東京"),
        ("<si><t>a&#13;\nb</t></si>", "a\nb"),
        ("<si/>", ""),
    ],
)
def test_a_shared_text_is_what_a_person_sees(shared: str, text: str) -> None:
    """Parts with formats of their own are one text; how to pronounce it is none of it."""
    data = hostile.xlsx(
        ['<row r="3"><c r="A3" t="s"><v>0</v></c><c r="B3" t="str"><v>x</v></c></row>'], shared=[shared]
    )
    (tab,) = xlsx.tabs(data)
    assert list(tab.read(1 << 20).records())[-1].cells[0] == text


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="2"/>',
        '<row r="3"><c r="B3" t="str"><v>x</v></c><c r="A3" t="str"><v>x</v></c></row>',
        '<row r="3"><c r="A4" t="str"><v>x</v></c></row>',
        '<row r="3"><c r="A3" t="s"><v>0</v></c></row>',
        '<row r="3"><c r="A3" t="s"><v>-1</v></c></row>',
        '<row r="3"><c r="A3"><v>x</v></c></row>',
        '<row r="x"/>',
        '<row r="3"><c r="3A"/></row>',
        "<row>",
    ],
)
def test_what_contradicts_itself_is_damaged(rows: str) -> None:
    """Rows and cells twice or out of order, texts that are missing, numbers that are none."""
    (tab,) = xlsx.tabs(hostile.xlsx([rows]))
    with pytest.raises(SheetError, match="damaged"):
        tab.read(1 << 20)


def test_what_follows_the_cells_is_none_of_them() -> None:
    """Extensions have formulas and texts of their own."""
    after = ["<extLst><ext><f>A1</f><t>x</t><v>7</v></ext></extLst>"] * 2
    (tab,) = xlsx.tabs(hostile.xlsx(after=after))
    assert len(list(tab.read(1 << 20).records())) == 2


def fill(book: Any) -> None:
    """One row of each kind."""
    sheet = book.add_worksheet("Mailboxes")
    date, percent = book.add_format({"num_format": "dd.mm.yyyy"}), book.add_format({"num_format": "0%"})
    for number in range(9):
        sheet.write_row(number, 0, [f"user{number}", 101, "Abcdef1!", *([789] if number < 7 else [])])
    sheet.write_row(0, 0, ["email", "domain", "password", "project"])
    sheet.write(1, 2, "  Two  Blanks1! ")
    sheet.write_string(2, 2, "=Equals14!Grün😀_x0041_")
    sheet.write_number(3, 2, 46082, date)
    sheet.write_number(4, 3, 1, percent)
    sheet.write_formula(5, 3, '=VLOOKUP("x",A1:B2,2,0)', None, "#N/A")
    sheet.set_row(6, None, None, {"hidden": True})
    sheet.merge_range(7, 3, 8, 3, "789")
    hidden = book.add_worksheet("Old")
    hidden.write_row(0, 0, ["email", "domain"])
    hidden.hide()


@pytest.mark.slow
@pytest.mark.skipif(libreoffice.is_missing(), reason=libreoffice.ABSENT)
@pytest.mark.parametrize("kind", ["xlsx", "ods", "xls"])
def test_libreoffice_writes_the_same_into_every_kind_of_workbook(tmp_path: Path, kind: str) -> None:
    """What stands in a cell, that it is doubtful, and that a row or a sheet is hidden."""
    with xlsxwriter.Workbook(tmp_path / "sheet.xlsx") as book:
        fill(book)
    (tmp_path / "saved").mkdir()
    data = libreoffice.convert(tmp_path / "sheet.xlsx", kind, tmp_path / "saved").read_bytes()
    sheet, old = {"xlsx": xlsx, "ods": ods, "xls": xls}[kind].tabs(data)
    assert (sheet.visible, old.visible) == (True, False)
    header, *rows = sheet.read(1 << 20).records()
    assert header.cells == ["email", "domain", "password", "project"]
    date = "01.03.2026" if kind == "ods" else "2026-03-01"
    passwords = ["  Two  Blanks1! ", "=Equals14!Grün😀_x0041_", date, *["Abcdef1!"] * 5]
    assert [record.cells[2] for record in rows] == passwords
    assert [record.cells[3] for record in rows] == ["789", "789", "789", "100%", "#N/A", "789", "789", ""]
    kinds = [record.kinds for record in rows]
    assert kinds[2][2] == DATE
    assert kinds[3][3] == NUMBER
    assert kinds[4][3] in (ERROR, FORMULA)
    assert kinds[5][2] == HIDDEN
    assert kinds[7][3] == MERGED
    assert not any(row.keys() & {0, 2} for place, row in enumerate(kinds) if place not in (2, 5))
