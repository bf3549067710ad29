"""The check screen, as its requests are answered: what is shown, and what a change does to the files."""

from __future__ import annotations

import html
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
import running
import xlsxwriter
from python_calamine import CalamineWorkbook
from scripted import reply
from sites import Site, question_in

import provisioner
from provisioner.run_folder import hold, locate
from provisioner.settings import SheetOptions
from provisioner.sheets import UNCERTAIN, read_table, write_table
from provisioner.sheets.text_workbook import text_workbook
from provisioner.stages.prepare import prepare
from provisioner.stages.reconcile import WorkPlan
from provisioner.web.folder import id_of
from provisioner.web.practice import make_sheet
from provisioner.web.rows import MOST_ROWS_TO_FIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import httpx
    from running_page import RunningPage

GOOD = ("ann", "101", "201", "Sound-Passw0rd!", "", "")
BLANK_IN_NAME = ("b ob", "101", "201", "Sound-Passw0rd!", "", "")
WEAK = ("carl", "101", "201", "feeble-secret", "", "")
HEADER = b"email,domain,relay_server,password,project,reply_to,sheet_row,status,error,remedy,task_id\n"
Row = tuple[str, ...]


class Screen:
    """The check screen of one sheet."""

    def __init__(self, client: httpx.Client, sheet: Path) -> None:
        self.client = client
        self.path = f"/sheets/{id_of(sheet.name)}"

    def show(self, **query: str) -> str:
        """The page. It must be there."""
        answer = self.client.get(f"{self.path}/check", params=query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def sent_by(self, key: str, page: str | None = None) -> dict[str, str]:
        """What the page sends along with whatever is typed into a row."""
        form = re.search(rf"""<form id="form-{re.escape(key)}" .*? data-value='(.*?)'>""", page or self.show())
        assert form is not None
        fields: dict[str, str] = json.loads(html.unescape(form[1]))
        return fields

    def type(self, key: str, page: str | None = None, alike: str | None = None, **cells: str) -> httpx.Response:
        """Type into cells of a row and press Enter, or the button for all alike."""
        typed = {f"cell:{column}": text for column, text in cells.items()}
        return self.client.put(
            f"{self.path}/rows/{key}",
            json={**typed, **self.sent_by(key, page), **({"alike": alike} if alike else {})},
        )

    def press(self, key: str, what: str, page: str | None = None, **value: str) -> httpx.Response:
        """Press a button of a row."""
        return self.client.post(f"{self.path}/rows/{key}/{what}", json={**self.sent_by(key, page), **value})

    def undo(self) -> httpx.Response:
        return self.client.post(f"{self.path}/undo", json={"first": "2", "last": "99", "further": "6"})


@pytest.fixture
def screen(client: httpx.Client, write_sheet: Callable[..., Path]) -> Callable[[Sequence[Row]], Screen]:
    """The screen of a sheet of these rows."""
    return lambda rows: Screen(client, write_sheet(list(rows)))


def heading(text: str) -> str:
    (found,) = re.findall(r'<h1 id="heading">(.*?)</h1>', text)
    return html.unescape(found)


def labels(text: str) -> list[str]:
    """The names of the cells that can be typed into."""
    return re.findall(r'aria-label="(.*?, .*?row \d+)"', text)


def test_only_what_is_to_be_fixed_is_shown(screen: Any) -> None:
    """The counts agree with the sheet, a good row is not there, and every cell of a faulty one is named."""
    page = screen([GOOD, BLANK_IN_NAME, WEAK]).show()
    assert heading(page) == "3 rows: 1 ready, 2 to fix"
    assert "<caption>Rows to fix</caption>" in page
    columns = ("email", "domain", "relay_server", "password", "project", "reply_to")
    assert labels(page) == [f"{column}, row {row}" for row in (3, 4) for column in columns]
    assert page.count('aria-invalid="true"') == 2


def test_a_sentence_stands_beside_its_cell(screen: Any) -> None:
    """A screen reader is led from the faulty cell to every sentence about it, and to nothing else."""
    page = screen([("b ob", "1.5", "201", "weak", "", "")]).show()
    for cell in re.findall(r'<input [^>]*aria-invalid="true"[^>]*>', page):
        (described,) = re.findall(r'aria-describedby="(.*?)"', cell)
        sentences = [re.findall(rf'id="{each}">(.*?)<', page) for each in described.split()]
        assert [len(found) for found in sentences] == [1]
    assert "“b ob” holds a blank" in page
    assert page.count("autofocus") == 1
    assert re.search(r'<input [^>]*aria-label="email, row 2"[^>]* autofocus>', page)


def test_what_is_wrong_is_said_with_what_is_done_at_the_page(client: httpx.Client, tmp_path: Path) -> None:
    """No option of the command line is named, no row is to be deleted, and the mark of what is not certain is told."""
    rows = ("jos\xe9,101,201,Sound-Passw0rd!", "TOTAL,,,", "bob,101,201,weak", "1-Mar,101,201,", "bob,101,201,weak")
    (tmp_path / "acme.csv").write_text("\n".join(["email,domain,relay_server,password", *rows]), encoding="cp1252")
    shown = Screen(client, tmp_path / "acme.csv")
    page = html.unescape(shown.show())
    assert f'value="{UNCERTAIN}josé"' in page
    assert page.count(f"{UNCERTAIN} marks what may not be right: correct it, and delete the mark.") == 1
    for sentence in (
        "the letters of A2 are not certain; type it again here, or save the sheet as “CSV UTF-8” and open it again",
        "“TOTAL” looks like a line of totals, not a mailbox; leave the row out",
        "the same username and domain as in row 6; keep one of them and leave the rest out",
        "“1-Mar” is what a spreadsheet program makes of a date or a number; type the username again",
        "the password is missing; write one, or have it generated<",
    ):
        assert sentence in page
    for text in (page, shown.show(show="all"), shown.type("4", password="feeble").text):
        assert "--" not in text
        assert "delete the r" not in text


@pytest.mark.parametrize(
    ("sandbox", "told"),
    [
        (True, "Practise with a copy: a sheet that was run here cannot be run for real."),
        (
            False,
            "To create mailboxes, open another sheet, or a copy of this one, without what was fixed here: <button ",
        ),
    ],
)
def test_a_sheet_of_practice_says_how_its_mailboxes_are_created(
    page_server: Callable[..., RunningPage], tmp_path: Path, *, sandbox: bool, told: str
) -> None:
    """Its run folder is for practice alone, so the page says that before the work is done, and after it."""
    make_sheet(tmp_path, None)
    client = page_server(sandbox=sandbox).enter()
    assert f"nothing costs money. {told}" in client.get(f"/sheets/{id_of('practice.csv')}/check").text
    assert told not in client.get("/").text


@pytest.fixture
def ragged(client: httpx.Client, tmp_path: Path) -> Screen:
    """A row with one cell too many, in a sheet with ten columns that are not sent."""
    header = [*("email", "domain", "relay_server", "password"), *(f"x{n}" for n in range(10))]
    row = ["ann", "101", "201", "Sound-Passw0rd!", *(f"y{n}" for n in range(11))]
    (tmp_path / "acme.csv").write_text(f"{','.join(header)}\n{','.join(row)}\n", encoding="utf-8")
    return Screen(client, tmp_path / "acme.csv")


def test_where_the_whole_row_is_in_doubt_every_cell_can_be_typed_again(ragged: Screen) -> None:
    """The sentence stands with the row; what is not certain is marked, and no column is left away."""
    page = ragged.show()
    assert len(labels(page)) == 14
    marked = re.findall(r'<input [^>]*aria-invalid="true"[^>]*>', page)
    assert 'name="cell:email"' not in "".join(marked)
    for cell in marked:
        (described,) = re.findall(r'aria-describedby="(.*?)"', cell)
        assert re.search(rf'id="{described}">the row has 15 cells where the header has 14', page)


def test_a_row_in_doubt_is_ready_once_it_is_certain(ragged: Screen) -> None:
    """After the cell with the mark was typed again; Undo shows all columns again."""
    page = ragged.show()
    answer = ragged.type("2", page, x9="y9")
    assert heading(answer.text) == "1 row: 1 ready"
    assert 'colspan="15"' in answer.text
    (sent,) = re.findall(r"""/undo" data-value='(.*?)'""", answer.text)
    back = ragged.client.post(f"{ragged.path}/undo", json=json.loads(html.unescape(sent)))
    assert len(labels(back.text)) == 14


def test_causes_are_counted_and_can_be_chosen(screen: Any) -> None:
    """The most frequent cause comes first; its link shows its rows alone."""
    shown = screen([BLANK_IN_NAME, WEAK, ("dora", "101", "201", "weak", "", "")])
    links = re.findall(r'href="\S*\?(cause=\w+)"[^>]*><b>(\d+ rows?)</b>', shown.show())
    assert [rows for _, rows in links] == ["2 rows", "1 row"]
    name, value = links[1][0].split("=")
    assert set(labels(shown.show(**{name: value}))) == {
        f"{column}, row 2" for column in ("email", "domain", "relay_server", "password", "project", "reply_to")
    }
    assert len(set(labels(shown.show(cause="unknown")))) == 18, "of an unknown cause, everything is shown"


def test_a_fix_is_judged_and_stored_at_once(screen: Any, tmp_path: Path, read_csv: Any) -> None:
    """The answer says that the row is ready, and failures.csv holds it: a run of either file creates it."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK])
    answer = shown.type("3", email="bob")
    assert answer.status_code == 200
    assert heading(answer.text) == "3 rows: 2 ready, 1 to fix"
    assert "Row 3 is ready" in answer.text
    assert answer.text.count(">Undo</button>") == 1
    kept = {row["sheet_row"]: row for row in read_csv(tmp_path / "acme-run" / "failures.csv")}
    assert kept["3"]["email"] == "bob"
    assert heading(shown.show()) == "3 rows: 2 ready, 1 to fix"


def test_a_fix_that_is_none_says_what_is_still_wrong(screen: Any) -> None:
    """It is saved, the row stays, and the cell that was typed into is gone to again."""
    answer = screen([BLANK_IN_NAME]).type("2", email="b/ob")
    assert heading(answer.text) == "1 row: 1 to fix"
    assert "“b/ob” holds “/”" in answer.text
    assert re.search(r'<input [^>]*name="cell:email"[^>]* data-focus>', answer.text)


@pytest.mark.parametrize(
    ("typed", "at", "goal"),
    [
        ({"email": "bob"}, "email", "domain"),
        ({"domain": "101"}, "domain", "reply_to"),
        ({"reply_to": ""}, "reply_to", "email"),
        ({}, "email", "domain"),
        ({}, "reply_to", None),
        ({"domain": "x"}, "domain", "domain"),
    ],
)
def test_enter_goes_to_the_next_fault(screen: Any, typed: dict[str, str], at: str, goal: str | None) -> None:
    """Within the row first; a cell that is still wrong is not left unless nothing was typed."""
    shown = screen([("b ob", "1.5", "201", "Sound-Passw0rd!", "", "nobody")])
    fields = {f"cell:{column}": text for column, text in typed.items()}
    answer = shown.client.put(f"{shown.path}/rows/2", json={**fields, **shown.sent_by("2"), "at": f"cell:{at}"}).text
    focused = re.findall(r'name="cell:(\w+)"[^>]* data-focus>', answer)
    assert focused == ([goal] if goal else [])
    assert ("data-then" in answer) == (goal is None)


def test_one_fix_can_be_used_for_all_rows_like_it(screen: Any) -> None:
    """All rows with the same wrong text are fixed by one request, and come back with one."""
    shown = screen([(f"user{n}", "1.5", "201", "Sound-Passw0rd!", "", "") for n in range(7)])
    assert shown.show().count("Use for all 7 like it") == 7
    refused = shown.type("2", alike="domain")
    assert refused.status_code == 409
    assert "Type the right text" in refused.text
    answer = shown.type("2", alike="domain", domain="101")
    assert heading(answer.text) == "7 rows: 7 ready"
    assert all(f'<tbody id="row-{row}"' in answer.text for row in range(2, 9))
    assert heading(shown.undo().text) == "7 rows: 7 to fix"


def test_one_username_is_not_offered_for_two_rows_of_one_mailbox(screen: Any) -> None:
    """It would be wrong again; for rows with another domain each it may be right."""
    assert "Use for all" not in screen([GOOD, GOOD]).show()


def test_one_username_is_offered_for_rows_of_several_domains(screen: Any) -> None:
    """Such as the same slip in the mailbox of each domain."""
    rows = [("in fo", domain, "201", "Sound-Passw0rd!", "", "") for domain in ("101", "102")]
    assert screen(rows).show().count("Use for all 2 like it") == 2


def test_a_row_can_be_left_out_and_taken_back(screen: Any, tmp_path: Path, read_csv: Any) -> None:
    """It is counted, it is in no file to be run, and Undo brings it back."""
    shown = screen([GOOD, BLANK_IN_NAME])
    answer = shown.press("3", "leave-out")
    assert heading(answer.text) == "2 rows: 1 ready, 1 left out"
    assert "Row 3 is left out" in answer.text
    assert [row["sheet_row"] for row in read_csv(tmp_path / "acme-run" / "failures.csv")] == ["2"]
    back = shown.undo()
    assert heading(back.text) == "2 rows: 1 ready, 1 to fix"
    assert '<tbody id="row-3" data-into="rows">' in back.text
    assert "Nothing is left to undo" in shown.undo().text


def test_a_row_that_was_left_out_by_mistake_is_taken_back(screen: Any) -> None:
    """By a button of its own, also after a reload: fixes that were made since are not undone for it."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK])
    answer = shown.press("3", "leave-out").text
    assert ">Take row 3 back</button>" in answer
    shown.type("4", password="Str0nger-Passw0rd!")
    page = shown.show()
    assert heading(page) == "3 rows: 2 ready, 1 left out"
    assert ">Take row 3 back</button>" in page
    back = shown.client.post(f"{shown.path}/rows/3/take-back", json={"first": "2", "last": "99", "further": "6"})
    assert heading(back.text) == "3 rows: 2 ready, 1 to fix"
    assert '<tbody id="row-3" data-into="rows">' in back.text
    assert "Take row" not in back.text


def test_what_was_changed_elsewhere_is_not_overwritten(screen: Any, tmp_path: Path, read_csv: Any) -> None:
    """The later of two edits of one cell is told, with what the cell holds now; the earlier one stands."""
    shown = screen([BLANK_IN_NAME, WEAK])
    page = shown.show()
    assert shown.type("2", page, email="b?ob").status_code == 200
    answer = shown.type("2", page, email="bob")
    assert answer.status_code == 409
    assert "This row was changed elsewhere, or the program was started again, after" in answer.text
    assert "It holds “b?ob” now." in answer.text
    assert "data-keep" in answer.text
    kept = {row["sheet_row"]: row for row in read_csv(tmp_path / "acme-run" / "failures.csv")}
    assert kept["2"]["email"] == "b?ob"
    again = shown.type("2", answer.text, email="bob")
    assert "Row 2 is ready" in again.text


def test_a_row_that_was_left_out_elsewhere_is_told(screen: Any) -> None:
    """The cells that somebody typed into stay; beside them it says why nothing was saved."""
    shown = screen([BLANK_IN_NAME, WEAK])
    page = shown.show()
    shown.press("2", "leave-out", page)
    answer = shown.type("2", page, email="bob")
    assert answer.status_code == 409
    assert answer.text.startswith('<span id="said-2"')
    assert "no longer to be fixed" in answer.text


def test_while_a_run_works_in_the_folder_nothing_is_changed(screen: Any, tmp_path: Path) -> None:
    """The sentence of the command line stands beside the row, and the row's cells are not replaced."""
    shown = screen([BLANK_IN_NAME])
    with hold(locate(tmp_path / "acme.csv", None)):
        page = shown.show()
        answer = shown.type("2", page, email="bob")
        assert answer.status_code == 409
        assert answer.text.startswith('<span id="said-2"')
        assert "Another run is working" in answer.text
        assert "<tbody" not in answer.text
    assert "Row 2 is ready" in shown.type("2", page, email="bob").text


@pytest.mark.usefixtures("patient")
def test_nothing_is_changed_while_a_run_is_about_to_begin(page_server: Any, write_sheet: Callable[..., Path]) -> None:
    """The run has read the sheet as it was, so a fix would be no part of it. It can be made once that is decided."""
    sheet = write_sheet([GOOD, BLANK_IN_NAME])
    site = Site(page_server())
    shown = Screen(site.client, sheet)
    page, question = shown.show(), site.ask()
    refused = [shown.type("3", page, email="bob"), shown.undo(), site.post("passwords"), site.post("tab", tab="x")]
    assert ["nothing can be changed here" in answer.text for answer in refused] == [True] * 4
    site.post("answer", create="none", question=question)
    site.wait("idle")
    assert "Row 3 is ready" in shown.type("3", page, email="bob").text


def test_rows_that_were_added_to_the_sheet_are_not_passed_over(screen: Any, write_sheet: Any) -> None:
    """While fixes wait in failures.csv the sheet is not read; the page says that it has changed, and can use it."""
    shown = screen([GOOD, BLANK_IN_NAME])
    shown.type("3", email="bob")
    assert "Use the sheet as it is now" not in shown.show()
    write_sheet([GOOD, BLANK_IN_NAME, ("carl", *GOOD[1:])])
    assert "Use the sheet as it is now" in shown.show()
    assert shown.client.post(f"{shown.path}/use-sheet", json={}).json() == {"location": f"{shown.path}/check"}
    page = shown.show()
    assert heading(page) == "3 rows: 2 ready, 1 to fix"
    assert page.count("is kept: ") == 1
    assert "Use the sheet as it is now" not in page


def put_back(shown: Screen, content: bytes, name: str = "failures (1).csv") -> httpx.Response:
    return shown.client.put(f"{shown.path}/failures", params={"name": name}, content=content)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_failures_file_that_was_fixed_elsewhere_is_put_back(screen: Any, tmp_path: Path, kind: str) -> None:
    """Its rows are what is shown and run from then on; the file that it replaces is kept, and nothing else is left."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK])
    (tmp_path / "old.csv").write_bytes(shown.client.get(f"{shown.path}/files/failures.csv").content)
    header, *rows = read_table(tmp_path / "old.csv")
    rows[0][0] = "bob"
    fixed = tmp_path / f"fixed.{kind}"
    if kind == "csv":
        write_table(fixed, header, rows)
    else:
        with xlsxwriter.Workbook(str(fixed)) as book:
            page = book.add_worksheet()
            for number, cells in enumerate([header, *rows]):
                page.write_row(number, 0, cells)
    answer = put_back(shown, fixed.read_bytes(), f"failures (1).{kind}")
    assert answer.json() == {"location": f"{shown.path}/check"}
    text = shown.show()
    assert heading(text) == "3 rows: 2 ready, 1 to fix"
    assert "changed by hand" not in shown.show()
    (kept,) = re.findall("is kept: (.*)[.]", text)
    assert {each.rpartition(".")[2] for each in kept.split(", ")} == {"csv", "xlsx"}
    assert "<td>bob</td>" in shown.show(show="all")
    assert not list((tmp_path / "acme-run").glob(".receiving*"))


def test_a_workbook_that_was_changed_in_the_run_folder_is_kept_and_told(screen: Any, tmp_path: Path) -> None:
    """Once fixes go to failures.csv. Of one that was put back nothing is said: its user has it."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK])
    (tmp_path / "old.csv").write_bytes(shown.client.get(f"{shown.path}/files/failures.csv").content)
    header, *rows = read_table(tmp_path / "old.csv")
    for number, name in enumerate(("bob", "rob")):
        rows[0][0] = name
        fixed = tmp_path / "fixed.xlsx"
        with text_workbook(fixed, "Rows", header) as add:
            for cells in rows:
                add(cells, ())
        if number == 0:
            put_back(shown, fixed.read_bytes(), "failures.xlsx")
        else:
            fixed.replace(tmp_path / "acme-run" / "failures.xlsx")
        assert f"<td>{name}</td>" in shown.show(show="all")
        assert shown.type("4", password="Sheet-Pass-77!").status_code == 200
        assert ("failures.xlsx was changed by hand; it is kept as" in shown.show()) == (number == 1)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "failures.csv",
            HEADER + b"x,101,201,Other-Passw0rd!,,,3,invalid,,,\n",
            "does not hold rows to fix of this sheet",
        ),
        ("failures.csv", HEADER + b"b ob,101,201,Sound-Passw0rd!,,,,,,,\n", "does not hold rows to fix of this sheet"),
        ("failures.csv", b"email,domain,relay_server,password\nb ob,101,201,x\n", "does not hold rows to fix"),
        ("failures.csv", b"email,domain\nb ob,101\n", "does not hold rows to fix of this sheet"),
        ("failures.csv", b"%PDF-1.4\n", "is a PDF document"),
        ("failures.ods", b"", "Save it as a CSV file or as an Excel workbook"),
    ],
)
def test_a_file_of_other_rows_is_not_put_back(
    screen: Any, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    """Another sheet's rows would take the places of this one's. Everything stays as it was."""
    shown = screen([GOOD, BLANK_IN_NAME])
    shown.type("3", email="b  ob")
    before = {path: path.read_bytes() for path in (tmp_path / "acme-run").glob("*.csv")}
    refused = put_back(shown, content, name)
    assert (refused.status_code, told in refused.text) == (409, True)
    assert {path: path.read_bytes() for path in (tmp_path / "acme-run").glob("*.csv")} == before


def test_rows_to_fix_that_are_opened_as_a_sheet_of_their_own_say_so(screen: Any, tmp_path: Path) -> None:
    """Their outcome is not in the results of the sheet that they belong to, so it is said how it gets there."""
    shown = screen([GOOD, BLANK_IN_NAME])
    content = shown.client.get(f"{shown.path}/files/failures.csv").content
    for name in ("failures.csv", "Failures (1).csv", "Copy of failures.csv", "acme-failures.xlsx"):
        asked = shown.client.put("/sheets", params={"name": name}, content=content)
        assert f"Which sheet does “{name}” belong to?" in asked.text
    shown.client.put("/sheets", params={"name": "failures.csv", "existing": "own"}, content=content)
    told = "failures.csv holds rows to fix of another sheet. They go to failures-run, not to that sheet&#39;s results; "
    page = Screen(shown.client, tmp_path / "failures.csv").show()
    assert f"{told}if they are meant for these, open that sheet and put the file back there." in page
    prepared = prepare(SheetOptions(sheet=tmp_path / "failures.csv", out=tmp_path / "acme-run"))
    assert not any("another sheet" in note for note in prepared.notes(WorkPlan()))


def test_a_fix_that_is_left_to_a_failures_file_is_said(screen: Any, write_sheet: Any) -> None:
    """It was checked, so the sheet's own row is not sent; the page counts it apart, and says why."""
    shown = screen([GOOD, BLANK_IN_NAME])
    shown.type("3", email="bob")
    sheet = write_sheet([GOOD, BLANK_IN_NAME, ("carl", *GOOD[1:])])
    provisioner.check(locate(sheet, None).failures)
    shown.client.post(f"{shown.path}/use-sheet", json={})
    page = shown.show()
    assert heading(page) == "3 rows: 2 ready, 1 to run again"
    assert "1 row was fixed in a failures file and not in this sheet" in page
    assert "1 row that was sent or left earlier is continued." in page


def test_no_password_is_in_the_page(screen: Any) -> None:
    """Neither a weak one nor one in a row with another fault; it comes only when it is asked for."""
    shown = screen([WEAK, ("d/ora", "101", "201", "Hidden-Passw0rd!", "", "")])
    for page in (shown.show(), shown.show(show="all"), shown.type("3", email="d?ora").text):
        assert "feeble-secret" not in page
        assert "Hidden-Passw0rd!" not in page
    assert re.search(r'<input [^>]*name="cell:password"[^>]* type="password"', shown.show())
    revealed = shown.press("2", "reveal", column="password")
    assert 'value="feeble-secret"' in revealed.text
    assert ">Hide</button>" in revealed.text
    assert shown.press("2", "reveal", column="email").status_code == 409


def test_a_cell_that_may_hold_a_piece_of_a_password_is_masked_too(screen: Any) -> None:
    """A password with a delimiter in it may have spilt into the cells right of it."""
    shown = screen([("ann", "101", "201", "weak", "spilt", "nobody")])
    page = shown.show()
    assert "spilt" not in page
    assert re.search(r'<input [^>]*name="cell:project"[^>]* type="password"', page)
    assert 'value="spilt"' in shown.press("2", "reveal", column="project").text


def test_a_password_can_be_generated(screen: Any) -> None:
    """It is stored at once, with what else was typed into the row, and can be undone; no other cell is filled so."""
    shown = screen([("c arl", "101", "201", "feeble-secret", "", "")])
    assert shown.press("2", "generate", column="email").status_code == 409
    answer = shown.press("2", "generate", column="password", **{"cell:email": "carl"})
    assert "Row 2 is ready" in answer.text
    assert heading(shown.show()) == "1 row: 1 ready"
    assert heading(shown.undo().text) == "1 row: 1 to fix"


def test_passwords_can_be_generated_for_all_rows_without_one(screen: Any) -> None:
    """One press; what is wrong with other rows stays."""
    shown = screen([("ann", "101", "201", "", "", ""), ("bob", "101", "201", "", "", ""), WEAK])
    assert shown.show().count(">Generate for all rows without one</button>") == 2
    assert shown.client.post(f"{shown.path}/passwords").json() == {"location": f"{shown.path}/check"}
    assert heading(shown.show()) == "3 rows: 2 ready, 1 to fix"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no limit to the size of files")
def test_on_a_full_disk_nothing_is_changed(screen: Any) -> None:
    """The sentence of the command line stands beside the row; once there is room again the same press goes well."""
    import resource  # noqa: PLC0415 - Unix only

    shown = screen([BLANK_IN_NAME, *((f"user{n}", "101", "201", "Sound-Passw0rd!", "", "") for n in range(1500))])
    page = shown.show()
    shown.client.get(f"{shown.path}/files/failures.csv")
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, largest[1]))
    try:
        answer = shown.type("2", page, email="bob")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert answer.status_code == 409
    assert answer.text.startswith('<span id="said-2"')
    assert "could not be stored" in answer.text
    assert "<tbody" not in answer.text
    assert heading(shown.show()) == "1,501 rows: 1,500 ready, 1 to fix"
    assert "Row 2 is ready" in shown.type("2", page, email="bob").text


