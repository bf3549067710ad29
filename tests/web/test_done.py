"""What a run is left with at the page: its result, its files, its log-ins."""

from __future__ import annotations

import csv
import io
import re
import socket
import tempfile
import time
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
import running
import xlsxwriter
from sites import Site, until

from provisioner.records import Rate, Status
from provisioner.result import recall
from provisioner.run_folder import hold
from provisioner.settings import VerifyOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = {"latency": 0.02, "latency_spread": 0.0}
HOSTILE = '<img src=x onerror="alert(1)">'


def clients_sheet(folder: Path) -> Path:
    """A sheet of two clients, one of them hostile, with a row that is faulty and one that exists already."""
    rows = [["email", "domain", "relay_server", "password", "Client"]]
    rows += [[f"user{n}", "101", "201", "=Sheet-Pass-77!", "Hartwell"] for n in range(3)]
    rows += [["info", "101", "201", "Sheet-Pass-77!", HOSTILE], ["eve", "102", "202", "Sheet-Pass-77!", HOSTILE]]
    rows += [["b@d", "101", "201", "Sheet-Pass-77!", "Hartwell"]]
    path = folder / "acme.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def done(site: Any, sandbox: Any, tmp_path: Path) -> Site:
    """A page with a sheet of clients that was run."""
    clients_sheet(tmp_path)
    page: Site = site(sandbox(**FAST), None)
    page.create()
    page.wait("ended")
    return page


