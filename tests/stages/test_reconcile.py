"""The sheet meets the journal: what each row of a second run becomes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from provisioner.journal import Finished, Journal, JournalRow, SendCancelled, Sending, TaskAccepted, address_key
from provisioner.records import Actor, Entry, Fault, Job, Problem, Request, RowId, Status, TaskId
from provisioner.secret import Secret
from provisioner.stages.corrections import FailuresMatcher
from provisioner.stages.matching import KnownRows, SheetMatcher
from provisioner.stages.reconcile import Planner, WorkPlan, reconcile

BROKEN = Problem("B2", Fault("broken"))


def entry(row: int, email: str, *, domain: str = "101", ready: bool = True, **more: object) -> Entry:
    password = Secret(str(more.pop("password", "Sheet-Pass-1!")))
    request = Request(email, int(domain), 201, password, None, None) if ready else None
    fields: dict[str, object] = {
        "file_row": row,
        "sheet_row": row,
        "key": address_key(email, domain),
        "email": email,
        "domain": domain,
        "relay_server": "201",
        "project": "",
        "reply_to": "",
        "request": request,
        "problems": () if ready else (BROKEN,),
        "cells": {"email": email, "domain": domain, "relay_server": "201"},
        "password": password,
    }
    given = more.get("request")
    if isinstance(given, Request):
        fields["password"] = given.password
    return Entry(**{**fields, **more})  # type: ignore[arg-type]


def since(sent_at: float | None) -> float:
    return -1.0 if sent_at is None else sent_at


def reconciled(
    entries: Iterable[Entry],
    journal: Journal,
    *,
    failures: bool = False,
    latest_file: bool = False,
    new_password: Callable[[], Secret] | None = None,
    checking: bool = False,
    cell_name: Callable[[Entry, str], str] | None = None,
    **of_failures: Any,
) -> WorkPlan:
    """A sheet, or a failures file with keywords of its matcher, brought together with the journal."""
    known = KnownRows(journal.rows(), latest_file=latest_file)
    name, how = cell_name or (lambda _, column: column), {"is_workbook": False, **of_failures}
    matcher = FailuresMatcher(known, name, **how) if failures else SheetMatcher(known)
    return reconcile(
        entries, journal, matcher, new_password=new_password, since=since, checking=checking, cell_name=cell_name
    )


def apply_sheet(journal: Journal, *entries: Entry, failures: bool = False, checking: bool = False) -> WorkPlan:
    if failures:
        entries = tuple(as_told(journal, entry) for entry in entries)
    return reconciled(entries, journal, failures=failures, checking=checking)


def as_told(journal: Journal, entry: Entry) -> Entry:
    """The entry with what failures.csv says of the row that stands in its place."""
    there = next((row for row in journal.record_rows() if row.sheet_row == entry.sheet_row), None)
    if there is None or entry.earlier_status is not None:
        return entry
    return replace(entry, earlier_status=there.status, earlier_task=there.task_id)


def by_email(journal: Journal) -> dict[str, JournalRow]:
    return {row.email: row for row in journal.record_rows()}


def end(journal: Journal, job: Job, status: Status, task: str | None = None) -> None:
    journal.apply([Sending(job, 100.0)])
    if task:
        journal.apply([TaskAccepted(job.row_id, TaskId(task), 101.0)])
    if status is not Status.UNFINISHED:
        journal.apply([Finished(job.row_id, status, 102.0, "" if status.done else "why")])


def emails(jobs: list[Job]) -> list[str]:
    return [job.request.email for job in jobs]


def test_a_first_run_sends_what_is_ready(journal: Journal) -> None:
    """Every row has its journal row; the ready ones wait to be sent, the others keep their reason."""
    made = apply_sheet(journal, entry(2, "ann"), entry(3, "bo b", ready=False), entry(4, "cid"))
    assert emails(made.to_send) == ["ann", "cid"]
    assert made.invalid == 1
    assert [(row.sheet_row, row.status, row.error) for row in journal.record_rows()] == [
        (2, Status.UNSENT, ""),
        (3, Status.INVALID, "B2: broken"),
        (4, Status.UNSENT, ""),
    ]


@pytest.mark.parametrize("status", [Status.CREATED, Status.EXISTS])
def test_a_done_row_is_never_sent_again(journal: Journal, status: Status) -> None:
    """Sorted, in other case, or invalid by now: a row that is done stays done."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, status)
    made = apply_sheet(journal, entry(2, "bob"), entry(3, "ANN", ready=False))
    assert emails(made.to_send) == ["bob"]
    assert made.done == 1
    row = by_email(journal)["ann"]
    assert (row.status, row.sheet_row) == (status, 3)


def test_the_same_username_in_another_domain_is_another_mailbox(journal: Journal) -> None:
    """Rows are known by username and domain together."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.CREATED)
    made = apply_sheet(journal, entry(2, "ann"), entry(3, "ann", domain="102"))
    assert [(job.request.email, job.request.domain) for job in made.to_send] == [("ann", 102)]


def test_an_open_task_is_polled_on_under_its_old_id(journal: Journal) -> None:
    """A row whose task was not seen to end is asked about, not sent."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.UNFINISHED, task="t-9")
    made = apply_sheet(journal, entry(5, "ann"))
    assert [(task.task_id, task.job.row_id) for task in made.open_tasks] == [("t-9", job.row_id)]
    assert not made.to_send