def test_all_rows_can_be_looked_at_and_searched(screen: Any) -> None:
    """By any text that is shown and by the row's number; passwords are not searched."""
    shown = screen([GOOD, ("eve", "101", "201", "Sound-Passw0rd!", "789", "x@y.example"), WEAK])
    page = shown.show(show="all")
    assert "<caption>All rows</caption>" in page
    assert page.count('<th scope="row">') == 3
    assert not labels(page)
    for search, rows in {"EVE": ["3"], "789": ["3"], "y.example": ["3"], "4": ["4"], "feeble": [], "Sound": []}.items():
        assert re.findall(r'<th scope="row">Row (\d+)', shown.show(show="all", q=search)) == rows


def test_all_rows_show_their_fixes_and_say_which_are_not_listed(
    screen: Any, sandbox: Any, connection: Any, listener: Any, tmp_path: Path
) -> None:
    """A row reads as it was fixed, rows that are done or left out are counted, and the rest can be created there."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK])
    running.run(tmp_path / "acme.csv", connection(sandbox(latency=0.0)), listener)
    shown.type("3", email="bob", project="789")
    shown.press("4", "leave-out")
    page = shown.show(show="all")
    assert re.findall(r'<th scope="row">Row (\d+)', page) == ["3"]
    assert "<td>bob</td>" in page
    assert "<td>789</td>" in page
    assert "Not listed: 1 row that is done and 1 row that was left out. They can be taken back below" in page
    assert "Create 1 mailbox…</button>" in page


def test_a_row_under_several_causes_is_said_to_be(screen: Any) -> None:
    """Else the causes would seem to count more rows than there are; it is said no longer than that is so."""
    said = "A row with several errors is listed under each."
    shown = screen([("b ob", "101", "201", "weak", "", ""), WEAK])
    assert said in shown.show()
    assert said not in shown.type("2", email="bob").text


def test_pages_do_not_slip_while_rows_are_fixed(screen: Any) -> None:
    """The next page begins after the last row of this one, however many were fixed here."""
    shown = screen([(f"us er{n}", "101", "201", "Sound-Passw0rd!", "", "") for n in range(MOST_ROWS_TO_FIX + 3)])
    page = shown.show()
    (after,) = re.findall(r'id="next"[^>]*href="\S*\?after=(\d+)"', page)
    for row in ("2", "3", "4"):
        shown.type(row, page, email=f"user{row}")
    assert sorted({int(label.rpartition(" ")[2]) for label in labels(shown.show(after=after))}) == [52, 53, 54]


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onfocus='alert(1)' x='",
    "{{ 12345679*9 }}",
    "</tbody></table><form action=//evil.example>",
    "a\u202ecilbup",
    "\u200f\u2066x",
    "😀" * 40,
    "x" * 32_000,
]


def test_hostile_cells_are_shown_harmlessly(screen: Any) -> None:
    """In a cell that is typed into, in one that is shown and in a sentence: as text, whole in the input."""
    page = screen([(text, text, text, "Sound-Passw0rd!", text, text) for text in HOSTILE]).show()
    inputs = [html.unescape(value).removeprefix(UNCERTAIN) for value in re.findall(r' value="(.*?)"', page)]
    assert [inputs.count(text) for text in HOSTILE] == [5] * len(HOSTILE)
    outside = re.sub(r' value=".*?"', "", page)
    for text in HOSTILE:
        assert not set("<\"'") & set(text) or text not in page, "nowhere as it is"
    assert not re.search("[\u200f\u202e\u2066]|111111111", outside)
    assert len(outside) < 60_000


def test_what_is_no_request_of_the_page_changes_nothing(screen: Any) -> None:
    """A body that is no form, an unknown row and an unknown sheet are refused in words."""
    shown = screen([BLANK_IN_NAME])
    assert shown.client.put(f"{shown.path}/rows/2", content=b"[1").status_code == 400
    half = json.dumps({**shown.sent_by("2"), "cell:email": "bo\ud83db"})
    assert shown.client.put(f"{shown.path}/rows/2", content=half).status_code == 400, "no file can hold it"
    assert shown.client.put(f"{shown.path}/rows/99", json={"version": "x"}).status_code == 409
    assert shown.client.put(f"{shown.path}/rows/2", json={"cell:email": "bob"}).status_code == 409
    assert shown.client.get("/sheets/unknown/check").status_code == 404
    assert heading(shown.show()) == "1 row: 1 to fix"


def test_with_nothing_to_fix_one_press_leads_on(screen: Any) -> None:
    """A clean sheet has no table; the keyboard is on the button that creates its mailboxes."""
    page = screen([GOOD]).show()
    assert heading(page) == "1 row: 1 ready"
    assert "<table" not in page
    assert re.search(r'<button id="create"[^>]* autofocus>Create 1 mailbox…</button>', page)


def test_the_rows_to_fix_can_be_downloaded_at_once(screen: Any) -> None:
    """Both files are there as soon as their links are."""
    shown = screen([GOOD, BLANK_IN_NAME])
    links = re.findall(r'<a href="(\S+)" download>failures', shown.show())
    assert [link.rpartition("/")[2] for link in links] == ["failures.csv", "failures.xlsx"]
    files = [shown.client.get(link) for link in links]
    assert [file.status_code for file in files] == [200, 200]
    assert b'"b ob"' in files[0].content


def test_the_workbook_holds_what_was_fixed_since(screen: Any, tmp_path: Path) -> None:
    """It is what spreadsheet programs should be given, so it is there after the first fix too, and can be put back."""
    shown = screen([GOOD, BLANK_IN_NAME, WEAK, ("007", "101", "201", "feeble-secret", "", "")])
    changed = shown.type("3", email="b/ob").text
    for page in (changed, shown.show()):
        assert re.findall(r">(failures\S+)</a>", page) == ["failures.csv", "failures.xlsx"]
    content = shown.client.get(f"{shown.path}/files/failures.xlsx").content
    workbook = tmp_path / "down.xlsx"
    workbook.write_bytes(content)
    cells = CalamineWorkbook.from_path(workbook).get_sheet_by_index(0).to_python()
    assert [row[0] for row in cells] == ["email", "ann", "b/ob", "carl", "007"]
    answer = put_back(shown, content, "failures.xlsx")
    assert answer.json() == {"location": f"{shown.path}/check"}
    assert heading(shown.show()) == "4 rows: 1 ready, 3 to fix"


def test_rows_to_fix_can_be_downloaded_as_long_as_there_are_any(screen: Any) -> None:
    """The last fix takes the links away, and Undo shows them again."""
    shown = screen([GOOD, BLANK_IN_NAME])
    assert '<span id="downloads">Download rows to fix: <a ' in shown.show()
    for page in (shown.type("3", email="bob").text, shown.show()):
        assert '<span id="downloads" hidden>' in page
        assert ">failures.csv</a>" not in page
    assert '<span id="downloads">Download rows to fix: <a ' in shown.undo().text


def test_what_is_done_is_counted_and_not_offered(
    screen: Any, sandbox: Any, connection: Any, listener: Any, tmp_path: Path
) -> None:
    """After a run at the command line the created row is done, and the faulty one still to fix."""
    shown = screen([GOOD, BLANK_IN_NAME])
    running.run(tmp_path / "acme.csv", connection(sandbox(latency=0.0)), listener)
    page = shown.show()
    assert heading(page) == "2 rows: 1 to fix, 1 done"


def test_what_the_service_refused_is_fixed_here_too(
    screen: Any, connection: Any, listener: Any, server: Any, tmp_path: Path
) -> None:
    """Its own sentence stands with the row, whose password can be shown and generated."""
    lists = {"domains": [{"id": 101, "name": "acme.example"}], "relay-servers": [{"id": 201}]}

    def answer(said: str) -> bytes:
        method, path = said.split()[:2]
        refused = reply(400, {"password": ["Too <common>."]})
        return refused if method == "POST" else reply(200, lists.get(path.split("/")[2], []))

    shown = screen([GOOD])
    running.run(tmp_path / "acme.csv", connection(server(answer).url), listener)
    page = shown.show()
    assert heading(page) == "1 row: 1 to fix"
    assert "Too &lt;common&gt;." in re.sub(r"<li>.*?</li>", "", page)
    assert re.search(r'<input [^>]*name="cell:email"[^>]* autofocus>', page)
    assert ">Show</button>" in page
    assert ">Generate</button>" in page
    assert heading(shown.type("2", password="An0ther-Passw0rd!").text) == "1 row: 1 ready"


def send(client: httpx.Client, sheet: Path, what: str, **fields: str) -> httpx.Response:
    return client.post(f"/sheets/{id_of(sheet.name)}/{what}", json=fields)


def test_a_column_that_was_not_found_is_asked_for(client: httpx.Client, tmp_path: Path) -> None:
    """The sheet's own headers can be chosen; then its rows are shown."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text("email,Hosts,relay_server,password\nann,101,201,Sound-Passw0rd!\n", encoding="utf-8")
    asked = client.get(f"/sheets/{id_of(sheet.name)}/check")
    assert "Which column holds the domain?" in html.unescape(asked.text)
    (value,) = re.findall(r'<option value="([^"]*)">Hosts</option>', asked.text)
    assert send(client, sheet, "columns").status_code == 409, "nothing was chosen"
    assert send(client, sheet, "columns", **{"column:domain": value}).json()["location"].endswith("/check")
    assert heading(Screen(client, sheet).show()) == "1 row: 1 ready"


