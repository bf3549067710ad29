"""Excel 97's workbooks: what a person sees in a cell is what is read, or the row says why not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xlwt

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import UNCERTAIN, Sheet
from provisioner.stages.read import read

MAILBOX = schema.load()
HEADER: list[Any] = ["email", "domain", "relay_server", "password", "project"]
GOOD: list[Any] = ["john", 101, 201, "Abcdef1!"]
Fill = Callable[[Any], None]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[Fill], Sheet]:
    """Read a workbook with a header and two good rows, which a function has changed."""

    def opened(fill: Fill) -> Sheet:
        book = xlwt.Workbook()
        sheet = book.add_sheet("Mailboxes", cell_overwrite_ok=True)
        for number, row in enumerate([HEADER, GOOD, ["anna", *GOOD[1:]]]):
            for position, value in enumerate(row):
                sheet.write(number, position, value)
        fill(sheet)
        book.save(str(tmp_path / "sheet.xls"))
        return read(tmp_path / "sheet.xls", MAILBOX)

    return opened


def test_an_old_workbook_is_read(opened: Callable[[Fill], Sheet]) -> None:
    """Its numbers are IDs; a row that is only formatted is seen."""

    def fill(sheet: Any) -> None:
        sheet.row(1).height = 600
        sheet.col(1).width = 9000

    sheet = opened(fill)
    assert sheet.own_cells(2) == ["john", "101", "201", "Abcdef1!", ""]
    assert sheet.rows == [2, 3]
    assert not sheet.unreadable


def test_an_error_in_an_old_workbook_is_not_blank() -> None:
    """Its row is refused with its cell, and the others are read."""
    sheet = read(Path(__file__).with_name("errors.xls"), MAILBOX)
    assert sheet.unreadable == {3: "E3 shows an error; write the value itself"}
    assert sheet.own_cells(3)[4] == UNCERTAIN + "#N/A"


@pytest.mark.parametrize(
    ("value", "style", "said"),
    [
        (12345678, "general", "stored as a number"),
        (dt.date(2026, 3, 1), "yyyy-mm-dd", "stored as a date"),
        (True, "general", "TRUE or FALSE"),
    ],
)
def test_a_password_that_is_no_text_is_not_certain(
    opened: Callable[[Fill], Sheet], value: object, style: str, said: str
) -> None:
    """A number has lost its leading zeros, a date its form."""
    sheet = opened(lambda sheet: sheet.write(1, 3, value, xlwt.easyxf(num_format_str=style)))
    assert "D2" in sheet.unreadable[2]
    assert said in sheet.unreadable[2]


def test_a_hidden_row_is_not_sent(opened: Callable[[Fill], Sheet]) -> None:
    """Whether what nobody sees is meant is not certain."""

    def fill(sheet: Any) -> None:
        sheet.row(1).hidden = True

    sheet = opened(fill)
    assert list(sheet.unreadable) == [2]
    assert "hidden" in sheet.unreadable[2]


def test_a_hidden_column_refuses_the_sheet(opened: Callable[[Fill], Sheet]) -> None:
    """A project that nobody sees may be an old one."""

    def fill(sheet: Any) -> None:
        sheet.col(2).hidden = True

    with pytest.raises(SheetError, match=r"“relay_server” \(C\) is hidden"):
        opened(fill)


def test_a_merged_cell_is_not_blank(opened: Callable[[Fill], Sheet]) -> None:
    """One project over two rows is seen in both, and stands in the first alone."""
    sheet = opened(lambda sheet: sheet.write_merge(1, 2, 4, 4, "789"))
    assert list(sheet.unreadable) == [3]
    assert "E3 is merged" in sheet.unreadable[3]


def test_a_hidden_sheet_is_not_taken(opened: Callable[[Fill], Sheet]) -> None:
    """What nobody sees is not what is meant."""

    def fill(sheet: Any) -> None:
        sheet.visibility = 1

    with pytest.raises(SheetError, match="Only hidden sheets"):
        opened(fill)


@pytest.mark.parametrize("kept", [600, 2000, 0.5, 0.9])
def test_a_workbook_that_was_cut_off_is_refused(tmp_path: Path, kept: float) -> None:
    """It is damaged, and nothing of it is read."""
    data = Path(__file__).with_name("errors.xls").read_bytes()
    path = tmp_path / "sheet.xls"
    path.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    with pytest.raises(SheetError, match="damaged"):
        read(path, MAILBOX)
