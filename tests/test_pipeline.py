"""The whole way of a sheet, against a real service on loopback."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import running
import xlsxwriter
from scripted import CUT, Scripted, reply

from provisioner import pipeline, run_record
from provisioner.errors import (
    JournalError,
    KeyRefusedError,
    RunFolderError,
    SameFailureError,
    ServiceDownError,
    WrongServiceError,
)
from provisioner.journal import Journal
from provisioner.journal.tables import VERSION
from provisioner.records import AutoRate, Rate, Status
from provisioner.run_folder import RunFolder, hold
from provisioner.secret import Secret
from provisioner.service.rate_limiter import RateLimiter
from provisioner.settings import RunOptions, SheetOptions
from provisioner.stages.write import write as write_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.result import RunResult
    from provisioner.settings import Connection

FAST = {"latency": 0.02, "latency_spread": 0.0}


@pytest.fixture
def run(listener: Any, check_outputs: Callable[[Path], None]) -> Callable[..., RunResult]:
    """Run a sheet against a service, and hold both files that come of it against their schemas."""

    def start(
        sheet: Path,
        connection: Connection,
        *,
        sheet_options: dict[str, Any] | None = None,
        confirm: Callable[[Any], bool] = lambda _: True,
        **how: Any,
    ) -> RunResult:
        options = SheetOptions(sheet=sheet, **(sheet_options or {}))
        in_a_hurry = RunOptions(**{"look_up_after": 0.2, "task_timeout": 20.0, "grace": 0.5, **how})
        result = running.run(options, connection, listener, in_a_hurry, confirm=confirm)
        check_outputs(Path(result.summary.run_folder))
        return result

    return start


@pytest.mark.smoke
def test_every_row_ends_in_one_status(sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any) -> None:
    """Good rows are created, broken ones never sent; results.csv has every row, failures.csv only what is left."""
    service = sandbox(**FAST)
    good = [(f"user{n}", "101", "201", "Sheet-Pass-77!", "", "") for n in range(20)]
    sheet = write_sheet([*good, ("b@d", "101", "201", "Sheet-Pass-77!", "", ""), ("weak", "101", "201", "x", "", "")])
    result = run(sheet, connection(service))
    assert result.summary.statuses == {Status.CREATED: 20, Status.INVALID: 2}
    assert result.stopped is None
    results = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [line["sheet_row"] for line in results] == [str(row) for row in range(2, 24)]
    assert {line["mailbox_id"] for line in results[:20]} == {str(made.id) for made in service.state.mailboxes[2:]}
    failures = read_csv(sheet.parent / "acme-run" / "failures.csv")
    assert [(line["email"], line["status"]) for line in failures] == [("b@d", "invalid"), ("weak", "invalid")]
    assert len(service.state.mailboxes) == 22


def test_failed_rows_are_made_by_running_their_file(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """The failures file goes back in as it is; the record stays that of the whole sheet."""
    service = sandbox(**FAST, fail_share=0.3, seed=5)
    sheet = write_sheet(60)
    first = run(sheet, connection(service), stop_after=0)
    failed = first.summary.statuses[Status.FAILED]
    assert failed > 5
    failures = sheet.parent / "acme-run" / "failures.csv"
    for _ in range(20):
        if not read_csv(failures):
            break
        result = run(failures, connection(service), stop_after=0)
    assert result.summary.statuses == {Status.CREATED: 60}
    assert len(read_csv(sheet.parent / "acme-run" / "results.csv")) == 60
    assert failures.read_bytes().count(b"\r\n") == 1, "only its header is left"
    assert len(service.state.mailboxes) == 62


def test_a_corrected_row_replaces_the_broken_one(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """A username mended in the failures file is created under the sheet row it came from."""
    service = sandbox(**FAST)
    sheet = write_sheet(
        [("ann", "101", "201", "Sheet-Pass-77!", "", ""), ("b..b", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    run(sheet, connection(service))
    failures = sheet.parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"b..b"', '"b.b"'), "utf-8")
    result = run(failures, connection(service))
    assert result.summary.statuses == {Status.CREATED: 2}
    lines = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [(line["sheet_row"], line["email"]) for line in lines] == [("2", "ann"), ("3", "b.b")]
    again = run(sheet, connection(service))
    assert again.summary.statuses == {Status.CREATED: 2}
    assert len(service.state.mailboxes) == 4


@pytest.mark.parametrize("domain", ["101", "acme-mail.example"])
@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize(("deleted", "kept", "number"), [("ann", "Ann", 2), ("Ann", "ann", 3)])
def test_a_duplicate_that_was_deleted_is_settled(
    sandbox: Any,
    connection: Any,
    run: Any,
    write_sheet: Any,
    listener: Any,
    *,
    domain: str,
    checked: bool,
    deleted: str,
    kept: str,
    number: int,
) -> None:
    """Of two rows for one mailbox one is deleted from the failures file, as its user is told to: nothing is left.

    That it still stands in the sheet is said, and is no reason to refuse it for ever. So it is however the domain is
    written, and when the file is checked before it is run. The row that was kept stays the one that was sent.
    """
    service = sandbox(**FAST)
    sheet = write_sheet([(name, domain, "201", f"Sheet-Pass-{name}-7!", "", "") for name in ("ann", "Ann", "b..b")])
    first = run(sheet, connection(service))
    assert first.summary.to_retry == 3
    failures = sheet.parent / "acme-run" / "failures.csv"
    lines = failures.read_text("utf-8-sig").splitlines(keepends=True)
    failures.write_text("".join(line for line in lines if not line.startswith(f'"{deleted}"')), "utf-8")
    if checked:
        assert running.check(failures, listener).summary.statuses == {Status.VALID: 1, Status.INVALID: 1}
    second = run(failures, connection(service))
    assert second.summary.statuses == {Status.CREATED: 1, Status.INVALID: 1}
    again = run(sheet, connection(service))
    assert again.summary.statuses == {Status.CREATED: 1, Status.INVALID: 1}
    assert ("note", f"Left out: row {number}.") in listener.heard
    assert not [note for (note,) in listener.all("note") if "another password" in note]
    assert next(iter(again.frame()["email"])) == kept


def test_an_older_failures_file_makes_no_second_mailbox_for_a_row(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """A row that was fixed and created is not fixed in another way from a file that does not know that.

    It is invalid, and says so; deleted as it says, it leaves nothing. A further mailbox has no place in the sheet.
    """
    service = sandbox(**FAST)
    sheet = write_sheet(
        [("ann", "101", "201", "Sheet-Pass-77!", "", ""), ("b..b", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    run(sheet, connection(service))
    failures = sheet.parent / "acme-run" / "failures.csv"
    old = failures.read_bytes()
    failures.write_bytes(old.replace(b'"b..b"', b'"b.b"'))
    assert run(failures, connection(service)).summary.statuses == {Status.CREATED: 2}
    failures.write_bytes(old.replace(b'"b..b"', b'"bb"'))
    assert run(failures, connection(service)).summary.statuses == {Status.CREATED: 2, Status.INVALID: 1}
    (line,) = read_csv(failures)
    told = "this corrects row 3 of the sheet, but that was sent since this file was written, as b.b@acme-mail.example; "
    assert line["error"].startswith(told)
    header, row = failures.read_bytes().splitlines(keepends=True)
    failures.write_bytes(header)
    assert run(failures, connection(service)).summary.statuses == {Status.CREATED: 2}
    failures.write_bytes(header + row.replace(b'"3","invalid"', b'"",""'))
    assert run(failures, connection(service)).summary.statuses == {Status.CREATED: 3}
    assert service.state.creates.keys() == {f"{name}@acme-mail.example" for name in ("ann", "b.b", "bb")}


def test_what_exists_already_is_told_apart_from_what_was_made(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """A mailbox of the service's list was there before: nothing is sent for it, so it costs nothing again."""
    service = sandbox(**FAST, paginated=True, page_size=2)
    sheet = write_sheet(
        [("info", "101", "201", "Sheet-Pass-77!", "", ""), ("ann", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    result = run(sheet, connection(service))
    assert result.summary.statuses == {Status.CREATED: 1, Status.EXISTS: 1}
    (line, _) = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert (line["address"], line["status"]) == ("info@acme-mail.example", "exists")
    assert service.state.creates.keys() == {"ann@acme-mail.example"}


@pytest.mark.slow
def test_lost_answers_make_no_second_mailbox(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """Connections cut after the work was done, and errors of every kind, end in each mailbox existing once."""
    service = sandbox(**FAST, lost_share=0.2, error_share=0.2, seed=3)
    sheet = write_sheet(60)
    result = run(sheet, connection(service), stop_after=0)
    while not all(status.done for status in result.summary.statuses):
        result = run(sheet, connection(service), stop_after=0)
    assert result.summary.statuses == {Status.CREATED: 60}
    assert len(service.state.mailboxes) == 62
    assert all(received.carried_out <= 1 for received in service.state.creates.values())


def test_a_list_that_cannot_be_had_leaves_rows_unknown(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """Without the service's list nothing in doubt is sent again; the row says why."""
    service = sandbox(**FAST, lost_share=1.0, no_listing=True)
    sheet = write_sheet(2)
    result = run(sheet, connection(service))
    assert result.summary.statuses == {Status.UNKNOWN: 2}
    again = run(sheet, connection(service))
    assert again.summary.requests.create == 0
    (line, _) = read_csv(sheet.parent / "acme-run" / "failures.csv")
    assert "could not be looked up" in line["error"]
    assert len(service.state.mailboxes) == 4


def test_tasks_that_do_not_end_are_followed_by_the_next_run(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any
) -> None:
    """The deadline leaves rows `unfinished`; the next run asks about the same task and sends nothing."""
    service = sandbox(latency=2.0, latency_spread=0.0)
    sheet = write_sheet(3)
    assert run(sheet, connection(service), task_timeout=0.1).summary.statuses == {Status.UNFINISHED: 3}
    result = run(sheet, connection(service))
    assert result.summary.statuses == {Status.CREATED: 3}
    assert result.summary.requests.create == 0


def test_a_copied_failures_file_finds_its_tasks(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """A failures file run in another folder knows its open tasks by the IDs it holds."""
    service = sandbox(latency=2.0, latency_spread=0.0)
    sheet = write_sheet(3)
    run(sheet, connection(service), task_timeout=0.1)
    (sheet.parent / "elsewhere").mkdir()
    copied = shutil.copy(sheet.parent / "acme-run" / "failures.csv", sheet.parent / "elsewhere" / "mine.csv")
    result = run(copied, connection(service))
    assert result.summary.statuses == {Status.CREATED: 3}
    assert result.summary.requests.create == 0


def test_what_another_version_of_the_program_began_can_be_finished_in_a_new_folder(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, tmp_path: Path
) -> None:
    """The failures file that the message names knows what was sent: nothing is sent twice."""
    service = sandbox(latency=1.0, latency_spread=0.0)
    sheet, folder = write_sheet(3), RunFolder(tmp_path / "acme-run")
    run(sheet, connection(service), task_timeout=0.1)
    with closing(sqlite3.connect(folder.journal)) as database:
        database.execute(f"PRAGMA user_version = {VERSION - 1}")
    with pytest.raises(RunFolderError, match="another version") as refused:
        run(sheet, connection(service))
    assert f"run the {folder.failures.name} beside it with --out and a new folder" in refused.value.remedy
    result = run(folder.failures, connection(service), sheet_options={"out": tmp_path / "acme-rest"})
    assert result.summary.statuses == {Status.CREATED: 3}
    assert result.summary.requests.create == 0


def test_a_refused_key_sends_nothing(sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any) -> None:
    """The key is tried before anything is sent; every row stays `unsent`, and both files are whole."""
    service = sandbox(**FAST)
    sheet = write_sheet(5)
    result = run(sheet, connection(service, api_key=Secret("wrong-key")))
    assert isinstance(result.stopped, KeyRefusedError)
    assert result.summary.statuses == {Status.UNSENT: 5}
    assert result.summary.requests.create == 0
    assert len(read_csv(sheet.parent / "acme-run" / "failures.csv")) == 5


def test_what_the_account_lacks_is_still_known_when_the_key_is_refused(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """Only the rows that are still as they were: the account may have what a changed one names."""
    service, cells = sandbox(**FAST), ("Sheet-Pass-77!", "", "")
    rows = [("ann", "101", "Mailgn", *cells), ("bob", "101", "999", *cells), ("eve", "101", "Mailgn", *cells)]
    sheet = write_sheet(rows)
    failures = sheet.parent / "acme-run" / "failures.csv"
    assert run(sheet, connection(service)).statuses == {Status.INVALID: 3}
    known = read_csv(failures)
    write_sheet([*rows[:2], ("eve", "101", "Mailgun", *cells)])
    result = run(sheet, connection(service, api_key=Secret("wrong-key")))
    assert isinstance(result.stopped, KeyRefusedError)
    now = read_csv(failures)
    assert now[:2] == known[:2]
    assert [line["status"] for line in now] == ["invalid", "invalid", "unsent"]
    write_sheet(rows[:2])
    assert isinstance(run(sheet, connection(service, api_key=Secret("wrong-key"))).stopped, KeyRefusedError)


def test_a_port_that_nothing_answers_on_is_told_at_once(connection: Any, run: Any, write_sheet: Any) -> None:
    """A wrong address is not waited for."""
    result = run(write_sheet(3), connection("http://127.0.0.1:9"))
    assert isinstance(result.stopped, ServiceDownError)
    assert "http://127.0.0.1:9" in result.stopped.message
    assert result.summary.seconds < 10


def test_a_web_page_is_not_the_service(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """HTML where data was expected is a wrong address, and nothing is sent to it."""
    result = run(write_sheet(3), connection(sandbox(**FAST, html_share=1.0, seed=1)))
    assert isinstance(result.stopped, (WrongServiceError, ServiceDownError))
    assert result.summary.statuses == {Status.UNSENT: 3}


def test_a_systematic_failure_stops_the_run(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """After so many failures with one cause the rest is not sent: it would fail too, and may cost money."""
    # Where projects are not listed, only the service can tell that there is no such project.
    service = sandbox(**FAST, no_projects=True)
    rows = [(f"user{n}", "101", "201", "Sheet-Pass-77!", "999", "") for n in range(60)]
    result = run(write_sheet(rows), connection(service), stop_after=10, workers=2)
    assert isinstance(result.stopped, SameFailureError)
    assert result.summary.statuses[Status.REJECTED] < 15
    assert result.summary.statuses[Status.UNSENT] > 40


def test_a_trial_run_sends_the_first_rows_only(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """`--limit` takes the first ready rows; the next run takes the rest."""
    service = sandbox(**FAST)
    sheet = write_sheet(10)
    assert run(sheet, connection(service), limit=3).summary.statuses == {Status.CREATED: 3, Status.UNSENT: 7}
    assert service.state.creates.keys() == {f"user000{n}@acme-mail.example" for n in range(3)}
    assert run(sheet, connection(service)).summary.statuses == {Status.CREATED: 10}
    assert len(service.state.mailboxes) == 12


def test_generated_passwords_are_shown_where_they_are_needed(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """Only rows without a password get one; it is in results.csv, and is what the service was sent."""
    service = sandbox(**FAST)
    sheet = write_sheet([("ann", "101", "201", "", "", ""), ("bob", "101", "201", "Sheet-Pass-77!", "", "")])
    run(sheet, connection(service), sheet_options={"generate_passwords": True})
    ann, bob = read_csv(sheet.parent / "acme-run" / "results.csv")
    made = {mailbox.username: mailbox.password for mailbox in service.state.mailboxes}
    assert ann["password"] == made["ann"]
    assert len(made["ann"]) >= 12
    assert (bob["password"], made["bob"]) == ("", "Sheet-Pass-77!")


def test_a_check_sends_nothing_and_a_run_goes_on_from_it(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """`check` says which rows could be created; done rows keep their status."""
    service = sandbox(**FAST)
    sheet = write_sheet(
        [("ann", "101", "201", "Sheet-Pass-77!", "", ""), ("b b", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    checked = running.check(sheet, listener)
    assert checked.summary.statuses == {Status.VALID: 1, Status.INVALID: 1}
    assert run(sheet, connection(service)).summary.statuses == {Status.CREATED: 1, Status.INVALID: 1}
    again = running.check(sheet, listener)
    assert again.summary.statuses == {Status.CREATED: 1, Status.INVALID: 1}


def test_columns_that_are_not_used_are_named(write_sheet: Any, listener: Any) -> None:
    """What stands under them is not sent, which nobody should learn later; our own columns are no news."""
    sheet = write_sheet(1)
    lines = sheet.read_text("utf-8").splitlines()
    sheet.write_text("\n".join([f"{lines[0]},Owner,,Return Address", f"{lines[1]},Ann,,"]), "utf-8")
    running.check(sheet, listener)
    running.check(write_sheet(1, name="b.csv"), listener)
    assert listener.all("note") == [("Ignored columns: Owner, Return Address.",)]


def test_a_warning_that_many_rows_have_is_told_once(tmp_path: Path, listener: Any) -> None:
    """With the first cells that have it, and the number of the others."""
    sheet = tmp_path / "acme.csv"
    rows = "".join(f"{number},101,201,Sheet-Pass-77!\n" for number in range(1000, 1005))
    sheet.write_text(f"email,domain,relay_server,password\n{rows}")
    running.check(sheet, listener)
    ((note,),) = listener.all("note")
    assert note.startswith("A2, A3 and 3 more: “…” is all digits; ")


def test_a_second_run_in_one_folder_is_told_so(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """Two runs never work in one folder at once."""
    sheet = write_sheet(1)
    with hold(RunFolder(sheet.parent / "acme-run")), pytest.raises(RunFolderError, match="Another run"):
        run(sheet, connection(sandbox(**FAST)))


def test_practice_is_never_taken_for_the_real_thing(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """A folder of a practice run is refused for a run against the service: what is done there is not done here."""
    sheet = write_sheet(1)
    run(sheet, connection(sandbox(**FAST)))
    with pytest.raises(RunFolderError, match="needs another folder"):
        run(sheet, connection("https://api.example.org"))


@pytest.mark.parametrize(
    "answer",
    [None, reply(403, {"detail": "Invalid key."}), reply(200, b"<html>"), reply(404, {"detail": "Not found."})],
    ids=["silence", "refused key", "web page", "nothing known"],
)
def test_a_wrong_address_claims_no_folder(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, answer: bytes | None
) -> None:
    """It was mistyped, or is the one of another key: with the right address the folder is as good as new."""
    sheet = write_sheet(2)
    with closing(Scripted(answer or CUT)) as wrong:
        if answer is None:
            wrong.close()
        stopped = run(sheet, connection(wrong.url), confirm=lambda _: False)
        assert stopped.summary.statuses == {Status.UNSENT: 2}
    assert run(sheet, connection(sandbox(**FAST))).summary.statuses == {Status.CREATED: 2}


def test_a_folder_is_the_services_that_creates_were_sent_to(connection: Any, run: Any, write_sheet: Any) -> None:
    """Even if that told nothing and refused every row."""
    sheet = write_sheet(1)

    def answer(said: str) -> bytes:
        return reply(400, {"email": ["No."]}) if said.startswith("POST") else reply(404, {"detail": "Not found."})

    with closing(Scripted(answer)) as service:
        assert run(sheet, connection(service.url)).summary.statuses == {Status.REJECTED: 1}
    with pytest.raises(RunFolderError, match="needs another folder"):
        run(sheet, connection("https://api.example.org"))


@pytest.mark.parametrize(("path", "told"), [("userinfo", {"name": "Agency"}), ("domains", [{"id": 101}])])
def test_a_folder_is_the_services_that_told_something_of_the_account(
    connection: Any, run: Any, write_sheet: Any, server: Any, path: str, told: Any
) -> None:
    """Even if nothing was sent: what the account lacks stands in the folder's files."""
    sheet = write_sheet(1)
    service = server(lambda said: reply(200, told) if f"/{path}/" in said else reply(404, {"detail": "Not found."}))
    run(sheet, connection(service.url), confirm=lambda _: False)
    with pytest.raises(RunFolderError, match="needs another folder"):
        run(sheet, connection("https://api.example.org"))


def test_practice_that_had_nothing_to_ask_is_practice(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any
) -> None:
    """Its folder is free for the real run, and what it tells of itself still says that it was for practice."""
    sheet = write_sheet([("b..b", "101", "201", "Sheet-Pass-77!", "", "")])
    result = run(sheet, connection(sandbox(**FAST)))
    assert (result.summary.practice, result.summary.statuses) == (True, {Status.INVALID: 1})
    assert not run(sheet, connection("https://api.example.org")).summary.practice


def test_corrections_that_nobody_ran_are_kept(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """Running the sheet again replaces failures.csv, but never an edited one: that is set aside, and told."""
    service = sandbox(**FAST)
    sheet = write_sheet([("b..b", "101", "201", "Sheet-Pass-77!", "", "")])
    run(sheet, connection(service))
    failures = sheet.parent / "acme-run" / "failures.csv"
    run(sheet, connection(service))
    assert not list(failures.parent.glob("failures-edited-*"))
    edited = failures.read_text("utf-8-sig").replace('"b..b"', '"b.b"')
    failures.write_text(edited, "utf-8")
    run(sheet, connection(service))
    (kept,) = failures.parent.glob("failures-edited-*.csv")
    assert kept.read_text("utf-8") == edited
    assert any(str(kept) in sentence for (sentence,) in listener.all("note"))


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0], ids=["forward", "back"])
def test_a_clock_that_jumps_sends_nothing_too_early(
    sandbox: Any, connection: Any, write_sheet: Any, listener: Any, jump: float
) -> None:
    """The wall clock may be set in the middle of a run: rows in doubt still wait, and no longer than they should."""
    service = sandbox(**FAST, error_share=0.3, seed=1)

    def wall_clock() -> float:
        # The rows are looked up before they are sent, and again when some have no clear answer.
        looked_up = sum(request.kind == "mailboxes" for request in service.state.requests)
        return time.time() + (jump if looked_up > 1 else 0.0)

    how = RunOptions(look_up_after=1.0, stop_after=0)
    to = connection(service, rates=(Rate(100, 1.0),))
    result = running.run(write_sheet(10), to, listener, how, wall_clock=wall_clock)
    assert result.summary.statuses == {Status.CREATED: 10}
    assert result.summary.seconds < 30
    assert all(received.carried_out == 1 for received in service.state.creates.values())
    creates = [request for request in service.state.requests if request.kind == "create"]
    assert creates[10].at - max(request.at for request in creates if request.status >= 500) >= 1.0


@pytest.mark.slow
def test_the_rate_is_found_told_shown_and_remembered(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """Told nothing, a run finds the service's limit; people, run.log, the report and the next run know of it."""
    service = sandbox(**{**FAST, "throttle": "3/s"})
    result = run(write_sheet(12), connection(service, rates=AutoRate()))
    assert result.summary.statuses == {Status.CREATED: 12}
    assert result.summary.requests.throttled <= 5
    told = [note for (note,) in listener.all("note") if "requests a second" in note]
    assert told
    assert all(note.startswith("The service takes about ") for note in told)
    folder = Path(result.summary.run_folder)
    assert told[0] in (folder / "run.log").read_text("utf-8")
    assert "requests a second" in (folder / "report.html").read_text("utf-8")
    with closing(Journal(folder / "journal.sqlite3")) as journal:
        assert journal.fact("rate") == str(result.summary.rate)


def test_a_run_begins_at_the_rate_that_its_folder_remembers(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any
) -> None:
    """A second run in a folder goes on, and says how long it takes at the rate that the first one found."""
    service, sheet = sandbox(**FAST), write_sheet(6)
    folder = Path(run(sheet, connection(service), limit=2).summary.run_folder)
    with closing(Journal(folder / "journal.sqlite3")) as journal:
        journal.set_fact("rate", "600/min")
    seconds = []

    def confirm(preview: Any) -> bool:
        seconds.append(preview.seconds)
        return True

    result = run(sheet, connection(service, rates=AutoRate()), limit=2, confirm=confirm)
    assert result.summary.statuses == {Status.CREATED: 4, Status.UNSENT: 2}
    assert seconds == [pytest.approx(0.4, abs=0.1)]


def test_a_pause_that_another_run_caused_is_told(
    sandbox: Any, connection: Any, write_sheet: Any, listener: Any
) -> None:
    """Runs share the pauses of one account; the one that begins in a pause says what it waits for."""
    to = connection(sandbox(**FAST))

    async def paused_run() -> None:
        limiter = RateLimiter(to.rates)
        limiter.pause(1.0)
        options = SheetOptions(sheet=write_sheet(1))
        await pipeline.run(options, RunOptions(), lambda _: nullcontext(to), listener, limiter=limiter)

    anyio.run(paused_run)
    assert listener.all("paused") == [(pytest.approx(0.6, abs=0.5), "the service asked us to wait")]


def test_a_trial_run_counts_rows_in_doubt(sandbox: Any, connection: Any, run: Any, write_sheet: Any) -> None:
    """`--limit` bounds what may be made, rows in doubt among it, and the question tells both numbers."""
    broken = sandbox(**FAST, lost_share=1.0, no_listing=True)
    sheet = write_sheet(6)
    first = run(sheet, connection(broken), limit=3)
    assert first.summary.statuses[Status.UNKNOWN] == 3
    asked = []
    service = sandbox(**FAST)

    def confirm(preview: Any) -> bool:
        asked.append((preview.to_send, preview.to_look_up, preview.beyond_limit))
        return True

    run(sheet, connection(service), limit=4, confirm=confirm)
    assert asked == [(1, 3, 2)]
    assert sum(received.received for received in service.state.creates.values()) == 4


def test_corrections_made_during_a_run_are_kept(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """Whoever mends failures.csv while the run goes on finds the mended file beside the new one."""
    service = sandbox(latency=1.0, latency_spread=0.0)
    sheet = write_sheet(
        [("b..b", "101", "201", "Sheet-Pass-77!", "", ""), ("ann", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    failures = sheet.parent / "acme-run" / "failures.csv"

    def confirm(_: Any) -> bool:
        failures.write_text(failures.read_text("utf-8-sig").replace('"b..b"', '"b.b"'), "utf-8")
        return True

    run(sheet, connection(service), confirm=confirm)
    (kept,) = failures.parent.glob("failures-edited-*.csv")
    assert '"b.b"' in kept.read_text("utf-8")
    assert any(str(kept) in sentence for (sentence,) in listener.all("note"))


def test_trouble_with_the_journal_while_files_are_refreshed_ends_the_run_gently(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in flight is recorded, and the files are written in the end: an error of the refresher halts, no more."""
    service = sandbox(**FAST)
    calls = 0
    write = write_files

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise JournalError("The journal cannot be read.")
        return write(*arguments, **options)

    # No fault of the disk strikes this one moment by itself.
    monkeypatch.setattr(run_record, "write", failing)
    result = run(write_sheet(100), connection(service, rates=(Rate(40, 1.0),)), refresh=0.3)
    assert isinstance(result.stopped, JournalError)
    assert result.summary.statuses[Status.UNSENT] > 50
    assert Status.UNKNOWN not in result.summary.statuses


def cells_by_sheet_row(path: Path, read_csv: Any) -> dict[str, tuple[str, str]]:
    return {line["sheet_row"]: (line["email"], line["password"]) for line in read_csv(path)}


def test_mended_rows_survive_every_check(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """Whoever mends failures.csv row by row, checking in between, loses no row and no cell, and makes every mailbox."""
    rows = [(f"user{n}", "101", "201", "Sheet-Pass-77!", "", "") for n in range(3)]
    sheet = write_sheet(
        [*rows, ("frail.one", "102", "202", "weak-one", "", ""), ("frail.two", "102", "202", "weak2", "", "")]
    )
    failures = sheet.parent / "acme-run" / "failures.csv"
    running.check(sheet, listener)
    for broken, mended in (("weak-one", "Better-Pass-1!"), ("weak2", "Better-Pass-2!")):
        failures.write_text(failures.read_text("utf-8-sig").replace(broken, mended), "utf-8")
        running.check(failures, listener)
    assert cells_by_sheet_row(failures, read_csv) == {
        "5": ("frail.one", "Better-Pass-1!"),
        "6": ("frail.two", "Better-Pass-2!"),
    }
    service = sandbox(**FAST)
    result = run(failures, connection(service))
    assert result.summary.statuses == {Status.CREATED: 2, Status.UNSENT: 3}
    assert result.summary.to_retry == 0
    assert result.summary.original == str(sheet)
    assert run(sheet, connection(service)).summary.statuses == {Status.CREATED: 5}
    made = {mailbox.username: mailbox.password for mailbox in service.state.mailboxes}
    assert (made["frail.one"], made["frail.two"]) == ("Better-Pass-1!", "Better-Pass-2!")


def test_rows_whose_cells_could_not_be_told_apart_keep_their_places(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """However often they are checked before they are mended, though nothing is shown to know them by."""
    rows = ["Sheet,Pass-77!,ann,101,201", "Sheet-Pass-77!,eve,102,201", "Ab,c,bob,,"]
    sheet = write_sheet(2)
    sheet.write_text("\n".join(["password,email,domain,relay_server", *rows]), encoding="utf-8")
    failures = sheet.parent / "acme-run" / "failures.csv"
    results = sheet.parent / "acme-run" / "results.csv"
    for path in (sheet, failures, failures):
        running.check(path, listener)
        assert [line["sheet_row"] for line in read_csv(results)] == ["2", "3", "4"]
        assert [line["sheet_row"] for line in read_csv(failures)] == ["2", "4"]
    text = failures.read_text("utf-8-sig")
    text = text.replace('"Sheet","Pass-77!","ann","101[unclear]201"', '"Sheet,Pass-77!",ann,101,201')
    failures.write_text(text, encoding="utf-8")
    service = sandbox(**FAST)
    assert run(failures, connection(service)).summary.statuses == {
        Status.CREATED: 1,
        Status.INVALID: 1,
        Status.UNSENT: 1,
    }
    assert [line["email"] for line in read_csv(results)] == ["ann", "eve", ""]
    assert [mailbox.password for mailbox in service.state.mailboxes][-1] == "Sheet,Pass-77!"


def test_a_mailbox_that_is_written_in_several_ways_names_its_other_rows(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """One row, or several rows."""
    cells = ("201", "Sheet-Pass-77!", "", "")
    twice = [("ann", "101", *cells), ("ann", "acme-mail.example", *cells)]
    thrice = [("eve", "101", *cells), ("eve", "acme-mail.example", *cells), ("EVE", "ACME-mail.example", *cells)]
    sheet = write_sheet([*twice, *thrice])
    run(sheet, connection(sandbox(**FAST)))
    errors = [line["error"] for line in read_csv(sheet.parent / "acme-run" / "results.csv")]
    assert "the same mailbox as in row 3;" in errors[0]
    assert "the same mailbox as in rows 5, 6;" in errors[2]


def test_what_a_comma_may_have_cut_off_a_password_is_not_looked_up(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any
) -> None:
    """The sentence that the account has no such project would show it."""
    sheet = write_sheet([("ann", "101", "201", "Sheet", "Pass-77!", "")])
    result = run(sheet, connection(sandbox(**FAST)))
    assert result.summary.statuses == {Status.INVALID: 1}
    assert "Pass-77!" not in str(result)


def test_in_a_workbook_everything_right_of_a_faulty_password_is_told_and_kept(
    sandbox: Any, connection: Any, run: Any, tmp_path: Path, read_csv: Any
) -> None:
    """No delimiter can have cut a password there: the first run tells all faults, and every row keeps its client."""
    service, sheet, folder = sandbox(**FAST), tmp_path / "v.xlsx", tmp_path / "v-run"
    with xlsxwriter.Workbook(sheet) as book:
        page = book.add_worksheet()
        header = ("email", "domain", "relay_server", "password", "project", "reply_to", "Client")
        page.write_row(0, 0, header)
        page.write_row(1, 0, ("ann", 101, 201, "Sheet-Pass-77!", "", "", "Hartwell"))
        page.write_row(2, 0, ("bob", 101, 201, "weak", "Nowhere", "n o", "Hartwell"))
    run(sheet, connection(service))
    bob = read_csv(folder / "results.csv")[1]
    assert all(said in bob["error"] for said in ("D3: ", "has no project “Nowhere”", "“n o”"))
    assert (bob["project"], bob["reply_to"], bob["Client"]) == ("Nowhere", "n o", "Hartwell")
    failures = folder / "failures.csv"
    fixed = failures.read_text("utf-8-sig").replace("weak", "Fixed-Pass-1!").replace("Nowhere", "").replace("n o", "")
    failures.write_text(fixed.replace('"Hartwell"', '"Hartwell West"'), "utf-8")
    assert run(failures, connection(service)).statuses == {Status.CREATED: 2}
    assert run(sheet, connection(service)).statuses == {Status.CREATED: 2}
    assert [line["Client"] for line in read_csv(folder / "results.csv")] == ["Hartwell", "Hartwell West"]


def test_a_workbooks_uncertain_row_stays_as_it_is_shown_when_its_failures_are_run_unchanged(
    tmp_path: Path, read_csv: Any, listener: Any
) -> None:
    """Read again, it is not certain any more which of its cells are: none is shown anew, none is lost."""
    sheet, folder = tmp_path / "v.xlsx", tmp_path / "v-run"
    with xlsxwriter.Workbook(sheet) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ("email", "domain", "relay_server", "password", "Client"))
        page.write_row(1, 0, ("ann", "101", "201", "Sheet-Pass-77!", "Hartwell"))
        page.write_row(2, 0, ("bob", "101", "201", 12345678, "Moss"))
        page.set_row(1, None, None, {"hidden": True})
    shown = []
    for path in (sheet, folder / "failures.xlsx", folder / "failures.csv"):
        running.check(path, listener)
        shown.append([{**line, "error": ""} for line in read_csv(folder / "results.csv")])
    assert [(line["email"], line["Client"]) for line in shown[0]] == [("[unclear]ann", "Hartwell"), ("bob", "Moss")]
    assert shown[0] == shown[1] == shown[2]


def test_a_corrected_row_keeps_its_cells_when_its_text_file_is_run_again(
    sandbox: Any, connection: Any, run: Any, tmp_path: Path, read_csv: Any
) -> None:
    """Neither a faulty password nor a cut row takes the client from a mailbox that exists."""
    service, sheet, folder = sandbox(**FAST), tmp_path / "v.csv", tmp_path / "v-run"
    sheet.write_text(
        "email,domain,relay_server,password,Client\nann,101,201,weak,Moss\nbob,101,201,a,b,Moss\n", "utf-8"
    )
    run(sheet, connection(service))
    assert [line["Client"] for line in read_csv(folder / "results.csv")] == ["", ""]
    failures = folder / "failures.csv"
    fixed = failures.read_text("utf-8-sig").replace('"weak"', '"Fixed-Pass-1!"')
    failures.write_text(fixed.replace('"a","b[unclear]Moss"', '"Fixed-Pass-2!","Moss"'), "utf-8")
    assert run(failures, connection(service)).statuses == {Status.CREATED: 2}
    assert run(sheet, connection(service)).statuses == {Status.CREATED: 2}
    assert [line["Client"] for line in read_csv(folder / "results.csv")] == ["Moss", "Moss"]


def test_a_mended_row_that_failed_is_not_undone_by_running_the_sheet(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """The record keeps the correction in its place, and the file that alone holds it is kept."""
    sheet = write_sheet(
        [("ann", "101", "201", "Sheet-Pass-77!", "", ""), ("b..b", "101", "201", "Sheet-Pass-77!", "", "")]
    )
    failing, service = sandbox(**FAST, fail_share=1.0), sandbox(**FAST)
    run(sheet, connection(service))
    failures = sheet.parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"b..b"', '"b.b"'), "utf-8")
    run(failures, connection(failing))
    result = run(sheet, connection(service))
    assert result.summary.statuses == {Status.CREATED: 1, Status.FAILED: 1}
    lines = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [(line["sheet_row"], line["email"]) for line in lines] == [("2", "ann"), ("3", "b.b")]
    (kept,) = failures.parent.glob("failures-edited-*.csv")
    assert result.summary.kept == run(sheet, connection(service)).summary.kept == str(kept)
    assert [*failures.parent.glob("failures-edited-*.csv")] == [kept], "the new failures.csv holds no fix"
    assert run(kept, connection(service)).summary.statuses == {Status.CREATED: 2}


def test_a_password_fixed_in_a_failures_file_is_in_results(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """No other file holds it: the record does, the run of the sheet says so, and the sheet's own are not repeated."""
    service = sandbox(**FAST)
    sheet = write_sheet([("ann", "101", "201", "weak", "", ""), ("bob", "101", "201", "Sheet-Pass-77!", "", "")])
    run(sheet, connection(service))
    failures = sheet.parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"weak"', '"Fixed-Pass-1!"'), "utf-8")
    assert run(failures, connection(service)).statuses == {Status.CREATED: 2}
    results = sheet.parent / "acme-run" / "results.csv"
    assert [(line["email"], line["password"]) for line in read_csv(results)] == [("ann", "Fixed-Pass-1!"), ("bob", "")]
    assert run(sheet, connection(service)).statuses == {Status.CREATED: 2}
    told = "another password than this sheet: ann (row 2). A mailbox keeps the one that it was created with: it is in "
    told += "results.csv if a failures file held it, else write it into the sheet again."
    assert any(told in note for (note,) in listener.all("note"))
    journal = (sheet.parent / "acme-run" / "journal.sqlite3").read_bytes()
    assert b"Sheet-Pass-77!" not in journal


def test_a_password_that_was_changed_while_its_mailbox_is_unconfirmed_is_told(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """The answer to the create was lost: whether the mailbox has the old password is known once it is looked up."""
    service = sandbox(**FAST, lost_share=1.0, no_listing=True)
    for password in ("Sheet-Pass-77!", "Other-Pass-77!"):
        assert not [note for (note,) in listener.all("note") if "another password" in note]
        run(write_sheet([("ann", "101", "201", password, "", "")]), connection(service), look_up_after=0.0)
    told = "1 row was sent with another password than this file has now: ann (row 2). Each is looked up first"
    assert any(told in note for (note,) in listener.all("note"))


def test_a_mailbox_that_left_the_sheet_is_told_before_more_are_created(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """A username that was changed in the sheet makes a further mailbox, which costs money: it may be a slip.

    It is said as long as something is to be sent, since a check may have said it before; not of a failures file, which
    holds a part of the rows.
    """
    service, good = sandbox(**FAST), ("101", "201", "Sheet-Pass-77!", "", "")
    run(write_sheet([("ann", *good), ("b b", *good)]), connection(service))
    told = "1 mailbox of an earlier run is not in this sheet any more: ann@acme-mail.example. If you changed a username"

    def is_told() -> bool:
        notes = [note for (note,) in listener.all("note")]
        listener.heard.clear()
        return any(told in note for note in notes)

    failures = write_sheet([]).parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"b b"', '"bob"'), "utf-8")
    assert (run(failures, connection(service)).statuses, is_told()) == ({Status.CREATED: 2}, False)
    sheet = write_sheet([("anna", *good), ("bob", *good)])
    for _ in range(2):
        running.check(sheet, listener)
        assert is_told()
    run(sheet, connection(service))
    assert is_told()
    run(sheet, connection(service))
    assert not is_told(), "nothing is sent"


@pytest.mark.parametrize("status", [Status.UNFINISHED, Status.UNKNOWN])
def test_a_mailbox_that_may_exist_and_left_the_sheet_is_told_too(
    connection: Any, run: Any, write_sheet: Any, listener: Any, server: Any, status: Status
) -> None:
    """It was sent: with another username in its row there would be two."""
    created = {Status.UNFINISHED: reply(201, {"task_id": "t"}), Status.UNKNOWN: reply(500, {})}[status]
    answers = {"POST /api/mailboxes/": created, "GET /api/mailboxes/": reply(200, [])}

    def answer(said: str) -> bytes:
        return answers.get(" ".join(said.split()[:2]), reply(404, {"detail": "Not found."}))

    good = ("101", "201", "Sheet-Pass-77!", "", "")
    result = run(write_sheet([("ann", *good)]), connection(server(answer).url), task_timeout=0.2, look_up_after=0.1)
    assert result.summary.statuses == {status: 1}
    running.check(write_sheet([("anna", *good)]), listener)
    told = "1 mailbox of an earlier run is not in this sheet any more: ann. If you changed a username"
    assert any(told in note for (note,) in listener.all("note"))


def test_the_sheets_further_columns_stand_at_the_end_of_results(
    sandbox: Any, connection: Any, run: Any, tmp_path: Path, read_csv: Any
) -> None:
    """As they are, for every row, also after a run of the failures file, which is about a part of the rows."""
    service = sandbox(**FAST)
    sheet = tmp_path / "acme.csv"
    header = "Client,email,domain,relay_server,password,Start,notes"
    sheet.write_text(
        f"{header}\nHartwell,ann,101,201,Sheet-Pass-77!,007, =1+1\nMoss,b..b,101,201,Sheet-Pass-77!,4-Mar,x\n", "utf-8"
    )
    run(sheet, connection(service))
    failures = tmp_path / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace("b..b", "b.b").replace("4-Mar", "45720"), "utf-8")
    result = run(failures, connection(service))
    assert result.statuses == {Status.CREATED: 2}
    frame = result.frame()
    assert list(frame.columns[-3:]) == ["Client", "Start", "notes"]
    assert frame[["email", "Client", "Start", "notes"]].to_numpy().tolist() == [
        ["ann", "Hartwell", "007", " =1+1"],
        ["b.b", "Moss", "4-Mar", "x"],
    ]


def test_a_workbooks_failures_are_to_be_fixed_in_a_workbook(
    sandbox: Any, connection: Any, run: Any, tmp_path: Path
) -> None:
    """Whoever works with a workbook is named one, also after a run of the text file."""
    service = sandbox(**FAST)
    sheet = tmp_path / "acme.xlsx"
    with xlsxwriter.Workbook(sheet) as book:
        page = book.add_worksheet()
        for number, row in enumerate(
            [("email", "domain", "relay_server", "password"), ("b..b", 101, 201, "Sheet-Pass-77!")]
        ):
            page.write_row(number, 0, row)
    folder = tmp_path / "acme-run"
    assert run(sheet, connection(service)).summary.to_fix == str(folder / "failures.xlsx")
    assert run(folder / "failures.csv", connection(service)).summary.to_fix == str(folder / "failures.xlsx")
    assert run(folder / "failures.xlsx", connection(service)).summary.to_fix == str(folder / "failures.xlsx")


def test_what_existed_before_says_so_in_results(
    sandbox: Any, connection: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """Its password may be another than the sheet's: nobody learns that from the word “exists”."""
    sheet = write_sheet([("info", "101", "201", "Sheet-Pass-77!", "", "")])
    result = run(sheet, connection(sandbox(**FAST)))
    assert result.statuses == {Status.EXISTS: 1}
    assert result.summary.existing == ("info@acme-mail.example",)
    (line,) = read_csv(result.results)
    assert line["error"] == "it already existed, so its password may not be the one in your sheet"
