"""Fixes, rows left out, and undoing: judged at once as a run would, stored at once, and never over anybody's edit."""

from __future__ import annotations

import errno
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import provisioner
from provisioner.checking import check_prepared
from provisioner.errors import FilesError, RunFolderError, SheetError
from provisioner.events import NullListener
from provisioner.fixing import FixRefusedError, OpenRow, OpenSheet, StaleRowError, UnknownRowError
from provisioner.fixing import storing as module
from provisioner.journal import Finished, Journal
from provisioner.records import Status
from provisioner.run_folder import hold
from provisioner.settings import SheetOptions
from provisioner.sheets import read_table, write_table
from provisioner.stages.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from provisioner.fixing import Changed

GOOD = ("ann", "101", "201", "Sheet-Pass-77!", "789", "")
SPACED = ("b b", "101", "201", "Sheet-Pass-78!", "789", "")
PASSWORD = "Sheet-Pass-79!"
Sheets = Any


def change(sheet: OpenSheet, key: str, cells: Mapping[str, str], **more: Any) -> Changed:
    return sheet.change(key, sheet.row(key).version, cells, **more)


def sentences(row: OpenRow | None) -> list[str]:
    assert row is not None
    return [fault.sentence for fault in row.faults]


def stored(sheet: OpenSheet) -> list[list[str]]:
    """The rows of failures.csv as they are on the disk."""
    return list(read_table(sheet.folder.failures))[1:]


def test_a_fix_is_judged_and_stored_at_once(opened: Sheets) -> None:
    """All rows that are not done are in the file then, the sheet's own cells in all but the one that was fixed."""
    sheet = opened(GOOD, SPACED)
    changed = change(sheet, "3", {"email": " bob "})
    assert changed.row is not None
    assert (changed.row.status, changed.row.faults, changed.row.cells["email"]) == (Status.VALID, (), "bob")
    assert (sheet.counts().ready, sheet.counts().to_fix) == (2, 0)
    assert [row[:6] for row in stored(sheet)] == [list(GOOD), ["bob", *SPACED[1:]]]
    assert sheet.working_file.sheet == sheet.folder.failures
    assert sheet.row("3").version == changed.row.version


def test_a_second_fix_changes_one_line(opened: Sheets) -> None:
    """What else is in the file stays as it is, byte for byte."""
    sheet = opened(*[(f"b {n}", *GOOD[1:]) for n in range(5)])
    change(sheet, "3", {"email": "b1"})
    before = sheet.folder.failures.read_bytes().splitlines()
    change(sheet, "5", {"email": "b3", "reply_to": "=1+1\r\ud800"})
    after = sheet.folder.failures.read_bytes().splitlines()
    assert [n for n, (one, other) in enumerate(zip(before, after, strict=True)) if one != other] == [4]
    assert sheet.reveal("5", "reply_to") == "=1+1\r\ud800"


def test_what_is_wrong_with_a_fix_is_told_at_once(opened: Sheets) -> None:
    """In the words of a run."""
    sheet = opened(GOOD, SPACED)
    changed = change(sheet, "3", {"email": "bob.", "password": "weak"})
    assert ["dots that are too many" in sentences(changed.row)[0], "too weak" in sentences(changed.row)[1]] == [1, 1]
    assert sheet.counts().to_fix == 1
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 1, Status.INVALID: 1}


def test_rows_for_one_mailbox_are_told_and_cleared_together(opened: Sheets) -> None:
    """The other row is judged anew too, when they come to be the same and when they cease to be."""
    sheet = opened(GOOD, SPACED, ("cid", *GOOD[1:]))
    changed = change(sheet, "3", {"email": "ANN"})
    assert sentences(changed.row) == ["the same username and domain as in row 2; keep one of them and delete the rest"]
    (other,) = changed.also
    assert (other.key, "row 3" in sentences(other)[0]) == ("2", True)
    assert sheet.counts().to_fix == 2
    changed = change(sheet, "3", {"email": "bob"})
    assert [row.key for row in changed.also] == ["2"]
    assert sheet.counts().ready == 3


