"""failures.csv and failures.xlsx: the same rows, and nothing that somebody changed in them is lost."""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine

from provisioner import checking, schema
from provisioner.errors import SheetError
from provisioner.journal import Journal
from provisioner.records import Status
from provisioner.run_folder import RunFolder
from provisioner.settings import SheetOptions
from provisioner.sheets.text_workbook import text_workbook
from provisioner.stages.failures_files import keep_edits, set_aside
from provisioner.stages.read import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provisioner.result import RunResult

GOOD = ("101", "201", "Sheet-Pass-77!", "", "")
RULES = schema.load()


@pytest.fixture
def check(listener: Any, check_outputs: Callable[[Path], None]) -> Callable[[Path], RunResult]:
    """Check a sheet, and hold the files against their schemas."""

    def start(sheet: Path) -> RunResult:
        import anyio  # noqa: PLC0415 - as a script would

        result = anyio.run(lambda: checking.check(SheetOptions(sheet=sheet), listener))
        check_outputs(result.results.parent)
        return result

    return start


@pytest.fixture
def folder(check: Any, write_sheet: Any) -> RunFolder:
    """A run folder with two rows to fix, of which one has a username that looks like a number."""
    sheet = write_sheet([("007", *GOOD[:2], "weak", "", ""), ("b..b", *GOOD), ("cid", *GOOD)])
    return RunFolder(check(sheet).results.parent)


def later(path: Path, seconds: float = 10.0) -> None:
    """As if the file had been saved so much later than it was."""
    saved = path.stat().st_mtime + seconds
    os.utime(path, (saved, saved))


def change(path: Path, old: str, new: str) -> None:
    """Write something else into a failures file, as a spreadsheet program would."""
    if path.suffix == ".csv":
        path.write_text(path.read_text("utf-8-sig").replace(old, new), "utf-8")
    else:
        with zipfile.ZipFile(path) as book:
            parts = {name: book.read(name) for name in book.namelist()}
        with zipfile.ZipFile(path, "w") as book:
            for name, part in parts.items():
                book.writestr(name, part.replace(old.encode(), new.encode()))
    later(path)


def test_both_files_say_the_same(folder: RunFolder) -> None:
    """The workbook has the cells of the text file, all of them text."""
    text, workbook = read(folder.failures, RULES), read(folder.failures_workbook, RULES)
    assert (text.headers, text.is_failures) == (workbook.headers, workbook.is_failures)
    assert [text.own_cells(row) for row in text.rows] == [workbook.own_cells(row) for row in workbook.rows]
    assert [text.origins[row] for row in text.rows] == [workbook.origins[row] for row in workbook.rows]
    cells = python_calamine.load_workbook(str(folder.failures_workbook)).get_sheet_by_index(0).to_python()
    assert {type(cell) for row in cells for cell in row} == {str}
    assert cells[1][0] == "007"


def test_the_faulty_cells_are_coloured(folder: RunFolder) -> None:
    """Whoever opens the workbook sees which cell is meant, and only that."""
    with zipfile.ZipFile(folder.failures_workbook) as book:
        styles, page = book.read("xl/styles.xml").decode(), book.read("xl/worksheets/sheet1.xml").decode()
    assert "FFFFC7CE" in styles
    style = {cell: page.partition(f'<c r="{cell}" s="')[2].partition('"')[0] for cell in ("A2", "D2", "A3", "D3")}
    assert style["D2"] == style["A3"] != style["A2"] == style["D3"]


@pytest.mark.parametrize("name", ["failures.csv", "failures.xlsx"])
def test_either_file_can_be_fixed_and_run(folder: RunFolder, check: Any, name: str) -> None:
    """The rows that were fixed take the place of those that they correct; the workbook goes with the last of them."""
    path = folder.path / name
    change(path, "b..b", "b.b")
    result = check(path)
    assert result.statuses == {Status.VALID: 2, Status.INVALID: 1}
    path = folder.path / name
    change(path, "weak", "Fixed-Pass-1!")
    assert check(path).statuses == {Status.VALID: 3}


