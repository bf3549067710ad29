"""What offices have in their files, and what hostile files have: read where it is certain, else told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import FAILURES_COLUMNS, UNCERTAIN, Origin, Sheet
from provisioner.stages.read import read
from provisioner.stages.validate import validate

MAILBOX = schema.load()
HEADER = "email,domain,relay_server,password,project"
GOOD = "john,101,201,Abcdef1!,789"
FAILURES = ",".join((HEADER, *FAILURES_COLUMNS))
Sheets = Callable[..., Sheet]


@pytest.fixture
def sheet(tmp_path: Path) -> Sheets:
    """Write the text of a sheet, and read it."""

    def sheet(text: str, **options: object) -> Sheet:
        path = tmp_path / "sheet.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return read(path, MAILBOX, **options)  # type: ignore[arg-type]

    return sheet


def ready(sheet: Sheet) -> list[tuple[int, str]]:
    return [(row.file_row, row.email) for row in ready_rows(validate(sheet, MAILBOX))]


@pytest.mark.parametrize(
    ("sheet_row", "status", "said"),
    [
        ("abc", "invalid", "its sheet_row is not a row's number"),
        ("9" * 400, "invalid", "its sheet_row is not a row's number"),
        ("9" * 5000, "", "its sheet_row is not a row's number"),
        ("17", "789", "its status is not one that this program writes"),
    ],
)
def test_a_row_whose_own_columns_were_changed_is_not_certain(
    sheet: Sheets, sheet_row: str, status: str, said: str
) -> None:
    """Its cells may be shifted; it is bound to no row of the sheet, and its mark outlives the next reading."""
    read_sheet = sheet(f"{FAILURES}\njohn,101,201,Abcdef1!,,{sheet_row},{status},e,r,t\n")
    assert read_sheet.unreadable[2].startswith(said)
    assert read_sheet.origins[2] == Origin(None, None)
    assert read_sheet.own_cells(2)[0] == UNCERTAIN + "john"
    assert list(read_sheet.cells("email", "password")) == [(2, ("", ""))]


def test_a_failures_file_saved_in_one_column_is_refused_whole(sheet: Sheets) -> None:
    """A program that splits at semicolons leaves no row as it was: none of them becomes a row of its own."""
    row = '"john,101,201,Abcdef1!,,17,invalid,""F17: x";" write one"",""Fix the row"",'
    with pytest.raises(SheetError, match="cannot be told apart") as refused:
        sheet(f"{FAILURES}\n{row}\n{row}")
    assert "failures.xlsx" in refused.value.remedy


@pytest.mark.parametrize("first", ['"email;""domain""', '"""email"";""domain""'])
def test_a_failures_file_opened_with_other_separators_is_refused_whole(sheet: Sheets, first: str) -> None:
    """A program that takes commas for the separators of a semicolon file leaves no name of a column as it was.

    As Excel and as LibreOffice save it. It must not be taken for a sheet of its own, with advice for such.
    """
    names = ("relay_server", "password", *FAILURES_COLUMNS)
    header = first + "".join(f';""{name}""' for name in names) + '",,,'
    row = 'ann;""101"";""201"";""weak"";""2"";""invalid"";""D2: a digit (0-9)", and more; write one"";""Fix"";""""",,'
    with pytest.raises(SheetError, match="cannot be told apart: the program that saved it"):
        sheet(f'{header}\n"{row}\n')


@pytest.mark.parametrize("name", ["x" * 5000, b"na\xffme.csv".decode(errors="surrogateescape")])
def test_a_name_that_cannot_be_worked_with_is_refused(tmp_path: Path, name: str) -> None:
    """A path without end is cut in the message, and one that is no text is told as such."""
    with pytest.raises(SheetError, match=r"cannot be read: File name too long|is not text in UTF-8") as refused:
        read(tmp_path / name, MAILBOX)
    assert len(refused.value.message) < 400
    refused.value.message.encode()


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """A device and a pipe are refused before anything is read from them."""
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(SheetError, match="is a device or a pipe"):
            read(path, MAILBOX)


