"""Sheets that write names instead of IDs, from the sheet to the service and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import running

from provisioner.records import Status
from provisioner.secret import Secret
from provisioner.settings import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provisioner.result import RunResult

FAST = {"latency": 0.02, "latency_spread": 0.0}
PASSWORD = "Sheet-Pass-77!"


@pytest.fixture
def run(connection: Any, listener: Any) -> Callable[..., RunResult]:
    def start(sheet: Path, service: Any, **options: Any) -> RunResult:
        return running.run(sheet, connection(service, **options), listener, RunOptions(look_up_after=0.2))

    return start


def rows(*cells: tuple[str, str] | tuple[str, str, str] | tuple[str, str, str, str]) -> list[tuple[str, ...]]:
    """Rows of username, domain, relay server and project."""
    full = [(*row, *("201", "")[len(row) - 2 :]) for row in cells]
    return [(email, domain, relay, PASSWORD, project, "") for email, domain, relay, project in full]


def test_names_are_sent_as_ids_and_the_record_has_the_address(
    sandbox: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """Names of domain, relay server and project, and a full address of the row's own domain, are all understood."""
    service = sandbox(**FAST)
    sheet = write_sheet(
        rows(
            ("ann", "acme-mail.example", "Mailgun", "Spring campaign"),
            ("bob@acme-outreach.example", "102"),
            ("cid@acme-news.example", "acme-news.example"),
        )
    )
    assert run(sheet, service).summary.statuses == {Status.CREATED: 3}
    made = {mailbox.address: mailbox for mailbox in service.state.mailboxes}
    ann = made["ann@acme-mail.example"]
    assert (ann.domain, ann.relay_server, ann.project) == (101, 202, 789)
    results = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [(line["email"], line["domain"], line["address"]) for line in results] == [
        ("ann", "101", "ann@acme-mail.example"),
        ("bob", "102", "bob@acme-outreach.example"),
        ("cid", "103", "cid@acme-news.example"),
    ]


def test_what_the_account_lacks_is_never_sent(sandbox: Any, run: Any, write_sheet: Any, read_csv: Any) -> None:
    """Unknown IDs, names, unverified domains and foreign addresses are `invalid`, with every fault of the row."""
    service = sandbox(**FAST)
    sheet = write_sheet(
        rows(
            ("ann", "104"),
            ("bob", "no-such.example", "Mailgum", "Sprign campaign"),
            ("cid@other.example", "101"),
            ("dan", "101"),
        )
    )
    assert run(sheet, service).summary.statuses == {Status.CREATED: 1, Status.INVALID: 3}
    errors = [line["error"] for line in read_csv(sheet.parent / "acme-run" / "failures.csv")]
    assert "B2: domain 104 (acme-pending.example) is not verified yet" in errors[0]
    assert all(part in errors[1] for part in ("B3: ", "C3: ", "202 (Mailgun)", "E3: ", "789 (Spring campaign)"))
    assert (
        "A4: “cid@other.example” is no address of the row's domain 101 (acme-mail.example); write only “cid” here"
        in errors[2]
    )
    assert len(service.state.creates) == 1


def test_a_row_is_the_same_by_id_by_name_and_by_address(
    sandbox: Any, run: Any, write_sheet: Any, listener: Any
) -> None:
    """Written in another way, a row that is done stays done: in a run, in a check, and without the service."""
    service = sandbox(**FAST)
    ways = [("ann", "101"), ("ann", "acme-mail.example"), ("ann@acme-mail.example", "acme-mail.example")]
    for way in (*ways, ways[0]):
        sheet = write_sheet(rows(way))
        assert run(sheet, service).summary.statuses == {Status.CREATED: 1}
        assert running.check(sheet, listener).summary.statuses == {Status.CREATED: 1}
        away = run(sheet, "http://127.0.0.1:9", practice=True)
        assert (away.summary.statuses, away.stopped) == ({Status.CREATED: 1}, None)
    assert len(service.state.creates) == 1


