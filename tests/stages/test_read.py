"""Reading: a sheet as a person would read it, and never wrongly."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import FAILURES_COLUMNS, RESULTS_COLUMNS, UNCERTAIN, Origin, Sheet, column_letters
from provisioner.sheets.headers import ColumnsError
from provisioner.stages.read import read
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

MAILBOX = schema.load()
HEADER = "email,domain,relay_server,password,project"
GOOD = "john,101,201,Abcdef1!,789"
Sheets = Callable[..., Sheet]


@pytest.fixture
def sheet(tmp_path: Path) -> Sheets:
    """Write the text of a sheet, and read it."""

    def sheet(text: str | bytes, **options: object) -> Sheet:
        path = tmp_path / "sheet.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, MAILBOX, **options)  # type: ignore[arg-type]

    return sheet


def ready(sheet: Sheet) -> list[tuple[int, str]]:
    return [(row.file_row, row.email) for row in ready_rows(validate(sheet, MAILBOX))]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_usual_form_of_text_file_is_read(sheet: Sheets, delimiter: str, end: str, encoding: str) -> None:
    """Any delimiter, line ending and encoding: the same cells."""
    text = end.join([HEADER, GOOD, "Zoë" + GOOD]).replace(",", delimiter)
    read_sheet = sheet(text.encode(encoding))
    assert read_sheet.delimiter == delimiter
    assert read_sheet.headers == tuple(HEADER.split(","))
    assert [read_sheet.own_cells(row) for row in (2, 3)] == [GOOD.split(","), ("Zoë" + GOOD).split(",")]


def test_a_separator_line_is_obeyed_and_not_counted(sheet: Sheets) -> None:
    """Excel takes `sep=;` for itself and numbers the rows from the next."""
    read_sheet = sheet(f"sep=;\r\n{HEADER}\r\n{GOOD}\r\n".replace(",", ";"))
    assert ready(read_sheet) == [(2, "john")]


def test_a_guessed_encoding_never_reaches_the_service(sheet: Sheets) -> None:
    """A character that may be another is not sent; in a column that is not sent it does not matter."""
    read_sheet = sheet(f"{HEADER},Notes\n{GOOD},Zoë\njane,101,201,Pässwort1!,,\n".encode("cp1252"))
    assert ready(read_sheet) == [(2, "john")]
    assert "D3" in read_sheet.unreadable[3]
    assert read_sheet.own_cells(3)[3] == UNCERTAIN + "Pässwort1!"
    named = sheet(f"{HEADER}\njane,101,201,Pässwort1!,".encode("cp1252"), encoding="cp1252")
    assert ready(named) == [(2, "jane")]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (f"Mailboxes for Acme,,,,\n,,,,\n{HEADER}\n{GOOD}", 4),
        (f"Mailboxes for Acme, our best client\n\n{HEADER}\n{GOOD}", 4),
        (f"Who,Where,Where,How,What\n{HEADER}\n{GOOD}", 3),
        (f"\n\n\n{HEADER}\n{GOOD}", 5),
        (f"The email of,the client\n{HEADER}\n{GOOD}", 3),
    ],
)
def test_the_header_is_found_below_whatever_stands_above_it(sheet: Sheets, text: str, row: int) -> None:
    """A preamble, blank rows or a line of groups: the row that names the most columns is the header."""
    assert ready(sheet(text)) == [(row, "john")]


def test_rows_above_the_header_are_not_taken_for_a_preamble(sheet: Sheets) -> None:
    """A sheet that was sorted together with its header: its first rows must not vanish."""
    with pytest.raises(SheetError, match=r"Row 2 stands above the header \(row 3\)"):
        sheet(f"\n{GOOD}\n{HEADER}\njane{GOOD[4:]}")


@pytest.mark.parametrize("second", ["email,domain,relay_server,password,project", "Project,Password,Relay,Domain,User"])
def test_a_first_table_does_not_vanish_above_a_second_that_names_more(sheet: Sheets, second: str) -> None:
    """Two headers with rows between them leave it open which table is meant, in whatever order their columns are."""
    first = "email,domain,relay_server,password\njohn,101,201,Abcdef1!\neve,x,,"
    with pytest.raises(SheetError, match="Row 1 and row 5 are both headers") as refusal:
        sheet(f"{first}\n\n{second}\nanna,101,201,Abcdef1!,789")
    assert "sheet of its own" in refusal.value.remedy
    with pytest.raises(SheetError, match="Row 1 and row 5 are both headers"):
        sheet(f"{first.replace(',', ';')}\n\n{second}\nanna,101,201,Abcdef1!,789")


def test_two_header_lines_under_each_other_are_one_header(sheet: Sheets) -> None:
    """Blank rows at most stand between them, so nothing is lost by taking the one that names more."""
    for between in ("\n", "\n,,,,\n\n"):
        text = f"Mailbox,Domain,,Password,{between}{HEADER}\n{GOOD}"
        assert [email for _, email in ready(sheet(text))] == ["john"]


@pytest.mark.parametrize(
    "row",
    [
        "a0,101,201,short",
        "a0,101,201,Pass,w0rd!x,,",
        'a0,101,201,"Passw0rd!x',
        "a0,,,Passw0rd!x,",
        "b0,101.0,201,Passw0rd!x,",
        "b 0,acme.com,,Passw0rd!x,",
    ],
)
def test_a_faulty_mailbox_above_the_header_does_not_vanish(sheet: Sheets, row: str) -> None:
    """However short or long its row, and whatever else is wrong with it."""
    with pytest.raises(SheetError, match=r"Row 1 stands above the header \(row 2\)"):
        sheet(f"{row}\n{HEADER}\n{GOOD}")


@pytest.mark.parametrize("line", ["Client: Acme", "Report of 2024-01-01", "Client,,Acme", "Acme,Summer,Main office,,"])
def test_a_line_of_a_preamble_is_no_mailbox(sheet: Sheets, line: str) -> None:
    """A word may be a username or the name of a relay server, and is no sign of either."""
    assert ready(sheet(f"{line}\n{HEADER}\n{GOOD}")) == [(3, "john")]


def test_a_separator_line_may_name_a_tab(sheet: Sheets) -> None:
    """What is invisible at its end is what it says."""
    assert ready(sheet(f"sep=\t\n{HEADER}\n{GOOD}\n".replace(",", "\t"))) == [(2, "john")]


def test_headers_go_by_many_names(sheet: Sheets) -> None:
    """As offices write them, with what cannot be seen in them."""
    read_sheet = sheet(f"User Name ,DOMAIN-ID,\u200bRelay\u00a0Server ID,Pass_word,Campaign\n{GOOD}")
    assert list(read_sheet.columns) == HEADER.split(",")
    assert read_sheet.headers[0] == "User Name "


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("email,email,domain,relay_server,password", "“email” (A) and “email” (B)"),
        ("Username,E-Mail,domain,relay_server,password", "“Username” (A) and “E-Mail” (B)"),
        ("email,domain,password", "lacks the column relay_server"),
        ("email,password", "lacks the columns domain, relay_server"),
        ("email,domain,realy_server,password", "did you mean relay_server"),
        ("email,domain,relay_server,password,Projct", "did you mean project"),
        ("a,b,c", "No header was found"),
        (",".join(RESULTS_COLUMNS), "record of a run"),
        (HEADER + ",sheet_row,status,error", "columns remedy, task_id are gone"),
        (HEADER + ",sheet_row,status,error,remedy", "column task_id is gone"),
        ("emial,domian,relay_server,password", "did you mean email? The column “domian” (B) is not known; did you"),
    ],
)
def test_a_header_that_is_not_certain_is_refused(sheet: Sheets, header: str, complaint: str) -> None:
    """Both names are given where two mean the same, and a near miss is not taken for another column."""
    with pytest.raises(SheetError) as refusal:
        sheet(f"{header}\n1,2,3,4,5")
    assert complaint in refusal.value.message
    assert refusal.value.remedy


@pytest.mark.parametrize("header", ["emial,domian,relay_server,password", "emial,emal,domian,relay_server,password"])
def test_every_misspelt_header_is_renamed_at_once(sheet: Sheets, header: str) -> None:
    """Not one of them for each try; of two that nearly name one column, the first, as two of one name are refused."""
    with pytest.raises(SheetError) as refusal:
        sheet(f"{header}\n{GOOD}")
    assert "rename “emial” to “Username”, “domian” to “Domain”. If not," in refusal.value.remedy


@pytest.mark.parametrize(
    ("header", "missing", "alike"),
    [
        ("email,Hosts,Route,password", ["domain", "relay_server"], {}),
        (" Realy Server ,email,domain,password", ["relay_server"], {"Realy Server": "relay_server"}),
        ("Realy Server,email,password", ["domain", "relay_server"], {"Realy Server": "relay_server"}),
        ("email,domain,relay_server,password,Projct", [], {"Projct": "project"}),
    ],
)
def test_what_a_header_leaves_open_can_be_asked(
    sheet: Sheets, header: str, missing: list[str], alike: dict[str, str]
) -> None:
    """The refusal holds what a page needs to ask which column is which."""
    with pytest.raises(ColumnsError) as refusal:
        sheet(f"{header}\njohn,101,201,Abcdef1!,789")
    assert (refusal.value.missing, refusal.value.alike) == (missing, alike)
    assert refusal.value.headers == [cell.strip() for cell in header.split(",")]


def test_a_header_means_what_was_chosen_for_it(tmp_path: Path) -> None:
    """It is read by the schema's name; one that means nothing is an ignored column, however like a name it is."""
    path = tmp_path / "sheet.csv"
    path.write_text("Projct,email, Hosts ,relay_server,password\nx y,john,101,201,Abcdef1!\n", encoding="utf-8")
    read_sheet = read(path, replace(MAILBOX, headers={"Projct": "", "Hosts": "domain"}))
    assert read_sheet.keys == ("Projct", "email", "domain", "relay_server", "password")
    assert read_sheet.headers[2] == " Hosts "
    assert ready(read_sheet) == [(2, "john")]


