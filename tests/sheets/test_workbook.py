"""Workbooks: what a person sees in a cell is what is read, or the row says why not."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import UNCERTAIN, Sheet
from provisioner.sheets.workbook import SeveralTabsError
from provisioner.stages.read import read

MAILBOX = schema.load()
HEADER = ["email", "domain", "relay_server", "password", "project", "Notes"]
GOOD = ["john", 101, 201, "Abcdef1!", "", "hello"]
SAMPLES = Path(__file__).parent.parent.parent / "sample_csvs"
EXCEL_97, OPENDOCUMENT = SAMPLES / "excel_97.xls", SAMPLES / "opendocument.ods"
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a workbook: its sheets by name, each a function that fills one."""

    def save(**sheets: Callable[[Any, Any], None]) -> Path:
        path = tmp_path / "sheet.xlsx"
        with xlsxwriter.Workbook(path) as book:
            for name, fill in sheets.items():
                fill(book, book.add_worksheet(name))
        return path

    return save


def table(*rows: list[Any], at: int = 0) -> Callable[[Any, Any], None]:
    """Fill a sheet with rows, the first at a row counted from 0."""

    def fill(_: Any, sheet: Any) -> None:
        for number, row in enumerate(rows, start=at):
            sheet.write_row(number, 0, row)

    return fill


def cells(sheet: Sheet, row: int) -> list[str]:
    return sheet.own_cells(row)


def test_integers_are_ids_and_texts_are_texts(save: Save) -> None:
    """101 arrives from a workbook as the number 101.0 and is read as 101."""
    sheet = read(save(Mailboxes=table(HEADER, GOOD)), MAILBOX)
    assert cells(sheet, 2) == ["john", "101", "201", "Abcdef1!", "", "hello"]
    assert not sheet.unreadable
    assert sheet.delimiter == ","


def test_blank_rows_and_columns_before_the_table_do_not_shift_it(save: Save) -> None:
    """Cells keep the names that the spreadsheet program gives them."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(4, 2, HEADER)
        sheet.write_row(7, 2, GOOD)

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert sheet.cell_name(8, "email") == "C8"
    assert sheet.cell_name(8, "password") == "F8"


def test_a_first_table_does_not_vanish_above_a_second(save: Save) -> None:
    """Nor does a mailbox above the only header."""
    shorter = HEADER[:4]
    path = save(Mailboxes=table(shorter, ["eve", 101, 201, "Abcdef1!"], [], HEADER[::-1], GOOD[::-1]))
    with pytest.raises(SheetError, match="Row 1 and row 4 are both headers"):
        read(path, MAILBOX)
    with pytest.raises(SheetError, match="Row 1 stands above the header"):
        read(save(Mailboxes=table(["eve", 101, "", "short"], HEADER, GOOD)), MAILBOX)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (12345678, "stored as a number"),
        (1.5, "stored as a number"),
        (True, "TRUE or FALSE"),
        (dt.datetime(2025, 3, 1, tzinfo=dt.UTC).replace(tzinfo=None), "stored as a date"),
        (dt.time(9, 30), "stored as a date"),
    ],
)
def test_a_password_that_is_no_text_is_not_certain(save: Save, value: object, said: str) -> None:
    """A number has lost its leading zeros, a date its form: the cell is marked, also when it is written again."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, GOOD)
        if isinstance(value, dt.date | dt.time):
            sheet.write_datetime(1, 3, value, book.add_format({"num_format": "yyyy-mm-dd hh:mm"}))
        else:
            sheet.write(1, 3, value)

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert said in sheet.unreadable[2]
    assert "D2" in sheet.unreadable[2]
    assert cells(sheet, 2)[3].startswith(UNCERTAIN)


@pytest.mark.parametrize("value", [101.5, 1e20, 10.0**15, -1])
def test_a_number_that_is_no_whole_one_is_shown_as_it_is(save: Save, value: float) -> None:
    """It is left to the schema to refuse it as an ID."""
    sheet = read(save(Mailboxes=table(HEADER, ["john", value, *GOOD[2:]])), MAILBOX)
    assert not MAILBOX.accepts("domain", cells(sheet, 2)[1])


def test_in_a_column_that_is_not_sent_anything_may_stand(save: Save) -> None:
    """Notes may hold numbers and dates; they are only carried along."""
    sheet = read(save(Mailboxes=table(HEADER, [*GOOD[:5], 3.5])), MAILBOX)
    assert cells(sheet, 2)[5] == "3.5"
    assert not sheet.unreadable


