"""The check screen in a real browser: fixing, by keyboard alone, in two tabs, and with hostile cells."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter
from playwright.sync_api import expect
from running_page import apart

from provisioner.sheets.limits import MOST_FAULTY_ROWS
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from playwright.sync_api import Locator
    from playwright.sync_api import Page as Tab

HEADER = ("email", "domain", "relay_server", "password", "project", "reply_to")
SOUND = "Sound-Passw0rd!"
Row = tuple[str, ...]


@pytest.fixture
def open_sheet(page_server: Any, open_page: Any, write_sheet: Any) -> Callable[..., Tab]:
    """Write a sheet of these rows, and open its check screen; a further call opens another tab of the same page."""
    running: list[Any] = []

    def start(rows: Sequence[Row] | None = None, patience: float = 10_000, **options: Any) -> Tab:
        running[:] = running or [page_server()]
        if rows is not None:
            write_sheet(list(rows))
        tab: Tab = open_page(running[0], **options)
        tab.set_default_timeout(patience)
        tab.goto(f"{running[0].origin}/sheets/{id_of('acme.csv')}/check")
        return tab

    return start


def heading(tab: Tab, text: str) -> None:
    expect(tab.get_by_role("heading", level=1)).to_have_text(text)


def cell(tab: Tab, name: str) -> Locator:
    return tab.get_by_label(name, exact=True)


def fix(tab: Tab, name: str, text: str) -> None:
    """Type into a cell and press Enter."""
    cell(tab, name).fill(text)
    cell(tab, name).press("Enter")


def right(tab: Tab, name: str) -> None:
    """Nothing is wrong any more with a cell, which may be gone."""
    expect(tab.locator(f'[aria-label="{name}"][aria-invalid="true"]')).to_have_count(0)


MISTAKES: Sequence[tuple[Row, dict[str, str]]] = [
    (("b ob", "101", "201", SOUND, "", ""), {"email": "bob"}),
    (("", "101", "201", SOUND, "", ""), {"email": "carl"}),
    (("dora@x.example", "1.5", "201", SOUND, "", ""), {"email": "dora", "domain": "101"}),
    (("eve", "", "201", SOUND, "", ""), {"domain": "101"}),
    (("fay", "#REF!", "201", SOUND, "", ""), {"domain": "101"}),
    (("gus", "101", "2,01", SOUND, "", ""), {"relay_server": "201"}),
    (("hal", "101", "201", "weak", "", ""), {"password": "Str0nger-Passw0rd!"}),
    (("ivy", "101", "201", "", "", ""), {"password": "An0ther-Passw0rd!"}),
    (("jim", "101", "201", SOUND, "n/a", ""), {"project": ""}),
    (("kim", "101", "201", SOUND, "", "nobody"), {"reply_to": "kim@x.example"}),
]
"""Ten kinds of mistakes, and what puts each right."""


def test_ten_kinds_of_mistakes_are_fixed(open_sheet: Any, tmp_path: Path) -> None:
    """Each is fixed where it stands, the counts follow, and what is stored is what was typed."""
    tab = open_sheet([row for row, _ in MISTAKES])
    heading(tab, "10 rows: 10 to fix")
    for number, (_, fixes) in enumerate(MISTAKES, 2):
        for column, text in fixes.items():
            fix(tab, f"{column}, row {number}", text)
            right(tab, f"{column}, row {number}")
        expect(tab.get_by_role("table").get_by_text(f"Row {number} is ready")).to_be_visible()
    heading(tab, "10 rows: 10 ready")
    expect(tab.get_by_role("button", name="Create 10 mailboxes…")).to_be_focused()
    expect(tab.get_by_text("Download rows to fix")).not_to_be_visible()
    with (tmp_path / "acme-run" / "failures.csv").open(encoding="utf-8-sig", newline="") as file:
        kept = list(csv.DictReader(file))
    for row, (before, fixes) in zip(kept, MISTAKES, strict=True):
        assert {column: row[column] for column in HEADER} == {**dict(zip(HEADER, before, strict=True)), **fixes}
    tab.reload()
    heading(tab, "10 rows: 10 ready")


@pytest.mark.slow
def test_rows_that_were_fixed_elsewhere_are_put_back(open_sheet: Any) -> None:
    """The file that is downloaded is chosen again, fixed, under the name that the browser gave it."""
    tab = open_sheet([("b ob", "101", "201", SOUND, "", ""), ("carl", "101", "201", "weak", "", "")])
    with tab.expect_download() as download:
        tab.get_by_role("link", name="failures.csv").click()
    fixed = Path(download.value.path()).read_bytes().replace(b"b ob", b"bob")
    field = tab.get_by_label("Fixed in a spreadsheet program? Put the file back:")
    field.set_input_files({"name": "failures(2).csv", "mimeType": "text/csv", "buffer": fixed})
    heading(tab, "2 rows: 1 ready, 1 to fix")
    field.set_input_files({"name": "other.csv", "mimeType": "text/csv", "buffer": b"email,domain\nx,y\n"})
    expect(tab.locator("#trouble")).to_contain_text("This file does not hold rows to fix of this sheet.")


def test_the_whole_way_from_a_workbook_to_credentials(page_server: Any, open_page: Any, tmp_path: Path) -> None:
    """A workbook with ten kinds of mistakes is chosen, fixed, created, and handed over with what was typed."""
    workbook = tmp_path / "elsewhere" / "acme.xlsx"
    workbook.parent.mkdir()
    with xlsxwriter.Workbook(str(workbook)) as book:
        sheet = book.add_worksheet("Mailboxes")
        for number, row in enumerate([HEADER, *(row for row, _ in MISTAKES)]):
            sheet.write_row(number, 0, row)
    folder = tmp_path / "sheets"
    folder.mkdir()
    tab = open_page(page_server(folder=folder))
    tab.get_by_label("Sheet", exact=True).set_input_files(str(workbook))
    heading(tab, "10 rows: 10 to fix")
    for number, (_, fixes) in enumerate(MISTAKES, 2):
        for column, text in fixes.items():
            fix(tab, f"{column}, row {number}", text)
            right(tab, f"{column}, row {number}")
    tab.get_by_role("button", name="Create 10 mailboxes…").press("Enter")
    tab.get_by_role("button", name="Create 10 mailboxes", exact=True).press("Enter")
    expect(tab.get_by_role("heading", name="10 created")).to_be_visible(timeout=20_000)
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Credentials").first.click()
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        given = {row["address"].partition("@")[0]: row["password"] for row in csv.DictReader(file)}
    fixed = [{**dict(zip(HEADER, row, strict=True)), **fixes} for row, fixes in MISTAKES]
    assert given == {row["email"]: row["password"] for row in fixed}


def test_ten_faults_of_which_seven_are_alike_take_four_edits(open_sheet: Any) -> None:
    """One of the seven is typed and used for all of them."""
    alike = [(f"user{n}", "acme,example", "201", SOUND, "", "") for n in range(7)]
    tab = open_sheet([*alike, MISTAKES[0][0], MISTAKES[6][0], MISTAKES[9][0]])
    heading(tab, "10 rows: 10 to fix")
    cell(tab, "domain, row 2").fill("101")
    tab.get_by_role("button", name="Use for all 7 like it").first.click()
    heading(tab, "10 rows: 7 ready, 3 to fix")
    expect(cell(tab, "email, row 9")).to_be_focused()
    fix(tab, "email, row 9", "bob")
    expect(cell(tab, "password, row 10")).to_be_focused()
    fix(tab, "password, row 10", "Str0nger-Passw0rd!")
    fix(tab, "reply_to, row 11", "kim@x.example")
    heading(tab, "10 rows: 10 ready")


def test_everything_can_be_done_by_keyboard(open_sheet: Any) -> None:
    """From the first fault, which has the focus, to the button that creates, without a mouse."""
    tab = open_sheet([MISTAKES[2][0], MISTAKES[6][0], MISTAKES[1][0], ("lea", "101", "201", SOUND, "", "")])
    expect(cell(tab, "email, row 2")).to_be_focused()
    tab.keyboard.press("Control+A")
    tab.keyboard.type("dora\n")
    expect(cell(tab, "domain, row 2")).to_be_focused()
    tab.keyboard.press("Control+A")
    tab.keyboard.type("101\n")
    expect(cell(tab, "password, row 3")).to_be_focused()
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("button", name="Show")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Hide")).to_be_focused()
    expect(cell(tab, "password, row 3")).to_have_value("weak")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")  # on Generate
    expect(cell(tab, "email, row 4")).to_be_focused()
    while tab.evaluate("document.activeElement.textContent") != "Leave this row out":
        tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    heading(tab, "4 rows: 3 ready, 1 left out")
    expect(tab.get_by_role("button", name="Create 3 mailboxes…")).to_be_focused()
    while tab.evaluate("document.activeElement.textContent") != "Undo":
        tab.keyboard.press("Shift+Tab")
    tab.keyboard.press("Enter")
    heading(tab, "4 rows: 3 ready, 1 to fix")
    expect(cell(tab, "email, row 4")).to_be_focused()


def test_enter_without_a_change_goes_on_to_the_next_fault(open_sheet: Any) -> None:
    """Whoever cannot fix a row now looks at the next; after the last there is the button that creates."""
    tab = open_sheet([*(row for row, _ in MISTAKES[:2]), ("lea", "101", "201", SOUND, "", "")])
    expect(cell(tab, "email, row 2")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(cell(tab, "email, row 3")).to_be_focused()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("button", name="Create 1 mailbox…")).to_be_focused()


def test_the_last_fault_of_a_page_leads_to_the_next_page(open_sheet: Any) -> None:
    """Its first fault has the focus."""
    tab = open_sheet([(f"us er{n}", "101", "201", SOUND, "", "") for n in range(52)])
    expect(tab.get_by_role("row")).to_have_count(1 + 2 * 50)
    fix(tab, "email, row 51", "user")
    expect(cell(tab, "email, row 52")).to_be_focused()
    heading(tab, "52 rows: 1 ready, 51 to fix")


def test_of_two_tabs_the_second_is_told(open_sheet: Any) -> None:
    """Nothing is overwritten, what was typed stays, and Enter puts it in the place of the other's text."""
    rows = [MISTAKES[0][0], MISTAKES[1][0]]
    first, second = open_sheet(rows), open_sheet()
    cell(second, "email, row 2").fill("robert")
    fix(first, "email, row 2", "b!ob")
    expect(first.get_by_text("“b!ob” holds “!”")).to_be_visible()
    cell(second, "email, row 2").press("Enter")
    expect(second.get_by_text("This row was changed elsewhere, or")).to_be_visible()
    expect(second.get_by_text("It holds “b!ob” now.")).to_be_visible()
    expect(cell(second, "email, row 2")).to_have_value("robert")
    first.reload()
    expect(cell(first, "email, row 2")).to_have_value("b!ob")
    cell(second, "email, row 2").press("Enter")
    heading(second, "2 rows: 1 ready, 1 to fix")