def test_a_mailbox_of_a_row_that_is_done_is_refused_at_once(opened: Sheets, sandbox: Any, connection: Any) -> None:
    """Although that row is not in the file: in the sentence that a run would have."""
    sheet = opened(GOOD, SPACED)
    provisioner.run(sheet.options.sheet, connection(sandbox()))
    assert sheet.refresh()
    assert (sheet.counts().done, sheet.counts().to_fix) == (1, 1)
    with pytest.raises(UnknownRowError):
        sheet.row("2")
    changed = change(sheet, "3", {"email": "ann"})
    assert sentences(changed.row) == [
        "this is the same mailbox as in row 2; write another username, or delete the row",
    ]
    assert provisioner.check(sheet.folder.failures).statuses == {Status.CREATED: 1, Status.INVALID: 1}
    change(sheet, "3", {"email": "bob"})
    assert sheet.counts().ready == 1
    assert [row[0] for row in stored(sheet)] == ["bob"]


def test_one_text_is_used_for_all_rows_like_it(opened: Sheets) -> None:
    """In one column alone, in one step that is undone as one."""
    rows = [(f"user{n}", "101", "x\ty" if n < 3 else "1,5", "Sheet-Pass-77!", "789", "") for n in range(4)]
    sheet = opened(*rows)
    assert sheet.row("2").alike == {"relay_server": 3}
    changed = change(sheet, "3", {"relay_server": "201", "project": "790"}, alike="relay_server")
    assert [row.key for row in changed.also] == ["2", "4"]
    assert [row[2:5:2] for row in stored(sheet)] == [["201", "789"], ["201", "790"], ["201", "789"], ["1,5", "789"]]
    assert sheet.undo() is not None
    assert (sheet.counts().to_fix, sheet.undoable) == (4, False)
    assert [row[:6] for row in stored(sheet)] == [list(row) for row in rows]
    assert sheet.undo() is None


def test_a_row_that_was_changed_elsewhere_is_left_as_it_is(opened: Sheets) -> None:
    """In another tab, by hand, or by a command: the second is told what is there, and nothing is overwritten."""
    sheet, version = opened(GOOD, SPACED), "0" * 16
    row = sheet.row("3")
    sheet.change("3", row.version, {"email": "bob"})
    for old in (row.version, version):
        with pytest.raises(StaleRowError) as told:
            sheet.change("3", old, {"email": "carl"})
        assert told.value.row.cells["email"] == "bob"
    content = sheet.folder.failures.read_bytes()
    row = sheet.row("3")
    sheet.folder.failures.write_bytes(content.replace(b'"bob"', b'"dora"'))
    with pytest.raises(StaleRowError):
        sheet.change("3", row.version, {"email": "x"})
    with pytest.raises(StaleRowError):
        sheet.leave_out("3", row.version)
    with pytest.raises(StaleRowError):
        sheet.undo()
    assert not sheet.undoable
    assert b'"dora"' in sheet.folder.failures.read_bytes()
    assert sheet.row("3").cells["email"] == "dora"


def test_an_edit_of_another_row_by_hand_is_kept_by_a_fix(opened: Sheets) -> None:
    """The file is read again before it is written."""
    sheet = opened(GOOD, SPACED)
    change(sheet, "3", {"email": "bob"})
    sheet.folder.failures.write_bytes(sheet.folder.failures.read_bytes().replace(b'"ann"', b'"anna"'))
    change(sheet, "3", {"email": "bob.b"})
    assert [row[0] for row in stored(sheet)] == ["anna", "bob.b"]


def test_nothing_changes_while_a_run_works_in_the_folder(opened: Sheets) -> None:
    """It is told, and the row is as it was."""
    sheet = opened(GOOD, SPACED)
    row = sheet.row("3")
    with hold(sheet.folder), pytest.raises(RunFolderError):
        sheet.change("3", row.version, {"email": "bob"})
    assert sheet.row("3") == row


