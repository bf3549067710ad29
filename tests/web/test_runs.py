"""One run's life at the page, over HTTP, against the real sandbox."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from scripted import CUT, Scripted, reply
from sites import SHEET, Site, question_in, until

import provisioner
from provisioner import run_record
from provisioner.errors import FilesError
from provisioner.fixing import OpenSheet
from provisioner.records import Rate, Status
from provisioner.run_folder import hold
from provisioner.secret import Secret
from provisioner.settings import SheetOptions
from provisioner.stages.write import write as write_files
from provisioner.web import runs
from provisioner.web.screens import confirm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


FAST = {"latency": 0.02, "latency_spread": 0.0}


@pytest.fixture
def scripted(server: Any) -> Callable[..., Scripted]:
    """A service whose creates are answered by a function, and which has everything that the sheet needs."""

    def start(create: Callable[[str], bytes], account: bytes | None = None) -> Scripted:
        def answer(said: str) -> bytes:
            method, path = said.split()[:2]
            if method == "POST":
                return create(said)
            known = {"/api/userinfo/": account or reply(200, {"name": "Agency"})}
            lists = {"domains": [{"id": 101, "name": "acme.example"}], "relay-servers": [{"id": 201}]}
            lists["projects"] = [{"id": 789, "name": "Spring"}]
            return known.get(path) or reply(200, lists.get(path.split("/")[2], []))

        started: Scripted = server(answer)
        return started

    return start


def test_the_check_screen_of_a_run_leads_to_it(sandbox: Any, site: Any) -> None:
    """While it is under way there is nothing to create or to run again, only something to follow."""
    page = site(sandbox(latency=60.0, latency_spread=0.0), 3)
    page.create()
    until(lambda: page.statuses() == {Status.UNFINISHED: 3})
    for screen in ("check", "check?show=all"):
        html = page.get(screen).text
        assert '<h1 id="heading">3 rows: 3 under way</h1>' in html
        assert f'<a href="{page.path}/run">Follow the run</a>' in html
        assert 'id="create"' not in html
    page.run.stop(at_once=True)
    page.wait("ended")
    assert "3 rows: 3 to run again" in page.get("check").text


def carried_out(service: Any) -> list[int]:
    """How often each create was carried out."""
    return [received.carried_out for received in service.state.creates.values()]


@pytest.mark.smoke
def test_a_sheet_is_created_from_the_question_to_the_result(sandbox: Any, site: Any, read_csv: Any) -> None:
    """The question names everything that is at stake; agreeing creates each mailbox once, and the result says so."""
    service = sandbox(**FAST)
    page = site(service, 10)
    asked = page.post("begin").text
    for said in ("Create 10 mailboxes", "Create 3 first", "Back", "Sandbox Agency", "This is practice"):
        assert said in asked
    assert service.state.creates == {}
    response = page.post("answer", create="all", question=question_in(asked))
    assert response.json() == {"location": f"{SHEET}/run"}
    page.wait("ended")
    assert "<h1>10 created</h1>" in page.get("done").text
    assert f'href="{SHEET}/check">Check the sheet again</a>' in page.get("done").text
    assert len(service.state.mailboxes) == 12
    assert page.statuses() == {Status.CREATED: 10}
    assert len(read_csv(page.folder.results)) == 10
    assert page.get("run").headers["location"] == f"{SHEET}/done"
    assert page.get("").headers["location"] == f"{SHEET}/done"


def test_the_question_names_the_cost_the_clients_and_who_stays_behind(
    sandbox: Any, site: Any, connection: Any, tmp_path: Any
) -> None:
    """Where it is no practice, it says that creating costs money; clients have their numbers, errors are counted."""
    lines = ["email,domain,relay_server,password,Client"]
    lines += [f"user{n},101,201,Sheet-Pass-77!,{'Hartwell' if n < 20 else '<b>Brook</b>'}" for n in range(28)]
    (tmp_path / "acme.csv").write_text("\n".join([*lines, "b@d,101,201,Sheet-Pass-77!,Hartwell"]), "utf-8")
    service = sandbox(**FAST)
    page = site(service, None, practice=False, rates=(Rate(4, 1.0),))
    asked = page.asked()
    assert "cannot be undone, and each mailbox costs money" in asked
    assert "<dt>Client</dt><dd>Hartwell: 20, &lt;b&gt;Brook&lt;/b&gt;: 8</dd>" in asked
    assert f"<dt>At</dt><dd>{service.url.partition('://')[2]}</dd>" in asked
    assert "at least 14 seconds" in asked
    assert "1 row has errors and will be skipped" in asked
    page.post("answer", create="none", question=question_in(asked))


def test_pressing_twice_starts_one_run(sandbox: Any, site: Any) -> None:
    """However often Create and the answer are pressed at once, each mailbox is created once."""
    service = sandbox(**FAST)
    page = site(service, 10)
    with ThreadPoolExecutor(6) as pool:
        asked = {question_in(each.text) for each in pool.map(lambda _: page.post("begin"), range(6))}
        assert asked == {"1"}
        answers = list(pool.map(lambda _: page.post("answer", create="all", question="1"), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    page.wait("ended")
    assert carried_out(service) == [1] * 10


def test_back_sends_nothing_and_gives_the_folder_free(sandbox: Any, site: Any) -> None:
    """After Back the sheet stands as before: another run may use its folder, and the page asks again."""
    service = sandbox(**FAST)
    page = site(service, 5)
    response = page.post("answer", create="none", question=page.ask())
    assert (response.status_code, response.text) == (200, '<div data-gone="confirm"></div>')
    page.wait("idle")
    with hold(page.folder):
        pass
    assert service.state.creates == {}
    assert page.get("").headers["location"] == f"{SHEET}/check"
    page.create()
    page.wait("ended")
    assert carried_out(service) == [1] * 5


def test_back_leaves_the_fixes_as_they_were(site: Any, sandbox: Any, tmp_path: Path, page_server: Any) -> None:
    """After Back, and after the program was started again, the check screen and the file to be run are the same."""
    lines = ["email,domain,relay_server,password,Client"]
    lines += [f"{name},acme-mail.example,Mailgun,Sheet-Pass-77!,X" for name in ("ann", "b ob", "c id", "d an")]
    (tmp_path / "acme.csv").write_text("\n".join(lines), "utf-8")
    sheet = OpenSheet(SheetOptions(sheet=tmp_path / "acme.csv"))
    for key, name in (("3", "bob"), ("4", "cid")):
        sheet.change(key, sheet.row(key).version, {"email": name})
    page = site(sandbox(**FAST), None)

    def cells(of: Site) -> list[Any]:
        assert '<h1 id="heading">4 rows: 3 ready, 1 to fix</h1>' in of.get("check").text
        sheet = OpenSheet(SheetOptions(sheet=tmp_path / "acme.csv"))
        assert (sheet.working_file.sheet, sheet.notes) == (page.folder.failures, ["Ignored column: Client."])
        return [(row.key, row.status, row.cells) for row in sheet.rows(to_fix=False)[0]]

    before = cells(page)
    page.post("answer", create="none", question=page.ask())
    page.wait("idle")
    assert cells(page) == before
    assert cells(Site(page_server())) == before
    for _ in range(2):
        # Nor does a check of the sheet undo them.
        provisioner.check(tmp_path / "acme.csv")
        assert cells(page) == before
    assert not list(page.folder.path.glob("failures-edited-*"))
    page.create()
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 3, Status.INVALID: 1}


def test_back_before_the_question_was_shown_takes_it_back(sandbox: Any, site: Any) -> None:
    """The question may be there a moment before the browser knows: nothing is created then, and nothing waits."""
    service = sandbox(**FAST)
    page = site(service, 2)
    page.ask()
    response = page.post("answer", create="none")
    assert (response.status_code, response.text) == (200, '<div data-gone="confirm"></div>')
    page.wait("idle")
    assert service.state.creates == {}


def test_a_sheet_that_was_changed_after_its_run_is_checked_again(sandbox: Any, site: Any, write_sheet: Any) -> None:
    """Rows that were added to it are not hidden behind the result of the run before."""
    page = site(sandbox(**FAST), 2)
    page.create()
    page.wait("ended")
    assert page.get("").headers["location"] == f"{SHEET}/done"
    write_sheet(3)
    assert page.get("").headers["location"] == f"{SHEET}/check"
    assert "3 rows: 1 ready, 2 done" in page.get("check").text
    page.create()
    page.wait("ended")
    assert page.get("").headers["location"] == f"{SHEET}/done"
    assert page.statuses() == {Status.CREATED: 3}


def test_the_first_of_two_answers_counts(sandbox: Any, site: Any) -> None:
    """Two tabs show the question; one says Back, the other agrees a moment later: nothing is created."""
    service = sandbox(**FAST)
    page = site(service, 5)
    question = page.ask()
    assert question_in(page.post("begin").text) == question, "a second tab is shown the same question"
    page.post("answer", create="none", question=question)
    late = page.post("answer", create="all", question=question)
    assert late.status_code == 409
    assert "this answer did nothing" in late.text
    page.wait("idle")
    new = page.ask()
    assert page.post("answer", create="all", question=question).status_code == 409, "it is about another question"
    assert service.state.creates == {}
    page.post("answer", create="none", question=new)


def test_answers_at_the_same_moment_do_not_undo_each_other(sandbox: Any, site: Any) -> None:
    """Back and an agreement come before the run has taken either: Back it is."""
    service = sandbox(**FAST)
    page = site(service, 5)
    question = int(page.ask())

    def both() -> tuple[bool, bool]:
        return page.run.answer(question, agreed=False), page.run.answer(question, agreed=True)

    assert page.running.call(both) == (True, False)
    page.wait("idle")
    assert service.state.creates == {}


def test_a_question_that_nobody_answers_is_withdrawn(sandbox: Any, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tab that was left alone cannot create anything hours later."""
    monkeypatch.setattr(runs, "ANSWER_WITHIN", 0.2)
    service = sandbox(**FAST)
    page = site(service, 3)
    question = page.ask()
    page.wait("idle")
    assert page.post("answer", create="all", question=question).status_code == 409
    assert service.state.creates == {}