def test_a_column_can_be_filled_from_outside(sheet: Sheets) -> None:
    """Where it is missing, and where cells are blank; and it stands in failures.csv, so that it is not lost."""
    read_sheet = sheet(
        f"{HEADER}\njohn,101,,Abcdef1!,\njane,101,202,Abcdef1!,5", fill={"Project ID": "789", "relay": "201"}
    )
    assert [read_sheet.own_cells(row)[2::2] for row in (2, 3)] == [["201", "789"], ["202", "5"]]
    missing = sheet("email,domain,password\njohn,101,Abcdef1!", fill={"relay_server": "201", "project": "789"})
    assert missing.headers == ("email", "domain", "password", "relay_server", "project")
    assert missing.own_cells(2) == ["john", "101", "Abcdef1!", "201", "789"]
    assert ready(missing) == [(2, "john")]


@pytest.mark.parametrize("fill", [{"colour": "red"}, {"password": "Abcdef1!"}])
def test_what_cannot_be_filled_is_refused(sheet: Sheets, fill: dict[str, str]) -> None:
    """A column that there is not, and a secret, which would stand in the list of processes."""
    with pytest.raises(SheetError) as refusal:
        sheet(f"{HEADER}\n{GOOD}", fill=fill)
    assert "Abcdef1!" not in str(refusal.value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (" 101 ", "101"),
        ("\u00a0101\u00a0", "101"),
        ("\u200b101\ufeff", "101"),
        ("101.0", "101"),
        ("101.00", "101"),
        ("101.5", "101.5"),
        ("101,0", "101,0"),
        ("1.01E+02", "1.01E+02"),
        ("#REF!", "#REF!"),
        ("1,234", "1,234"),
        ("NULL", "NULL"),
        ("NA", "NA"),
        ("nan", "nan"),
        ("0101", "0101"),
    ],
)
def test_cells_stay_the_text_that_is_seen(sheet: Sheets, cell: str, value: str) -> None:
    """Only what cannot be seen is taken away; only a whole number with empty decimals is read as one."""
    read_sheet = sheet(f'{HEADER}\njohn,"{cell}",201,Abcdef1!,')
    assert read_sheet.own_cells(2)[1] == value
    assert bool(ready(read_sheet)) == (value == "101")