def test_what_the_command_line_did_meanwhile_is_kept(open_sheet: Any, tmp_path: Path) -> None:
    """A failures file that was edited by hand since is read again before anything is written into it."""
    tab = open_sheet([MISTAKES[0][0], MISTAKES[4][0], MISTAKES[5][0]])
    fix(tab, "email, row 2", "bob")
    heading(tab, "3 rows: 1 ready, 2 to fix")
    failures = tmp_path / "acme-run" / "failures.csv"

    def edit() -> None:
        failures.write_bytes(failures.read_bytes().replace(b"#REF!", b"102").replace(b"#", b"#"))

    apart(edit)
    fix(tab, "domain, row 3", "101")
    expect(tab.get_by_text("This row was changed elsewhere, or")).to_be_visible()
    expect(tab.get_by_text("It holds “102” now.")).to_be_visible()
    assert b'"102"' in failures.read_bytes()
    tab.once("dialog", lambda dialog: dialog.accept())
    tab.reload()
    heading(tab, "3 rows: 2 ready, 1 to fix")


def test_what_was_typed_is_not_lost_by_leaving(open_sheet: Any) -> None:
    """The browser asks before a text that was not sent is thrown away, and not once everything is stored."""
    tab = open_sheet([MISTAKES[0][0], MISTAKES[1][0]])
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", stay)
    cell(tab, "email, row 2").fill("bob")
    tab.get_by_role("link", name="All rows").click()
    expect(cell(tab, "email, row 2")).to_have_value("bob")
    assert asked == ["beforeunload"]
    cell(tab, "email, row 2").press("Enter")
    heading(tab, "2 rows: 1 ready, 1 to fix")
    tab.get_by_role("link", name="All rows").click()
    expect(tab.get_by_role("table", name="All rows")).to_be_visible()
    assert asked == ["beforeunload"]


