"""Sheets of one workbook: each has a run folder of its own, and several are taken as several files are."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter

from provisioner.errors import RunFolderError
from provisioner.run_folder import existing, locate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

HEADER = ["email", "domain", "relay_server", "password", "project"]
PASSWORD = "Sheet-Pass-77!"


@pytest.fixture
def command(invoke: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the program in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return invoke


def workbook(path: Path, **tabs: list[str] | None) -> None:
    """Usernames by the name of their sheet, `_` for a blank; None makes a sheet with something else."""
    with xlsxwriter.Workbook(path) as book:
        for name, usernames in tabs.items():
            sheet = book.add_worksheet(name.replace("_", " "))
            sheet.write_row(0, 0, ["Read me"] if usernames is None else HEADER)
            for number, username in enumerate(usernames or [], start=1):
                sheet.write_row(number, 0, [username, 101, 201, PASSWORD, 789])


def usernames(folder: Path, name: str = "results.csv") -> list[str]:
    with (folder / name).open(encoding="utf-8-sig", newline="") as file:
        return [row["email"] for row in csv.DictReader(file)]


def test_each_sheet_of_a_workbook_has_its_own_folder(command: Any, tmp_path: Path) -> None:
    """Running the second leaves the invalid row of the first where it is."""
    workbook(tmp_path / "acme.xlsx", Hartwell=["ann", "b d"], North_Shore=["carl"])
    assert command("check", "acme.xlsx", "--sheet", "Hartwell").exit_code == 1
    assert command("check", "acme.xlsx", "--sheet", "North Shore").exit_code == 0
    assert usernames(tmp_path / "acme-Hartwell-run") == ["ann", "b d"]
    assert usernames(tmp_path / "acme-Hartwell-run", "failures.csv") == ["b d"]
    assert usernames(tmp_path / "acme-North-Shore-run") == ["carl"]
    assert not (tmp_path / "acme-run").exists()


def test_the_only_sheet_with_mailboxes_needs_no_name(command: Any, tmp_path: Path) -> None:
    """Its folder is the workbook's, also if all sheets are asked for, and if it has to be named later."""
    workbook(tmp_path / "acme.xlsx", Help=None, Hartwell=["ann"])
    for words in ((), ("--all-sheets",), ("--sheet", "Hartwell")):
        assert command("check", "acme.xlsx", *words).exit_code == 0
        assert [path.name for path in tmp_path.glob("*-run")] == ["acme-run"]
    workbook(tmp_path / "acme.xlsx", Hartwell=["ann", "ben"], North=["carl"])
    assert command("check", "acme.xlsx", "--all-sheets").exit_code == 0
    assert usernames(tmp_path / "acme-run") == ["ann", "ben"]
    assert usernames(tmp_path / "acme-North-run") == ["carl"]


def test_a_sheet_that_had_a_name_keeps_its_folder_without_it(command: Any, tmp_path: Path) -> None:
    """Its rows would be created again if another journal were begun."""
    workbook(tmp_path / "acme.xlsx", Hartwell=["ann"], North=["carl"])
    assert command("run", "acme.xlsx", "--sheet", "Hartwell", "--sandbox").exit_code == 0
    workbook(tmp_path / "acme.xlsx", Hartwell=["ann", "ben"])
    said = command("run", "acme.xlsx", "--sandbox", "--json")
    assert said.exit_code == 0, said.stderr
    assert '"create": 1' in said.stdout
    assert [path.name for path in tmp_path.glob("*-run")] == ["acme-Hartwell-run"]


def test_all_sheets_with_a_header_are_taken(command: Any, tmp_path: Path) -> None:
    """One after the other, each named, and the next command takes their failures files."""
    workbook(tmp_path / "acme.xlsx", Help=None, Hartwell=["ann", "b d"], North=["c d"])
    said = command("run", "acme.xlsx", "--all-sheets", "--sandbox")
    assert said.exit_code == 1, said.stderr
    assert usernames(tmp_path / "acme-Hartwell-run") == ["ann", "b d"]
    assert usernames(tmp_path / "acme-North-run") == ["c d"]
    flat = " ".join(said.stderr.split())
    assert "acme.xlsx, sheet Hartwell" in flat
    assert "run acme-Hartwell-run/failures.xlsx acme-North-run/failures.xlsx --sandbox" in flat