def test_a_row_without_an_answer_is_looked_up_first(journal: Journal) -> None:
    """`unknown` rows are doubts, with the moment of their create, and may be sent if the sheet still has them."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0)])
    made = apply_sheet(journal, entry(2, "ann"))
    (unconfirmed,) = made.unconfirmed_rows
    assert (unconfirmed.since, unconfirmed.resend, unconfirmed.job.maybe_sent) == (100.0, True, True)
    assert not made.to_send


@pytest.mark.parametrize("status", [Status.REJECTED, Status.FAILED])
def test_a_refused_or_failed_row_is_sent_with_the_sheets_new_values(journal: Journal, status: Status) -> None:
    """What was corrected in the sheet is what the next create says."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, status)
    corrected = Request("ann", 101, 202, Secret("Other-Pass-2!"), None, None)
    (again,) = apply_sheet(journal, entry(2, "ann", request=corrected)).to_send
    assert again.row_id == job.row_id
    assert again.request.relay_server == 202


def test_a_done_row_with_other_values_is_named(journal: Journal) -> None:
    """A changed password or relay server of a mailbox that exists is told, and nothing is done about it."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.CREATED)
    assert apply_sheet(journal, entry(2, "ann")).changed == []
    other_relay = Request("ann", 101, 203, Secret("Sheet-Pass-1!"), None, None)
    assert apply_sheet(journal, entry(2, "ann", request=other_relay)).changed == [(2, "ann")]
    made = apply_sheet(journal, entry(2, "ann", password="Sheet-Pass-2!"))
    assert (made.changed, made.other_passwords) == ([], [(2, "ann")])


def test_a_done_row_that_was_corrected_in_a_failures_file_is_not_named(journal: Journal) -> None:
    """Its user mended it there as told; the sheet still has it as it was, which is no news."""
    apply_sheet(journal, entry(2, "ann", ready=False, relay_server="202", cells={"relay_server": "202"}))
    (job,) = apply_sheet(journal, entry(2, "ann"), failures=True).to_send
    end(journal, job, Status.CREATED)
    as_it_was = Request("ann", 101, 202, Secret("Sheet-Pass-1!"), None, None)
    assert apply_sheet(journal, entry(2, "ann", request=as_it_was)).changed == []
    assert apply_sheet(journal, entry(2, "ann", request=as_it_was), failures=True).changed == [(2, "ann")]


@pytest.mark.parametrize("status", [Status.FAILED, Status.REJECTED])
def test_a_check_keeps_what_the_service_said(journal: Journal, status: Status) -> None:
    """A row that failed keeps its status, reason and task for support, until the sheet says something else."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, status, task="t1")
    apply_sheet(journal, entry(2, "ann"), checking=True)
    row = by_email(journal)["ann"]
    assert (row.status, row.error, row.task_id) == (status, "why", "t1")
    mended = Request("ann", 101, 202, Secret("Sheet-Pass-1!"), None, None)
    apply_sheet(journal, entry(2, "ann", request=mended), checking=True)
    assert by_email(journal)["ann"].status is Status.VALID


def test_a_removed_row_goes_only_if_it_was_never_sent(journal: Journal) -> None:
    """A row ever sent stays in the record, without a sheet row; one never sent is forgotten."""
    jobs = apply_sheet(journal, entry(2, "ann"), entry(3, "bob"), entry(4, "cid")).to_send
    end(journal, jobs[0], Status.REJECTED)
    apply_sheet(journal, entry(2, "cid"))
    rows = by_email(journal)
    assert set(rows) == {"ann", "cid"}
    assert (rows["ann"].sheet_row, rows["ann"].status) == (None, Status.REJECTED)


def test_a_removed_row_that_is_under_way_is_followed_to_its_end(journal: Journal) -> None:
    """What was sent costs money, whether or not a sheet still holds it."""
    jobs = apply_sheet(journal, entry(2, "ann"), entry(3, "bob")).to_send
    end(journal, jobs[0], Status.UNFINISHED, task="t-1")
    journal.apply([Sending(jobs[1], 100.0)])
    made = apply_sheet(journal, entry(2, "cid"))
    assert [task.task_id for task in made.open_tasks] == ["t-1"]
    assert [(unconfirmed.job.row_id, unconfirmed.resend) for unconfirmed in made.unconfirmed_rows] == [
        (jobs[1].row_id, False)
    ]


def test_a_correction_takes_the_place_of_what_it_corrects(journal: Journal) -> None:
    """A username mended in the failures file replaces the broken one, known by its sheet row."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "b@ob", ready=False))
    made = apply_sheet(journal, entry(2, "bob", sheet_row=3), failures=True)
    assert emails(made.to_send) == ["bob"]
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "ann"), (3, "bob")]


def test_the_uncorrected_sheet_run_again_meets_its_correction(journal: Journal) -> None:
    """The original sheet's broken row is represented by the mailbox that was made of its correction."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "b@ob", ready=False))
    (job,) = apply_sheet(journal, entry(2, "bob", sheet_row=3), failures=True).to_send
    end(journal, job, Status.CREATED)
    made = apply_sheet(journal, entry(2, "ann"), entry(3, "b@ob", ready=False))
    assert made.invalid == 0
    assert [(row.sheet_row, row.email, row.status) for row in journal.record_rows()] == [
        (2, "ann", Status.UNSENT),
        (3, "bob", Status.CREATED),
    ]


def test_a_sheet_with_both_the_broken_row_and_its_correction_keeps_both(journal: Journal) -> None:
    """The correction's own row is the correction's; the broken row stands for itself."""
    apply_sheet(journal, entry(2, "b@ob", ready=False))
    (job,) = apply_sheet(journal, entry(2, "bob", sheet_row=2), failures=True).to_send
    end(journal, job, Status.CREATED)
    apply_sheet(journal, entry(2, "b@ob", ready=False), entry(3, "bob"))
    assert [(row.sheet_row, row.email, row.status) for row in journal.record_rows()] == [
        (2, "b@ob", Status.INVALID),
        (3, "bob", Status.CREATED),
    ]