def test_a_full_disk_loses_nothing(opened: Sheets, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fix is refused as a whole, and taken once there is room."""
    sheet = opened(GOOD, SPACED)
    row, before = sheet.row("3"), sheet.folder.failures.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", full)
        with pytest.raises(FilesError, match="No space left"):
            sheet.change("3", row.version, {"email": "bob"})
    assert (sheet.row("3"), sheet.undoable, sheet.folder.failures.read_bytes()) == (row, False, before)
    assert sheet.working_file == sheet.options
    sheet.change("3", row.version, {"email": "bob"})
    assert sheet.counts().ready == 2


def test_a_row_that_is_left_out_is_not_sent_by_anything(
    opened: Sheets, sandbox: Any, connection: Any, listener: Any
) -> None:
    """Neither by a run of failures.csv nor by one of the sheet, and both say so; the other row of two is ready then."""
    sheet = opened(GOOD, ("Ann", *GOOD[1:]), ("cid", *GOOD[1:]))
    sheet.leave_out("4", sheet.row("4").version)
    changed = sheet.leave_out("3", sheet.row("3").version)
    assert changed.row is None
    assert [row.key for row in changed.also] == ["2"]
    counts = sheet.counts()
    assert (counts.rows, counts.ready, counts.left_out) == (3, 1, 2)
    with pytest.raises(UnknownRowError):
        sheet.row("3")
    service = sandbox()
    for path in (sheet.folder.failures, sheet.options.sheet):
        listener.heard.clear()
        assert provisioner.run(path, connection(service), listener=listener).statuses == {Status.CREATED: 1}
        assert any("Left out: rows 3, 4" in str(note) for note in listener.all("note"))
    assert OpenSheet(sheet.options).counts().left_out == 2


@pytest.mark.parametrize("read_again", [False, True])
def test_leaving_out_is_undone(opened: Sheets, *, read_again: bool) -> None:
    """The row is back in its place, with its faults and those of its duplicates, also if the file was read since."""
    sheet = opened(GOOD, ("Ann", *GOOD[1:]), SPACED)
    row = sheet.row("3")
    sheet.leave_out("3", row.version)
    if read_again:
        provisioner.check(sheet.folder.failures)
        assert sheet.refresh()
        assert sheet.counts().to_fix == 1
    undone = sheet.undo()
    assert undone is not None
    assert undone.row is not None
    assert undone.row.version == row.version
    counts = sheet.counts()
    assert (counts.rows, counts.to_fix, counts.left_out) == (3, 3, 0)
    assert [line[0] for line in stored(sheet)] == ["ann", "Ann", "b b"]
    assert provisioner.check(sheet.folder.failures).statuses == {Status.INVALID: 3}


def test_a_row_is_taken_back_without_undoing_what_came_after(opened: Sheets) -> None:
    """One that was left out by mistake comes back with its faults; fixes made since stay, and can still be undone."""
    sheet = opened(GOOD, SPACED, ("c c", *GOOD[1:]), ("d d", *GOOD[1:]))
    for key in ("3", "4"):
        sheet.leave_out(key, sheet.row(key).version)
    change(sheet, "5", {"email": "dee"})
    assert sheet.left_out == ["3", "4"]
    taken = sheet.take_back("3")
    assert taken.row is not None
    counts = sheet.counts()
    assert (taken.row.key, counts.to_fix, counts.ready, counts.left_out) == ("3", 1, 2, 1)
    assert [line[0] for line in stored(sheet)] == ["ann", "b b", "dee"]
    assert sheet.left_out == ["4"]
    with closing(Journal(sheet.folder.journal)) as journal:
        assert [row.email for row in journal.rows() if row.deleted] == ["c c"], "a run of the whole sheet leaves it out"
    with pytest.raises(UnknownRowError):
        sheet.take_back("3")
    undone = sheet.undo()
    assert undone is not None
    assert undone.row is not None
    assert (undone.row.key, sheet.counts().to_fix) == ("5", 2)


def test_what_is_typed_is_no_conversion_by_a_spreadsheet_program(opened: Sheets) -> None:
    """7 in the place of 007 is meant when it is typed here; not if a program saved the file with it."""
    sheet = opened(("007", *GOOD[1:5], "nobody"), ("1e5", *GOOD[1:5], "nobody"))
    change(sheet, "2", {"email": "7", "reply_to": ""})
    change(sheet, "3", {"reply_to": ""})
    assert sheet.counts().ready == 2
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 2}


def test_what_a_program_made_of_a_cell_stays_told(opened: Sheets) -> None:
    """Fixing another cell of the row, or another row, does not accept it."""
    sheet = opened(("007", *GOOD[1:3], "weak", "789", ""), SPACED)
    sheet.folder.failures.write_bytes(sheet.folder.failures.read_bytes().replace(b'"007"', b'"7"'))
    assert sheet.refresh()
    assert any("spreadsheet programs change" in each for each in sentences(sheet.row("2")))
    change(sheet, "3", {"email": "bob"})
    changed = change(sheet, "2", {"password": PASSWORD})
    assert any("spreadsheet programs change" in each for each in sentences(changed.row))
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 1, Status.INVALID: 1}
    sheet = OpenSheet(sheet.options)
    change(sheet, "2", {"email": "007"})
    assert sheet.counts().ready == 2


def test_a_row_that_was_sent_is_not_changed(opened: Sheets, sandbox: Any, connection: Any) -> None:
    """Its mailbox may exist as it was sent."""
    sheet = opened(GOOD, SPACED)
    provisioner.run(sheet.options.sheet, connection(sandbox(stuck_share=1.0)), task_timeout=0.01)
    assert sheet.refresh()
    assert sheet.counts().other == 1
    row = sheet.row("2")
    assert row.status in (Status.UNFINISHED, Status.UNKNOWN)
    with pytest.raises(FixRefusedError, match="was sent"):
        sheet.change("2", row.version, {"email": "x"})
    with pytest.raises(FixRefusedError, match="was sent"):
        sheet.leave_out("2", row.version)
    assert sheet.row("2") == row


def test_what_the_account_lacks_is_fixed_cell_by_cell(opened: Sheets, sandbox: Any, connection: Any) -> None:
    """Each fault that a run found stands at its cell until that is changed, and again if it is changed back."""
    sheet = opened(("ann", "acme-mail.exampel", "Mailgum", *GOOD[3:]), ("cid@other.example", *GOOD[1:]))
    assert sheet.counts().ready == 2, "only the account knows"
    provisioner.run(sheet.options.sheet, connection(sandbox()))
    assert sheet.refresh()
    assert [fault.column for fault in sheet.row("2").faults] == ["domain", "relay_server"]
    assert "is no address of the row's domain" in sheet.row("3").faults[0].sentence
    assert (sheet.counts().to_fix, sheet.counts().of_account) == (2, 2)
    changed = change(sheet, "2", {"domain": "101"})
    assert changed.row is not None
    assert [fault.column for fault in changed.row.faults] == ["relay_server"]
    change(sheet, "2", {"relay_server": "Mailgun"})
    assert sheet.counts().ready == 1
    change(sheet, "2", {"relay_server": "Mailgum"})
    assert sheet.counts().to_fix == 2
    change(sheet, "2", {"relay_server": "202"})
    assert sheet.counts().ready == 1
    changed = change(sheet, "3", {"email": "cid"})
    assert (sheet.counts().ready, sheet.counts().of_account) == (2, 0)


def test_a_row_that_failed_is_ready_to_be_sent_again(opened: Sheets, sandbox: Any, connection: Any) -> None:
    """A run sends it as it stands, so it is counted among what the run will ask about."""
    sheet = opened(GOOD)
    provisioner.run(sheet.options.sheet, connection(sandbox(fail_share=1.0)))
    assert sheet.refresh()
    assert (sheet.row("2").status, sheet.counts().ready, sheet.counts().other) == (Status.FAILED, 1, 0)


def test_a_row_that_the_service_refused_is_fixed_with_its_sentence(opened: Sheets) -> None:
    """It is said of the whole row; changed, it is ready; changed back, it is what the service refused."""
    sheet = opened(GOOD, SPACED)
    with closing(Journal(sheet.folder.journal)) as journal:
        (ann,) = (row for row in journal.record_rows() if row.email == "ann")
        journal.apply([Finished(ann.id, Status.REJECTED, 1.0, "ann is not allowed")])
    sheet = OpenSheet(sheet.options)
    row = sheet.row("2")
    assert (row.status, sentences(row), row.faults[0].column) == (Status.REJECTED, ["ann is not allowed"], None)
    assert "… is not allowed" in [cause.sentence for cause in sheet.causes()]
    change(sheet, "2", {"reply_to": "a@b.com"})
    assert sheet.counts().ready == 1
    change(sheet, "2", {"reply_to": ""})
    assert sheet.counts().to_fix == 2
    assert sheet.row("2").faults == row.faults


def test_what_would_be_read_as_something_else_than_a_row_is_refused(opened: Sheets) -> None:
    """The row would be gone, or those below it would be taken for a second table."""
    sheet = opened(GOOD, SPACED)
    example = {
        "email": "example.username",
        "domain": "101",
        "relay_server": "201",
        "password": "Example-Passw0rd!",
        "project": "789",
        "reply_to": "replies@example.com",
    }
    for cells in (example, {"email": "project", "domain": "reply_to", "relay_server": "password"}):
        with pytest.raises(FixRefusedError, match="would read as"):
            change(sheet, "3", cells)
    assert sheet.row("3").cells["email"] == "b b"
    assert sheet.working_file == sheet.options


def test_an_unclear_row_is_cleared_by_deleting_its_marks(tmp_path: Path) -> None:
    """A password with a comma has moved the cells: every one of them is typed again."""
    path = tmp_path / "acme.csv"
    path.write_text(
        "email,domain,relay_server,password,project,reply_to\nann,101,201,Se,cret-Pass1!,789,\n", encoding="utf-8"
    )
    sheet = OpenSheet(SheetOptions(sheet=path))
    row = sheet.row("2")
    assert (row.faults[0].column, row.cells["project"], row.cells["email"]) == (None, None, "ann")
    assert "cret" not in repr(row)
    assert sheet.reveal("2", "project") == "cret-Pass1!"
    changed = change(sheet, "2", dict(zip(row.cells, [*GOOD[:3], "Se,cret-Pass1!", "789", ""], strict=True)))
    assert sheet.counts().ready == 1
    assert stored(sheet)[0][3] == "Se,cret-Pass1!"
    assert changed.row is not None
    assert changed.row.cells["project"] == "789"


def test_rows_of_a_second_table_stay_unclear_while_its_header_is_there(tmp_path: Path) -> None:
    """One row tells how those below it are read: after a change of one, all of them are read again."""
    path = tmp_path / "acme.csv"
    path.write_text(
        "email,domain,relay_server,password\nann,101,201,Sheet-Pass-77!\nusername,domain,project,reply to\n"
        "bob,101,201,Sheet-Pass-78!\n",
        encoding="utf-8",
    )
    sheet = OpenSheet(SheetOptions(sheet=path))
    assert sheet.counts().to_fix == 2
    changed = change(sheet, "4", {"email": "bob"})
    assert "a second table begins" in sentences(changed.row)[0]
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 1, Status.INVALID: 2}
    sheet.refresh()
    sheet.leave_out("3", sheet.row("3").version)
    assert sheet.counts().to_fix == 1
    change(sheet, "4", {"email": "bob"})
    assert sheet.counts().ready == 2
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 2}
    assert sheet.counts().left_out == 1


def test_copies_of_a_row_are_told_apart_again(opened: Sheets) -> None:
    """Somebody copied a line of failures.csv: both are faulty until one of them is left out."""
    sheet = opened(GOOD, SPACED)
    content = sheet.folder.failures.read_bytes()
    line = content.splitlines(keepends=True)[1].replace(b"b b", b"bob")
    sheet.folder.failures.write_bytes(content.replace(b"b b", b"carl") + line)
    assert sheet.refresh()
    (copy,) = [row for row in sheet.rows()[0] if row.key.startswith("+")]
    assert sheet.counts().to_fix == 2
    sheet.leave_out(copy.key, copy.version)
    assert sheet.counts().to_fix == 0
    assert provisioner.check(sheet.folder.failures).statuses == {Status.VALID: 2}


def test_no_password_is_in_what_remembers_changes(opened: Sheets) -> None:
    """Neither the one that was nor the one that is, in any repr."""
    sheet = opened(GOOD, SPACED)
    changed = change(sheet, "3", {"password": PASSWORD, "email": "bob"})
    for thing in (changed, sheet, vars(sheet), sheet._steps, vars(sheet._file), vars(sheet._rows)["typed"]):
        assert PASSWORD not in repr(thing)
        assert SPACED[3] not in repr(thing)
    with pytest.raises(StaleRowError) as stale:
        sheet.change("3", "", {"password": "Other-Pass-12!"})
    assert PASSWORD not in str(stale.value) + repr(stale.value.row)


def test_a_fix_that_a_run_has_not_read_stops_that_run(opened: Sheets) -> None:
    """What was saved after the file was read and before the run had the folder is neither lost nor passed over."""
    sheet = opened(GOOD, SPACED, ("c c", *GOOD[1:]))
    change(sheet, "3", {"email": "bob"})
    read_before = prepare(sheet.working_file)
    change(sheet, "4", {"email": "cee"})
    before = sheet.folder.failures.read_bytes()
    with pytest.raises(SheetError, match="changed while it was being read"):
        anyio.run(lambda: check_prepared(read_before, NullListener(), started=0.0))
    assert sheet.folder.failures.read_bytes() == before
    assert sheet.counts().ready == 3
    read_again = prepare(sheet.working_file)
    anyio.run(lambda: check_prepared(read_again, NullListener(), started=0.0))
    assert OpenSheet(sheet.options).counts().ready == 3


def test_a_row_that_could_not_be_left_out_is_still_there(opened: Sheets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only on the page: whatever is opened or run later has it too."""
    sheet = opened(GOOD, SPACED)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "replace_file", full)
        with pytest.raises(FilesError):
            sheet.leave_out("3", sheet.row("3").version)
    assert [each.counts().to_fix for each in (sheet, OpenSheet(sheet.options))] == [1, 1]