def test_three_first_and_then_the_rest(sandbox: Any, site: Any) -> None:
    """The trial creates three, and “Continue” the others; none twice."""
    service = sandbox(**FAST)
    page = site(service, 10)
    page.create("some")
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 3, Status.UNSENT: 7}
    done = page.get("done").text
    assert "<h1>3 created</h1>" in done
    assert ">Continue</button>" in done
    asked = page.asked()
    assert "Create 7 mailboxes" in asked
    page.post("answer", create="all", question=question_in(asked))
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 10}
    assert carried_out(service) == [1] * 10


def test_nothing_to_create_is_said_and_not_asked(sandbox: Any, site: Any) -> None:
    """A sheet that is done, pressed again."""
    page = site(sandbox(**FAST), 3)
    page.create()
    page.wait("ended")
    again = page.post("begin")
    assert again.status_code == 200
    assert "Nothing to create" in again.text
    assert "3 rows are done already" in again.text
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 3}


def test_tasks_of_an_earlier_run_are_followed_without_a_question(sandbox: Any, site: Any) -> None:
    """What was sent and paid for before is not asked about again."""
    service = sandbox(latency=1.0, latency_spread=0.0)
    page = site(service, 3, how={"task_timeout": 0.1})
    page.create()
    page.wait("ended")
    assert page.statuses() == {Status.UNFINISHED: 3}
    later = Site(page.running)
    assert later.post("begin").json() == {"location": f"{SHEET}/run"}
    later.wait("ended")
    assert carried_out(service) == [1] * 3