@pytest.mark.parametrize("cell", ["201.0", " 201", "201\u00a0", "\u200b201"])
def test_rows_read_together_are_read_as_they_are_one_by_one(sheet: Sheets, cell: str) -> None:
    """A sheet without a quotation mark is read the quick way, which takes the same away."""
    read_sheet = sheet(f"{HEADER}\njohn,101,201,Abcdef1!,\njane,101,{cell},Abcdef1!,")
    assert [read_sheet.own_cells(row)[2] for row in (2, 3)] == ["201", "201"]


def test_a_password_is_read_as_it_stands(sheet: Sheets) -> None:
    """Blanks at its ends, apostrophes and what looks like a formula are part of it."""
    for password in (" Abcdef1! ", "'Abcdef1!", "=Abcdef1!", "'=Abcdef1!", "Abc\u00a0def1!", "1.0Abcd!"):
        read_sheet = sheet(f"{HEADER}\njohn,101,201,{password},")
        assert read_sheet.own_cells(2)[3] == password


def test_blank_rows_are_skipped_and_counted(sheet: Sheets) -> None:
    """Anywhere, with or without delimiters or blanks in them."""
    text = "\n".join([HEADER, "", GOOD, ",,,,", "  ,\t,\u00a0,,", '"",,,,', "jane" + GOOD[4:], "", ""])
    assert ready(sheet(text)) == [(3, "john"), (7, "jane")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("jane,101,201,Abcdef1!", "has 4 cells where the header has 5"),
        ("jane", "has 1 cell where the header has 5"),
        ("jane,101,201,Abcdef1!", "a password that holds a comma must stand in quotation marks"),
        ("jane,101,201,Abcdef1!,789,", "has 6 cells where the header has 5"),
        ("jane,101,201,Abc,def1!,789", "has 6 cells where the header has 5"),
        ('jane,101,201,"Abcdef1!,789', "quotation mark"),
        ('ja"ne,101,201,Abcdef1!,789', "quotation mark"),
        ('jane,101,201,"Abcdef1!"x,789', "quotation mark"),
        (f"jane,101,201,{UNCERTAIN}Abcdef1!,789", f"delete the mark {UNCERTAIN}"),
    ],
)
def test_a_row_that_is_not_certain_costs_itself_only(sheet: Sheets, line: str, said: str) -> None:
    """It is kept with its reason and its cells; the rows around it are read."""
    read_sheet = sheet("\n".join([HEADER, GOOD, line, "anna" + GOOD[4:]]))
    assert ready(read_sheet) == [(2, "john"), (4, "anna")]
    assert said in read_sheet.unreadable[3]
    together = "".join(read_sheet.own_cells(3)).replace(UNCERTAIN, "")
    assert together == line.replace(",", "").replace(UNCERTAIN, "")
    assert UNCERTAIN in "".join(read_sheet.own_cells(3))