def test_a_row_that_somebody_put_back_is_not_put_back_twice(opened: Sheets) -> None:
    """Undoing that a row was left out changes nothing if the file has such a row again: it may be fixed there."""
    sheet = opened(GOOD, SPACED, ("c c", *GOOD[1:]))
    change(sheet, "4", {"email": "cee"})
    whole = sheet.folder.failures.read_bytes()
    sheet.leave_out("3", sheet.row("3").version)
    put_back = whole.replace(b'"b b"', b'"bob"')
    sheet.folder.failures.write_bytes(put_back)
    with pytest.raises(UnknownRowError):
        sheet.undo()
    assert sheet.folder.failures.read_bytes() == put_back


def test_a_row_that_was_fixed_in_the_sheet_is_not_put_back(opened: Sheets, write_sheet: Callable[..., Path]) -> None:
    """Once the sheet itself was used again, its row 3 is what counts, and not the one that was left out before."""
    sheet = opened(GOOD, SPACED)
    sheet.leave_out("3", sheet.row("3").version)
    provisioner.check(write_sheet([GOOD, ("bob", *SPACED[1:])]))
    before = sheet.folder.failures.read_bytes()
    with pytest.raises(UnknownRowError):
        sheet.undo()
    assert (sheet.folder.failures.read_bytes(), sheet.counts().ready) == (before, 2)