def test_there_is_no_workbook_where_nothing_is_left(check: Any, write_sheet: Any, folder: RunFolder) -> None:
    """failures.csv has its header then, and an old workbook does not stay beside it."""
    result = check(write_sheet([("007", *GOOD), ("bob", *GOOD), ("cid", *GOOD)]))
    assert result.statuses == {Status.VALID: 3}
    assert not folder.failures_workbook.exists()
    assert len(folder.failures.read_text("utf-8-sig").splitlines()) == 1


@pytest.mark.parametrize(("changed", "run"), [("failures.csv", "failures.xlsx"), ("failures.xlsx", "failures.csv")])
def test_a_file_that_is_older_than_changes_in_the_other_is_not_run(
    folder: RunFolder, check: Any, changed: str, run: str
) -> None:
    """The changes would be lost: it is said which file to run, and nothing happens to either."""
    change(folder.path / changed, "b..b", "b.b")
    with pytest.raises(SheetError, match=f"{changed} was changed after {run}") as caught:
        check(folder.path / run)
    assert f"Run {folder.path / changed}." in caught.value.remedy
    assert check(folder.path / changed).statuses == {Status.VALID: 2, Status.INVALID: 1}


def test_older_changes_in_the_other_file_are_kept(folder: RunFolder, check: Any, listener: Any) -> None:
    """The file that was changed last is run; the other keeps its changes under another name."""
    change(folder.failures, "b..b", "b.b")
    change(folder.failures_workbook, "b..b", "bb")
    later(folder.failures_workbook)
    check(folder.failures_workbook)
    (kept,) = folder.path.glob("failures-edited-*.csv")
    assert '"b.b"' in kept.read_text("utf-8")
    assert any(str(kept) in note for (note,) in listener.all("note"))


def test_a_check_of_the_sheet_does_not_set_fixes_aside(
    folder: RunFolder, check: Any, listener: Any, tmp_path: Path, read_csv: Any
) -> None:
    """The file that holds them is checked instead, as often as one likes, and it is said that it was."""
    change(folder.failures, "weak", "Fixed-Pass-1!")
    for _ in range(2):
        assert check(tmp_path / "acme.csv").statuses == {Status.VALID: 2, Status.INVALID: 1}
        fixed = read_csv(folder.failures)
        assert [(row["email"], row["password"]) for row in fixed] == [("007", "Fixed-Pass-1!"), ("b..b", GOOD[2])]
        assert not list(folder.path.glob("failures-edited-*"))
        assert any(f"{folder.failures} may hold fixes" in note for (note,) in listener.all("note"))
        listener.heard.clear()
    assert [row["status"] for row in read_csv(folder.results)] == ["valid", "invalid", "valid"]


def test_a_sheet_that_was_changed_is_checked_itself(
    folder: RunFolder, check: Any, listener: Any, write_sheet: Any
) -> None:
    """Its changes are what is asked about; the fixes in the failures file are kept under another name."""
    change(folder.failures, "weak", "Fixed-Pass-1!")
    sheet = write_sheet([("007", *GOOD[:2], "weak", "", ""), ("bob", *GOOD), ("cid", *GOOD)])
    assert check(sheet).statuses == {Status.VALID: 2, Status.INVALID: 1}
    (kept,) = folder.path.glob("failures-edited-*.csv")
    assert "Fixed-Pass-1!" in kept.read_text("utf-8")
    assert any(str(kept) in note for (note,) in listener.all("note"))


def test_a_damaged_failures_file_does_not_keep_the_sheet_from_being_checked(
    folder: RunFolder, check: Any, tmp_path: Path
) -> None:
    """It cannot be run, so the sheet is checked; what was typed into it is kept."""
    change(folder.failures, "sheet_row", "my row")
    assert check(tmp_path / "acme.csv").statuses == {Status.VALID: 1, Status.INVALID: 2}
    assert len(list(folder.path.glob("failures-edited-*.csv"))) == 1