def test_a_line_of_a_note_is_not_taken_for_a_mailbox(sheet: Sheets) -> None:
    """Nor is a mailbox between two stray quotes for a line of a note: none of these lines is sent."""
    read_sheet = sheet(f'{HEADER}\njohn,101,201,Abcdef1!,"see\nanna{GOOD[4:]}\nend"\neve{GOOD[4:]}')
    assert ready(read_sheet) == [(5, "eve")]
    assert sorted(read_sheet.unreadable) == [2, 3, 4]
    assert "whether they are rows or one cell" in read_sheet.unreadable[3]


def test_a_header_that_comes_again_is_no_row(sheet: Sheets) -> None:
    """Tables pasted below one another under the same header are read as one."""
    text = "\n".join(
        [HEADER, GOOD, HEADER, "anna" + GOOD[4:], "Username,Domain ID,Relay,Password,Project", "eve" + GOOD[4:]]
    )
    assert ready(sheet(text)) == [(2, "john"), (4, "anna"), (6, "eve")]


def test_a_second_table_with_other_columns_is_not_read_under_the_first_header(sheet: Sheets) -> None:
    """Its cells would be taken for what they are not."""
    text = f"{HEADER}\n{GOOD}\n\nemail,relay_server,domain,password,project\nanna,201,101,Abcdef1!,789"
    read_sheet = sheet(text)
    assert ready(read_sheet) == [(2, "john")]
    assert "second table begins at row 4" in read_sheet.unreadable[5]
    assert read_sheet.own_cells(5)[0] == UNCERTAIN + "anna"