def test_stop_follows_what_is_in_flight_to_its_end(sandbox: Any, site: Any) -> None:
    """Nothing more is sent after Stop, and no row is left without its outcome: created, or never sent."""
    service = sandbox(latency=0.5, latency_spread=0.0)
    page = site(service, 30, rates=(Rate(20, 1.0),))
    page.create()
    until(lambda: page.run.progress.sent_rows >= 5)
    stopping = page.post("stop", at_once="").text
    assert "Stopping: nothing more is sent; waiting for " in stopping
    assert ">Stop at once</button>" in stopping
    assert ">Stop</button>" not in stopping
    page.wait("ended")
    statuses = page.statuses()
    assert set(statuses) == {Status.CREATED, Status.UNSENT}
    assert statuses[Status.CREATED] == len(service.state.creates)
    done = page.get("done").text
    assert "The run was interrupted.<br>Press “Continue” to go on." in done
    assert f"<b>{statuses[Status.UNSENT]}</b> not sent yet</li>" in done
    assert f"<h1>{statuses[Status.CREATED]} created</h1>" in done
    page.create()
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 30}
    assert carried_out(service) == [1] * 30


def test_stop_twice_stops_gently_and_stop_at_once_at_once(sandbox: Any, site: Any) -> None:
    """A double press on Stop is not yet “at once”; that leaves tasks to the next run, which creates none twice."""
    service = sandbox(latency=30.0, latency_spread=0.0)
    page = site(service, 10)
    page.create()
    until(lambda: page.run.progress.sent_rows == 10)
    for _ in range(2):
        assert "waiting for 10 mailboxes that were sent." in page.post("stop", at_once="").text
    assert page.run.phase is runs.Phase.STOPPING
    page.post("stop", at_once="1")
    page.wait("ended")
    assert page.statuses() == {Status.UNFINISHED: 10}
    assert page.post("stop", at_once="1").json() == {"location": f"{SHEET}/done"}
    assert carried_out(service) == [1] * 10