OTHER = "Other-Pass-1!"
"""In no row of the sheet."""


@pytest.mark.parametrize(
    ("fixed", "is_its_own"),
    [
        ({"3": ("bob", "101", SPACED[3])}, True),
        ({"4": ("cid", "101", OTHER)}, True),
        ({"5": ("dan", "102", PASSWORD)}, True),
        ({"3": ("bob", "101", SPACED[3]), "4": ("cid", "101", OTHER), "2": ("eve", "102", OTHER)}, True),
        ({"2": ("ann", "102", GOOD[3]), "3": ("bob", "102", SPACED[3]), "4": ("cid", "102", OTHER)}, False),
        ({"2": ("ann", "101", GOOD[3]), "3": ("eve", "101", OTHER), "5": ("fay", "101", OTHER)}, False),
        ({"4": ("eve", "101", OTHER)}, False),
        ({"9": ("ann", "101", GOOD[3])}, False),
    ],
    ids=[
        "a username",
        "a password",
        "a domain",
        "two rows of three",
        "the same names and passwords at another domain",
        "one row in common",
        "one row of another's",
        "a row that the sheet lacks",
    ],
)
def test_only_the_rows_of_this_sheet_are_put_back(
    opened: Sheets, tmp_path: Path, fixed: Mapping[str, tuple[str, ...]], *, is_its_own: bool
) -> None:
    """Most of them, that is: another sheet's with the same columns would take the places of this one's."""
    weak, unknown = ("cid", "101", "201", "weak", "789", ""), ("dan", "1o1", "201", PASSWORD, "789", "")
    sheet = opened(GOOD, SPACED, weak, unknown)
    header, *_ = read_table(sheet.folder.failures)
    file = tmp_path / "failures (1).csv"
    rows = [
        (email, domain, "201", password, "789", "", number, "invalid", "", "", "")
        for number, (email, domain, password) in fixed.items()
    ]
    write_table(file, header, rows)
    before = sheet.rows(to_fix=False)
    if is_its_own:
        sheet.put_back(file)
        texts = {row.key: (row.cells["email"], row.cells["domain"]) for row in sheet.rows(to_fix=False)[0]}
        assert all(texts[number] == (email, domain) for number, (email, domain, _) in fixed.items())
    else:
        with pytest.raises(SheetError, match="does not hold rows to fix of this sheet"):
            sheet.put_back(file)
        assert sheet.rows(to_fix=False) == before