def test_a_header_that_nearly_names_a_column_is_proposed(client: httpx.Client, tmp_path: Path) -> None:
    """What it is most like is chosen at first; it may also be none of the columns."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text("email,domain,relay_server,password,Projct\nann,101,201,Sound-Passw0rd!,x y\n", encoding="utf-8")
    asked = client.get(f"/sheets/{id_of(sheet.name)}/check")
    assert re.search(r'<option value="[^"]*" selected>Projct</option>', asked.text)
    send(client, sheet, "columns", **{"column:project": "none"})
    assert heading(Screen(client, sheet).show()) == "1 row: 1 ready"


def test_what_no_column_holds_can_be_the_same_for_all_rows(client: httpx.Client, tmp_path: Path) -> None:
    """A relay server for all, and generated passwords; a user name must be in the sheet."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text("email,domain\nann,101\n", encoding="utf-8")
    chosen = {"column:relay_server": "all alike", "column:password": "generated"}
    assert send(client, sheet, "columns", **chosen).status_code == 409, "the value is missing"
    send(client, sheet, "columns", **chosen, **{"value:relay_server": "201"})
    assert heading(Screen(client, sheet).show()) == "1 row: 1 ready"


def test_one_header_is_not_two_columns(client: httpx.Client, tmp_path: Path) -> None:
    """Choosing one header twice is told, and the question stands."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text("email,Hosts,Route,password\nann,101,201,Sound-Passw0rd!\n", encoding="utf-8")
    asked = client.get(f"/sheets/{id_of(sheet.name)}/check")
    value = re.findall(r'<option value="([^"]*)">Hosts</option>', asked.text)[0]
    refused = send(client, sheet, "columns", **{"column:domain": value, "column:relay_server": value})
    assert refused.status_code == 409
    assert "chosen twice" in refused.text


def test_a_question_about_thousands_of_columns_is_short(client: httpx.Client, tmp_path: Path) -> None:
    """No list makes the page too large for a browser, and what is likely is in it however far to the right."""
    sheet = tmp_path / "acme.csv"
    header = ["email", "password", "Hosts", *(f"x{n}" for n in range(10_000)), "Realy server"]
    sheet.write_text(f"{','.join(header)}\nann,Sound-Passw0rd!{',' * 10_002}\n", encoding="utf-8")
    asked = client.get(f"/sheets/{id_of(sheet.name)}/check").text
    assert asked.count("<option") < 4200
    assert re.search(r"<option [^>]* selected>Realy server</option>", asked)


def test_one_of_several_tabs_is_chosen(client: httpx.Client, tmp_path: Path) -> None:
    """Each sheet of the workbook that could be meant is a button."""
    import xlsxwriter  # noqa: PLC0415 - only this test writes a workbook

    sheet = tmp_path / "acme.xlsx"
    with xlsxwriter.Workbook(str(sheet)) as book:
        for tab, names in {"March": ["ann"], "April": ["bob", "carl"]}.items():
            page = book.add_worksheet(tab)
            page.write_row(0, 0, ["email", "domain", "relay_server", "password"])
            for number, name in enumerate(names, 1):
                page.write_row(number, 0, [name, "101", "201", "Sound-Passw0rd!"])
    asked = client.get(f"/sheets/{id_of(sheet.name)}/check")
    assert re.findall(r">(March|April)</button>", asked.text) == ["March", "April"]
    send(client, sheet, "tab", tab="April")
    assert heading(Screen(client, sheet).show()) == "2 rows: 2 ready"


def test_a_sheet_that_cannot_be_read_says_why(client: httpx.Client, tmp_path: Path) -> None:
    """The sentence and the remedy of the command line, and a way on."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text("a,b,c\n1,2,3\n", encoding="utf-8")
    refused = client.get(f"/sheets/{id_of(sheet.name)}/check")
    assert refused.status_code == 409
    assert "No header was found" in refused.text
    assert ">Choose another sheet</a>" in refused.text