def test_nothing_is_created_while_something_typed_is_not_saved(open_sheet: Any) -> None:
    """The cell is named and has the focus; saved, the same press asks the question."""
    tab = open_sheet([MISTAKES[0][0], ("lea", "101", "201", SOUND, "", "")])
    begun: list[str] = []
    tab.on("request", lambda request: begun.append(request.url) if request.url.endswith("/begin") else None)
    cell(tab, "email, row 2").fill("bob")
    tab.get_by_role("button", name="Create 1 mailbox…").click()
    expect(tab.get_by_role("alert")).to_contain_text("What was typed into email, row 2 is not saved.")
    expect(cell(tab, "email, row 2")).to_be_focused()
    assert begun == []
    cell(tab, "email, row 2").press("Enter")
    heading(tab, "2 rows: 2 ready")
    tab.get_by_role("button", name="Create 2 mailboxes…").click()
    expect(tab.get_by_role("button", name="Create 2 mailboxes", exact=True)).to_be_visible()


def test_a_generated_password_is_saved_at_once(open_sheet: Any) -> None:
    """One press, and the row is ready."""
    tab = open_sheet([("hal", "101", "201", "weak", "", "")])
    tab.get_by_role("button", name="Generate", exact=True).click()
    heading(tab, "1 row: 1 ready")
    expect(tab.get_by_role("button", name="Create 1 mailbox…")).to_be_focused()


