"""Validation: every problem of every row in one pass, each with its cell, and no secret anywhere."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.stages.read import read
from provisioner.stages.validate import Checked, validate

MAILBOX = schema.load()
HEADER = "email,domain,relay_server,password,project,reply_to"
Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Write a sheet, read it and validate it."""

    def check(*rows: str, header: str = HEADER, **options: Any) -> Checked:
        path = tmp_path / "sheet.csv"
        path.write_text("\n".join([header, *rows]), encoding="utf-8")
        return validate(read(path, MAILBOX, **options), MAILBOX, **options)

    return check


def said(checked: Checked, row: int) -> list[str]:
    return [str(problem) for problem in checked.problems(row)]


def test_a_good_row_is_ready_as_the_sheet_has_it(check: Check) -> None:
    """Cells are still text, and blank optional cells are blank."""
    checked = check("john.doe,101,201,Abcdef1!,,")
    assert ready_rows(checked) == [(2, "john.doe", "101", "201", "Abcdef1!", "", "")]
    assert list(checked.invalid) == []
    assert checked.problems(2) == ()


def test_all_problems_of_a_row_are_told_in_the_order_of_its_columns(check: Check) -> None:
    """One pass tells everything, so that a sheet is fixed once."""
    checked = check("x!,,0,weak,1.5,nobody")
    assert [problem.cell for problem in checked.problems(2)] == ["A2", "B2", "C2", "D2", "E2", "F2"]
    assert list(checked.invalid) == [2]
    assert ready_rows(checked) == []


def test_the_order_is_that_of_the_sheet(check: Check) -> None:
    """Not that of the schema, and cells are named by where they stand."""
    checked = check("weak,Notes,x!,101,201", header="password,Notes,email,domain,relay_server")
    assert [problem.cell for problem in checked.problems(2)] == ["A2", "C2"]


def test_rows_are_named_by_their_numbers(check: Check) -> None:
    """Blank rows between them do not shift the numbers."""
    checked = check("", "a,101,201,Abcdef1!,,", ",,,,,", "b,101,201,weak,,", "c,101,201,Abcdef1!,,")
    assert [row.file_row for row in ready_rows(checked)] == [3, 6]
    assert list(checked.invalid) == [5]
    assert checked.problems(5)[0].cell == "D5"


@pytest.mark.parametrize("blank", ["", "   ", "\u00a0"])
def test_a_blank_password_is_a_problem_unless_one_is_generated(check: Check, blank: str) -> None:
    """The caller says which; the sheet may then lack the column too."""
    assert said(check(f"a,101,201,{blank},,"), 2) == [
        "D2: the password is missing; write one, or have it generated with --generate-passwords"
    ]
    assert [row.password for row in ready_rows(check(f"a,101,201,{blank},,", blank_password_ok=True))] == [""]
    without = check("a,101,201", header="email,domain,relay_server", blank_password_ok=True)
    assert [row.password for row in ready_rows(without)] == [""]


def test_rows_that_mean_one_mailbox_name_each_other(check: Check) -> None:
    """The same username, whatever its case, with the same domain; another domain is another mailbox."""
    checked = check(
        "john,101,201,Abcdef1!,,", "JOHN,101,202,Abcdef1!,,", "john,102,201,Abcdef1!,,", "john,101,201,Abcdef1!,,"
    )
    assert list(checked.invalid) == [2, 3, 5]
    assert "the same username and domain as in rows 3, 5; keep one of them and delete the rest" in said(checked, 2)[0]
    assert "as in rows 2, 5;" in said(checked, 3)[0]
    assert "as in rows 2, 3;" in said(checked, 5)[0]


def test_passwords_weak_in_different_ways_have_a_whole_cause(check: Check) -> None:
    """What they are told together as ends where what differs begins."""
    checked = check("a,101,201,weak,,", "b,101,201,Weakpass1,,", "c,101,201,weakpass!,,")
    causes = {problem.cause for row in checked.invalid for problem in checked.problems(row)}
    assert causes == {"the password is too weak…"}


@pytest.mark.parametrize(
    ("row", "said"), [("x", "row 2: the row has 1 cell"), ("a b,1,1,x,,", "row 2: A2: “a b” holds")]
)
def test_a_sheet_with_more_errors_than_can_be_listed_is_refused(
    check: Check, monkeypatch: pytest.MonkeyPatch, row: str, said: str
) -> None:
    """Whether its rows cannot be read or break a rule, one of them is told; nothing is written for the others."""
    monkeypatch.setattr("provisioner.sheets.opening.most_faulty_rows", lambda _: 3)
    assert len(check(*[row] * 3).invalid) == 3
    with pytest.raises(SheetError, match=said) as refused:
        check(*[row] * 4)
    assert "in common" in refused.value.remedy


def test_many_rows_that_mean_one_mailbox_are_not_all_named(check: Check) -> None:
    """A message stays readable however often a row was pasted."""
    checked = check(*["john,101,201,Abcdef1!,,"] * 50)
    assert "as in rows 2, 3, 4, 5, 6 and 44 more;" in said(checked, 20)[0]


