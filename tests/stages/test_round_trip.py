"""What was read, written to failures.csv and read again is the same, uncertain cells included."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import xlsxwriter
from hypothesis import example, given
from hypothesis import strategies as st
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import FAILURES_COLUMNS, UNCERTAIN, Sheet, write_table
from provisioner.stages.read import read
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MAILBOX = schema.load()
KNOWN = ["email", "domain", "relay_server", "password", "project", "reply_to"]

TRICKY = st.sampled_from(
    (
        *("=1+1", "+49 171", "@x", "-1", "'quoted", "'=1+1", "''@x", " =1", "\tx", "x\n=y"),
        *('a,"b;c', '"', "'", '""', " Abcdef1!", "\u00a0", "\x00", "\x1f", "\u200b", "e\u0301", "a\nb,c,d,e,f,g\nh"),
        *("sheet_row", UNCERTAIN, "101.0", "email", "NULL", "#REF!"),
    )
)
CELL = st.one_of(
    TRICKY, st.text(st.characters(exclude_categories=["Cs"]), max_size=8), st.sampled_from(["", "101", "a"])
)
ROWS = st.lists(st.lists(CELL, min_size=7, max_size=7), min_size=1, max_size=6)
EXTRA = st.one_of(TRICKY, st.sampled_from(["Notes", "", "status", "task_id"]))


def failures_of(sheet: Sheet, path: Path) -> Path:
    """Every row of the sheet as a row of a failures file."""
    header = (*sheet.headers, *FAILURES_COLUMNS)
    rows = (
        (*sheet.own_cells(row), str(sheet.number(row) or ""), "failed", "it failed", "Run again", f"task-{row}")
        for row in sheet.rows
    )
    write_table(path, header, rows, delimiter=sheet.delimiter)
    return path


def assert_same(first: Sheet, again: Sheet) -> None:
    """The same columns and cells, the same uncertain rows, the same numbers."""
    assert again.headers == first.headers
    assert again.keys == first.keys
    assert again.delimiter == first.delimiter
    assert again.is_failures
    rows, rows_again = first.rows, again.rows
    assert again.columns == first.columns
    assert [first.number(row) for row in rows] == [again.number(row) for row in rows_again]
    assert [row in first.unreadable for row in rows] == [row in again.unreadable for row in rows_again]
    assert [again.origins[row].task_id for row in rows_again] == [f"task-{row}" for row in rows]


def round_trip(path: Path) -> None:
    try:
        first = read(path, MAILBOX)
    except SheetError:
        return
    again = read(failures_of(first, path.with_name("failures.csv")), MAILBOX)
    assert_same(first, again)
    ready = [(row.email, row.domain, row.password) for row in ready_rows(validate(first, MAILBOX))]
    assert [(row.email, row.domain, row.password) for row in ready_rows(validate(again, MAILBOX))] == ready
    assert_same(again, read(failures_of(again, path.with_name("failures-2.csv")), MAILBOX))


@given(ROWS, EXTRA, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "utf-16"]))
def test_any_proper_csv_file_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], extra: str, delimiter: str, end: str, encoding: str
) -> None:
    """Formulas, apostrophes, quotes, delimiters, line breaks and blanks survive the way through failures.csv."""
    path = tmp_path_factory.mktemp("round") / "sheet.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows([[*KNOWN, extra], *rows])
    round_trip(path)


@given(st.text("ab,;\"'\n=\t 1[é", max_size=80), st.sampled_from(["utf-8", "cp1252"]))
@example('a,1,1,"x\nb,1,1,y\nc,1,1,z"', "utf-8")
@example("a,1,1,é", "cp1252")
@example("a,1,1", "utf-8")
@example("a,1,1,x,y,z", "utf-8")
def test_any_polluted_text_file_comes_back(tmp_path_factory: pytest.TempPathFactory, body: str, encoding: str) -> None:
    """What was uncertain once stays uncertain until somebody fixes it, whether or not the first file said why."""
    path = tmp_path_factory.mktemp("round") / "sheet.csv"
    path.write_bytes(f"email,domain,relay_server,password\n{body}".encode(encoding, "replace"))
    round_trip(path)


@given(
    st.lists(st.lists(st.one_of(CELL, st.integers(-5, 500), st.booleans(), st.floats(0, 9)), min_size=7, max_size=7))
)
def test_any_workbook_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[object]]) -> None:
    """Its failures are a CSV file, and hold what the workbook showed."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, [*KNOWN, "Notes"])
        for number, row in enumerate(rows, start=1):
            page.write_row(number, 0, row)
    path = tmp_path_factory.mktemp("round") / "sheet.xlsx"
    path.write_bytes(out.getvalue())
    round_trip(path)


def test_a_mark_outlives_a_save_in_any_encoding(tmp_path: Path) -> None:
    """A spreadsheet program that saves as ANSI turns what it cannot write into question marks; not the mark."""
    path = tmp_path / "sheet.csv"
    path.write_bytes("email,domain,relay_server,password\njohn,101,201,Pässwort1!\n".encode("cp1252"))
    failures = failures_of(read(path, MAILBOX), tmp_path / "failures.csv")
    for encoding in ("ascii", "cp1252", "mac-roman", "cp437"):
        failures.write_bytes(failures.read_text(encoding="utf-8-sig").encode(encoding, "replace"))
        assert list(read(failures, MAILBOX).unreadable) == [2]


def test_a_cell_is_certain_when_its_mark_is_deleted(tmp_path: Path) -> None:
    """The mark is what keeps the row back: with it gone, the row is a row like any other."""
    path = tmp_path / "sheet.csv"
    path.write_bytes("email,domain,relay_server,password\njohn,101,201,Pässwort1!\n".encode("cp1252"))
    failures = failures_of(read(path, MAILBOX), tmp_path / "failures.csv")
    assert list(read(failures, MAILBOX).unreadable) == [2]
    failures.write_text(failures.read_text(encoding="utf-8").replace(UNCERTAIN, ""), encoding="utf-8")
    assert [row.email for row in ready_rows(validate(read(failures, MAILBOX), MAILBOX))] == ["john"]