def test_duplicates_that_were_told_apart_in_a_failures_file_keep_their_places(journal: Journal) -> None:
    """One was renamed there; in the sheet both are still the same, and each is the mailbox that was made of it."""
    texts = [(2, "bob", "Sheet-Pass-2!"), (3, "bob", "Sheet-Pass-3!")]
    sheet = [entry(row, email, password=password, ready=False) for row, email, password in texts]
    apply_sheet(journal, *sheet)
    fixed = (entry(2, "rob", password="Sheet-Pass-2!"), entry(3, "bob", password="Sheet-Pass-3!"))
    for job in apply_sheet(journal, *fixed, failures=True).to_send:
        end(journal, job, Status.CREATED)
    plan = apply_sheet(journal, *sheet)
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "rob"), (3, "bob")]
    assert plan.other_passwords == []


def test_the_duplicate_that_was_sent_keeps_its_place_beside_an_invalid_one(journal: Journal) -> None:
    """It was the only one in the failures file that could be sent."""
    sheet = entry(2, "bob", ready=False), entry(3, "bob", ready=False)
    apply_sheet(journal, *sheet)
    (job,) = apply_sheet(journal, entry(2, "bob", ready=False), entry(3, "bob"), failures=True).to_send
    end(journal, job, Status.CREATED)
    apply_sheet(journal, *sheet)
    records = [(row.sheet_row, row.status) for row in journal.record_rows()]
    assert records == [(2, Status.INVALID), (3, Status.CREATED)]


def test_a_duplicate_that_was_looked_up_is_the_one_that_was_sent(journal: Journal) -> None:
    """Also if an earlier correction of it, which said the same of its mailbox, is still known in its place."""
    named = {"key": "bob@101", "cells": {"email": "bob", "domain": "102"}}
    sheet = [entry(2, "bob", domain="102", ready=False, **named), entry(3, "bob", ready=False)]
    apply_sheet(journal, *sheet)
    fixed = entry(2, "bob", domain="101"), entry(3, "rob")
    for job in apply_sheet(journal, *fixed, failures=True).to_send:
        end(journal, job, Status.CREATED)
    for _ in range(2):
        apply_sheet(journal, *sheet)
        assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "bob"), (3, "rob")]
        assert {row.status for row in journal.record_rows()} == {Status.CREATED}


def test_a_sorted_sheet_with_duplicates_is_the_same_in_each_run(journal: Journal) -> None:
    """One was renamed in a failures file and one left out, and both stand in other places now."""
    apply_sheet(journal, entry(2, "bob", ready=False), entry(3, "ann"), entry(5, "bob", ready=False))
    (job, *_) = apply_sheet(journal, entry(2, "rob"), failures=True).to_send
    end(journal, job, Status.CREATED)
    (left,) = (row for row in journal.record_rows() if row.sheet_row == 5)
    journal.leave_out(left.id, left_out=True)
    records = []
    for _ in range(3):
        plan = apply_sheet(journal, entry(2, "ann"), entry(3, "bob", ready=False), entry(4, "bob", ready=False))
        records.append([(row.sheet_row, row.email) for row in journal.record_rows()])
        assert plan.deleted == [4]
    assert records == [[(2, "ann"), (3, "rob")]] * 3


def test_a_correction_that_was_never_sent_goes_with_the_row_that_it_corrects(journal: Journal) -> None:
    """If the sheet holds neither any more; what was sent before it was corrected is a row of the record again."""
    for status in (Status.INVALID, Status.REJECTED):
        plan = apply_sheet(journal, entry(2, "ann"), entry(3, "bob", ready=status is Status.REJECTED))
        if status is Status.REJECTED:
            end(journal, plan.to_send[1], status)
        apply_sheet(journal, entry(2, "rob", sheet_row=3), failures=True)
        apply_sheet(journal, entry(2, "ann"))
        left = [(row.sheet_row, row.email) for row in journal.rows() if row.email != "ann"]
        assert left == ([(None, "bob")] if status is Status.REJECTED else [])
    assert by_email(journal)["bob"].status is Status.REJECTED


def test_a_corrected_row_that_may_exist_is_kept_beside_its_correction(journal: Journal) -> None:
    """An `unknown` or `unfinished` row whose username is changed is followed on: its mailbox may come yet."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0)])
    made = apply_sheet(journal, entry(2, "anna", sheet_row=2), failures=True)
    assert emails(made.to_send) == ["anna"]
    assert [unconfirmed.job.request.email for unconfirmed in made.unconfirmed_rows] == ["ann"]
    assert {row.email for row in journal.record_rows()} == {"ann", "anna"}


def test_a_part_of_the_failures_leaves_the_rest_of_the_record(journal: Journal) -> None:
    """Rows deleted from a failures file stay in results.csv: the record is of the whole sheet."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "b ob", ready=False), entry(4, "c id", ready=False))
    apply_sheet(journal, entry(2, "bob", sheet_row=3), failures=True)
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "ann"), (3, "bob"), (4, "c id")]


def test_a_row_added_to_a_failures_file_has_no_sheet_row(journal: Journal) -> None:
    """Two rows cannot both be the sheet's row 3: the first is, the other is new."""
    apply_sheet(journal, entry(3, "b ob", ready=False))
    apply_sheet(journal, entry(2, "bob", sheet_row=3), entry(3, "rob", sheet_row=3), failures=True)
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(3, "bob"), (None, "rob")]