def test_a_file_that_nobody_changed_is_not_kept(folder: RunFolder, tmp_path: Path) -> None:
    """Saved again as it was, copied with its folder, or restored: only its content counts."""
    with closing(Journal(folder.journal)) as journal:
        later(folder.failures)
        later(folder.failures_workbook)
        assert keep_edits(journal, folder) == []
        assert keep_edits(journal, folder, read=tmp_path / "acme.csv") == []
        change(folder.failures, "b..b", "b.b")
        assert [path.suffix for path in keep_edits(journal, folder)] == [".csv"]


def test_a_file_whose_writing_was_broken_off_is_not_taken_for_changed(folder: RunFolder) -> None:
    """Killed between the note of what is written and the writing, the old file is still known."""
    with closing(Journal(folder.journal)) as journal:
        before = journal.fact("failures.csv as it was written")
        journal.set_fact("failures.csv as it was written", f"{before} {'0' * 64}")
        assert keep_edits(journal, folder) == []


@pytest.mark.parametrize(
    "cell", ["=1+1", "'=1+1", "'quoted", "+49 171", "a\nb", "\x00", " =x", "007", "#REF!", "[U+0041]"]
)
def test_any_text_comes_back_from_the_workbook(tmp_path: Path, cell: str) -> None:
    """What a program would run or change is written so that it is kept, and read as it was."""
    path = tmp_path / "failures.xlsx"
    header = (
        "email",
        "domain",
        "relay_server",
        "password",
        "Notes",
        "sheet_row",
        "status",
        "error",
        "remedy",
        "task_id",
    )
    with text_workbook(path, "Failures", header, read_back=True) as add:
        add(("ann", "101", "201", "x", cell, "2", "failed", "no", "Run again", "t"), ())
    sheet = read(path, RULES)
    assert sheet.own_cells(2)[4] == cell


def test_too_many_rows_are_in_the_text_file_alone(
    check: Any, write_sheet: Any, listener: Any, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody fixes them one by one: no workbook is made of them, none stays from before, and it is said."""
    monkeypatch.setattr("provisioner.stages.failures_files.MAX_CELLS", 20)
    check(write_sheet([("a b", *GOOD), ("b c", *GOOD)]))
    assert not folder.failures_workbook.exists()
    assert len(folder.failures.read_text("utf-8-sig").splitlines()) == 3
    assert any("There is no failures.xlsx: 2 rows are too many" in note for (note,) in listener.all("note"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_both_files_are_their_owners_alone(folder: RunFolder) -> None:
    """They hold passwords."""
    assert {path.stat().st_mode & 0o777 for path in folder.failures_files} == {0o600}


@pytest.mark.parametrize("name", ["failures.csv", "failures.txt", "failures.tsv"])
def test_a_text_file_of_any_name_may_have_been_converted(check: Any, write_sheet: Any, name: str) -> None:
    """789.000 to fix became 789 as a spreadsheet program saved the file as text: that is no fix, as in failures.csv."""
    sheet = write_sheet([("ann", *GOOD[:3], "789.000", "")])
    folder = RunFolder(check(sheet).results.parent)
    text = folder.failures.read_text("utf-8-sig").replace('"789.000"', '"789"')
    saved = folder.path / name
    saved.write_text(text if name.endswith("csv") else text.replace('","', '"\t"'), "utf-8")
    later(saved)
    result = check(saved)
    assert result.statuses == {Status.INVALID: 1}
    assert "write “789” in failures.xlsx or in the sheet" in result.groups[0].examples[0].sentence


def test_two_edits_of_one_moment_are_both_kept(tmp_path: Path) -> None:
    """A failures file that is put aside takes the place of no other."""
    path = tmp_path / "failures.csv"
    kept = []
    for text in ("one", "another"):
        path.write_text(text, "utf-8")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        kept.append(set_aside(path))
    assert [file.read_text("utf-8") for file in kept] == ["one", "another"]


def test_nothing_of_a_workbook_lies_elsewhere_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is killed in the middle leaves no password in the folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with text_workbook(tmp_path / "failures.xlsx", "Failures", ["password"]) as add:
        add(["Sheet-Pass-77!"], ())
    assert [file.name for file in tmp_path.iterdir()] == ["failures.xlsx"]
