"""What a sheet that is opened shows, and which file it is that will be run."""

from __future__ import annotations

import tempfile
import time
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter

import provisioner
from provisioner.errors import RunFolderError, SheetError
from provisioner.fixing import OpenSheet
from provisioner.records import Status
from provisioner.run_folder import RunFolder, hold
from provisioner.secret import MASK
from provisioner.settings import SheetOptions
from provisioner.sheets import FAILURES_COLUMNS, read_table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


GOOD = ("ann", "101", "201", "Sheet-Pass-77!", "789", "")
SPACED = ("b b", "101", "201", "Sheet-Pass-78!", "789", "")
WEAK = ("cid", "101", "201", "hidden-weak", "789", "cid@acme.com")
Sheets = Any


def again(sheet: OpenSheet) -> OpenSheet:
    """The same sheet, opened by another program."""
    other = OpenSheet(sheet.options)
    assert other.working_file
    return other


def edit(path: Path, old: bytes, new: bytes) -> None:
    """Change a file by hand, so much later that its time tells."""
    while time.time_ns() - path.stat().st_mtime_ns < 5_000_000:
        time.sleep(0.001)
    path.write_bytes(path.read_bytes().replace(old, new))


def test_faults_are_shown_beside_their_cells(opened: Sheets) -> None:
    """Each sentence with its column and cell, each cause with its rows, each row once in the counts."""
    sheet = opened(GOOD, SPACED, WEAK)
    counts = sheet.counts()
    assert (counts.rows, counts.ready, counts.to_fix, counts.done, counts.left_out, counts.other) == (3, 1, 2, 0, 0, 0)
    rows, total = sheet.rows()
    assert [(row.key, row.number, row.status) for row in rows] == [("3", 3, Status.INVALID), ("4", 4, Status.INVALID)]
    assert total == 2
    (fault,) = rows[0].faults
    assert fault.column == "email"
    assert "holds a blank" in fault.sentence
    assert [cause.rows for cause in sheet.causes()] == [1, 1]
    assert [column.key for column in sheet.columns if column.secret] == ["password"]


def test_causes_of_as_many_rows_stand_as_in_the_sheet(opened: Sheets) -> None:
    """The page lists them in one order whenever the program is started."""
    sheet = opened(("a b", "1o1", "=1", "weak", "x", "nobody"))
    told = ("username", "nor a domain", "a formula", "password", "e-mail address")
    found = [next(word for word in told if word in cause.sentence) for cause in sheet.causes()]
    assert found == sorted(found, key=told.index)
    assert len(found) == 5


def test_no_password_is_shown_unless_it_is_asked_for(opened: Sheets) -> None:
    """Nor what may be a piece of a broken one to its right; and no repr of anything holds it."""
    sheet = opened(GOOD, WEAK)
    row = sheet.row("3")
    assert (row.cells["password"], row.cells["reply_to"], row.cells["email"]) == (None, None, "cid")
    assert sheet.row("2").cells["reply_to"] == ""
    assert sheet.reveal("3", "password") == "hidden-weak"
    for thing in (sheet, row, sheet.rows(), sheet.counts(), sheet.causes(), vars(sheet)):
        assert "hidden" not in repr(thing)
    assert sheet.rows(to_fix=False, search="hidden")[1] == 0
    assert MASK not in repr(row)


def test_a_workbook_shows_what_stands_beside_a_weak_password(tmp_path: Path) -> None:
    """No delimiter has cut it; a number is told beside its cell."""
    with xlsxwriter.Workbook(tmp_path / "acme.xlsx") as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["email", "domain", "relay_server", "password", "reply_to"])
        page.write_row(1, 0, ["ann", 101, 201, "weak", "ann@acme.com"])
        page.write_row(2, 0, [7, 101, 201, "Sheet-Pass-78!", ""])
    sheet = OpenSheet(SheetOptions(sheet=tmp_path / "acme.xlsx"))
    assert sheet.row("2").cells["reply_to"] == "ann@acme.com"
    (fault,) = sheet.row("3").faults
    assert fault.column == "email"
    assert sheet.row("3").cells["email"] == "[unclear]7"
    assert sheet.working_file.sheet == tmp_path / "acme.xlsx"
    row = sheet.row("2")
    changed = sheet.change("2", row.version, {"password": "Sheet-Pass-79!"}).row
    assert changed is not None
    assert changed.status is Status.VALID
    row = sheet.row("3")
    assert (row.faults[0].column, row.cells["domain"]) == ("email", "101")
    fixed = sheet.change("3", row.version, {"email": "007"}).row
    assert fixed is not None
    assert (fixed.status, fixed.cells["email"]) == (Status.VALID, "007")


