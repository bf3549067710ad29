"""What a client is to be given, as its user calls for it."""

from __future__ import annotations

import csv
import os
import re
import stat
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import running
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from provisioner.credentials import BLANK_AT_AN_END, UNKNOWN_ADDRESS, UNKNOWN_PASSWORD, find_credentials, safe_name
from provisioner.journal import JournalRow, password_check
from provisioner.records import RowId, Status
from provisioner.resources import LoginState
from provisioner.secret import Secret
from provisioner.settings import SheetOptions
from provisioner.sheets import unescape_formula
from provisioner.stages.look_up import EXISTED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

FAST = {"latency": 0.02, "latency_spread": 0.0}
PASSWORD = "Sheet-Pass-77!"


@pytest.fixture
def call(invoke: Callable[..., Result]) -> Callable[..., Result]:
    """Call the command; with the key of a stand-in, or without any."""
    return partial(invoke, "credentials")


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a file by column."""
    if path.suffix == ".xlsx":
        rows = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()
        header, *cells = ([str(cell) for cell in row] for row in rows)
    else:
        text = path.read_text("utf-8-sig").splitlines()
        header, *cells = ([unescape_formula(cell) for cell in row] for row in csv.reader(text, strict=True))
    return [dict(zip(header, row, strict=True)) for row in cells]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_run_is_handed_over(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, kind: str
) -> None:
    """Every mailbox with its password and the account's servers, without asking the service once more."""
    service = sandbox(**FAST, smtp_host="smtp.acme.example", imap_host="imap.acme.example")
    sheet = write_sheet([("ann", "101", "201", PASSWORD, "", ""), ("b..b", "101", "201", PASSWORD, "", "")])
    running.run(sheet, connection(service), listener)
    target = sheet.parent / f"client.{kind}"
    said = call(sheet, "-o", target)
    assert said.exit_code == 0, said.output
    assert table(target) == [
        {
            "address": "ann@acme-mail.example",
            "password": PASSWORD,
            "smtp_host": "smtp.acme.example",
            "smtp_port": "465",
            "smtp_security": "SSL/TLS",
            "imap_host": "imap.acme.example",
            "imap_port": "993",
            "imap_security": "SSL/TLS",
            "login": "",
            "note": "",
        }
    ]
    assert "1 mailbox: " in said.stderr
    assert "Left out: 1 row that has no mailbox yet." in said.stderr
    assert PASSWORD not in said.output
    assert listener.all("note") == []


@pytest.mark.parametrize(("delimiter", "written"), [(";", b";"), ("\t", b",")])
def test_it_is_split_as_the_spreadsheet_program_that_wrote_the_sheet_splits(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, delimiter: str, written: bytes
) -> None:
    """At semicolons where the sheet has them; pasted rows have tabs, at which no program splits a CSV file."""
    sheet = write_sheet(1)
    sheet.write_text(sheet.read_text("utf-8").replace(",", delimiter), "utf-8")
    running.run(sheet, connection(sandbox(**FAST)), listener)
    assert call(sheet).exit_code == 0
    header, *_ = (sheet.parent / "acme-run" / "credentials.csv").read_bytes().splitlines()
    assert header.startswith(b'\xef\xbb\xbf"address"' + written + b'"password"' + written)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps other people out by the folder")
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_it_is_its_owners_alone(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, kind: str
) -> None:
    """Nobody else may read the passwords; by default the file is in the run folder."""
    sheet = write_sheet(1)
    running.run(sheet, connection(sandbox(**FAST)), listener)
    assert (
        call(sheet, *(() if kind == "csv" else ("-o", sheet.parent / "acme-run" / "credentials.xlsx"))).exit_code == 0
    )
    assert stat.S_IMODE((sheet.parent / "acme-run" / f"credentials.{kind}").stat().st_mode) == 0o600


def test_a_file_that_is_there_is_kept(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, tmp_path: Path
) -> None:
    """Even a link to nowhere is replaced only with --force."""
    sheet = write_sheet(1)
    running.run(sheet, connection(sandbox(**FAST)), listener)
    target = tmp_path / "client.csv"
    target.symlink_to(tmp_path / "elsewhere")
    refused = call(sheet, "-o", target)
    assert (refused.exit_code, target.is_symlink()) == (2, True)
    assert "--force" in refused.stderr
    assert call(sheet, "-o", target, "--force").exit_code == 0
    assert table(target)[0]["address"] == "user0000@acme-mail.example"
    assert not os.path.lexists(tmp_path / "elsewhere")


def test_a_name_must_end_in_a_kind(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, tmp_path: Path
) -> None:
    """What is to be written is known by the name's ending alone."""
    sheet = write_sheet(1)
    running.run(sheet, connection(sandbox(**FAST)), listener)
    said = call(sheet, "-o", tmp_path / "client.pdf")
    assert said.exit_code == 2
    assert "neither a .csv nor an .xlsx" in said.stderr