def test_a_row_added_as_another_was_before_its_correction_has_no_sheet_row(journal: Journal) -> None:
    """The place is that of the correction, which names it."""
    apply_sheet(journal, entry(2, "ann", ready=False))
    apply_sheet(journal, entry(2, "bob"), entry(3, "ann", sheet_row=None), failures=True)
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "bob"), (None, "ann")]


def test_duplicates_in_the_sheet_never_share_a_line(journal: Journal) -> None:
    """Two rows of one address are two invalid rows, also when that address is done already."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.CREATED)
    apply_sheet(journal, entry(2, "ann", ready=False), entry(3, "ann", ready=False))
    assert [(row.sheet_row, row.status) for row in journal.record_rows()] == [
        (2, Status.CREATED),
        (3, Status.INVALID),
    ]


def test_a_failures_file_from_elsewhere_brings_its_open_tasks(journal: Journal) -> None:
    """Without a journal, the file itself says what was begun: tasks are polled on, unanswered rows looked up."""
    made = apply_sheet(
        journal,
        entry(2, "ann", sheet_row=7, earlier_status=Status.UNFINISHED, earlier_task=TaskId("t-7")),
        entry(3, "bob", sheet_row=8, earlier_status=Status.UNKNOWN),
        entry(4, "cid", sheet_row=9, earlier_status=Status.FAILED, earlier_task=TaskId("t-9")),
        entry(5, "ann", sheet_row=7, ready=False, earlier_status=Status.UNFINISHED, earlier_task=TaskId("t-7")),
        failures=True,
    )
    assert [task.task_id for task in made.open_tasks] == ["t-7"]
    assert [(unconfirmed.job.request.email, unconfirmed.since) for unconfirmed in made.unconfirmed_rows] == [
        ("bob", -1.0)
    ]
    assert emails(made.to_send) == ["cid"]


def test_checking_sends_nothing_and_a_later_run_sends_all(journal: Journal) -> None:
    """`valid` is what check leaves; a run takes those rows as waiting, also those its failures file lacks."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "b ob", ready=False), checking=True)
    assert journal.statuses() == {Status.VALID: 1, Status.INVALID: 1}
    apply_sheet(journal, entry(2, "bob", sheet_row=3), failures=True)
    assert journal.statuses() == {Status.UNSENT: 2}


def test_a_made_up_password_is_used_again(journal: Journal) -> None:
    """A row is tried again with the password that was generated for it, since its mailbox may exist with it."""
    blank = Request("ann", 101, 201, None, None, None)
    generated = iter([Secret("Made-Up-1!"), Secret("Made-Up-2!")])

    def again() -> WorkPlan:
        entries = [entry(2, "ann", request=blank)]
        return reconciled(entries, journal, new_password=lambda: next(generated))

    (job,) = again().to_send
    assert by_email(journal)["ann"].password == Secret("Made-Up-1!")
    journal.apply([Sending(job, 100.0)])
    (unconfirmed,) = again().unconfirmed_rows
    assert unconfirmed.job.request.password == Secret("Made-Up-1!")
    assert by_email(journal)["ann"].password == Secret("Made-Up-1!")


def test_line_ids_are_never_used_twice(journal: Journal) -> None:
    """A new row gets a number of its own, also beside superseded rows."""
    apply_sheet(journal, entry(2, "a b", ready=False))
    apply_sheet(journal, entry(2, "ab", sheet_row=2), failures=True)
    apply_sheet(journal, entry(2, "ab"), entry(3, "cd"))
    assert len({row.id for row in journal.rows()}) == len(list(journal.rows()))
    assert RowId(1) in {row.id for row in journal.rows()}


def test_a_correction_that_names_another_rows_mailbox_is_told(journal: Journal) -> None:
    """Two people never share a mailbox by a slip: the done row keeps its place, the correction is invalid."""
    john, jhon = apply_sheet(journal, entry(2, "john"), entry(3, "jhon")).to_send
    end(journal, john, Status.CREATED)
    end(journal, jhon, Status.REJECTED)
    made = apply_sheet(journal, entry(2, "john", sheet_row=3), failures=True)
    assert not made.to_send
    assert [(row.sheet_row, row.email, row.status) for row in journal.record_rows()] == [
        (2, "john", Status.CREATED),
        (3, "john", Status.INVALID),
    ]
    assert "row 2" in list(journal.record_rows())[1].error


def test_a_row_added_by_hand_that_is_done_already_is_told(journal: Journal) -> None:
    """A mailbox that another row has is not taken away from that row."""
    (john,) = apply_sheet(journal, entry(2, "john")).to_send
    end(journal, john, Status.CREATED)
    apply_sheet(journal, entry(2, "john", sheet_row=None), failures=True)
    assert [(row.sheet_row, row.status) for row in journal.record_rows()] == [
        (2, Status.CREATED),
        (None, Status.INVALID),
    ]


def test_a_correction_from_before_the_sheet_was_sorted_replaces_no_other_row(journal: Journal) -> None:
    """Another row that stands in the corrected row's old place is not taken for it."""
    jobs = apply_sheet(journal, entry(2, "bob"), entry(3, "jhon")).to_send
    journal.apply([Sending(jobs[0], 1.0), Finished(jobs[0].row_id, Status.REJECTED, 2.0, "no bobs")])
    journal.apply([Sending(jobs[1], 1.0), Finished(jobs[1].row_id, Status.REJECTED, 2.0, "a slip")])
    old = entry(2, "john", sheet_row=3, earlier_status=Status.REJECTED)
    end(journal, apply_sheet(journal, entry(2, "jhon"), entry(3, "bob")).to_send[1], Status.REJECTED)
    apply_sheet(journal, old, failures=True)
    assert {row.email for row in journal.record_rows()} == {"jhon", "bob", "john"}