def rows_in(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_the_result_groups_what_is_left_by_who_must_act(done: Site) -> None:
    """Counts, causes and next steps; whatever stands in a cell is text."""
    html = done.get("done").text
    assert "<h1>4 created</h1>" in html
    assert "Already existed: info@acme-mail.example." in html
    assert "<h2>To fix</h2>" in html
    assert f'href="{done.path}/check">Fix 1 row</a>' in html
    assert "row" in html
    assert HOSTILE not in html
    assert "&lt;img src=x" in html
    assert "Run the rest again" not in html
    assert ">Continue</button>" not in html


def test_the_result_is_the_same_from_the_journal_alone(
    sandbox: Any, connection: Any, listener: Any, tmp_path: Path, page_server: Any
) -> None:
    """A run that the command line made is shown as one of the page's own."""
    service = sandbox(**FAST, fail_share=0.3, seed=5)
    result = running.run(clients_sheet(tmp_path), connection(service), listener)
    page = Site(page_server())
    recalled = recall(page.folder)
    assert recalled.statuses == result.statuses
    assert recalled.groups == result.groups
    assert recalled.created == result.created
    assert recalled.summary.counts_by == result.summary.counts_by
    assert recalled.summary.existing == result.summary.existing
    assert recalled.summary.to_retry == result.summary.to_retry
    assert page.get("").headers["location"] == f"{page.path}/done"
    assert f"<h1>{result.statuses[Status.CREATED]} created</h1>" in page.get("done").text


def test_the_files_can_be_downloaded_and_nothing_else(done: Site) -> None:
    """Each by its name, as an attachment; a name that is not on the list leads nowhere, whatever it is made of."""
    for name in ("results.csv", "failures.csv", "report.html"):
        response = done.get(f"files/{name}")
        assert response.content == (done.folder.path / name).read_bytes()
        assert response.headers["content-disposition"] == f"attachment; filename*=utf-8''{name}"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert f'href="{done.path}/files/{name}"' in done.get("done").text
    for name in ("failures.pdf", "journal.sqlite3", "run.log", "..%2Facme.csv", "%2e%2e/acme.csv"):
        assert done.get(f"files/{name}").status_code == 404, name


def test_the_failures_come_as_a_workbook_too(done: Site) -> None:
    """It is there if the sheet is a workbook, or if the program made it."""
    response = done.get("files/failures.xlsx")
    assert response.status_code == (200 if done.folder.failures_workbook.exists() else 404)


def test_the_credentials_are_handed_out_by_client(done: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One file for all and one for each client, as CSV and as a workbook; the run folder keeps none of them.

    Nor does a program that is killed leave one among the temporary files of all programs.
    """
    monkeypatch.setattr(tempfile, "tempdir", str(done.folder.path / "absent"))
    before = sorted(path.name for path in done.folder.path.iterdir())
    everything = done.get("credentials")
    assert everything.headers["content-disposition"] == "attachment; filename*=utf-8''credentials.csv"
    assert len(rows_in(everything.content)) == 5
    links = re.findall(rf'href="{done.path}/(credentials\?client=[^"&]*)"', done.get("done").text)
    assert len(links) == 2
    (hartwell,) = (link for link in links if "Hartwell" in link)
    rows = rows_in(done.get(hartwell).content)
    assert {row["address"] for row in rows} == {f"user{n}@acme-mail.example" for n in range(3)}
    assert {row["password"] for row in rows} == {"'=Sheet-Pass-77!"}
    (other,) = (link for link in links if "Hartwell" not in link)
    assert [row["address"] for row in rows_in(done.get(other).content)] == [
        "info@acme-mail.example",
        "eve@acme-outreach.example",
    ]
    workbook = done.get("credentials?kind=xlsx")
    assert ZipFile(io.BytesIO(workbook.content)).testzip() is None
    assert sorted(path.name for path in done.folder.path.iterdir()) == before


def test_a_download_that_is_not_possible_is_said_on_a_page(done: Site) -> None:
    """The folder is in use: a sentence comes, and no file that holds it."""
    with hold(done.folder):
        refused = done.get("credentials")
    assert refused.status_code == 409
    assert "Another run is working in" in refused.text
    assert "content-disposition" not in refused.headers


@pytest.mark.parametrize("query", ["client=Brook", "kind=exe", "client=../acme", "kind=/../x.csv"])
def test_credentials_of_nobody_are_not_found(done: Site, query: str) -> None:
    """A value that no row has, and a kind that there is none of."""
    assert done.get(f"credentials?{query}").status_code == 404


def test_the_export_holds_this_runs_mailboxes_alone(done: Site) -> None:
    """The account has another mailbox; it is not in the export of this sheet."""
    response = done.get("exports/smartlead")
    assert response.headers["content-disposition"] == "attachment; filename*=utf-8''smartlead.csv"
    assert b"info@acme-mail.example" in response.content
    assert b"sales@acme-mail.example" not in response.content
    assert done.get("exports/other").status_code == 404


def test_what_is_asked_after_a_run_keeps_its_rate(site: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports, credentials and log-ins ask the service only when a pause that it asked for is over."""
    monkeypatch.setattr("provisioner.credentials.remembered_servers", lambda _: None)
    service = sandbox(**FAST)
    page = site(service, 1, page={"verify": VerifyOptions(patience=0.0)}, practice=False)
    page.create()
    page.wait("ended")
    ask: Callable[[], object]
    for ask in (lambda: page.get("exports/smartlead"), lambda: page.get("credentials"), lambda: page.post("verify")):
        before, end = len(service.state.requests), time.monotonic() + 0.2
        page.running.call(page.running.workspace.limiter(practice=False).pause, 0.2)
        ask()
        until(lambda: len(service.state.requests) > before)  # noqa: B023 - it is called here
        assert min(request.at for request in service.state.requests[before:]) >= end


def test_the_run_log_and_the_sheet_hold_what_they_held(done: Site, tmp_path: Path) -> None:
    """Looking and downloading changes nothing."""
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for screen in ("done", "files/results.csv", "credentials", "run", ""):
        done.get(screen)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path for path in before if path.suffix in (".csv", ".log", ".html", ".xlsx")}
    assert {path: before[path] for path in kept} == {path: after[path] for path in kept}


def test_practice_mailboxes_are_not_logged_in_to_and_why(site: Any, sandbox: Any) -> None:
    """There is no button that could not work."""
    page = site(sandbox(**FAST), 2, page={"sandbox": True})
    page.create()
    page.wait("ended")
    html = page.get("done").text
    assert "Practice mailboxes cannot be logged in to: the sandbox has no mail servers." in html
    assert "Log in to each mailbox" not in html
    assert "Practice mailboxes" in page.post("verify").text
    assert not page.work.logins.running


def test_logging_in_is_followed_to_its_result(site: Any, sandbox: Any) -> None:
    """The page says how far it is, and then which mailboxes do not accept a log-in, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host, port = taken.getsockname()
        how = VerifyOptions(patience=0.0, imap_host=host, imap_port=port, smtp_host=host, smtp_port=port)
        page = site(sandbox(**FAST), 3, page={"verify": how}, practice=False)
        page.create()
        page.wait("ended")
        assert "Log in to each mailbox" in page.get("done").text
        begun = page.post("verify").text
        assert f'data-live="{page.path}/logins"' in begun
        assert "0 of 3" in begun
        ended = next(message for message in page.events("logins") if "data-live" not in message and "data:" in message)
        assert "log-in works" not in ended
        assert "<li>3 mailboxes: " in ended
        assert "ports 465 and 993" in ended
    until(lambda: not page.work.logins.running)
    assert "ports 465 and 993" in page.get("done").text
    assert recall(page.folder).summary.logins is not None


def test_log_ins_whose_journal_cannot_be_read_are_followed_no_more(done: Site) -> None:
    """The browser is told why, in place of the element that asks for the events, so that it does not ask again."""
    done.folder.journal.write_bytes(b"no database " * 100)
    done.work.logins.running = True
    told = next(message for message in done.events("logins") if message.startswith("data:"))
    assert 'id="logins"' in told
    assert 'role="alert"' in told
    assert "data-live" not in told


def test_a_row_that_failed_and_left_the_sheet_is_not_offered_again(site: Any, sandbox: Any, write_sheet: Any) -> None:
    """The screen says why it is left, and has no button that would do nothing."""
    page = site(sandbox(**FAST, no_listing=True, duplicates="task"), [("info", "101", "201", "Sheet-Pass-77!", "", "")])
    page.create()
    page.wait("ended")
    assert "Run the rest again" in page.get("done").text
    write_sheet([("ann", "101", "201", "Sheet-Pass-77!", "", "")])
    page.create()
    page.wait("ended")
    shown = page.get("done").text
    assert page.statuses() == {Status.CREATED: 1, Status.FAILED: 1}
    assert "not in the sheet any more, so they were not tried again" in shown
    assert "/begin" not in shown


def test_what_the_sheet_leaves_open_is_asked_where_it_can_be_answered(site: Any, sandbox: Any, tmp_path: Path) -> None:
    """A sheet without passwords that was run from the command line is not answered with that one's options."""
    page = site(sandbox(**FAST), 1)
    page.create()
    page.wait("ended")
    (tmp_path / "acme.csv").write_text("email,domain,relay_server\nann,101,201\n", "utf-8")
    assert page.post("begin").json() == {"location": f"{page.path}/check"}
    assert "Which column holds the password?" in page.get("check").text


def test_which_sheet_of_a_workbook_is_meant_is_asked_too(site: Any, sandbox: Any, tmp_path: Path) -> None:
    """A second one was added since the workbook was run."""
    page = site(sandbox(**FAST), 1)
    page.create()
    page.wait("ended")
    with xlsxwriter.Workbook(str(tmp_path / "acme.csv")) as book:
        for name in ("Hartwell", "Brook"):
            book.add_worksheet(name).write_row(0, 0, ["email", "domain", "relay_server", "password"])
            book.get_worksheet_by_name(name).write_row(1, 0, [name, "101", "201", "Sheet-Pass-77!"])
    assert page.post("begin").json() == {"location": f"{page.path}/check"}
    assert "Which sheet of the workbook?" in page.get("check").text


def test_a_sheet_that_was_never_run_has_no_result(site: Any, sandbox: Any) -> None:
    """Whoever types the address of the result comes to the check."""
    page = site(sandbox(**FAST), 3)
    assert page.get("done").headers["location"] == f"{page.path}/check"


def test_failures_are_shown_as_they_come(site: Any, sandbox: Any) -> None:
    """The run's screen names row, username and reason while it goes on; the numbers agree with each other."""
    service = sandbox(latency=0.05, latency_spread=0.0, fail_share=0.5, seed=1)
    page = site(service, 30, rates=(Rate(30, 1.0),))
    page.create()
    until(lambda: page.run.progress.failed >= 2)
    html = page.get("run").text
    assert re.search(r'<th scope="row">row \d+</th><td>user\d+</td><td>.+</td>', html)
    sent, finished = map(int, re.findall(r"(\d+) of 30", html))
    counted = {name: int(number) for number, name in re.findall(r"<b>(\d+)</b> ([a-z, ]+)<", html)}
    assert sum(counted.values()) == 30
    assert counted["sent, not finished"] == sent - finished
    page.wait("ended")