def test_when_the_program_has_ended_what_was_typed_stays(page_server: Any, open_page: Any, write_sheet: Any) -> None:
    """It says that the program does not answer, and the text is still there."""
    write_sheet([MISTAKES[0][0]])
    running = page_server()
    tab = open_page(running)
    tab.goto(f"{running.origin}/sheets/{id_of('acme.csv')}/check")
    running.stop()
    fix(tab, "email, row 2", "bob")
    expect(tab.get_by_text("The program does not answer.")).to_be_visible()
    expect(cell(tab, "email, row 2")).to_have_value("bob")


def test_a_cell_keeps_what_its_input_cannot_show(open_sheet: Any, tmp_path: Path) -> None:
    """A line break in a cell that nobody typed into is still there when another cell of its row is fixed."""
    tab = open_sheet([("b ob", "101", "201", SOUND, "x\ny", "")])
    fix(tab, "email, row 2", "bob")
    expect(cell(tab, "project, row 2")).to_be_focused()
    assert b"x\ny" in (tmp_path / "acme-run" / "failures.csv").read_bytes()


HOSTILE = [
    "<script>document.title='owned'</script>",
    "<img src=http://127.0.0.1:9/x onerror=alert(1)>",
    "\"' autofocus onfocus=alert(1) x=",
    "javascript:alert(1)",
    "a\u202eb\u200fc",
    "nul\0nul",
    "😀🏴\U000e0067\U000e0062\U000e007f",
    "x" * 32_000,
    "</td></tr></tbody></table></main><h1>Gone</h1>",
]