@pytest.mark.parametrize(("password", "is_its_own"), [(PASSWORD, True), (OTHER, False)])
def test_a_row_whose_cells_had_moved_is_put_back(tmp_path: Path, password: str, *, is_its_own: bool) -> None:
    """All of its cells were typed again, but the password is one that stood in the row."""
    path = tmp_path / "acme.csv"
    path.write_text(f"email,domain,relay_server,password,project,reply_to\nAnn,Lee,101,201,{PASSWORD},789,\n", "utf-8")
    sheet = OpenSheet(SheetOptions(sheet=path))
    assert sheet.working_file.sheet == path
    header, _ = read_table(sheet.folder.failures)
    file = tmp_path / "failures (1).csv"
    write_table(file, header, [("ann.lee", "101", "201", password, "789", "", "2", "invalid", "", "", "")])
    with nullcontext() if is_its_own else pytest.raises(SheetError, match="does not hold rows to fix of this sheet"):
        sheet.put_back(file)
    assert sheet.counts().ready == is_its_own


@pytest.mark.parametrize(
    ("email", "password", "is_its_own"), [("anna", GOOD[3], True), ("ann", OTHER, True), ("anna", OTHER, False)]
)
def test_a_row_that_the_service_refused_is_put_back_if_it_is_the_same(
    opened: Sheets, tmp_path: Path, email: str, password: str, *, is_its_own: bool
) -> None:
    """Its sentence leaves open which cell is meant; with another username and another password it is another row."""
    sheet = opened(GOOD)
    with closing(Journal(sheet.folder.journal)) as journal:
        journal.apply([Finished(row.id, Status.REJECTED, 1.0, "ann is not allowed") for row in journal.rows()])
    sheet = OpenSheet(sheet.options)
    header, *_ = read_table(sheet.folder.failures)
    file = tmp_path / "failures (1).csv"
    write_table(file, header, [(email, "101", "201", password, "789", "", "2", "rejected", "", "", "")])
    with nullcontext() if is_its_own else pytest.raises(SheetError, match="does not hold rows to fix of this sheet"):
        sheet.put_back(file)
    assert sheet.counts().ready == is_its_own


