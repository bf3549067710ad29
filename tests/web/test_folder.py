"""What lies in the folder, and what is said of it."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import running
from running import check

from provisioner.errors import FilesError
from provisioner.journal import Journal, Overview
from provisioner.records import Status
from provisioner.web.folder import MOST, find, id_of, list_folder, look, state_of, with_failures
from provisioner.web.practice import make_sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Recorder


def names(folder: Path) -> list[str]:
    return sorted(found.path.name for found in look(folder))


def test_sheets_are_listed_by_their_names(tmp_path: Path) -> None:
    """All kinds that the reader takes, and nothing hidden or of another kind."""
    sheets = ["a.csv", "b.TXT", "c.tsv", "d.xlsx", "e.xlsm", "f.xls", "g.ods"]
    for name in [*sheets, "h.pdf", "i", ".j.csv", "~$d.xlsx", "notes.csv.bak"]:
        (tmp_path / name).touch()
    assert names(tmp_path) == sheets


def test_links_pipes_and_folders_are_not_followed(tmp_path: Path) -> None:
    """Only regular files and real folders of the folder itself are there to be opened."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").write_text("email\n")
    (outside / "journal.sqlite3").touch()
    folder = tmp_path / "sheets"
    folder.mkdir()
    (folder / "link.csv").symlink_to(outside / "secret.csv")
    (folder / "linked-run").symlink_to(outside, target_is_directory=True)
    (folder / "folder.csv").mkdir()
    os.mkfifo(folder / "pipe.csv")
    assert look(folder) == []
    assert find(folder, id_of("link.csv"), {}) is None


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    """The person is told which folder it is."""
    with pytest.raises(FilesError, match="cannot be read: No such file"):
        look(tmp_path / "gone")


def test_a_sheet_is_found_by_its_id_alone(tmp_path: Path) -> None:
    """An ID is the same after every start, and nothing but an ID of what is there leads anywhere."""
    (tmp_path / "acme.csv").touch()
    found = find(tmp_path, id_of("acme.csv"), {"encoding": "cp1250"})
    assert found is not None
    options, practice = found
    assert (options.sheet, options.encoding, practice) == (tmp_path / "acme.csv", "cp1250", False)
    for other in ("acme.csv", "../acme.csv", "", id_of("other.csv")):
        assert find(tmp_path, other, {}) is None


def test_an_encoding_is_for_text_files_alone(tmp_path: Path) -> None:
    """The encoding that the page was started with keeps no workbook from being read."""
    for name, encoding in (("acme.csv", "cp1250"), ("acme.xlsx", None)):
        (tmp_path / name).touch()
        found = find(tmp_path, id_of(name), {"encoding": "cp1250"})
        assert found is not None
        assert found[0].encoding == encoding


def test_a_run_whose_sheet_lies_elsewhere_is_listed(
    tmp_path: Path, write_sheet: Callable[..., Path], listener: Recorder
) -> None:
    """A run folder of another place's sheet leads to that sheet, and to its failures file when the sheet is gone."""
    sheet = write_sheet(2, name="acme.csv")
    folder = tmp_path / "sheets"
    folder.mkdir()
    check(sheet, listener, out=folder / "spring-run")
    (found,) = look(folder)
    assert found.name == "spring"
    opened = find(folder, found.id, {})
    assert opened is not None
    assert (opened[0].sheet, opened[0].out) == (sheet, folder / "spring-run")
    sheet.unlink()
    opened = find(folder, found.id, {})
    assert opened is not None
    assert opened[0].sheet == folder / "spring-run" / "failures.csv"


def test_a_practice_sheet_stays_practice(tmp_path: Path) -> None:
    """What was made to practise with is practice after every start, and each one is new."""
    first, second = make_sheet(tmp_path, None), make_sheet(tmp_path, None)
    assert (first.name, second.name) == ("practice.csv", "practice 2.csv")
    for sheet in (first, second):
        found = find(tmp_path, id_of(sheet.name), {})
        assert found is not None
        assert found[1]