def test_hostile_cells_do_nothing(open_sheet: Any) -> None:
    """No script runs, no dialog opens, nothing is asked of another address, and the row can be fixed."""
    requests: list[str] = []
    dialogs: list[str] = []
    tab = open_sheet([(text, text, text, SOUND, text, text) for text in HOSTILE])
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("dialog", lambda dialog: dialogs.append(dialog.message))
    tab.reload()
    heading(tab, "9 rows: 9 to fix")
    expect(tab.get_by_role("heading", name="Gone")).to_have_count(0)
    tab.goto(f"{tab.url}?show=all&q=script")
    expect(tab.get_by_role("table", name="All rows")).to_contain_text("<script>document.title='owned'</script>")
    tab.go_back()
    for column, text in {"email": "bob", "domain": "101", "relay_server": "201", "project": "", "reply_to": ""}.items():
        fix(tab, f"{column}, row 2", text)
        right(tab, f"{column}, row 2")
    heading(tab, "9 rows: 1 ready, 8 to fix")
    assert dialogs == []
    origin = tab.evaluate("location.origin")
    assert all(url.startswith(origin) for url in requests)
    assert "owned" not in tab.title()


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 320),
        pytest.param("dark", 1280, marks=pytest.mark.slow),
        pytest.param("light", 320, marks=pytest.mark.slow),
    ],
)
def test_nothing_stands_in_the_way(open_sheet: Any, scheme: str, width: int) -> None:
    """axe finds nothing, and at the width of a telephone only the table scrolls sideways, in its own box."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 640}}
    tab = open_sheet([row for row, _ in MISTAKES], **options)
    heading(tab, "10 rows: 10 to fix")
    fix(tab, "email, row 2", "bob")
    heading(tab, "10 rows: 1 ready, 9 to fix")
    for _ in range(2):
        found = axe.run(tab)
        assert found.violations_count == 0, found.generate_report()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.goto(f"{tab.url}?show=all")


def test_a_question_about_columns_is_answered_in_the_page(page_server: Any, open_page: Any, tmp_path: Path) -> None:
    """What the sheet calls the domain, one relay server for all, generated passwords: then its rows are ready."""
    (tmp_path / "acme.csv").write_text("email,Hosts\nann,101\nbob,101\n", encoding="utf-8")
    running = page_server()
    tab = open_page(running)
    tab.goto(f"{running.origin}/sheets/{id_of('acme.csv')}/check")
    tab.get_by_label("Which column holds the domain?").select_option("Hosts")
    tab.get_by_label("Which column holds the relay server?").select_option("all alike")
    expect(tab.get_by_label("Value for all rows").filter(visible=True)).to_have_count(1)
    tab.get_by_role("button", name="Check the sheet").click()
    expect(tab.get_by_role("alert")).to_contain_text("relay server")
    tab.get_by_label("Value for all rows").nth(1).fill("201")
    tab.get_by_label("Which column holds the password?").select_option("generated")
    tab.get_by_role("button", name="Check the sheet").click()
    heading(tab, "2 rows: 2 ready")


def test_a_tab_of_a_workbook_is_chosen_in_the_page(page_server: Any, open_page: Any, tmp_path: Path) -> None:
    """Each tab is a button; the one that is pressed is checked."""
    with xlsxwriter.Workbook(str(tmp_path / "acme.xlsx")) as book:
        for name in ("March", "April"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, HEADER)
            sheet.write_row(1, 0, [name.lower(), "101", "201", SOUND])
    running = page_server()
    tab = open_page(running)
    tab.goto(f"{running.origin}/sheets/{id_of('acme.xlsx')}/check")
    tab.get_by_role("button", name="April").click()
    heading(tab, "1 row: 1 ready")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_page_has_more_than_5000_elements(open_sheet: Any, tmp_path: Path) -> None:
    """100,000 rows of 40 columns, as many of them faulty as are taken: the rows to fix, and all rows."""
    further = [f"extra{n}" for n in range(34)]
    with (tmp_path / "acme.csv").open("w", newline="", encoding="utf-8") as file:
        faulty = ([f"us er{n}", "1.5", "x y", "weak", "n/a", "nobody", *further] for n in range(MOST_FAULTY_ROWS))
        good = ([f"user{n}", "101", "201", SOUND, "", "", *further] for n in range(MOST_FAULTY_ROWS, 100_000))
        csv.writer(file).writerows([[*HEADER, *further], *faulty, *good])
    tab = open_sheet(patience=200_000)
    heading(tab, "100,000 rows: 50,000 ready, 50,000 to fix")
    elements = "document.querySelectorAll('*').length"
    assert 1000 < tab.evaluate(elements) <= 5000
    tab.goto(f"{tab.url}?show=all")
    assert 1000 < tab.evaluate(elements) <= 5000


def test_a_usual_sheet_fits_a_usual_screen(open_sheet: Any, tmp_path: Path) -> None:
    """Eight columns, four of them with faults, need no scrolling sideways."""
    rows = [
        ["Client", "email", "domain", "relay_server", "password", "project", "reply_to", "Notes"],
        ["Hartwell", "ann lee", "", "Mailgun", "weak", "", "nobody", "first"],
        ["Nordlicht", "bob", "acme-mail.example", "Mailgun", SOUND, "Spring campaign", "", ""],
    ]
    with (tmp_path / "acme.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    tab = open_sheet(viewport={"width": 1280, "height": 900})
    heading(tab, "2 rows: 1 ready, 1 to fix")
    assert tab.locator(".wide").evaluate("box => box.scrollWidth <= box.clientWidth")
    assert tab.locator("#take-back").evaluate("hidden => getComputedStyle(hidden).display") == "none"
