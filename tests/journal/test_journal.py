"""The journal: what it holds is what would be true if the process died now."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier, Event

import anyio
import pytest
from running import journal_row

from provisioner.errors import JournalError, RunFolderError
from provisioner.journal import (
    Dropped,
    Finished,
    Journal,
    Moved,
    SendCancelled,
    Sending,
    Superseded,
    TaskAccepted,
    Written,
    password_check,
)
from provisioner.journal.tables import VERSION
from provisioner.records import Fault, Job, Problem, Request, RowId, Status, TaskId
from provisioner.secret import Secret

PASSWORD = "Sheet-Secret-77!"


def job(number: int, email: str) -> Job:
    return Job(RowId(number), Request(email, 101, 201, Secret(PASSWORD), 789, None))


@pytest.fixture
def journal(journal: Journal) -> Journal:
    journal.apply_sheet([Written(journal_row(1, "ann")), Written(journal_row(2, "bob"))])
    return journal


def status_of(journal: Journal, number: int) -> Status:
    return next(row.status for row in journal.rows() if row.id == number)


def test_an_intent_reads_unknown_until_its_answer_is_known(journal: Journal) -> None:
    """A process killed between intent and answer leaves `unknown`, one killed after the answer leaves `unfinished`."""
    journal.apply([Sending(job(1, "ann"), 10.0)])
    assert status_of(journal, 1) is Status.UNKNOWN
    journal.apply([TaskAccepted(RowId(1), TaskId("t-1"), 11.0)])
    (row,) = [row for row in journal.rows() if row.id == 1]
    assert (row.status, row.task_id, row.submitted_at, row.project) == (Status.UNFINISHED, "t-1", 10.0, "789")
    journal.apply([Finished(RowId(1), Status.CREATED, 12.0, mailbox_id="m-1")])
    (row,) = [row for row in journal.rows() if row.id == 1]
    assert (row.status, row.mailbox_id, row.finished_at, row.error) == (Status.CREATED, "m-1", 12.0, "")


def test_a_cancelled_create_reads_unsent(journal: Journal) -> None:
    """A create that certainly did not leave is as if it had never been meant."""
    journal.apply([Sending(job(1, "ann"), 10.0), SendCancelled(RowId(1), 11.0)])
    assert status_of(journal, 1) is Status.UNSENT


def test_what_was_once_unknown_stays_unconfirmed(journal: Journal) -> None:
    """A row whose create may have been carried out unseen is remembered as such, whatever comes later."""
    journal.apply([Sending(job(1, "ann"), 10.0), Finished(RowId(1), Status.UNKNOWN, 11.0, "cut")])
    journal.apply([Sending(job(1, "ann"), 12.0), Finished(RowId(1), Status.REJECTED, 13.0, "already exists")])
    (row,) = [row for row in journal.rows() if row.id == 1]
    assert row.maybe_sent
    assert row.sends == 2


def test_no_address_stands_in_two_rows(journal: Journal) -> None:
    """The database itself refuses a second row for an address, whatever the program believes."""
    with pytest.raises(JournalError):
        journal.apply_sheet([Written(journal_row(3, "ANN"))])
    assert len(list(journal.rows())) == 2


def test_a_sheet_is_applied_whole_or_not_at_all(journal: Journal) -> None:
    """All changes that a sheet brings are one transaction."""
    with pytest.raises(JournalError):
        journal.apply_sheet([Dropped(RowId(2)), Written(journal_row(3, "ann"))])
    assert {row.email for row in journal.rows()} == {"ann", "bob"}


def test_record_rows_come_in_sheet_order_without_superseded_ones(journal: Journal) -> None:
    """results.csv follows the sheet; a corrected row appears once; a row that no sheet holds comes last."""
    journal.apply_sheet(
        [
            Written(journal_row(3, "cid", sheet_row=3)),
            Superseded(RowId(2), RowId(3)),
            Moved(RowId(1), None, None),
            Written(journal_row(4, "dan", sheet_row=2)),
        ]
    )
    assert [row.email for row in journal.record_rows()] == ["dan", "cid", "ann"]
    assert journal.statuses() == {Status.UNSENT: 3}


def test_retriable_rows_follow_the_file_of_the_latest_run(journal: Journal) -> None:
    """failures.csv holds what is left of the file that was run, in its order, and nothing that is done."""
    journal.apply_sheet(
        [Moved(RowId(1), 2, 9), Moved(RowId(2), 3, 4), Written(journal_row(3, "cid", status=Status.CREATED))]
    )
    assert [row.email for row in journal.retriable(of_failures=False)] == ["bob", "ann"]
    journal.apply_sheet([Moved(RowId(2), 3, 2)])
    assert [row.email for row in journal.retriable(of_failures=False)] == ["bob"]


def test_only_generated_passwords_are_in_the_file(tmp_path: Path) -> None:
    """A password of the sheet leaves no trace in the journal's bytes; a generated one is kept to be shown."""
    path = tmp_path / "journal.sqlite3"
    with closing(Journal(path)) as journal:
        journal.apply_sheet(
            [Written(journal_row(1, "ann")), Written(journal_row(2, "bob", password=Secret("Generated-1!")))]
        )
        journal.apply([Sending(job(1, "ann"), 10.0)])
        kept = {row.email: row.password for row in journal.rows()}
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert PASSWORD.encode() not in content
    assert kept == {"ann": None, "bob": Secret("Generated-1!")}