def test_a_row_in_doubt_stays_so_when_its_second_create_is_taken_back(journal: Journal) -> None:
    """A create that was announced and not sent does not make an earlier one certain."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0)])
    (unconfirmed,) = apply_sheet(journal, entry(2, "ann")).unconfirmed_rows
    journal.apply([Sending(unconfirmed.job, 200.0), SendCancelled(job.row_id, 201.0)])
    made = apply_sheet(journal, entry(2, "ann"))
    assert not made.to_send
    assert len(made.unconfirmed_rows) == 1
    apply_sheet(journal, entry(2, "anna", sheet_row=2), failures=True)
    assert {row.email for row in journal.record_rows()} == {"ann", "anna"}


def test_a_made_up_password_is_not_forgotten_for_one_in_the_sheet(journal: Journal) -> None:
    """If the row was made with it, it is in the record; once another is sent, it is not."""
    blank = Request("ann", 101, 201, None, None, None)
    entries = [entry(2, "ann", request=blank)]
    made = reconciled(entries, journal, new_password=lambda: Secret("Made-Up-1!"))
    journal.apply([Sending(made.to_send[0], 100.0)])
    (unconfirmed,) = apply_sheet(journal, entry(2, "ann")).unconfirmed_rows
    assert by_email(journal)["ann"].password == Secret("Made-Up-1!")
    journal.apply([Sending(unconfirmed.job, 200.0)])
    assert by_email(journal)["ann"].password is None


def test_a_row_that_the_file_does_not_hold_has_no_place_in_it(journal: Journal) -> None:
    """failures.csv never shows another row's cells: a waiting row of the sheet is not in the file that was run."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "b ob", ready=False), checking=True)
    apply_sheet(journal, entry(2, "bob", sheet_row=3), failures=True)
    assert [(row.file_row, row.email) for row in journal.retriable(of_failures=True)] == [(2, "bob")]


JOURNAL_ROW = JournalRow(RowId(1), 2, 2, "ann@101", "ann", "101", "201", "", "", password_check=1)
READY, INVALID, OPEN = entry(2, "ann"), entry(2, "ann", ready=False), entry(2, "ann", request=None, problems=())


@pytest.mark.parametrize(
    ("row", "now", "decided"),
    [
        ({"status": Status.CREATED}, INVALID, "done"),
        ({"status": Status.EXISTS}, READY, "done"),
        ({"status": Status.UNFINISHED, "task_id": TaskId("t")}, INVALID, "open_tasks"),
        ({"status": Status.UNFINISHED}, READY, "to_send"),
        ({"status": Status.UNKNOWN}, INVALID, "unconfirmed_rows"),
        ({"status": Status.INVALID, "deleted": True}, INVALID, "deleted"),
        ({"status": Status.INVALID, "deleted": True}, READY, "to_send"),
        ({"status": Status.FAILED, "corrected": True}, INVALID, "corrected"),
        ({"status": Status.FAILED, "address_key": "anna@101"}, READY, "corrected"),
        ({"status": Status.UNSENT}, INVALID, "invalid"),
        ({"status": Status.UNSENT}, OPEN, "open"),
        ({"status": Status.REJECTED}, READY, "to_send"),
        ({"status": Status.VALID}, READY, "to_send"),
    ],
)
def test_the_table_from_status_to_action(row: dict[str, Any], now: Entry, decided: str) -> None:
    """What the head of the module promises, line by line: the row is in one part of the plan."""
    planner = Planner(SheetMatcher(KnownRows([], latest_file=False)), None, since, checking=False)
    planner.decide(JOURNAL_ROW._replace(**row), now)
    assert [name for name, part in vars(planner.work).items() if part] == [decided]


def test_a_converted_cell_is_not_taken_for_a_correction(journal: Journal) -> None:
    """007 that a program made 7 is told, creates nothing, and stays the row that it was."""
    apply_sheet(journal, entry(2, "007", ready=False), entry(3, "b ob", ready=False))
    made = apply_sheet(journal, entry(2, "7", sheet_row=2), entry(3, "bob", sheet_row=3), failures=True)
    assert emails(made.to_send) == ["bob"]
    rows = [(row.sheet_row, row.email, row.status) for row in journal.record_rows()]
    assert rows == [(2, "007", Status.INVALID), (3, "bob", Status.UNSENT)]
    assert "“7” was “007”" in by_email(journal)["007"].error
    made = apply_sheet(journal, entry(2, "007", sheet_row=2), failures=True)
    assert emails(made.to_send) == ["007"], "what is written again is right"
    made = apply_sheet(journal, entry(2, "7"))
    assert emails(made.to_send) == ["7"], "what the sheet says is meant"


def test_what_had_to_be_fixed_is_fixed_in_a_workbook(journal: Journal) -> None:
    """789.000 is refused in the sheet; a program may make 789 of it in a CSV file, but not in a workbook."""
    fault = Problem("project", Fault("uncertain"))
    apply_sheet(journal, entry(2, "ann", ready=False, cells={"project": "789.000"}, problems=(fault,)))
    fixed = as_told(journal, entry(2, "ann", cells={"project": "789"}))
    assert not apply_sheet(journal, fixed, failures=True).to_send
    assert "write “789” in failures.xlsx or in the sheet" in by_email(journal)["ann"].error
    apply_sheet(journal, entry(2, "ann", ready=False, cells={"project": "789.000"}, problems=(fault,)))
    made = reconciled([fixed], journal, failures=True, is_workbook=True)
    assert emails(made.to_send) == ["ann"]