def test_what_was_fixed_here_stays_where_the_file_that_is_put_back_has_no_fix(opened: Sheets, tmp_path: Path) -> None:
    """A row that it has as the sheet does, or not at all, since it was downloaded before; what it changes is taken."""
    weak = ("cid", "101", "201", "weak", "789", "")
    sheet = opened(GOOD, SPACED, weak, ("dan d", *GOOD[1:]), ("eve e", *GOOD[1:]), ("fay f", *GOOD[1:]))
    header, spaced, weak_row, dan, eve, _ = read_table(sheet.folder.failures)
    for key, email in {"3": "bob", "5": "dan", "6": "eve", "7": "fay"}.items():
        change(sheet, key, {"email": email})
    file = tmp_path / "failures (1).csv"
    weak_row[header.index("password")] = PASSWORD
    dan[0], eve[0] = "daniel", "eve the second"
    write_table(file, header, [spaced, weak_row, dan, eve])
    sheet.put_back(file)
    now = {row.key: (row.cells["email"], row.status) for row in sheet.rows(to_fix=False)[0]}
    assert now == {
        "2": ("ann", Status.VALID),
        "3": ("bob", Status.VALID),
        "4": ("cid", Status.VALID),
        "5": ("daniel", Status.VALID),
        "6": ("eve the second", Status.INVALID),
        "7": ("fay", Status.VALID),
    }
    assert sheet.reveal("4", "password") == PASSWORD
    assert "2 rows stay as they were fixed here; the file does not change them." in sheet.notes
    assert not sheet.undoable
    again = OpenSheet(sheet.options)
    assert {row.key: (row.cells["email"], row.status) for row in again.rows(to_fix=False)[0]} == now