@pytest.mark.parametrize(("cell", "longest"), [("j" * 1001, 1000), ("a" + "\u0301" * 40_000, 1000)])
def test_a_cell_has_a_greatest_length(sheet: Sheets, cell: str, longest: int) -> None:
    """One that is longer costs its own row, and no time."""
    read_sheet = sheet(f"{HEADER}\n{GOOD}\n{cell},101,201,Abcdef1!,\n")
    assert read_sheet.unreadable[3] == f"A3 has {len(cell):,} characters, and at most {longest:,} are read; shorten it"
    assert ready(read_sheet) == [(2, "john")]
    note = sheet(f"{HEADER},Notes\n{GOOD},{cell}\njane,101,201,Abcdef1!,,{'x' * 32_768}")
    assert ("F2" in note.unreadable.get(2, ""), "F3" in note.unreadable[3]) == (len(cell) > 32_767, True)


@pytest.mark.parametrize("header", ["x" * 1001, "e" + "\u0301\u0323" * 80_000])
def test_a_header_has_a_greatest_length(sheet: Sheets, header: str) -> None:
    """And the number of them is limited too."""
    with pytest.raises(SheetError, match=r"The header F1 has [0-9,]+ characters; at most 1,000 are read"):
        sheet(f"{HEADER},{header}\n{GOOD},x")
    with pytest.raises(SheetError, match=r"The header \(row 1\) has 16,390 cells; at most 16,384 are read"):
        sheet(f"{HEADER}{',x' * 16_385}\n{GOOD}")


def test_full_addresses_say_their_domain_themselves(sheet: Sheets) -> None:
    """Where the sheet has no column of domains, and where its cell is blank; a row without either is invalid."""
    without = sheet("email,relay_server,password\njohn@acme.com,201,Abcdef1!\njane,201,Abcdef1!")
    assert [row.domain for row in ready_rows(validate(without, MAILBOX))] == ["acme.com"]
    assert [str(problem) for problem in validate(without, MAILBOX).problems(3)] == [
        "A3: the domain is missing; write its ID, such as 101, or its name"
    ]
    assert (without.headers, without.own_cells(2)) == (
        ("email", "relay_server", "password"),
        ["john@acme.com", "201", "Abcdef1!"],
    )
    blank = sheet(f"{HEADER}\njohn@acme.com,,201,Abcdef1!,\njane@acme.com,101,201,Abcdef1!,")
    assert [row.domain for row in ready_rows(validate(blank, MAILBOX))] == ["acme.com", "101"]
    assert blank.own_cells(2)[1] == ""
    filled = sheet(f"{HEADER}\njohn@acme.com,,201,Abcdef1!,", fill={"domain": "102"})
    assert [row.domain for row in ready_rows(validate(filled, MAILBOX))] == ["102"]
    with pytest.raises(SheetError, match="lacks the column domain"):
        sheet("email,relay_server,password\njohn,201,Abcdef1!\njane,201,Abcdef1!")


def test_no_domain_is_taken_from_a_row_that_is_not_certain(sheet: Sheets) -> None:
    """What stands in its column of usernames may belong elsewhere."""
    read_sheet = sheet(f"{HEADER}\njohn@acme.com,,201,Abcdef1!\n{UNCERTAIN}jane@acme.com,,201,Abcdef1!,")
    assert [read_sheet.own_cells(row)[1] for row in (2, 3)] == ["", ""]


@pytest.mark.parametrize(
    "header",
    [
        "Email Address [Required],Domain (required),Relay Server [Required],Password [Required],Project (optional)",
        "Username [email] Required,Domain [domain] Required,Relay [relay_server] Required,Password Required,Project",
        "Email*,Domain *,Relay server*,Password*,Project",
    ],
)
def test_headers_are_known_under_the_decoration_of_templates(sheet: Sheets, header: str) -> None:
    """As other programs' templates write them."""
    assert list(sheet(f"{header}\n{GOOD}").columns) == HEADER.split(",")