@pytest.mark.parametrize(("column", "value"), [(4, "#N/A"), (4, "#REF!"), (3, "#VALUE!"), (1, "#DIV/0!")])
def test_an_error_is_told_from_a_blank_cell(save: Save, column: int, value: str) -> None:
    """A lookup that failed in an optional column must not pass for a blank one."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, GOOD)
        sheet.write_row(2, 0, ["anna", *GOOD[1:]])
        sheet.write_formula(1, column, "=VLOOKUP(A1,B1:C2,2)", None, value)

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert list(sheet.unreadable) == [2]
    assert "shows an error" in sheet.unreadable[2]
    assert cells(sheet, 2)[column] == UNCERTAIN + value


def test_a_formula_that_was_never_calculated_is_not_blank(save: Save) -> None:
    """A program that writes formulas without their results leaves cells that look blank to a reader."""
    path = save(Mailboxes=table(HEADER, GOOD))
    patched = patch(path, b'<c r="F2"', b'<c r="E2"><f>B2+1</f></c><c r="F2"')
    sheet = read(patched, MAILBOX)
    assert "never calculated" in sheet.unreadable[2]
    assert cells(sheet, 2)[4] == UNCERTAIN + "=B2+1"


def patch(path: Path, old: bytes, new: bytes) -> Path:
    """Change the first sheet of a workbook within its file."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "xl/worksheets/sheet1.xml":
                assert old in content
                content = content.replace(old, new)
            target.writestr(name, content)
    path.write_bytes(out.getvalue())
    return path


def test_a_merged_cell_is_not_blank(save: Save) -> None:
    """One project written across several rows is seen in each of them, and stands in the first alone."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        for row in (1, 2, 3):
            sheet.write_row(row, 0, [f"john{row}", *GOOD[1:]])
        sheet.merge_range(1, 4, 2, 4, "789")

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert list(sheet.unreadable) == [3]
    assert "E3 is merged" in sheet.unreadable[3]


def test_a_hidden_row_is_not_sent(save: Save) -> None:
    """A filter leaves rows that nobody sees: whether they are meant is not certain."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, GOOD)
        sheet.write_row(2, 0, ["anna", *GOOD[1:]])
        sheet.set_row(1, None, None, {"hidden": True})

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert list(sheet.unreadable) == [2]
    assert "A2 is hidden" in sheet.unreadable[2]


@pytest.mark.parametrize(
    ("row", "marked"),
    [
        (GOOD, [0]),
        (["", *GOOD[1:3], "", ""], []),
        (["", "acme.com", 201, "Abcdef1!"], [1]),
        ([7, "acme.com", 201, "Abcdef1!"], [0, 1]),
        (["", "", "", "", "", "hello"], []),
    ],
    ids=["username", "numbers alone", "no username", "username a number", "notes"],
)
def test_a_hidden_row_has_one_mark_of_that(save: Save, row: list[Any], marked: list[int]) -> None:
    """To keep it is to delete one mark; what is not certain in one of its cells has a mark of its own."""

    def fill(_: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, HEADER)
        sheet.write_row(1, 0, row)
        sheet.set_row(1, None, None, {"hidden": True})

    sheet = read(save(Mailboxes=fill), MAILBOX)
    assert [place for place, cell in enumerate(cells(sheet, 2)) if UNCERTAIN in cell] == marked


def test_a_hidden_column_is_not_sent(save: Save) -> None:
    """A project that nobody sees may be an old one; a column that is not sent may be hidden."""

    def hiding(first: int, last: int) -> Callable[[Any, Any], None]:
        def fill(book: Any, sheet: Any) -> None:
            table(HEADER, GOOD)(book, sheet)
            sheet.set_column(first, last, None, None, {"hidden": True})

        return fill

    with pytest.raises(SheetError, match=r"“relay_server” \(C\) is hidden"):
        read(save(Mailboxes=hiding(2, 4)), MAILBOX)
    assert cells(read(save(Mailboxes=hiding(5, 9)), MAILBOX), 2)[5] == "hello"


def test_the_only_sheet_with_mailboxes_is_taken(save: Save) -> None:
    """Instructions and lists beside it are no obstacle."""
    path = save(
        Read_me=table(["How to use this"]), Domains=table(["Domain ID", "Name"], [101, "x"]), M=table(HEADER, GOOD)
    )
    assert cells(read(path, MAILBOX), 2)[0] == "john"


def test_of_several_sheets_one_must_be_named(save: Save) -> None:
    """Which is meant is not guessed, and --sheet tells it."""
    path = save(March=table(HEADER, GOOD), April=table(HEADER, ["anna", *GOOD[1:]]))
    with pytest.raises(SeveralTabsError, match="“March”, “April”") as refusal:
        read(path, MAILBOX)
    assert refusal.value.tabs == ["March", "April"]
    assert "--sheet" in refusal.value.remedy
    assert cells(read(path, MAILBOX, sheet_name="April"), 2)[0] == "anna"
    with pytest.raises(SheetError, match="no sheet “May”"):
        read(path, MAILBOX, sheet_name="May")