def test_a_converted_cell_that_is_not_sent_refuses_nothing(journal: Journal) -> None:
    """A date in a column of notes is left as the sheet has it."""
    apply_sheet(journal, entry(2, "a nn", ready=False, cells={"email": "a nn", "Start": "4-Mar"}))
    made = apply_sheet(journal, entry(2, "ann", cells={"email": "ann", "Start": "45720"}), failures=True)
    assert emails(made.to_send) == ["ann"]
    assert by_email(journal)["ann"].cells["Start"] == "4-Mar"


def test_a_converted_cell_of_a_row_under_way_stops_nothing(journal: Journal) -> None:
    """A row whose task is open is asked about, whatever a program made of its cells."""
    (job,) = apply_sheet(journal, entry(2, "007")).to_send
    end(journal, job, Status.UNFINISHED, task="t-1")
    made = apply_sheet(journal, entry(2, "7", sheet_row=2), failures=True)
    assert [task.task_id for task in made.open_tasks] == ["t-1"]
    assert not made.to_send
    assert journal.statuses() == {Status.UNFINISHED: 1}


def test_a_password_that_lost_its_blank_is_told(journal: Journal) -> None:
    """A program that cuts off what cannot be seen would otherwise change the password without a word."""
    apply_sheet(journal, entry(2, "ann", ready=False, password="Sheet-Pass-1! "))
    assert not apply_sheet(journal, entry(2, "ann", password="Sheet-Pass-1!"), failures=True).to_send
    assert "lost the blank" in by_email(journal)["ann"].error
    assert emails(apply_sheet(journal, entry(2, "ann", password="Other-Pass-1!"), failures=True).to_send) == ["ann"]


@pytest.mark.parametrize("renamed", [False, True])
def test_a_password_fixed_in_a_failures_file_is_in_the_record(journal: Journal, *, renamed: bool) -> None:
    """No other file holds it once the mailbox is created; one that the sheet holds is not kept."""
    apply_sheet(journal, entry(2, "a nn", ready=False, password="weak"), entry(3, "b ob", ready=False))
    fixed = entry(2, "ann" if renamed else "a nn", sheet_row=2, password="Fixed-Pass-1!")
    jobs = apply_sheet(journal, fixed, entry(3, "bob", sheet_row=3), failures=True).to_send
    for job in jobs:
        end(journal, job, Status.CREATED)
    kept = {row.sheet_row: row.password for row in journal.record_rows()}
    assert kept == {2: Secret("Fixed-Pass-1!"), 3: None}


def test_a_run_of_the_sheet_names_the_mailboxes_with_another_password(journal: Journal) -> None:
    """Until the sheet holds the fixed password too: then the record need not hold it any more."""
    apply_sheet(journal, entry(2, "ann", ready=False, password="weak"))
    (job,) = apply_sheet(journal, entry(2, "ann", password="Fixed-Pass-1!"), failures=True).to_send
    end(journal, job, Status.CREATED)
    assert apply_sheet(journal, entry(2, "ann", ready=False, password="weak")).other_passwords == [(2, "ann")]
    assert by_email(journal)["ann"].password == Secret("Fixed-Pass-1!")
    assert apply_sheet(journal, entry(2, "ann", password="Fixed-Pass-1!")).other_passwords == []
    assert by_email(journal)["ann"].password is None


def test_a_password_fixed_for_a_row_that_is_looked_up_is_kept_when_it_is_sent(journal: Journal) -> None:
    """If the mailbox is found, it has the password of its create; if it is sent again, the new one."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0)])
    (unconfirmed,) = apply_sheet(journal, entry(2, "ann", password="Fixed-Pass-1!"), failures=True).unconfirmed_rows
    assert by_email(journal)["ann"].password is None
    journal.apply([Sending(unconfirmed.job, 200.0)])
    assert by_email(journal)["ann"].password == Secret("Fixed-Pass-1!")


def test_a_row_that_is_looked_up_and_has_another_password_now_is_named(journal: Journal) -> None:
    """If its mailbox is found, nothing else would say in this run that the sheet's password is not the mailbox's."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0)])
    for password, named in (("Sheet-Pass-1!", []), ("Fixed-Pass-1!", [(2, "ann")])):
        assert apply_sheet(journal, entry(2, "ann", password=password)).unconfirmed_passwords == named


def test_a_row_fixed_in_a_failures_file_is_left_to_that_file(journal: Journal) -> None:
    """The sheet still has the weak password: that is no reason to forget what the service said of the fixed one."""
    apply_sheet(journal, entry(2, "ann", ready=False, password="weak"))
    (job,) = apply_sheet(journal, entry(2, "ann", password="Fixed-Pass-1!"), failures=True).to_send
    end(journal, job, Status.FAILED, task="t-1")
    made = apply_sheet(journal, entry(2, "ann", ready=False, password="weak"))
    assert (made.corrected, made.invalid) == (1, 0)
    assert by_email(journal)["ann"].status is Status.FAILED
    assert journal.open_corrections(of_latest=False)
    assert not journal.open_corrections(of_latest=True)