def test_a_password_check_tells_change_but_not_the_password() -> None:
    """Another password gives another check, nearly always; the check has 65,536 values only."""
    checks = {password_check(Secret(f"Password-{n}"), RowId(1)) for n in range(1000)}
    assert len(checks) > 950
    assert all(check is not None and 0 <= check < 2**16 for check in checks)
    assert password_check(None, RowId(1)) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """The journal and its side files are mode 0600."""
    with closing(Journal(tmp_path / "journal.sqlite3")) as journal:
        journal.apply_sheet([Written(journal_row(1, "ann"))])
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_a_journal_of_another_version_is_refused_untouched(tmp_path: Path, version: int) -> None:
    """A journal of an earlier or later version of the program is neither changed nor misread."""
    path = tmp_path / "journal.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")
        database.execute("CREATE TABLE something (new)")
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match="another version of this program"):
        Journal(path)
    assert path.read_bytes() == before


def test_a_locked_journal_says_so(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that has the file open for writing is named as the cause, not the disk, and nothing is lost."""
    monkeypatch.setattr(journal, "_database", sqlite3.connect(tmp_path / "journal.sqlite3", timeout=0.0))
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(JournalError, match="locked by another program") as caught:
            journal.apply([Finished(RowId(1), Status.CREATED, 1.0)])
    assert "disk" not in caught.value.remedy
    journal.apply([Finished(RowId(1), Status.CREATED, 1.0)])
    assert status_of(journal, 1) is Status.CREATED


def test_a_journal_that_is_locked_from_the_beginning_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run does not begin, and says which kind of program to close."""
    path = tmp_path / "journal.sqlite3"
    impatient = partial(sqlite3.connect, timeout=0.0)
    monkeypatch.setattr(sqlite3, "connect", impatient)
    with closing(impatient(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RunFolderError, match="locked by another program") as caught:
            Journal(path)
    assert "Nothing was sent" in caught.value.remedy


def test_a_corrupted_journal_is_refused_with_its_reason(tmp_path: Path) -> None:
    """A file that is no database is left as it is, and the message says that nothing was sent."""
    path = tmp_path / "journal.sqlite3"
    path.write_bytes(b"this is not a database" * 200)
    with pytest.raises(RunFolderError, match="cannot be read") as caught:
        Journal(path)
    assert "Nothing was sent" in caught.value.remedy
    assert path.read_bytes().startswith(b"this is not")


def test_a_journal_belongs_to_one_service(journal: Journal) -> None:
    """What is done at one service is not done at another, so a run against another is refused."""
    journal.belong_to("practice")
    journal.belong_to("practice")
    with pytest.raises(RunFolderError, match=r"was used for practice; a real run needs another folder\.$"):
        journal.belong_to("https://api-v2.missioninbox.com")


def test_the_folder_of_a_real_run_is_not_for_practice(journal: Journal) -> None:
    """Nor for another service; that it could be deleted is not said of it."""
    journal.belong_to("https://one.example")
    for other, wanted in (("practice", "practice"), ("https://two.example", "a run at https://two.example")):
        with pytest.raises(RunFolderError, match=f"at https://one.example; {wanted} needs another") as refused:
            journal.belong_to(other)
        assert "delete" not in refused.value.remedy
        assert refused.value.remedy.startswith("Leave out --sandbox to go on") == (other == "practice")


@pytest.mark.anyio
async def test_many_changes_share_few_commits(journal: Journal) -> None:
    """Each `record` returns only when its change is on the disk, and those that wait together share a commit."""
    commits = 0
    apply = journal.apply

    def counted(changes: object) -> None:
        nonlocal commits
        commits += 1
        apply(changes)  # type: ignore[arg-type]

    journal.apply = counted  # type: ignore[method-assign]
    seen: list[Status] = []

    async def record(number: int) -> None:
        await journal.record(Finished(RowId(number % 2 + 1), Status.FAILED, float(number), "no"))
        seen.append(await anyio.to_thread.run_sync(status_of, journal, number % 2 + 1))

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(record, number)
    assert seen == [Status.FAILED] * 50
    assert commits <= 3


def test_a_cancelled_record_is_still_written(tmp_path: Path) -> None:
    """Whoever stops waiting for a commit does not take the change back."""

    async def give_up(journal: Journal) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await journal.record(Finished(RowId(1), Status.CREATED, 1.0))

    path = tmp_path / "journal.sqlite3"
    with closing(Journal(path)) as journal:
        journal.apply_sheet([Written(journal_row(1, "ann"))])
        anyio.run(give_up, journal)
    with closing(Journal(path)) as journal:
        assert status_of(journal, 1) is Status.CREATED


def test_a_full_disk_is_told_to_all_who_wait(journal: Journal) -> None:
    """When the journal cannot be written, every waiting change raises JournalError, and what was known stays."""
    journal._database.execute("PRAGMA max_page_count = 1")
    big = "x" * 100_000
    errors = []

    async def record(number: int) -> None:
        try:
            await journal.record(Finished(RowId(number), Status.FAILED, 1.0, big))
        except JournalError as error:
            errors.append(error.message)

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(record, 1)
            group.start_soon(record, 2)

    anyio.run(both)
    assert len(errors) == 2
    assert "full" in errors[0]
    assert status_of(journal, 1) is Status.UNSENT


def test_what_was_committed_survives_sigkill(tmp_path: Path) -> None:
    """A process that is killed the moment after `apply` returned has lost nothing."""
    path = tmp_path / "journal.sqlite3"
    with closing(Journal(path)) as journal:
        journal.apply_sheet([Written(journal_row(1, "ann"))])
    code = f"""
import os, signal
from pathlib import Path
from threading import Barrier, Event
from provisioner.journal import Finished, Journal
from provisioner.records import RowId, Status
journal = Journal(Path({str(path)!r}))
journal.apply([Finished(RowId(1), Status.CREATED, 1.0, mailbox_id="m-1")])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with closing(Journal(path)) as journal:
        assert status_of(journal, 1) is Status.CREATED


def test_the_problems_of_an_invalid_row_are_kept(journal: Journal) -> None:
    """What is wrong with a row is remembered cell by cell, so that rows can be told by cause in a later run too."""
    problems = (
        Problem("D2", Fault("the password needs a digit (0-9)")),
        Problem("B2", Fault("“…” is not an ID", ("x",))),
        Problem(None, Fault("the row has 4 cells")),
    )
    journal.apply_sheet([Written(journal_row(1, "ann", status=Status.INVALID, problems=problems))])
    assert {row.email: row.problems for row in journal.rows()} == {"ann": problems, "bob": ()}


def test_a_row_in_no_file_is_left_but_not_to_retry(journal: Journal) -> None:
    """What a part of a failures file does not hold stays in the record, and is not counted for failures.csv."""
    journal.apply_sheet([Written(journal_row(1, "ann", file_row=None)), Written(journal_row(2, "bob"))])
    assert [row.email for row in journal.left()] == ["ann", "bob"]
    assert journal.retriable_count(of_failures=False) == len(list(journal.retriable(of_failures=False))) == 1


def test_a_change_that_sqlite_cannot_take_is_told_to_all_who_wait(journal: Journal) -> None:
    """Whatever the reason, nobody who shared the commit may believe that a change is stored."""
    errors = []

    async def record(number: int, error: str) -> None:
        try:
            await journal.record(Finished(RowId(number), Status.FAILED, 1.0, error))
        except JournalError as raised:
            errors.append(raised.message)

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(record, 1, "half a character: \ud800")
            group.start_soon(record, 2, "fine")

    anyio.run(both)
    assert len(errors) == 2
    assert status_of(journal, 2) is Status.UNSENT


def test_closing_waits_for_a_thread_that_is_writing(tmp_path: Path) -> None:
    """A transaction that is under way in another thread is stored whole; SQLite would crash under it."""
    path = tmp_path / "journal.sqlite3"
    journal = Journal(path)
    entered, leave = Event(), Event()

    def changes() -> Iterator[Written]:
        yield Written(journal_row(1, "ann"))
        entered.set()
        leave.wait(10)
        yield Written(journal_row(2, "bob"))

    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(journal.apply_sheet, changes())
        entered.wait(10)
        closed = pool.submit(journal.close)
        wait([closed], timeout=0.1)
        leave.set()
        writing.result()
        closed.result()
    with closing(Journal(path)) as journal:
        assert {row.email for row in journal.rows()} == {"ann", "bob"}


def test_a_change_waits_for_a_commit_whose_caller_asyncio_cancelled(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio's own cancellation ends one wait, not the commit: it is made once, and the others learn how it ended."""
    entered, leave = Event(), Event()
    commits: list[int] = []

    def fail_in_the_end(changes: Sized) -> None:
        commits.append(len(changes))
        entered.set()
        leave.wait(10)
        raise JournalError("full", remedy="")

    async def main() -> None:
        cancelled, waiting = (
            asyncio.create_task(journal.record(Finished(RowId(number), Status.CREATED, 1.0))) for number in (1, 2)
        )
        await asyncio.to_thread(entered.wait, 10)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        for _ in range(10):
            await asyncio.sleep(0)
        leave.set()
        with pytest.raises(JournalError, match="full"):
            await waiting

    monkeypatch.setattr(journal, "apply", fail_in_the_end)
    asyncio.run(main())
    assert commits == [2]


@pytest.mark.anyio
async def test_recording_nothing_keeps_nobody_waiting(journal: Journal) -> None:
    """An empty record is no change, whoever records at the same time."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(journal.record)
                group.start_soon(journal.record, Finished(RowId(number % 2 + 1), Status.FAILED, 1.0, "no"))
    assert await anyio.to_thread.run_sync(status_of, journal, 1) is Status.FAILED


def test_a_journal_that_breaks_after_its_opening_is_no_unusable_folder(journal: Journal, tmp_path: Path) -> None:
    """A read that fails later stops the run; it does not say that nothing was sent."""
    with (tmp_path / "journal.sqlite3").open("r+b") as file:
        file.write(b"\0" * 4096)
    (tmp_path / "journal.sqlite3-wal").write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be read"):
        list(journal.rows())


def test_a_journal_can_be_made_by_several_at_once(tmp_path: Path) -> None:
    """Whoever comes second finds the tables that the first has just made."""
    for attempt in range(10):
        path, together = tmp_path / f"{attempt}.sqlite3", Barrier(4)

        def make(path: Path = path, together: Barrier = together) -> int:
            together.wait(10)
            with closing(Journal(path)) as journal:
                return len(list(journal.rows()))

        with ThreadPoolExecutor(4) as pool:
            assert [made.result() for made in [pool.submit(make) for _ in range(4)]] == [0] * 4


def test_the_latest_failures_come_first(journal: Journal) -> None:
    """Only rows that were refused or failed since a moment, and no more of them than asked for."""
    journal.apply_sheet([Written(journal_row(number, f"user{number}")) for number in (3, 4)])
    journal.apply([Finished(RowId(1), Status.FAILED, 10.0, "full"), Finished(RowId(2), Status.REJECTED, 30.0, "no")])
    journal.apply([Finished(RowId(3), Status.CREATED, 31.0), Finished(RowId(4), Status.FAILED, 20.0, "full")])
    assert [row.id for row in journal.failed_since(0.0, 9)] == [2, 4, 1]
    assert [row.id for row in journal.failed_since(20.0, 9)] == [2, 4]
    assert [row.id for row in journal.failed_since(0.0, 1)] == [2]