def test_a_run_goes_on_when_every_tab_is_closed(sandbox: Any, site: Any) -> None:
    """The work is the program's, not the browser's; who comes back sees where it stands."""
    service = sandbox(**FAST)
    page = site(service, 30, rates=(Rate(60, 1.0),))
    page.create()
    events = page.events()
    assert "run-state" in next(message for message in events if "data:" in message)
    events.close()
    page.client.close()
    until(lambda: page.run.phase is runs.Phase.ENDED)
    assert "<h1>30 created</h1>" in Site(page.running).get("done").text


def test_ending_the_program_writes_the_files_and_the_page_goes_on_later(
    sandbox: Any, site: Any, check_outputs: Any, read_csv: Any
) -> None:
    """Ctrl-C in the middle: both files are whole, the sheet stands there with “Continue”, and none is made twice."""
    service = sandbox(latency=0.3, latency_spread=0.0)
    first = site(service, 40, rates=(Rate(40, 1.0),))
    first.create()
    until(lambda: first.run.progress.ended[Status.CREATED] >= 2)
    first.running.stop()
    check_outputs(first.folder.path)
    statuses = first.statuses()
    assert sum(statuses.values()) == 40
    second = site(service, None)
    assert second.get("").headers["location"] == f"{SHEET}/done"
    done = second.get("done").text
    assert f"<h1>{statuses[Status.CREATED]} created</h1>" in done
    assert ">Continue</button>" in done
    second.create()
    second.wait("ended")
    assert second.statuses() == {Status.CREATED: 40}
    assert carried_out(service) == [1] * 40
    assert len(read_csv(second.folder.results)) == 40


def test_a_folder_that_the_command_line_works_in_is_left_alone(sandbox: Any, site: Any) -> None:
    """The second is told so in the command line's words, and works as soon as the first has ended."""
    page = site(sandbox(**FAST), 3)
    with hold(page.folder):
        refused = page.refused()
        assert "Another run is working in" in refused
    page.create()
    page.wait("ended")
    assert page.statuses() == {Status.CREATED: 3}


def test_a_refused_key_sends_nothing_and_says_so(sandbox: Any, site: Any) -> None:
    """In the words of the command line, with what to do now; the sheet is ready to be tried again."""
    service = sandbox(**FAST)
    page = site(service, 3, api_key=Secret("wrong-key"))
    refused = page.refused()
    assert "rejected the API key" in refused
    assert "Ask the manager of your account" in refused
    assert page.statuses() == {Status.UNSENT: 3}
    assert page.get("").headers["location"] == f"{SHEET}/check"
    assert service.state.creates == {}