def test_a_retried_row_is_no_correction(journal: Journal) -> None:
    """A failures file that was run as it was written holds nothing that the sheet does not."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.FAILED, task="t-1")
    (job,) = apply_sheet(journal, entry(2, "ann"), failures=True).to_send
    end(journal, job, Status.FAILED, task="t-2")
    assert not journal.open_corrections(of_latest=True)


def test_a_row_deleted_as_its_fault_says_is_settled(journal: Journal) -> None:
    """A line of totals that is deleted from the failures file is left out from then on; another row is not."""
    totals = Problem("A3", Fault("a line of totals; delete the row"))
    weak = Problem("D4", Fault("weak"))
    sheet = (
        entry(2, "a b", ready=False),
        entry(3, "Total", ready=False, problems=(totals,)),
        entry(4, "cid", ready=False, problems=(weak,)),
    )
    apply_sheet(journal, *sheet)
    apply_sheet(journal, entry(2, "ab", sheet_row=2), failures=True)
    assert {row.email for row in journal.record_rows()} == {"ab", "cid"}
    made = apply_sheet(journal, *sheet)
    assert made.deleted == [3]
    assert {row.email for row in journal.record_rows()} == {"ab", "cid"}


def test_an_old_failures_file_is_known_by_its_mailboxes_after_the_sheet_was_sorted(journal: Journal) -> None:
    """Its places are those of before: a row is still its mailbox's."""
    jobs = apply_sheet(journal, entry(2, "ann"), entry(3, "bob")).to_send
    for job in jobs:
        end(journal, job, Status.REJECTED)
    apply_sheet(journal, entry(2, "bob"), entry(3, "ann"), checking=True)
    old = [entry(2, "ann", earlier_status=Status.REJECTED), entry(3, "bob", earlier_status=Status.REJECTED)]
    assert emails(apply_sheet(journal, *old, failures=True).to_send) == ["ann", "bob"]
    assert {(row.sheet_row, row.email) for row in journal.record_rows()} == {(2, "bob"), (3, "ann")}


def test_the_latest_failures_file_is_known_by_its_places_after_the_sheet_was_sorted(journal: Journal) -> None:
    """It was written after the sorting, so a username that is corrected in it is that row's."""
    for job in apply_sheet(journal, entry(2, "ann"), entry(3, "b.ob")).to_send:
        end(journal, job, Status.REJECTED)
    apply_sheet(journal, entry(2, "b.ob"), entry(3, "ann"), checking=True)
    corrected = entry(2, "bob", earlier_status=Status.REJECTED)
    reconciled([corrected], journal, failures=True, latest_file=True)
    assert {(row.sheet_row, row.email) for row in journal.record_rows()} == {(2, "bob"), (3, "ann")}


def test_a_row_that_is_retyped_as_another_faulty_one_stays_in_its_place(journal: Journal) -> None:
    """Rows without a mailbox of their own may look alike; the failures file says which row each of them is."""
    apply_sheet(journal, entry(2, "a b", ready=False), entry(3, "bob", ready=False), checking=True)
    typed = [entry(row, "bob", ready=False, earlier_status=Status.INVALID) for row in (2, 3)]
    apply_sheet(journal, *typed, failures=True, checking=True)
    assert [(row.sheet_row, row.email) for row in journal.record_rows()] == [(2, "bob"), (3, "bob")]


def test_a_row_that_was_left_out_stays_so_until_the_sheet_says_something_else(journal: Journal) -> None:
    """Also if nothing is wrong with it; and a run says so, of the sheet and of the failures file without it."""
    apply_sheet(journal, entry(2, "ann"), entry(3, "bob"), checking=True)
    journal.leave_out(by_email(journal)["bob"].id, left_out=True)
    for plan in (apply_sheet(journal, entry(2, "ann"), entry(3, "bob")), apply_sheet(journal, failures=True)):
        assert plan.deleted == [3]
    assert [row.email for row in journal.record_rows()] == ["ann"]
    assert emails(apply_sheet(journal, entry(3, "bob", cells={"email": "bob", "notes": "now"})).to_send) == ["bob"]


def test_a_row_that_was_left_out_and_is_corrected_is_not_called_left_out(journal: Journal) -> None:
    """Its correction is in the failures file that is run, and is sent."""
    apply_sheet(journal, entry(2, "b ob", ready=False), checking=True)
    journal.leave_out(by_email(journal)["b ob"].id, left_out=True)
    plan = reconciled([entry(2, "bob", earlier_status=Status.INVALID)], journal, failures=True, latest_file=True)
    assert (emails(plan.to_send), plan.deleted) == (["bob"], [])


def test_a_cell_that_somebody_typed_is_no_conversion(journal: Journal) -> None:
    """What the page stored is as it was typed; the same text in another column is not."""
    apply_sheet(journal, entry(2, "007", ready=False, cells={"email": "007", "notes": "007"}), checking=True)
    typed = entry(2, "7", earlier_status=Status.INVALID, cells={"email": "7", "notes": "7"})
    for cells, sent, notes in (({}, [], "007"), ({2: ["email"]}, ["7"], "007"), ({2: ["email", "notes"]}, ["7"], "7")):
        plan = reconciled([typed], journal, failures=True, typed=cells)
        assert emails(plan.to_send) == sent
        (row,) = journal.record_rows()
        assert row.cells["notes"] == notes
        assert row.status is (Status.UNSENT if sent else Status.INVALID)


