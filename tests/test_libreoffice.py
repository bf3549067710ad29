"""The way of a failures file through a real spreadsheet program: the same values, or refused, never others."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import libreoffice
import pytest
import running
from click.testing import CliRunner

from provisioner.cli import main
from provisioner.sheets import write_table
from provisioner.sheets.text_workbook import text_workbook

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(libreoffice.is_missing(), reason=libreoffice.ABSENT),
]

FAST = {"latency": 0.02, "latency_spread": 0.0}
FAULT, FIXED = "nobody at all", "replies@example.com"
PASSWORDS = {
    "semicolon": "Ab;cdef-1!;2",
    "comma": "Ab,cdef-1!,2",
    "both": "Ab;cd,ef-1!",
    "quotes": 'Ab"cdef"-1!',
    "quote": '"Abcdef-1!',
    "apostrophe": "'Abcdef-1!",
    "equals": "=Equals-Only14!",
    "plus": "+Plus-Only14!",
    "minus": "-Minus-Only14!",
    "at": "@At-Only14!",
    "formula": '=HYPERLINK("http://x.example/Ab1";"!")',
    "number": "1E5-Abcdef",
    "date": "4-Mar-2026Ab",
    "spaces": "Ab  cdef  -1!",
    "foreign": "Pässwörd-漢字-1A",
}
"""By username, what a spreadsheet program might split, change or run."""
USERNAMES = ("007", "1E5", "4-Mar", "1.10", "00123", "3e3", "123456789012345678901", "true", "2026-03-01")
"""What it takes for a number or a date."""
REFUSED = {"formula", "4-Mar", "true", "2026-03-01"}
"""Even where nothing was changed."""
NOTES = ("\0=1+1", '=HYPERLINK("http://x.example")', "a\tb;c,d", "two\nlines", "\x0b@SUM(1)", "'=1", "[U+0000]")


def sheet_of(path: Path) -> dict[str, str]:
    """Write a sheet of which every row breaks a rule; returns its passwords by username."""
    wanted = {**PASSWORDS, **dict.fromkeys(USERNAMES, "Sheet-Pass-77!")}
    header = ["Note", "Email", "Domain", "Relay Server", "Password", "Reply To", "Client"]
    rows = [
        [NOTES[number % len(NOTES)], name, "101", "201", password, FAULT, "Hartwell; Sons, Ltd."]
        for number, (name, password) in enumerate(wanted.items())
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return wanted


@pytest.mark.parametrize(("kind", "trips"), [("csv", 1), ("csv", 3), ("xlsx", 2)])
def test_no_value_comes_back_changed(
    sandbox: Any, connection: Any, listener: Any, tmp_path: Path, kind: str, trips: int
) -> None:
    """However often a failures file is opened and saved, what is sent is what the sheet says; the rest is refused."""
    service = sandbox(**FAST)
    wanted = sheet_of(tmp_path / "acme.csv")
    running.run(tmp_path / "acme.csv", connection(service), listener)
    failures = tmp_path / "acme-run" / f"failures.{kind}"
    for _ in range(trips):
        libreoffice.edit(failures, {FAULT: FIXED})
    running.run(failures, connection(service), listener)
    sent = {made.username: made.password for made in service.state.mailboxes if made.task_id}
    assert sent.items() <= wanted.items()
    assert {made.reply_to for made in service.state.mailboxes if made.task_id} <= {FIXED}
    if kind == "xlsx":
        assert sent.keys() == wanted.keys() - REFUSED, "a workbook keeps them all"
    elif trips == 1:
        assert sent.keys() >= PASSWORDS.keys() - REFUSED


def write_workbook(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with text_workbook(path, "Mailboxes", header) as add:
        for row in rows:
            add(row, ())


BEFORE = ["", " ", "\u00a0", "\u200b", "\ufeff", "\ud800", *map(chr, (0, 1, 9, 10, 11, 13, 31, 127, 133))]
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", '=HYPERLINK("http://x.example")', "\uff1d1+1"]


def test_no_cell_that_is_written_is_run(tmp_path: Path) -> None:
    """A formula stays text, whatever stands before its sign, in CSV files and in workbooks."""
    written = [[before + formula for formula in FORMULAS] for before in BEFORE]
    header = [f"column {number}" for number in range(len(FORMULAS))]
    write_table(tmp_path / "results.csv", header, written)
    write_workbook(tmp_path / "client.xlsx", header, written)
    for path in tmp_path.iterdir():
        understood = [cell for cell in libreoffice.cells(path) if cell.text]
        assert len(understood) == (len(BEFORE) + 1) * len(FORMULAS)
        assert {(cell.kind, cell.formula) for cell in understood} == {("string", None)}
    bare = tmp_path / "bare.csv"
    bare.write_bytes(b'"\0=1+1"\r\n')
    assert libreoffice.cells(bare)[0].formula, "it is run where nothing is done about it"


def test_a_workbook_of_credentials_shows_them_as_they_are(tmp_path: Path) -> None:
    """Nothing becomes a number, a date or a formula, and nothing is added to a password."""
    written = [*PASSWORDS.values(), *USERNAMES]
    path = tmp_path / "client.xlsx"
    write_workbook(path, ["password"], [[cell] for cell in written])
    understood = [cell for cell in libreoffice.cells(path) if cell.text]
    assert [cell.text for cell in understood] == ["password", *written]
    assert {(cell.kind, cell.formula) for cell in understood} == {("string", None)}


HEADERS = ["Client", "Mailbox", "Domain", "Relay Server", "Password", "Project", "Reply To", "Notes"]
FAULTY = [
    ["Hartwell & Sons", "ann", "101", "201", "=Equals-Only14!", "789", "", "begins with a sign"],
    ["Hartwell & Sons", "b d", "101", "201", "Ab;cdef-1!;2", "789", "replies@hartwell.example", ""],
    ["Hartwell & Sons", "007", "acme-mail.example", "201", "Sheet-Pass-77!", "", "", "007"],
    ["Brook, Ltd.", "cid", "102", "202", "weak", "790", "", "two\nlines"],
    ["Brook, Ltd.", "1.10", "102", "202", "'Apos-Pass-14!", "790", "", "4-Mar, =1+1"],
    ["Brook, Ltd.", "eve", "acme-mial.example", "201", "Sheet-Pass-77!", "", "", ""],
    ["", "1E5", "101", "201", "Pässwörd-14!", "", "nobody at all", "no client"],
    ["Doubled", "ann", "101", "201", "Other-Pass-77!", "", "", "delete me"],
]
FIXES = {"b d": "b.d", "weak": "Better-Pass-1!", "acme-mial": "acme-mail", "nobody at all": "replies@brook.example"}
WANTED = [[FIXES.get(cell, cell.replace("acme-mial", "acme-mail")) for cell in row] for row in FAULTY[:-1]]


def test_a_faulty_workbook_becomes_credentials_for_each_client(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_csv: Any
) -> None:
    """Every file on the way is opened and saved by LibreOffice; every cell that arrives is the sheet's."""
    service = sandbox(**FAST)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", service.api_key)
    monkeypatch.setenv("MISSION_INBOX_URL", service.url)
    sheet, folder = tmp_path / "acme.xlsx", tmp_path / "acme-run"
    write_workbook(sheet, HEADERS, FAULTY)
    libreoffice.edit(sheet)
    assert call("run", sheet, "--yes") == 1
    failures = folder / "failures.xlsx"
    libreoffice.edit(failures)
    libreoffice.edit(failures, FIXES, deleted=["delete me"])
    assert call("run", failures, "--yes") == 0
    made = {mailbox.username: mailbox for mailbox in service.state.mailboxes if mailbox.task_id}
    assert sorted(made) == sorted(row[1] for row in WANTED)
    for _, name, domain, relay_server, password, project, reply_to, _ in WANTED:
        one = made[name]
        assert {str(one.domain), one.domain_name} >= {domain}
        sent = (str(one.relay_server), one.password, str(one.project or ""), one.reply_to or "")
        assert sent == (relay_server, password, project, reply_to)
    assert all(received.received == 1 for received in service.state.creates.values())
    results = read_csv(folder / "results.csv")
    assert [row["status"] for row in results] == ["created"] * len(WANTED)
    assert call("credentials", folder, "--by", "Client", "-o", tmp_path / "for.xlsx") == 0
    for client, name in (("Hartwell & Sons", "Hartwell-Sons"), ("Brook, Ltd.", "Brook-Ltd"), ("", "without Client")):
        path = tmp_path / f"for-{name}.xlsx"
        libreoffice.edit(path)
        texts = [cell.text for cell in libreoffice.cells(path)]
        for row in WANTED:
            address = f"{row[1]}@{made[row[1]].domain_name}"
            assert (address in texts) is (row[0] == client)
            assert address not in texts or texts[texts.index(address) + 1] == row[4]


def call(*words: object) -> int:
    """Run the program; returns its exit code."""
    done = CliRunner().invoke(main, [*map(str, words)], prog_name="provisioner")
    print(done.stderr)
    return done.exit_code