def test_a_header_of_other_columns_is_kept_as_a_row_in_doubt(sheet: Sheets) -> None:
    """Should it be a mailbox after all, it has not vanished; and its being too long costs no other row."""
    read_sheet = sheet(f"{HEADER}\n{GOOD}\nemail,relay,domain,password,project,notes\nanna,2,1,Abcdef1!,,\n")
    assert sorted(read_sheet.unreadable) == read_sheet.rows[1:] == [3, 4]
    again = sheet(f"{HEADER}\n{HEADER},\n{GOOD}")
    assert ready(again) == [(3, "john")]
    assert not again.unreadable


def test_a_username_may_be_called_as_a_header(sheet: Sheets) -> None:
    """Where a single column names itself, only the very same text is the header once more."""
    fill = {"domain": "101", "relay_server": "201"}
    read_sheet = sheet("Username\nuser\nmailbox\nUsername\nemail", fill=fill, blank_password_ok=True)
    assert [read_sheet.own_cells(row)[0] for row in read_sheet.rows] == ["user", "mailbox", "email"]


def test_without_an_example_in_the_schema_no_row_is_one(tmp_path: Path) -> None:
    """A row is dropped as the template's only by its username."""
    office = tmp_path / "office.yaml"
    text = schema.shipped("mailbox.yaml").read_text(encoding="utf-8")
    path = tmp_path / "sheet.csv"
    path.write_text(f"{HEADER}\njohn,101,201,Example-Passw0rd!,789\njane,x,201,Abcdef1!,", encoding="utf-8")
    for lines in (text, "\n".join(line for line in text.splitlines() if "example:" not in line or '"101"' in line)):
        office.write_text(lines, encoding="utf-8")
        assert read(path, schema.load(office)).rows == [2, 3]


@pytest.mark.parametrize("line", ["Total,2,,,", "Total: 2,2,2,,", "Subtotal,101,201,,"])
def test_a_line_of_totals_is_not_sent(sheet: Sheets, line: str) -> None:
    """Not even where passwords are to be generated."""
    read_sheet = sheet(f"{HEADER}\n{GOOD}\n{line}")
    checked = validate(read_sheet, MAILBOX, blank_password_ok=True)
    assert [row.email for row in ready_rows(checked)] == ["john"]
    assert "line of totals" in str(checked.problems(3)[0])


def test_columns_that_are_not_known_are_kept(sheet: Sheets) -> None:
    """In their places, under their own headers, cells untouched, even where headers are the same or missing."""
    read_sheet = sheet(f"Notes,{HEADER},Notes,,x\n a ,{GOOD},b,c,\n")
    assert read_sheet.headers == ("Notes", *HEADER.split(","), "Notes", "", "x")
    assert read_sheet.own_cells(2) == [" a ", *GOOD.split(","), "b", "c", ""]
    assert read_sheet.cell_name(2, "email") == "B2"


def test_empty_columns_at_the_end_are_left_out(sheet: Sheets) -> None:
    """A spreadsheet program writes them where a cell was once used."""
    assert sheet(f"{HEADER},,\n{GOOD},,").headers == tuple(HEADER.split(","))


def test_a_value_for_all_rows_is_read_as_a_cell_is(sheet: Sheets) -> None:
    """Blanks around it are taken away, and a whole number is one."""
    for value in ("789.0", " 789 "):
        assert sheet(f"{HEADER}\njohn,101,201,Abcdef1!,", fill={"project": value}).own_cells(2)[4] == "789"


FAILURES = ",".join((HEADER, *FAILURES_COLUMNS))


def test_the_reason_for_a_mark_is_kept_until_it_is_deleted(sheet: Sheets) -> None:
    """However often the file is read; but only where the row's status proves that its cells are in their places."""

    def why(status: str, error: str) -> str:
        row = f'john,101,201,Abc,def1!{UNCERTAIN},17,{status},"{error}",,'
        return sheet(f"{FAILURES}\n{row}\n").unreadable[2]

    first = why("invalid", "the row has 6 cells")
    assert first == f"the row has 6 cells; correct it, and delete the mark {UNCERTAIN}"
    assert why("invalid", first) == first
    assert why("def", "the row has 6 cells").startswith("its status is not one that this program writes")
    assert why("", "the row has 6 cells").startswith("E17 could not be read")