def test_sheets_are_named_as_often_as_there_are(command: Any, tmp_path: Path) -> None:
    """Those that are named are taken, once each; nothing is begun if one is missing."""
    workbook(tmp_path / "acme.xlsx", A=["ann"], B=["ben"], C=["carl"])
    assert command("check", "acme.xlsx", "--sheet", "A", "--sheet", "D").exit_code == 2
    assert not list(tmp_path.glob("*-run"))
    assert command("check", "acme.xlsx", "--sheet", "A", "--sheet", "C", "--sheet", "A").exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*-run")) == ["acme-A-run", "acme-C-run"]
    contradiction = command("check", "acme.xlsx", "--sheet", "A", "--all-sheets")
    assert contradiction.exit_code == 2
    assert "--all-sheets" in contradiction.stderr
    assert command("check", "acme.xlsx", "--all-sheets", "--out", "here").exit_code == 2


def test_sheets_that_were_not_begun_are_named_in_the_next_command(command: Any, sandbox: Any, tmp_path: Path) -> None:
    """The failures file of what was stopped in one command, and the sheets of the workbook in another."""
    workbook(tmp_path / "acme.xlsx", A=["ann"], North_Shore=["ben"], C=["carl"])
    service = sandbox()
    said = command("run", "acme.xlsx", "--all-sheets", "--yes", "--api-url", service.url, key="a-wrong-key")
    assert said.exit_code == 3, said.stderr
    flat = " ".join(said.stderr.split())
    assert "Not started: acme.xlsx, sheet North Shore, acme.xlsx, sheet C" in flat
    assert f"provisioner run acme-A-run/failures.xlsx --api-url {service.url} --yes" in flat
    assert f"provisioner run acme.xlsx --sheet 'North Shore' --sheet C --api-url {service.url} --yes" in flat


def test_a_folder_of_another_sheet_is_refused(command: Any, tmp_path: Path) -> None:
    """Its rows that were never sent would be forgotten; a failures file and the same sheet elsewhere are welcome."""
    workbook(tmp_path / "acme.xlsx", A=["ann", "b d"], B=["ben"])
    workbook(tmp_path / "bolt.xlsx", A=["bob"])
    assert command("check", "acme.xlsx", "--sheet", "A", "--out", "here").exit_code == 1
    for words in (("acme.xlsx", "--sheet", "B"), ("bolt.xlsx",)):
        refusal = command("check", *words, "--out", "here")
        assert refusal.exit_code == 2
        assert "belongs to another sheet (acme.xlsx, sheet “A”)" in " ".join(refusal.stderr.split())
    assert usernames(tmp_path / "here") == ["ann", "b d"]
    assert command("check", "here/failures.csv").exit_code == 1
    (tmp_path / "later").mkdir()
    workbook(tmp_path / "later" / "acme.xlsx", A=["ann", "bd"])
    assert command("check", "later/acme.xlsx", "--out", "here").exit_code == 0


@pytest.mark.parametrize(
    ("tab", "folder"),
    [
        ("Q3 (new)!", "acme-Q3-new-run"),
        ("../up", "acme-..-up-run"),
        ("Größe 2", "acme-Größe-2-run"),
        ("!?", "acme-sheet-run"),
    ],
)
def test_a_name_of_a_sheet_is_safe_in_that_of_a_folder(tmp_path: Path, tab: str, folder: str) -> None:
    """Whatever stands in it, the folder is beside the workbook."""
    assert locate(tmp_path / "acme.xlsx", None, tab).path == tmp_path / folder


def test_the_runs_of_single_sheets_are_pointed_out(command: Any, tmp_path: Path) -> None:
    """What is asked for a workbook as a whole names a folder that there is."""
    workbook(tmp_path / "acme.xlsx", A=["ann"], B=["ben"])
    assert command("check", "acme.xlsx", "--all-sheets").exit_code == 0
    with pytest.raises(RunFolderError) as refusal:
        existing(tmp_path / "acme.xlsx")
    assert refusal.value.remedy.endswith(f"such as {tmp_path / 'acme-A-run'}.")