def test_what_needs_a_look_is_named(sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any) -> None:
    """A mailbox that existed before, and one whose password the sheet does not hold any more."""
    sheet = write_sheet([("ann", "101", "201", PASSWORD, "", ""), ("info", "101", "201", PASSWORD, "", "")])
    running.run(sheet, connection(sandbox(**FAST)), listener)
    write_sheet([("ann", "101", "201", "Other-Pass-88!", "", ""), ("info", "101", "201", PASSWORD, "", "")])
    said = call(sheet)
    assert said.exit_code == 1
    assert "1 mailbox (ann@acme-mail.example) is not known" in " ".join(said.stderr.split())
    assert "1 mailbox (info@acme-mail.example) existed before this run" in " ".join(said.stderr.split())
    first, second = table(sheet.parent / "acme-run" / "credentials.csv")
    assert (first["password"], first["note"]) == ("", UNKNOWN_PASSWORD)
    assert (second["password"], second["note"]) == (PASSWORD, EXISTED)
    right = write_sheet([("ann", "101", "201", PASSWORD, "", "")], name="right.csv")
    assert "is not known" not in call(sheet, "--sheet", right, "--sheet", sheet, "--force").stderr


@pytest.mark.parametrize(
    ("kind", "note"), [("csv", "the apostrophe before the password is not part of it"), ("xlsx", "")]
)
def test_a_password_like_a_formula_can_be_copied(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any, kind: str, note: str
) -> None:
    """In a CSV file it has an apostrophe and the note says so; a workbook shows it as it is, and runs nothing."""
    sheet = write_sheet([("ann", "101", "201", "=Equals-Only14!", "", "")])
    running.run(sheet, connection(sandbox(**FAST)), listener)
    target = sheet.parent / f"client.{kind}"
    assert call(sheet, "-o", target).exit_code == 0
    assert [(row["password"], row["note"]) for row in table(target)] == [("=Equals-Only14!", note)]
    if kind == "csv":
        assert b'"\'=Equals-Only14!"' in target.read_bytes()


def test_a_run_that_knows_no_servers_asks_for_them(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any
) -> None:
    """Once; without a key it is said what is missing, and what the service does not name is blank and told."""
    service = sandbox(**FAST, smtp_host="", imap_host="imap.acme.example")
    sheet = write_sheet(1)
    running.check(sheet, listener)
    assert "There is no API key" in call(sheet).stderr
    assert call(sheet, service=service).exit_code == 0
    said = call(sheet, "--force")
    assert said.exit_code == 0
    assert "does not name the account's SMTP server" in said.stderr


row = partial(running.journal_row, 1, "ann", address="ann@acme.example")


@pytest.mark.parametrize(
    ("case", "given", "password", "note"),
    [
        (row(status=Status.CREATED, password=Secret("Made-Up-1!")), ["Other-1!"], "Made-Up-1!", ""),
        (
            row(status=Status.CREATED, password_check=password_check(Secret("Right-1!"), RowId(1))),
            ["Wrong-1!", "Right-1!"],
            "Right-1!",
            "",
        ),
        (row(status=Status.CREATED), ["Wrong-1!"], None, UNKNOWN_PASSWORD),
        (row(status=Status.EXISTS), ["Sheet-1!", "Sheet-1!"], "Sheet-1!", EXISTED),
        (row(status=Status.EXISTS), ["Sheet-1!", "Sheet-2!"], None, f"{UNKNOWN_PASSWORD}; {EXISTED}"),
        (row(status=Status.EXISTS, imap=LoginState.OK, smtp=LoginState.OK), ["Sheet-1!"], "Sheet-1!", ""),
        (row(status=Status.EXISTS, imap=LoginState.OK, smtp=LoginState.REFUSED), ["Sheet-1!"], "Sheet-1!", EXISTED),
        (
            row(status=Status.CREATED, password_check=password_check(Secret("Right-1! "), RowId(1))),
            ["Right-1! "],
            "Right-1! ",
            BLANK_AT_AN_END,
        ),
        (
            row(status=Status.EXISTS, imap=LoginState.OK, smtp=LoginState.OK),
            ["\xa0Nb-1!"],
            "\xa0Nb-1!",
            BLANK_AT_AN_END,
        ),
        (row(status=Status.CREATED, address="", password=Secret("Made-Up-1!")), [], "Made-Up-1!", UNKNOWN_ADDRESS),
    ],
)
def test_nothing_is_handed_over_as_certain_that_is_not(
    case: JournalRow, given: list[str], password: str | None, note: str
) -> None:
    """Only the password of the creation is given; what a log-in has not proved is marked."""
    (found,), without = find_credentials([case], {"ann@101": [Secret(text) for text in given]})
    assert (found.password.reveal() if found.password else None, found.note, without) == (password, note, 0)


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.CREATED, Status.EXISTS)])
def test_a_row_without_a_mailbox_is_counted(status: Status) -> None:
    """It is in no file, and nobody takes it for handed over."""
    assert find_credentials([row(status=status)], {}) == ([], 1)