def test_a_failures_file_is_read_as_the_sheet_it_came_from(sheet: Sheets) -> None:
    """Its own columns are taken off, its rows keep their numbers in the original, and its guard is undone."""
    read_sheet = sheet(
        f"{FAILURES}\njohn,101,201,'=Abcdef1!,789,17,unfinished,e,r,task-1\njane,101,201,''@bcdeF1!,,,,,,\n"
    )
    assert read_sheet.is_failures
    assert read_sheet.headers == tuple(HEADER.split(","))
    assert read_sheet.own_cells(2) == ["john", "101", "201", "=Abcdef1!", "789"]
    assert read_sheet.own_cells(3)[3] == "'@bcdeF1!"
    assert (read_sheet.number(2), read_sheet.number(3)) == (17, None)
    assert read_sheet.cell_name(2, "password") == "D17"
    assert read_sheet.cell_name(3, "password") == "D3"
    assert read_sheet.origins[3] == Origin(None, None)
    marked = sheet(f"{FAILURES}\njohn,101,201,{UNCERTAIN}x,789,17,failed,e,r,\n")
    assert marked.unreadable[2].startswith("D17")
    assert read_sheet.origins[2].task_id == "task-1"


def test_the_added_columns_are_known_wherever_they_stand(sheet: Sheets) -> None:
    """Somebody added a column of his own behind them, and the spreadsheet program empty ones."""
    read_sheet = sheet(f"{FAILURES},Remark,\njohn,101,201,'=Abcdef1!,789,17,failed,e,r,t,call them,\n")
    assert read_sheet.headers == (*HEADER.split(","), "Remark")
    assert read_sheet.own_cells(2) == ["john", "101", "201", "=Abcdef1!", "789", "call them"]


def test_a_sheet_may_have_columns_called_as_ours(sheet: Sheets) -> None:
    """A status column of the sheet's own is not taken for the one that was added."""
    read_sheet = sheet(
        f"status,{HEADER},error,{','.join(FAILURES_COLUMNS)}\nopen,john,101,201,Abcdef1!,,no,17,failed,e,r,t\n"
    )
    assert read_sheet.headers == ("status", *HEADER.split(","), "error")
    assert read_sheet.own_cells(2) == ["open", "john", "101", "201", "Abcdef1!", "", "no"]
    assert read_sheet.number(2) == 17


def test_blank_cells_that_excel_leaves_out_of_a_failures_file_are_no_fault(sheet: Sheets) -> None:
    """A row may be short by blank cells of our own columns, and by nothing else: a shifted row is never completed."""
    read_sheet = sheet(
        f"{FAILURES}\n"
        "john,101,201,Abcdef1!,,17,failed,e,r\n"
        "jane,101,201,Abcdef1!,,18,invalid\n"
        "bob,101,201,Abcdef1!,19,invalid,e,r\n"
        "eve,101,201,Abcdef1!,,twenty,invalid,e\n"
        "dan,101,201,Abcdef1!,\n"
    )
    assert ready(read_sheet) == [(2, "john"), (3, "jane")]
    assert sorted(read_sheet.unreadable) == [4, 5, 6]
    assert read_sheet.origins[2].sheet_row == 17


def test_a_failures_file_without_rows_is_one_of_which_nothing_is_left(sheet: Sheets) -> None:
    """Running it again tells what the record says, not that the file is at fault."""
    read_sheet = sheet(f"{FAILURES}\n")
    assert (read_sheet.is_failures, len(read_sheet.rows)) == (True, 0)


def test_an_untouched_template_is_told_from_a_sheet_without_rows(sheet: Sheets) -> None:
    """There is a row in it, which its user sees: it is said that it is but the example."""
    example = "example.username,101,201,Example-Passw0rd!,789"
    with pytest.raises(SheetError, match="only the template's example row"):
        sheet(f"{HEADER}\n{example}")
    with pytest.raises(SheetError, match=r"no row below the header \(row 1\)\.$"):
        sheet(f"{HEADER}\n")


@pytest.mark.parametrize("mark", ["^", '"', ":", " "])
def test_a_separator_that_no_failures_file_could_have_is_refused(sheet: Sheets, mark: str) -> None:
    """It would be written, and could not be read back."""
    with pytest.raises(SheetError, match="separates the cells"):
        sheet(f"sep={mark}\n{HEADER}\n{GOOD}\n".replace(",", mark))