@pytest.mark.parametrize(
    "header",
    [
        ["email", "Domian", "relay_server", "password"],
        ["email", "domain", "password", "Notes"],
        ["email", "Hosts", "Machine", "password"],
    ],
)
def test_a_sheet_that_nearly_fits_is_not_passed_over(save: Save, header: list[str]) -> None:
    """A misspelt or missing column beside a sheet that has all: which is meant is asked, and a choice settles it."""
    path = save(March=table(header, ["john", 101, 201, "Abcdef1!"]), April=table(HEADER, GOOD))
    with pytest.raises(SeveralTabsError, match="“March”, “April”"):
        read(path, MAILBOX)
    assert cells(read(path, MAILBOX, sheet_name="April"), 2)[0] == "john"


def test_lists_to_choose_from_are_no_sheet_that_nearly_fits(save: Save) -> None:
    """Domains and relay servers without users or passwords stand beside the mailboxes in many workbooks."""
    path = save(
        Lists=table(["domain", "relay_server", "project"], [101, 201, 301]),
        People=table(["email", "Phone"], ["john", "1"]),
        M=table(HEADER[:3], GOOD[:3]),
    )
    assert cells(read(path, MAILBOX, blank_password_ok=True), 2)[0] == "john"


def test_a_hidden_sheet_is_not_taken_unless_it_is_named(save: Save) -> None:
    """What nobody sees is not what is meant."""

    def hidden(book: Any, sheet: Any) -> None:
        table(HEADER, GOOD)(book, sheet)
        sheet.hide()

    path = save(Front=table(["Welcome"]), Old=hidden)
    with pytest.raises(SheetError, match=r"hidden sheets .* “Old”"):
        read(path, MAILBOX)
    assert cells(read(path, MAILBOX, sheet_name="Old"), 2)[0] == "john"
    both = save(Old=table(HEADER, GOOD), New=hidden)
    assert cells(read(both, MAILBOX), 2)[0] == "john"


def test_a_workbook_without_mailboxes_is_refused(save: Save) -> None:
    """No sheet of it names a column."""
    with pytest.raises(SheetError, match="No header"):
        read(save(Front=table(["Welcome"])), MAILBOX)


def test_a_workbook_by_another_name_is_known_by_its_content(save: Save) -> None:
    """A file's ending is only part of its name."""
    path = save(Mailboxes=table(HEADER, GOOD))
    assert cells(read(path.rename(path.with_suffix(".csv")), MAILBOX), 2)[0] == "john"


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04", b"PK\x03\x04" + b"x" * 999, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 999]
)
def test_a_damaged_workbook_is_refused(tmp_path: Path, data: bytes) -> None:
    """With a word on how to save it again."""
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(data)
    with pytest.raises(SheetError, match="cannot be read") as refusal:
        read(path, MAILBOX)
    assert "save it as .xlsx" in refusal.value.remedy


def workbook() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        table(HEADER, GOOD, ["anna", *GOOD[1:]])(book, book.add_worksheet())
    return out.getvalue()


@pytest.mark.parametrize("kind", ["xlsx", "xls", "ods"])
@given(
    pokes=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 255)), max_size=20),
    cut=st.integers(0, 10**9),
    inside=st.booleans(),
)
def test_a_polluted_workbook_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, pokes: list[tuple[int, int]], cut: int, *, inside: bool
) -> None:
    """Bytes changed or cut off, in the file or within one of its parts: never a traceback."""
    data = {"xlsx": workbook, "xls": EXCEL_97.read_bytes, "ods": OPENDOCUMENT.read_bytes}[kind]()
    path = tmp_path_factory.mktemp("polluted") / "sheet"
    path.write_bytes(_polluted(data, pokes, cut, inside=inside))
    with contextlib.suppress(SheetError):
        read(path, MAILBOX)


def _polluted(data: bytes, pokes: list[tuple[int, int]], cut: int, *, inside: bool) -> bytes:
    if not (inside and data.startswith(b"PK")):
        return _poked(data, pokes)[: cut % len(data) + 4]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w") as target:
        names = source.namelist()
        for name in names:
            content = source.read(name)
            target.writestr(name, _poked(content, pokes) if name == names[cut % len(names)] else content)
    return out.getvalue()


def _poked(data: bytes, pokes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, byte in pokes:
        if changed:
            changed[place % len(changed)] = byte
    return bytes(changed)