@pytest.mark.parametrize("stored", [False, True])
def test_a_hidden_row_is_kept_by_one_change(tmp_path: Path, *, stored: bool) -> None:
    """The mark before its username is deleted, in the sheet's row as well as in that of a failures file."""
    with xlsxwriter.Workbook(tmp_path / "acme.xlsx") as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["email", "domain", "relay_server", "password", "reply_to"])
        page.write_row(1, 0, ["ann", "101", "201", "Sheet-Pass-77!", "ann@acme.com"])
        page.write_row(2, 0, ["b b", "101", "201", "Sheet-Pass-78!", ""])
        page.set_row(1, None, None, {"hidden": True})
    sheet = OpenSheet(SheetOptions(sheet=tmp_path / "acme.xlsx"))
    if stored:
        sheet.change("3", sheet.row("3").version, {"email": "bob"})
        sheet = again(sheet)
    row = sheet.row("2")
    assert [(fault.column, "delete the mark" in fault.sentence) for fault in row.faults] == [("email", True)]
    assert (row.cells["email"], row.cells["domain"], row.cells["reply_to"]) == ("[unclear]ann", "101", "ann@acme.com")
    changed = sheet.change("2", row.version, {"email": "ann"}).row
    assert changed is not None
    assert (changed.status, changed.cells["email"]) == (Status.VALID, "ann")


def test_rows_are_found_by_what_is_shown_of_them(opened: Sheets) -> None:
    """By a part of a cell whatever its case, by their number, by a cause; page by page."""
    sheet = opened(GOOD, SPACED, WEAK, *[(f"user{n}", *GOOD[1:]) for n in range(30)])
    assert [row.key for row in sheet.rows(to_fix=False, search="USER29")[0]] == ["34"]
    assert [row.key for row in sheet.rows(to_fix=False, search="3")[0]][:2] == ["3", "8"]
    cause = next(cause.sentence for cause in sheet.causes() if "too weak" in cause.sentence)
    assert [row.key for row in sheet.rows(cause=cause)[0]] == ["4"]
    rows, total = sheet.rows(to_fix=False, start=30, size=10)
    assert ([row.key for row in rows], total) == (["32", "33", "34"], 33)


def test_a_fresh_sheet_is_checked_in_its_folder(opened: Sheets, read_csv: Any) -> None:
    """As the command would: the journal and the files are there, and nothing is fixed yet."""
    sheet = opened(GOOD, SPACED)
    assert [row["status"] for row in read_csv(sheet.folder.results)] == ["valid", "invalid"]
    assert [row["email"] for row in read_csv(sheet.folder.failures)] == ["b b"]
    assert sheet.working_file == sheet.options


def test_a_workbook_to_download_is_written_within_the_run_folder(
    opened: Sheets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is killed in the middle leaves no password where all programs have their files."""
    sheet = opened(GOOD, SPACED)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    before = set(sheet.folder.path.iterdir())
    assert sheet.workbook().startswith(b"PK")
    assert set(sheet.folder.path.iterdir()) == before


def test_more_rows_than_a_workbook_is_written_for_are_had_as_text_alone(
    opened: Sheets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the workbook that the check wrote is older than a fix."""
    sheet = opened(GOOD, SPACED)
    monkeypatch.setattr("provisioner.fixing.sheet.MAX_CELLS", 2 * (6 + len(FAILURES_COLUMNS)) - 1)
    assert sheet.has_workbook
    sheet.change("3", sheet.row("3").version, {"email": "b/b"})
    assert not sheet.has_workbook
    sheet.leave_out("3", sheet.row("3").version)
    assert sheet.has_workbook


def test_a_folder_that_is_in_use_is_told_when_something_is_to_be_written(write_sheet: Callable[..., Path]) -> None:
    """The rows can be looked at all the same; once the other run has ended, a fix is taken."""
    path = write_sheet([GOOD, SPACED])
    with hold(RunFolder(path.with_name("acme-run"))):
        sheet = OpenSheet(SheetOptions(sheet=path))
        row = sheet.row("3")
        with pytest.raises(RunFolderError, match="Another run"):
            sheet.change("3", row.version, {"email": "bob"})
        assert sheet.row("3") == row
    sheet.change("3", row.version, {"email": "bob"})
    assert sheet.counts().to_fix == 0


def test_what_was_fixed_by_hand_and_not_run_is_what_is_open(opened: Sheets) -> None:
    """With the rows of the sheet that failures.csv does not have, so that one run does everything."""
    sheet = opened(GOOD, SPACED, WEAK)
    edit(sheet.folder.failures, b"b b", b"bob")
    assert sheet.refresh()
    assert not sheet.refresh()
    assert sheet.working_file.sheet == sheet.folder.failures
    assert [(row.key, row.status) for row in sheet.rows(to_fix=False)[0]] == [
        ("2", Status.VALID),
        ("3", Status.VALID),
        ("4", Status.INVALID),
    ]
    _, *rows = read_table(sheet.folder.failures)
    assert [row[0] for row in rows] == ["ann", "bob", "cid"]
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 2, Status.INVALID: 1}