def test_a_header_with_a_second_name_of_another_column_is_not_taken_for_the_first(sheet: Sheets) -> None:
    """It is named instead, with what to write."""
    with pytest.raises(SheetError, match=r"“Email \(private\)” \(A\) is not known; did you mean email") as refused:
        sheet(f"Email (private){HEADER.removeprefix('email')}\n{GOOD}")
    assert "rename “Email (private)” to “Username”" in refused.value.remedy


@pytest.mark.parametrize("header", ["Reply", "Relay Server IDs", "Projct"])
def test_the_name_that_is_proposed_is_no_near_miss_itself(sheet: Sheets, header: str) -> None:
    """Renaming a column as told is enough."""
    missing = {"Relay Server IDs": "relay_server"}.get(header, "")
    names = ["email", "domain", *([] if missing else ["relay_server"]), "password", header]
    with pytest.raises(SheetError, match="did you mean") as refused:
        sheet(",".join(names) + "\n" + ",".join("12345"[: len(names)]))
    proposed = refused.value.remedy.partition("for example to ")[2].removesuffix(".")
    assert MAILBOX.column_for(proposed) is MAILBOX.closest_column(proposed) is None


def test_a_blank_cell_at_the_end_of_every_row_is_no_cell(sheet: Sheets) -> None:
    """Some programs write one. A row that has something there, or two of them, is not certain."""
    read_sheet = sheet(f"{HEADER}\n{GOOD},\njane{GOOD[4:]},\n\nanna{GOOD[4:]}, ")
    assert ready(read_sheet) == [(2, "john"), (3, "jane"), (5, "anna")]
    assert read_sheet.headers == tuple(HEADER.split(","))
    rest = "\n".join([f"user{number}{GOOD[4:]}," for number in range(100)])
    odd = sheet(f"{HEADER}\n{rest}\njane{GOOD[4:]},x\neve{GOOD[4:]}\nann{GOOD[4:]},,")
    assert sorted(odd.unreadable) == [102, 104]
    assert list(sheet(f"{HEADER}\n{GOOD},").unreadable) == [2]


def test_a_line_of_ctrl_z_is_no_row(sheet: Sheets) -> None:
    """Old programs end a file with it."""
    assert ready(sheet(f"{HEADER}\r\n{GOOD}\r\n\x1a")) == [(2, "john")]


@pytest.mark.parametrize(
    "text",
    [
        "email , domain , relay_server , password , project\njohn , 101 , 201 , Abcdef1! , 789",
        "email, domain, relay_server, password, project\njohn, 101, 201, Abcdef1!, 789",
        "| email | domain | relay_server | password |\n|---|:-:|---|--:|\n| john | 101 | 201 | Abcdef1!   |",
    ],
)
def test_padding_that_header_and_cells_share_is_layout(sheet: Sheets, text: str) -> None:
    """It is no part of a password."""
    (row,) = ready_rows(validate(sheet(text), MAILBOX))
    assert (row.email, row.password) == ("john", "Abcdef1!")


def test_a_blank_that_the_row_does_not_share_is_part_of_the_password(sheet: Sheets) -> None:
    """It is warned of instead."""
    checked = validate(sheet("email, domain, relay_server, password\njohn,101,201, Abcdef1!"), MAILBOX)
    assert [row.password for row in ready_rows(checked)] == [" Abcdef1!"]
    assert [problem.cell for problem in checked.warnings] == ["D2"]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_lines_that_are_one_quoted_cell_each_are_told_as_such(sheet: Sheets, delimiter: str) -> None:
    """What a program leaves that opened the file in one column and saved it."""
    with pytest.raises(SheetError, match="Each line of the file is one quoted cell"):
        sheet("\n".join(f'"{line}"' for line in (HEADER, GOOD)).replace(",", delimiter))


def test_a_blank_in_a_workbook_is_no_layout(tmp_path: Path) -> None:
    """Its cells have no delimiters beside which a blank could be typed for the eye."""
    path = tmp_path / "sheet.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, [f"{header} " for header in HEADER.split(",")])
        page.write_row(1, 0, [f"{cell} " for cell in GOOD.split(",")])
    (row,) = ready_rows(validate(read(path, MAILBOX), MAILBOX))
    assert (row.email, row.password) == ("john", "Abcdef1! ")