def test_the_state_of_the_log_in_is_the_worse_of_both() -> None:
    """A mailbox is ok only where both servers took its password."""
    states = [
        (LoginState.OK, LoginState.OK),
        (LoginState.OK, LoginState.REFUSED),
        (LoginState.UNREACHABLE, LoginState.OK),
    ]
    cases = [row(status=Status.CREATED, imap=imap, smtp=smtp) for imap, smtp in states]
    found, _ = find_credentials([*cases, row(status=Status.CREATED)], {})
    assert [each.row.login_state for each in found] == ["ok", "refused", "unreachable", None]


def test_each_client_gets_a_file(sandbox: Any, connection: Any, listener: Any, tmp_path: Path, call: Any) -> None:
    """Every mailbox is in the file of its own client and in no other, whatever the clients are called."""
    clients = ["Hartwell & Sons, Ltd.", "../../etc/passwd", "", "Zoë", "ACME", "acme", "CON", "a\nb", "=cmd", "Zoë "]
    sheet = tmp_path / "acme.csv"
    with sheet.open("w", newline="", encoding="utf-8") as file:
        rows = [[f"user{n}", "101", "201", PASSWORD, client] for n, client in enumerate(clients)]
        csv.writer(file).writerows([["email", "domain", "relay_server", "password", "Client"], *rows])
    running.run(sheet, connection(sandbox(**FAST)), listener)
    folder = tmp_path / "out"
    folder.mkdir()
    assert call(sheet, "--by", "client", "-o", folder / "for.csv").exit_code == 0
    assert {path.name: [row["address"].split("@")[0] for row in table(path)] for path in folder.iterdir()} == {
        "for-Hartwell-Sons-Ltd.csv": ["user0"],
        "for-etc-passwd.csv": ["user1"],
        "for-without Client.csv": ["user2"],
        "for-Zoë.csv": ["user3", "user9"],
        "for-ACME.csv": ["user4"],
        "for-acme (2).csv": ["user5"],
        "for-CON.csv": ["user6"],
        "for-a-b.csv": ["user7"],
        "for-cmd.csv": ["user8"],
    }
    before = {path: path.read_bytes() for path in folder.iterdir()}
    (folder / "for-CON.csv").unlink()
    assert call(sheet, "--by", "Client", "-o", folder / "for.csv").exit_code == 2
    assert not (folder / "for-CON.csv").exists(), "all or none of them"
    assert call(sheet, "--by", "Client", "-o", folder / "for.csv", "--force").exit_code == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_columns_that_were_chosen_are_remembered(
    sandbox: Any, connection: Any, listener: Any, tmp_path: Path, call: Any
) -> None:
    """What was chosen for unclear headers once goes for every later run, check and reading of the sheet."""
    sheet = tmp_path / "acme.csv"
    sheet.write_text(f"email,Hosts,relay_server,password,Projct\nann,101,201,{PASSWORD},x y\n", encoding="utf-8")
    chosen = SheetOptions(sheet=sheet, columns={"Hosts": "domain", "Projct": ""})
    assert running.run(chosen, connection(sandbox(**FAST)), listener).statuses == {Status.CREATED: 1}
    assert running.check(sheet, listener).statuses == {Status.CREATED: 1}
    target = tmp_path / "client.csv"
    assert call(sheet, "-o", target).exit_code == 0
    assert [row["password"] for row in table(target)] == [PASSWORD]


def test_a_column_that_the_sheet_lacks_is_told(
    sandbox: Any, connection: Any, listener: Any, write_sheet: Any, call: Any
) -> None:
    """With the columns that there are, as the sheet calls them."""
    sheet = write_sheet(1)
    sheet.write_text(sheet.read_text("utf-8").replace("relay_server", "Mail relay"), "utf-8")
    running.run(sheet, connection(sandbox(**FAST)), listener)
    said = call(sheet, "--by", "Client")
    assert said.exit_code == 2
    assert "The sheet has no column “Client”." in said.stderr
    assert ("Mail relay" in said.stderr, "password" in said.stderr) == (True, False)


@given(st.text(max_size=200))
def test_a_files_name_is_safe(text: str) -> None:
    """No separator, no leading or trailing dot, nothing that a system reserves, and short enough."""
    name = safe_name(text)
    assert not re.search(r"[/\\\\:*?\"<>|\x00-\x1f\x7f-\x9f\u2028\u202e]", name)
    assert name == name.strip(" .")
    assert len(name.encode()) <= 200