def test_a_task_that_never_ends_is_handed_to_support(journal: Journal) -> None:
    """After two runs that asked until the time was up, running again is no remedy; a new create starts afresh."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    end(journal, job, Status.UNFINISHED, task="t-1")
    journal.apply([Finished(job.row_id, Status.UNFINISHED, 102.0, "not done")])
    assert by_email(journal)["ann"].actor is Actor.NEXT_RUN
    journal.apply([Finished(job.row_id, Status.UNFINISHED, 103.0, "not done")])
    assert by_email(journal)["ann"].actor is Actor.SUPPORT
    end(journal, job, Status.UNFINISHED, task="t-2")
    assert by_email(journal)["ann"].actor is Actor.NEXT_RUN


def test_what_the_service_said_of_a_row_is_known_in_the_next_run(journal: Journal) -> None:
    """“Already exists” is more than “no clear answer came”: a later look-up must not forget it; a new create may."""
    (job,) = apply_sheet(journal, entry(2, "ann")).to_send
    journal.apply([Sending(job, 100.0), Finished(job.row_id, Status.UNKNOWN, 101.0, "x", reason="already exists")])
    journal.apply([Finished(job.row_id, Status.UNKNOWN, 102.0, "already exists; looked up, and not there yet")])
    assert [unconfirmed.reason for unconfirmed in apply_sheet(journal, entry(2, "ann")).unconfirmed_rows] == [
        "already exists"
    ]
    assert [each.reason for each in apply_sheet(journal, entry(3, "bob")).unconfirmed_rows] == ["already exists"]
    journal.apply([Sending(job, 200.0)])
    assert by_email(journal)["ann"].reason == ""


def test_a_row_whose_place_was_changed_makes_no_second_one(journal: Journal) -> None:
    """What stands in sheet_row is no number any more: the row is refused, and is still its mailbox's."""
    apply_sheet(journal, entry(2, "ann", ready=False), entry(3, "bob"), checking=True)
    lost = Problem(None, Fault("its sheet_row is not"))
    apply_sheet(journal, entry(2, "ann", ready=False, sheet_row=None, problems=(lost,)), failures=True)
    apply_sheet(journal, entry(2, "bob", ready=False, sheet_row=None, problems=(lost,)), failures=True)
    assert [(row.sheet_row, row.email, row.error) for row in journal.record_rows()] == [
        (2, "ann", "its sheet_row is not"),
        (3, "bob", "its sheet_row is not"),
    ]


def test_a_row_whose_domain_an_earlier_run_looked_up_is_still_the_sheets_own(journal: Journal) -> None:
    """A check knows the domain's name alone and finds the row valid; what the run learnt of it is kept."""
    named = entry(2, "ann", domain="101", address="ann@acme.example")
    assert emails(apply_sheet(journal, named).to_send) == ["ann"]
    unasked = replace(named, key="ann@acme.example", request=None)
    checked = apply_sheet(journal, unasked, checking=True)
    assert (checked.open, checked.corrected) == (1, 0)
    (row,) = journal.rows()
    assert (row.status, row.address_key, row.file_row) == (Status.VALID, "ann@101", 2)


LACKING = Problem("C2", Fault("the account has no relay server “Mailgum”", of_account=True))
NO_DOMAIN = Problem("B2", Fault("the account has no domain “acme.exampel”", of_account=True))


def name_cell(entry: Entry, column: str) -> str:
    letters = {"email": "A", "domain": "B", "relay_server": "C", "project": "D"}
    return f"{letters[column]}{entry.file_row}"


def check(journal: Journal, asked: Entry, *, failures: bool = False) -> list[tuple[Status, str]]:
    """What a check says of a sheet of one row, after a run that could ask the account."""
    told = as_told(journal, asked) if failures else asked
    reconciled([told], journal, failures=failures, checking=True, cell_name=name_cell)
    return [(row.status, row.error) for row in journal.record_rows()]


def lacking(*problems: Problem, row: int = 2, **cells: Any) -> Entry:
    return replace(entry(row, "ann", ready=False, **cells), problems=problems)


def test_what_the_account_lacked_stays_a_fault_until_its_cell_is_changed(journal: Journal) -> None:
    """A check does not ask again: it says what the run found, in the place that the row has now."""
    apply_sheet(journal, lacking(LACKING, relay_server="Mailgum"))
    found = [(Status.INVALID, "C5: the account has no relay server “Mailgum”")]
    assert check(journal, lacking(row=5, relay_server="Mailgum")) == found
    assert check(journal, lacking(row=5, relay_server="Mailgum")) == found, "a check is no answer of the account"
    assert check(journal, lacking(row=5, relay_server="Mailgun")) == [(Status.VALID, "")]


def test_a_run_that_asks_the_account_forgets_what_it_lacked(journal: Journal) -> None:
    """It may have been added there since."""
    apply_sheet(journal, lacking(LACKING, relay_server="Mailgum"))
    check(journal, lacking(relay_server="Mailgum"))
    assert emails(apply_sheet(journal, entry(2, "ann", relay_server="Mailgum")).to_send) == ["ann"]


def test_each_cell_keeps_what_the_account_lacked_for_it(journal: Journal) -> None:
    """Although the row is another mailbox's once its domain is fixed."""
    apply_sheet(journal, lacking(NO_DOMAIN, LACKING, domain="acme.exampel", relay_server="Mailgum"))
    fixed = lacking(domain="101", relay_server="Mailgum")
    assert check(journal, fixed, failures=True) == [(Status.INVALID, str(LACKING))]


@pytest.mark.parametrize("problem", [Problem("A2", Fault("the same username and domain as in row 3")), BROKEN])
def test_only_what_the_account_lacked_is_kept(journal: Journal, problem: Problem) -> None:
    """All else is found by every check anew: the other row may be gone, or the rules may be others now."""
    apply_sheet(journal, lacking(problem))
    assert check(journal, entry(2, "ann")) == [(Status.VALID, "")]