def test_what_a_run_finds_the_account_to_lack_is_fixed_at_its_cell(site: Any, sandbox: Any, write_sheet: Any) -> None:
    """The result leads to a screen that shows it; once changed, it is created, and nothing is created twice."""
    service = sandbox(latency=0.02, latency_spread=0.0)
    sheet = write_sheet([GOOD, ("bob", "101", "Mailgum", *GOOD[3:])])
    page = site(service, None)
    page.create()
    page.wait("ended")
    assert "Fix 1 row</a>" in page.get("done").text
    screen = Screen(page.client, sheet)
    shown = screen.show()
    assert heading(shown) == "2 rows: 1 to fix, 1 done"
    (cell,) = re.findall(r'<input [^>]*aria-invalid="true"[^>]*>', shown)
    assert 'aria-label="relay_server, row 3"' in cell
    (described,) = re.findall(r'aria-describedby="(.*?)"', cell)
    assert re.search(rf'id="{described}">the account has no relay server “Mailgum”', shown)
    assert "Look in the account again…</button>" in shown, "it may have been added there"
    assert "1 row has errors" in page.post("begin").text
    page.wait("ended")
    assert heading(screen.show()) == "2 rows: 1 to fix, 1 done"
    assert "Create 1 mailbox…</button>" in screen.type("3", relay_server="Mailgun").text
    question = page.asked()
    assert "Create 1 mailbox?" in question
    page.post("answer", create="none", question=question_in(question))
    page.wait("idle")
    assert heading(screen.show()) == "2 rows: 1 ready, 1 done", "after Back it is as before"
    page.create()
    page.wait("ended")
    assert heading(screen.show()) == "2 rows: 2 done"
    assert [received.carried_out for received in service.state.creates.values()] == [1, 1]


def test_back_shows_what_only_the_account_could_tell(site: Any, sandbox: Any, write_sheet: Any) -> None:
    """The question says that there are errors, and Back leads to the screen with each at its cell."""
    page = site(sandbox(latency=0.02, latency_spread=0.0), None)
    screen = Screen(page.client, write_sheet([GOOD, ("bob", "101", "Mailgum", *GOOD[3:])]))
    assert heading(screen.show()) == "2 rows: 2 ready"
    question = page.asked()
    assert "1 row has errors and will be skipped." in question
    assert ">Back to fix the errors</button>" in question
    answer = page.post("answer", create="none", question=question_in(question))
    assert answer.json()["location"].endswith("/check")
    shown = screen.show()
    assert heading(shown) == "2 rows: 1 ready, 1 to fix"
    assert "the account has no relay server “Mailgum”" in shown
    assert "Create 1 mailbox…</button>" in shown
