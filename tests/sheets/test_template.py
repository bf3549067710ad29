"""The template: a sheet that needs nothing but rows."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING

import pytest
import xlsxwriter
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets.template import template
from provisioner.stages.read import read
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

MAILBOX = schema.load()
FILLED = ["007", "101", "201", "Abcdef1!", "", ""]


def add_row(path: Path) -> None:
    """What a person does next."""
    if path.suffix == ".csv":
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(FILLED)
        return
    cells = "".join(
        f'<c r="{letter}3" t="inlineStr"><is><t>{text}</t></is></c>'
        for letter, text in zip("ABCDEF", FILLED, strict=True)
        if text
    )
    parts = {}
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    parts["xl/worksheets/sheet1.xml"] = sheet.replace("</sheetData>", f'<row r="3">{cells}</row></sheetData>').encode()
    with zipfile.ZipFile(path, "w") as book:
        for name, content in parts.items():
            book.writestr(name, content)


@pytest.mark.parametrize("name", ["mailboxes.csv", "mailboxes.xlsx", "MAILBOXES.XLSX"])
def test_a_template_passes_validation_once_it_is_filled_in(tmp_path: Path, name: str) -> None:
    """The example row may stay: it is recognised, and never sent."""
    path = tmp_path / name
    template(path, MAILBOX)
    path = path.rename(path.with_suffix(path.suffix.lower()))
    with pytest.raises(SheetError, match="only the template's example row"):
        read(path, MAILBOX)
    add_row(path)
    checked = validate(read(path, MAILBOX), MAILBOX)
    assert list(checked.invalid) == []
    assert [(row.file_row, row.email) for row in ready_rows(checked)] == [(3, "007")]


def test_an_example_that_is_half_filled_in_is_not_sent(tmp_path: Path) -> None:
    """Its username gives it away."""
    path = tmp_path / "mailboxes.csv"
    template(path, MAILBOX)
    path.write_text(path.read_text(encoding="utf-8-sig").replace("101", "102"), encoding="utf-8")
    checked = validate(read(path, MAILBOX), MAILBOX)
    assert "template's example" in str(checked.problems(2)[0])


def test_every_column_is_text_and_explained(tmp_path: Path) -> None:
    """Leading zeros stay, and the rules stand beside the header."""
    path = tmp_path / "mailboxes.xlsx"
    template(path, MAILBOX)
    with zipfile.ZipFile(path) as book:
        styles = book.read("xl/styles.xml").decode()
        columns = book.read("xl/worksheets/sheet1.xml").decode()
        notes = book.read("xl/comments1.xml").decode()
    assert 'formatCode="@"' in styles
    assert '<col min="1" max="6"' in columns
    assert all(column.description.split(",")[0] in notes for column in MAILBOX.columns.values())


def test_the_example_row_keeps_the_rules() -> None:
    """What is shown as an example is one, but for the username that marks it."""
    for column in MAILBOX.columns.values():
        assert MAILBOX.accepts(column.name, column.example) == (column.name not in ("email", "password"))


@pytest.mark.parametrize("name", ["mailboxes.ods", "mailboxes", "missing/mailboxes.csv", "there.csv"])
def test_a_path_that_will_not_do_is_refused(tmp_path: Path, name: str) -> None:
    """An unknown kind, a missing folder, and a file that would be overwritten."""
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(SheetError) as refusal:
        template(tmp_path / name, MAILBOX)
    assert refusal.value.remedy
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_sheet_of_examples_beside_real_rows_is_read(tmp_path: Path) -> None:
    """Typed numbers in the example's place make it no less an example."""
    path = tmp_path / "mailboxes.xlsx"
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, [column.title for column in MAILBOX.columns.values()])
        sheet.write_row(1, 0, ["example.username", 101, 201, "Example-Passw0rd!", 789, "replies@example.com"])
        sheet.write_row(2, 0, ["john", 101, 201, "Abcdef1!", 789, ""])
    path.write_bytes(out.getvalue())
    assert [row.email for row in ready_rows(validate(read(path, MAILBOX), MAILBOX))] == ["john"]