def test_what_the_service_is_waited_for_is_said(site: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a busy service is asked, the dialog says why and until when; Back ends the waiting."""
    busy = scripted(lambda _: reply(503), account=reply(503, b"", Retry_After="30"))
    page = site(busy.url, 3)
    monkeypatch.setattr(confirm, "PATIENCE", 0.5)
    asking = page.post("begin").text
    assert "Getting ready" in asking
    events = page.events("question")
    assert next(message for message in events if "Paused until" in message)
    assert page.post("answer", create="none").text == '<div data-gone="confirm"></div>'
    assert next(message for message in events if "data:" in message) == 'data: <div data-gone="confirm"></div>'
    page.wait("idle")
    assert page.run.error is None
    assert page.statuses() == {Status.VALID: 3}


def test_a_service_that_is_down_is_told(site: Any) -> None:
    """Nobody listens at the address: nothing is sent, and the page says what to do."""
    gone = Scripted(CUT)
    gone.close()
    page = site(gone.url, 3)
    refused = page.refused()
    assert "Nothing answers at" in refused
    assert "then run again" in refused
    assert page.statuses() == {Status.UNSENT: 3}


def test_another_service_at_the_address_is_told(site: Any, server: Any) -> None:
    """What answers with a web page is not the service."""
    page = site(server(reply(200, b"<html>Welcome</html>", Content_Type="text/html")).url, 3)
    refused = page.refused()
    assert "MISSION_INBOX_URL. If the address is right" in refused
    assert page.statuses() == {Status.UNSENT: 3}


def test_a_payment_that_is_wanted_ends_the_run_with_its_reason(site: Any, scripted: Any) -> None:
    """The rows that were not sent are kept, and the reason stands on the result."""
    service = scripted(lambda _: reply(402, {"detail": "Top up your balance."}))
    page = site(service.url, 5)
    page.create()
    page.wait("ended")
    done = page.get("done").text
    assert 'id="ended"' in done
    assert "payment" in done.lower()
    assert page.statuses() == {Status.UNSENT: 5}
    assert ">Continue</button>" in done


def test_lost_answers_and_errors_create_nothing_twice(sandbox: Any, site: Any) -> None:
    """Connections cut, 5xx and 429 while the page runs the sheet, and runs it again until all is done."""
    service = sandbox(**FAST, lost_share=0.2, error_share=0.2, seed=3, throttle="80/s")
    page = site(service, 40)
    page.create()
    page.wait("ended")
    while set(page.statuses()) != {Status.CREATED}:
        response = page.post("begin")
        if "location" not in response.text:
            page.post("answer", create="all", question=question_in(response.text))
        page.wait("ended")
    assert page.statuses() == {Status.CREATED: 40}
    assert len(service.state.mailboxes) == 42
    assert all(times <= 1 for times in carried_out(service))


def test_two_sheets_keep_one_rate_and_are_stopped_each_alone(sandbox: Any, site: Any, write_sheet: Any) -> None:
    """Their requests together keep the rate that was given, and stopping one lets the other go on."""
    service = sandbox(**FAST)
    write_sheet([(f"other{n}", "101", "201", "Sheet-Pass-77!", "", "") for n in range(20)], name="brook.csv")
    page = site(service, 200, rates=(Rate(30, 1.0),))
    page.create()
    brook = Site(page.running, "brook.csv")
    brook.create()
    until(lambda: page.run.progress.sent_rows > 3)
    page.post("stop", at_once="1")
    page.wait("ended")
    brook.wait("ended")
    assert brook.run.error is None
    assert brook.statuses() == {Status.CREATED: 20}
    times = sorted(received.at for received in service.state.requests)
    # Two rates of their own would be 60. What left in turn may arrive in a bunch on a busy machine.
    assert max(sum(first <= at < first + 1.0 for at in times) for first in times) <= 40


def test_a_key_that_is_refused_in_the_middle_ends_the_run(site: Any, scripted: Any) -> None:
    """What was sent is followed no further than the service lets it; nothing of the rest is sent."""
    service = scripted(lambda _: reply(401, {"detail": "Invalid API key."}))
    page = site(service.url, 5)
    page.create()
    page.wait("ended")
    done = page.get("done").text
    assert "rejected the API key" in done
    assert page.statuses() == {Status.UNSENT: 5}
    assert ">Continue</button>" in done


@pytest.mark.parametrize("strikes", [2, 3], ids=["before the question", "at the end"])
def test_a_full_disk_is_said_and_loses_nothing(
    site: Any, sandbox: Any, monkeypatch: pytest.MonkeyPatch, strikes: int
) -> None:
    """Files that cannot be written are told as on the command line; the journal has everything.

    They are written first when the sheet is opened, then before the question, and at the end.
    """
    service = sandbox(**FAST)
    page = site(service, 4)
    calls = 0

    def full(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == strikes:
            raise FilesError("results.csv cannot be written: No space left on device.", remedy="Make room.")
        return write_files(*arguments, **options)

    # No fault of the disk strikes one moment by itself.
    monkeypatch.setattr(run_record, "write", full)
    if strikes == 2:
        refused = page.refused()
        assert "No space left on device.<br>Make room." in refused
    else:
        page.create()
        page.wait("ended")
        assert "No space left on device.<br>Make room." in page.get("done").text
    monkeypatch.undo()
    if strikes == 2:
        page.create()
        page.wait("ended")
    assert page.statuses() == {Status.CREATED: 4}
    assert carried_out(service) == [1] * 4