def test_a_practice_sheet_has_typical_mistakes(tmp_path: Path, listener: Recorder) -> None:
    """Half of the rows are ready; the others are wrong in five ways, two of which concern two rows."""
    result = check(make_sheet(tmp_path, None), listener)
    assert result.statuses == {Status.VALID: 6, Status.INVALID: 7}
    assert sorted(group.rows for group in result.groups) == [1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ({}, ("new", "Check")),
        ({Status.VALID: 400, Status.INVALID: 12}, ("400 ready, 12 to fix", "Continue")),
        ({Status.CREATED: 280, Status.UNSENT: 132}, ("132 left", "Continue")),
        ({Status.CREATED: 280, Status.UNKNOWN: 2, Status.REJECTED: 3}, ("2 left, 3 to fix", "Continue")),
        ({Status.CREATED: 4, Status.INVALID: 1}, ("1 to fix", "Fix 1 row")),
        ({Status.CREATED: 3, Status.EXISTS: 1}, ("4 mailboxes done", "See the results")),
    ],
)
def test_a_state_is_in_words(statuses: dict[Status, int], state: tuple[str, str]) -> None:
    """Each sheet says where it stands and what to do next."""
    assert state_of(Overview(sheet="", tab="", practice=False, statuses=statuses, content="")) == state


def test_the_state_is_the_journals(tmp_path: Path, write_sheet: Callable[..., Path], listener: Recorder) -> None:
    """What a check or a run left is listed, by whatever program it was made."""
    sheet = write_sheet(3)
    check(sheet, listener)
    (listed,), _ = list_folder(tmp_path, ())
    assert (listed.name, listed.state, listed.step) == ("acme.csv", "3 ready", "Continue")
    (listed,), _ = list_folder(tmp_path, {id_of("acme.csv")})
    assert (listed.state, listed.step) == ("running now", "Watch")


def test_fixes_that_were_not_run_are_told(tmp_path: Path, write_sheet: Callable[..., Path], listener: Recorder) -> None:
    """Once the rows to fix were changed, the list does not say that all of them are still to be fixed."""
    check(write_sheet([("ann", "101", "201", "weak", "", ""), ("bob", "101", "201", "weak", "", "")]), listener)
    (listed,), _ = list_folder(tmp_path, ())
    assert (listed.state, listed.step) == ("2 to fix", "Fix 2 rows")
    failures = tmp_path / "acme-run" / "failures.csv"
    failures.write_bytes(failures.read_bytes().replace(b"weak", b"Str0ng-Passw0rd!", 1))
    (listed,), _ = list_folder(tmp_path, ())
    assert (listed.state, listed.step) == ("2 being fixed", "Continue")
    assert listed.path == f"/sheets/{id_of('acme.csv')}/check"


def test_a_failures_file_may_belong_to_a_sheet_with_rows_left(
    tmp_path: Path, write_sheet: Callable[..., Path], sandbox: Any, connection: Any, listener: Recorder
) -> None:
    """And to no other: what is done has no row to fix, though its failures file is there, without any."""
    check(write_sheet([("ann", "101", "201", "weak", "", "")], name="left.csv"), listener)
    done = write_sheet(1, name="done.csv")
    running.run(done, connection(sandbox(latency=0.02, latency_spread=0.0)), listener)
    write_sheet(1, name="new.csv")
    assert (tmp_path / "done-run" / "failures.csv").exists()
    assert [found.name for found in with_failures(tmp_path)] == ["left.csv"]


def test_a_journal_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A broken journal keeps nothing else from being listed, and is not taken for a new sheet's."""
    (tmp_path / "acme.csv").touch()
    (tmp_path / "acme-run").mkdir()
    (tmp_path / "acme-run" / "journal.sqlite3").write_bytes(b"no database" * 1000)
    (listed,), _ = list_folder(tmp_path, ())
    assert listed.state == "its journal cannot be read now"


def test_looking_does_not_change_a_journal(tmp_path: Path) -> None:
    """A list is made without writing to any run folder, not even where a killed run left side files."""
    run = make_sheet(tmp_path, None).parent / "practice-run"
    killed = tmp_path / "killed-run"
    with closing(Journal(run / "journal.sqlite3")) as journal:
        journal.set_fact("sheet", "killed.csv")
        shutil.copytree(run, killed)
    before = {path: path.read_bytes() for path in killed.iterdir() if not path.name.endswith("-shm")}
    assert killed / "journal.sqlite3-wal" in before
    assert [each.practice for each in list_folder(tmp_path, (), "killed")[0]] == [True]
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.slow
def test_ten_thousand_files_are_listed_within_a_second(tmp_path: Path) -> None:
    """A large folder is no reason to wait: only the latest sheets are looked at more closely."""
    for number in range(10_000):
        os.mknod(tmp_path / f"sheet-{number:05}.csv")
    began = time.process_time()
    listed, more = list_folder(tmp_path, ())
    # The processor's own time, so that others' work does not count.
    assert time.process_time() - began < 1.0
    assert (len(listed), more) == (MOST, 10_000 - MOST)
    assert [each.name for each in list_folder(tmp_path, (), "SHEET-00042")[0]] == ["sheet-00042.csv"]