def test_a_failures_workbook_that_was_changed_last_goes_on_in_failures_csv(opened: Sheets, tmp_path: Path) -> None:
    """It is the file that is run until the first fix; then it is kept under another name, and nothing of it is lost."""
    sheet = opened(GOOD, SPACED, WEAK)
    header, *rows = read_table(sheet.folder.failures)
    with xlsxwriter.Workbook(sheet.folder.failures_workbook) as book:
        page = book.add_worksheet()
        for number, row in enumerate([header, *rows]):
            for place, cell in enumerate(row):
                page.write_string(number, place, cell.replace("b b", "bob"))
    sheet = again(sheet)
    assert sheet.row("3").cells["email"] == "bob"
    sheet.change("4", sheet.row("4").version, {"password": "Sheet-Pass-79!"})
    assert sheet.counts().ready == 3
    assert sheet.working_file.sheet == sheet.folder.failures
    assert not sheet.folder.failures_workbook.exists()
    (kept,) = sheet.folder.path.glob("failures-edited-*.xlsx")
    assert any(str(kept) in note for note in sheet.notes)
    assert [row[0] for row in read_table(sheet.folder.failures)][1:] == ["ann", "bob", "cid"]


@pytest.mark.parametrize("names", [["task_id"], ["sheet_row", "status", "error", "remedy", "task_id"]])
def test_a_damaged_failures_file_is_not_passed_over(opened: Sheets, names: list[str]) -> None:
    """What somebody typed into it must not be left aside in silence."""
    sheet = opened(GOOD, SPACED)
    for name in names:
        edit(sheet.folder.failures, f'"{name}"'.encode(), f'"my {name}"'.encode())
    with pytest.raises(SheetError, match=r"gone|has lost the columns"):
        OpenSheet(sheet.options)
    with pytest.raises(SheetError, match=r"gone|has lost the columns"):
        sheet.refresh()
    assert b"my task_id" in sheet.folder.failures.read_bytes()


def test_a_generated_password_passes_and_is_stored_nowhere(opened: Sheets) -> None:
    """It is for whoever asked."""
    sheet = opened(WEAK)
    password = sheet.generated_password()
    assert password != sheet.generated_password()
    sheet.change("2", sheet.row("2").version, {"password": password})
    assert sheet.counts().ready == 1


def test_a_sheet_that_was_changed_later_is_used_when_that_is_asked_for(opened: Sheets, write_sheet: Any) -> None:
    """Until then the fixed rows are what is run, and it is said that the change is not; no fix is lost by it."""
    sheet = opened(GOOD, SPACED)
    sheet.change("3", sheet.row("3").version, {"email": "bob"})
    assert not sheet.sheet_changed
    write_sheet([GOOD, SPACED, ("new", *GOOD[1:])])
    assert sheet.refresh()
    assert (sheet.sheet_changed, sheet.counts().rows, sheet.working_file.sheet) == (True, 2, sheet.folder.failures)
    fixed = sheet.folder.failures.read_bytes()
    sheet.use_sheet()
    assert (sheet.sheet_changed, sheet.undoable, sheet.working_file.sheet) == (False, False, sheet.options.sheet)
    assert (sheet.counts().rows, sheet.counts().ready, sheet.counts().to_fix) == (3, 2, 1)
    (kept,) = sheet.folder.path.glob("failures-edited-*.csv")
    assert kept.read_bytes() == fixed
    assert any(kept.name in note for note in sheet.notes)
    sheet.change("3", sheet.row("3").version, {"email": "bo"})
    assert (again(sheet).counts().ready, again(sheet).sheet_changed) == (3, False)


def test_a_fix_that_was_checked_is_not_ready_in_the_sheet(opened: Sheets, write_sheet: Any) -> None:
    """A run of the sheet leaves the row to the failures file that holds the fix, and does not create it as it was."""
    sheet = opened(GOOD, SPACED)
    sheet.change("3", sheet.row("3").version, {"email": "bob"})
    provisioner.check(sheet.working_file.sheet)
    write_sheet([GOOD, SPACED, ("new", *GOOD[1:])])
    sheet = again(sheet)
    sheet.use_sheet()
    assert (sheet.counts().ready, sheet.counts().other, sheet.counts().to_fix) == (2, 1, 0)
    assert sheet.row("3").status is Status.UNSENT
    assert any("1 row was fixed in a failures file" in note for note in sheet.notes)


def test_fixes_that_a_run_of_the_sheet_set_aside_are_opened_again(
    opened: Sheets, sandbox: Any, connection: Any
) -> None:
    """No other file holds them. The next fix is stored as every other, and the sheet can be used instead."""
    sheet = opened(GOOD, SPACED, WEAK)
    sheet.change("3", sheet.row("3").version, {"email": "bob"})
    provisioner.check(sheet.working_file.sheet)
    provisioner.run(sheet.options.sheet, connection(sandbox(latency=0.0)))
    (kept,) = sheet.folder.path.glob("failures-edited-*.csv")
    sheet = again(sheet)
    counts = sheet.counts()
    assert (sheet.working_file.sheet, counts.ready, counts.to_fix, counts.done) == (kept, 1, 1, 1)
    sheet.change("4", sheet.row("4").version, {"password": "Sheet-Pass-79!"})
    assert (sheet.working_file.sheet, sheet.counts().ready) == (sheet.folder.failures, 2)
    sheet.use_sheet()
    assert again(sheet).working_file.sheet == sheet.options.sheet
