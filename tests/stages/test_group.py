"""What is left, put together by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import running

from provisioner.records import Actor, Fault, Problem, Status, TaskId
from provisioner.resources import LoginState
from provisioner.stages.group import group, group_logins

if TYPE_CHECKING:
    from provisioner.journal import JournalRow


def journal_row(number: int, status: Status, error: str = "", **known: Any) -> JournalRow:
    fields = {"sheet_row": number, "status": status, "explanation": error, "sends": 1}
    return running.journal_row(number, **{**fields, **known})


def test_one_mistake_made_often_is_one_group() -> None:
    """Rows whose sentences differ in the cell's own value alone are told together, with their cells."""
    problems = [Problem(f"B{n}", Fault("“…” is not an ID", (f"x{n}",))) for n in range(2, 9)]
    (found,) = group([journal_row(n, Status.INVALID, problems=(p,)) for n, p in enumerate(problems, 2)], keep=3)
    assert (found.cause, found.rows, found.actor) == ("“…” is not an ID", 7, Actor.SHEET)
    assert [(example.place, example.sentence) for example in found.examples] == [
        ("B2", "“x2” is not an ID"),
        ("B3", "“x3” is not an ID"),
        ("B4", "“x4” is not an ID"),
    ]


def test_what_all_rows_of_a_cause_say_is_filled_in() -> None:
    """Numbers that are the same everywhere are told; only what differs is left open."""
    cause = "the row has … cells where the header has …"
    for counts, told in (((7, 7, 7), "7"), ((7, 8, 7), "…")):
        problems = [Problem(None, Fault(cause, (str(n), "6"))) for n in counts]
        (found,) = group([journal_row(n, Status.INVALID, problems=(p,)) for n, p in enumerate(problems, 2)], keep=2)
        assert found.cause == f"the row has {told} cells where the header has 6"


def test_a_row_whose_text_is_not_shown_is_told_with_the_others() -> None:
    """Right of a broken password a sentence names no text, which the same sentence of another row does."""
    told = (("x2",), (), ("x2",))
    problems = [Problem("E2", Fault("“…” is not an ID", details)) for details in told]
    (found,) = group([journal_row(n, Status.INVALID, problems=(p,)) for n, p in enumerate(problems, 2)], keep=3)
    assert (found.cause, found.rows) == ("“…” is not an ID", 3)
    assert [each.sentence for each in found.examples] == ["“x2” is not an ID", "“…” is not an ID", "“x2” is not an ID"]


def test_what_the_service_said_is_told_without_what_is_the_rows_own() -> None:
    """A refusal that names the username is the same refusal for every username."""
    rows = [journal_row(n, Status.REJECTED, f"user{n} is not allowed", reply_to="") for n in (2, 3)]
    (found,) = group(rows, keep=2)
    assert found.cause == "… is not allowed"
    assert [example.sentence for example in found.examples] == ["user2 is not allowed", "user3 is not allowed"]
    assert [example.place for example in found.examples] == ["row 2", "row 3"]


def test_problems_that_always_come_together_are_one_group() -> None:
    """Four faults of one password are told once; a fault that another row has too stands alone."""
    short, digit = Problem("D2", Fault("too short")), Problem("D2", Fault("no digit"))
    rows = [journal_row(2, Status.INVALID, problems=(short, digit))]
    assert [each.cause for each in group(rows, keep=2)] == ["too short; no digit"]
    rows.append(journal_row(3, Status.INVALID, problems=(Problem("D3", Fault("too short")),)))
    assert [(each.cause, each.rows) for each in group(rows, keep=2)] == [("too short", 2), ("no digit", 1)]


def test_who_must_act_comes_before_how_many() -> None:
    """What the sheet's keeper must mend comes first, then what support must see, then what needs nobody."""
    rows = [
        *(journal_row(n, Status.UNSENT) for n in range(2, 6)),
        journal_row(6, Status.FAILED, "the server is full", sends=2, task_id=TaskId("t-6")),
        journal_row(7, Status.FAILED, "the server is full"),
        journal_row(8, Status.INVALID, "the username is missing", sheet_row=None),
    ]
    found = group(rows, keep=2)
    assert [(each.actor, each.rows) for each in found] == [
        (Actor.SHEET, 1),
        (Actor.SUPPORT, 1),
        (Actor.NEXT_RUN, 4),
        (Actor.NEXT_RUN, 1),
    ]
    assert found[0].examples[0].place == "a row that is not in the sheet"
    assert found[1].examples[0].task_id == "t-6"
    assert found[2].cause == "not sent: the run ended before its turn"


def test_log_ins_are_put_together_by_reason() -> None:
    """A reason that names the address is the same for every address; what was logged in to is in no group."""
    good, bad = LoginState.OK, LoginState.REFUSED
    rows = [
        *(
            journal_row(n, Status.CREATED, imap=good, smtp=bad, address=f"u{n}@x", login_error=f"SMTP: no u{n}@x here")
            for n in range(2, 5)
        ),
        journal_row(5, Status.CREATED, imap=good, smtp=good, address="u5@x"),
        journal_row(6, Status.EXISTS),
        journal_row(7, Status.CREATED),
    ]
    found = group_logins(rows, keep=2)
    assert [(each.state, each.reason, each.mailboxes, each.examples) for each in found] == [
        (bad, "SMTP: no … here", 3, ("u2@x", "u3@x")),
        (None, "log-in not tried yet", 1, ("user7",)),
    ]