def test_one_mailbox_written_twice_differently_is_never_sent(
    sandbox: Any, run: Any, write_sheet: Any, read_csv: Any
) -> None:
    """The row with the ID and the row with the name are each told of the other."""
    service = sandbox(**FAST)
    sheet = write_sheet(rows(("ann", "101"), ("ben", "101"), ("Ann", "acme-mail.example")))
    assert run(sheet, service).summary.statuses == {Status.CREATED: 1, Status.INVALID: 2}
    first, second = read_csv(sheet.parent / "acme-run" / "failures.csv")
    assert ("row 4" in first["error"], "row 2" in second["error"]) == (True, True)
    assert run(sheet, service).summary.statuses == {Status.CREATED: 1, Status.INVALID: 2}


def test_a_check_takes_names_and_a_run_goes_on_from_it(
    sandbox: Any, run: Any, write_sheet: Any, listener: Any, read_csv: Any
) -> None:
    """Offline a name breaks no rule; the run that follows makes one line of it, not two."""
    service = sandbox(**FAST)
    sheet = write_sheet(rows(("ann", "acme-mail.example"), ("bob@acme-mail.example", "101"), ("cid", "101", "Nope")))
    assert running.check(sheet, listener).summary.statuses == {Status.VALID: 3}
    assert run(sheet, service).summary.statuses == {Status.CREATED: 2, Status.INVALID: 1}
    assert len(read_csv(sheet.parent / "acme-run" / "results.csv")) == 3


def test_names_wait_where_the_key_is_refused(sandbox: Any, run: Any, write_sheet: Any) -> None:
    """Rows that only the service can understand are `unsent` when it cannot be asked, and sent by the next run."""
    service = sandbox(**FAST)
    sheet = write_sheet(rows(("ann", "acme-mail.example"), ("bob", "101")))
    assert run(sheet, service, api_key=Secret("wrong")).summary.statuses == {Status.UNSENT: 2}
    assert run(sheet, service).summary.statuses == {Status.CREATED: 2}


def test_a_failures_file_with_names_goes_back_in(sandbox: Any, run: Any, write_sheet: Any, read_csv: Any) -> None:
    """A row whose domain's name was mistyped is mended in the failures file and takes its own place."""
    service = sandbox(**FAST)
    sheet = write_sheet(rows(("ann", "acme-mial.example"), ("bob", "acme-mail.example")))
    run(sheet, service)
    failures = sheet.parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"ann","acme-mial', '"ann","acme-mail'), "utf-8")
    assert run(failures, service).summary.statuses == {Status.CREATED: 2}
    assert [line["sheet_row"] for line in read_csv(failures.parent / "results.csv")] == ["2", "3"]
    assert run(sheet, service).summary.statuses == {Status.CREATED: 2}
    assert len(service.state.mailboxes) == 4


def test_a_list_of_full_addresses_needs_no_column_of_domains(
    sandbox: Any, run: Any, tmp_path: Path, read_csv: Any
) -> None:
    """The domain is the address's own as long as the account has it, and a correction goes back in the same way."""
    service = sandbox(**FAST)
    sheet = tmp_path / "acme.csv"
    lines = ("ann@acme-mail.example", "bob@ACME-outreach.example", "cid@no-such.example")
    sheet.write_text("email,relay_server,password\n" + "".join(f"{line},201,{PASSWORD}\n" for line in lines))
    before = len(service.state.mailboxes)
    assert run(sheet, service).summary.statuses == {Status.CREATED: 2, Status.INVALID: 1}
    made = {mailbox.address: mailbox.domain for mailbox in service.state.mailboxes}
    assert (made["ann@acme-mail.example"], made["bob@acme-outreach.example"]) == (101, 102)
    failures = sheet.parent / "acme-run" / "failures.csv"
    (row,) = read_csv(failures)
    assert "the account has no domain “no-such.example”" in row["error"]
    text = failures.read_text("utf-8-sig").replace("cid@no-such.example", "cid@acme-news.example")
    failures.write_text(text, "utf-8")
    assert run(failures, service).summary.statuses == {Status.CREATED: 3}
    assert len(service.state.mailboxes) == before + 3
