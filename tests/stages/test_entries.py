"""What of a row without a request is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import running

from provisioner.fixing import OpenSheet
from provisioner.settings import SheetOptions

if TYPE_CHECKING:
    from pathlib import Path

SHEET = """email,domain,relay_server,password,project,Client
ann,101,201,Sheet-Pass-77!,789,Hartwell
bob,101,201,weak,789,Hartwell
cid,101,201,weak,791,Hartwell
dan,101,201,weak,Piece-Of-It!,Hartwell
eve,101,201,,Piece-Of-It!,Another-Piece!
"""


def test_beside_a_weak_password_is_shown_what_a_sound_row_has_in_that_column(
    tmp_path: Path, listener: Any, read_csv: Any
) -> None:
    """That is no piece of a password; anything else may be one that a delimiter cut off.

    So it is after a fix, too.
    """
    sheet = tmp_path / "acme.csv"
    sheet.write_text(SHEET, encoding="utf-8")
    result = running.check(sheet, listener)
    told = [("789", "Hartwell"), ("789", "Hartwell"), ("", "Hartwell"), ("", "Hartwell"), ("", "")]
    results = tmp_path / "acme-run" / "results.csv"
    assert [(row["project"], row["Client"]) for row in read_csv(results)] == told
    assert {name: sum(counts.values()) for name, counts in result.summary.counts_by.items()} == {"Hartwell": 4, "": 1}
    opened = OpenSheet(SheetOptions(sheet=sheet))
    row = opened.row("3")
    assert (row.cells["project"], row.cells["Client"]) == ("789", "Hartwell")
    opened.change("3", row.version, {"password": "feeble"})
    assert [(row["project"], row["Client"]) for row in read_csv(results)] == told


def test_what_results_csv_shows_beside_a_weak_password_stays_when_the_failures_file_is_run(
    tmp_path: Path, listener: Any, read_csv: Any
) -> None:
    """It has no row without a fault, and may be run a second time before all is fixed."""
    sheet, folder = tmp_path / "acme.csv", tmp_path / "acme-run"
    sheet.write_text(SHEET, encoding="utf-8")
    running.check(sheet, listener)
    before = read_csv(folder / "results.csv")
    for _ in range(2):
        running.check(folder / "failures.csv", listener)
        assert read_csv(folder / "results.csv") == before