def test_one_column_is_set_by_one_name(sheet: Sheets) -> None:
    """Two values for it, under two of its names, are a question; a whole number is read as in a cell."""
    with pytest.raises(SheetError, match="“project” and “Campaign” both set the column project"):
        sheet(f"{HEADER}\n{GOOD}", fill={"project": "7", "Campaign": "8"})
    read_sheet = sheet("email,domain,relay_server,password\njohn,101,201,Abcdef1!", fill={"project": "789.0"})
    assert [row.project for row in ready_rows(validate(read_sheet, MAILBOX))] == ["789"]


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        ("email,domain,relay_server", "Add it, or have passwords generated with --generate-passwords."),
        (
            "email,password,relay_server",
            "Add it, or fill a column that is the same for all rows with --set domain=VALUE.",
        ),
        ("domain,password,relay_server", "Add it."),
    ],
)
def test_a_missing_column_is_advised_on_by_what_helps(sheet: Sheets, header: str, advice: str) -> None:
    """Nobody is told to give every mailbox one username or one password."""
    with pytest.raises(SheetError) as refused:
        sheet(f"{header}\na,b,c")
    assert refused.value.remedy == advice


def test_a_note_in_a_failures_file_may_look_like_rows(sheet: Sheets) -> None:
    """What we wrote within quotation marks is one cell, whatever it holds."""
    note = "x\n" + ",".join("abcdefghijk") + "\ny"
    read_sheet = sheet(f'{FAILURES},Notes\njohn,101,201,Abcdef1!,789,17,failed,e,r,t,"{note}"\n')
    assert read_sheet.own_cells(2)[-1] == note


def test_two_rows_that_mend_the_same_one_are_not_certain(sheet: Sheets) -> None:
    """A row copied within a failures file takes its number along; which of them is the row is not guessed."""
    read_sheet = sheet(
        f"{FAILURES}\njohn,101,201,Abcdef1!,,17,failed,e,r,\njane,101,201,Abcdef1!,,17,failed,e,r,\neve,1,1,Abcdef1!,,18,failed,e,r,"
    )
    assert list(read_sheet.unreadable) == [2, 3]
    assert "2, 3" in read_sheet.unreadable[2]
    assert "row 17" in read_sheet.unreadable[2]


def test_an_apostrophe_in_a_foreign_sheet_is_part_of_the_cell(sheet: Sheets) -> None:
    """Only what we wrote ourselves is undone."""
    assert sheet(f"{HEADER}\njohn,101,201,'=Abcdef1!,").own_cells(2)[3] == "'=Abcdef1!"


@pytest.mark.parametrize("content", [b"", b"\n\n \t\r\n", b"\xef\xbb\xbf", b"\0\0\0"])
def test_an_empty_file_is_refused(sheet: Sheets, content: bytes) -> None:
    """Nothing but blanks, or a byte order mark alone."""
    with pytest.raises(SheetError, match="is empty"):
        sheet(content)


def test_a_sheet_without_rows_is_refused(sheet: Sheets) -> None:
    """A header alone, or blank rows below it."""
    for text in (HEADER, f"{HEADER}\n,,,,\n\n"):
        with pytest.raises(SheetError, match=r"no row below the header \(row 1\)"):
            sheet(text)


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder, and a name that cannot be one."""
    with pytest.raises(SheetError, match="There is no file"):
        read(tmp_path / "missing.csv", MAILBOX)
    with pytest.raises(SheetError, match="is a folder"):
        read(tmp_path, MAILBOX)
    with pytest.raises(SheetError, match="cannot be read"):
        read(tmp_path / "a\0b", MAILBOX)


def test_a_text_file_has_no_sheets(sheet: Sheets) -> None:
    """--sheet beside a CSV file is a mistake, not ignored."""
    with pytest.raises(SheetError, match="no sheets"):
        sheet(f"{HEADER}\n{GOOD}", sheet_name="March")


def test_the_columns_of_a_spreadsheet_have_letters() -> None:
    """As the program names them, far to the right too."""
    names = [column_letters(position) for position in range(800)]
    assert names[:3] == ["A", "B", "C"]
    assert [names[25], names[26], names[51], names[52], names[701], names[702]] == ["Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    assert all(a != b for a, b in itertools.pairwise(names))