def test_a_duplicate_that_is_bad_otherwise_still_counts(check: Check) -> None:
    """Which of the two is meant is not certain, so neither is sent."""
    checked = check("john,101,201,Abcdef1!,,", "john,101,201,weak,,")
    assert list(checked.invalid) == [2, 3]


def test_two_rows_that_differ_in_case_alone_mean_one_mailbox(check: Check) -> None:
    """Also where no two usernames of the sheet are written alike."""
    checked = check("john,101,201,Abcdef1!,,", "jane,101,201,Abcdef1!,,", "John,101,201,Abcdef1!,,")
    assert list(checked.invalid) == [2, 4]
    assert "the same username and domain as in row 4; keep one of them and delete the rest" in said(checked, 2)[0]


def test_a_row_that_could_not_be_read_has_that_problem_alone(check: Check) -> None:
    """What stands in which column is not known, so nothing else is said of it."""
    checked = check("a,101,201,Abcdef1!,", 'b,101,201,"Abcdef1!,,')
    assert [len(checked.problems(row)) for row in checked.invalid] == [1, 1]
    assert "5 cells where the header has 6" in said(checked, 2)[0]


def test_what_stands_right_of_a_bad_password_is_not_named(check: Check) -> None:
    """It may be what a comma cut off the password, in a row that is short of a blank cell at its end."""
    weak, good = "x y,101,201,Abc,0x1,d f", "x y,101,201,Abcdef1!,0x1,d f"
    checked = check(weak, good, weak.replace("Abc", ""), header=HEADER)
    named = {row: " ".join(said(checked, row)) for row in (2, 3, 4)}
    assert ["0x1" in named[row] and "d f" in named[row] for row in (2, 3, 4)] == [False, True, False]
    assert all("x y" in sentences and "E" in sentences and "F" in sentences for sentences in named.values())


def test_a_password_with_a_blank_at_its_end_is_a_warning(check: Check) -> None:
    """It is sent as it stands, and the person is told."""
    checked = check("a,101,201,Abcdef1! ,,", "b,101,201,weak ,,", "c,101,201,Abcdef1!,,")
    assert [problem.cell for problem in checked.warnings] == ["D2"]
    assert [row.password for row in ready_rows(checked)] == ["Abcdef1! ", "Abcdef1!"]


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_characters='"\r\n\0'), min_size=9, max_size=30).filter(
    lambda text: len(set(text)) > 5 and text.strip() == text
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PASSWORDS)
def test_no_problem_holds_a_password(tmp_path: Path, password: str) -> None:
    """Whatever is wrong with a row, its password is nowhere in what is said."""
    path = tmp_path / "sheet.csv"
    cell = password.replace('"', '""')
    path.write_text(f'{HEADER}\na@b.cd,0,x,"{cell}",y,z\nb,1,1,"{cell}', encoding="utf-8")
    checked = validate(read(path, MAILBOX), MAILBOX)
    for row in checked.invalid:
        for problem in checked.problems(row):
            assert password not in repr(problem)
    assert password not in repr(checked)


def test_a_traceback_from_within_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a defect in a rule shows no cell."""

    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(schema.Rule, "_kept", fail)
    password = "terceS-yreV"[::-1]
    # A schema of this test's own: the checks of the shared one may have been made before.
    rules = schema.load(Path(shutil.copy(schema.shipped("mailbox.yaml"), tmp_path)))
    path = tmp_path / "sheet.csv"
    path.write_text(f"{HEADER}\na,101,201,{password},,", encoding="utf-8")
    try:
        validate(read(path, rules), rules)
    except RuntimeError:
        assert password not in traceback.format_exc()
    else:
        pytest.fail("the defect went unnoticed")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "A", "c@d.ef", ""]),
            st.sampled_from(["101", "102", "x", ""]),
            st.sampled_from(["Abcdef1!", "weak", ""]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_row_is_either_ready_or_has_its_reason(tmp_path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """No row is in both or in neither, in whatever company it stands."""
    path = tmp_path / "sheet.csv"
    lines = [f"{email},{domain},201,{password},x" for email, domain, password in rows]
    path.write_text("\n".join(["email,domain,relay_server,password,Notes", *lines]), encoding="utf-8")
    checked = validate(read(path, MAILBOX), MAILBOX)
    ready = {row.file_row for row in ready_rows(checked)}
    assert ready.isdisjoint(checked.invalid)
    assert ready | set(checked.invalid) == set(range(2, len(rows) + 2))
    assert all(checked.problems(row) for row in checked.invalid)
    assert not any(checked.problems(row) for row in ready)
    mailboxes = [(email.casefold(), domain or email.partition("@")[2]) for email, domain, _ in rows]
    for number, (email, domain, password) in enumerate(rows, start=2):
        duplicates = [each for each in mailboxes if each == mailboxes[number - 2]]
        good = email and domain != "x" and (domain or "@" in email) and password == "Abcdef1!"
        assert (number in ready) == bool(good and len(duplicates) == 1)
