"""A sheet that was read: where its cells stand, and what they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.records import TaskId
from provisioner.sheets import Origin, Sheet


@pytest.fixture
def sheet() -> Sheet:
    """Three rows of which a blank one was left out, with a column of the office's own."""
    columns = {"Notes": ["x", "", "z"], "email": ["a", "b", ""]}
    return Sheet(Path("sheet.csv"), columns, [2, 4, 5], ("Notes", "User Name"), ("Notes", "email"), delimiter=";")


def test_a_row_is_found_by_its_number(sheet: Sheet) -> None:
    """Numbers have gaps; positions do not."""
    assert [sheet.position(row) for row in sheet.rows] == [0, 1, 2]
    assert [sheet.own_cells(row) for row in (2, 4, 5)] == [["x", "a"], ["", "b"], ["z", ""]]
    assert sheet.cell_name(4, "email") == "B4"
    assert sheet.number(4) == 4


def test_blank_and_missing_cells_are_empty(sheet: Sheet) -> None:
    """A column that the sheet lacks reads like one of blank cells."""
    assert list(sheet.cells("email", "missing")) == [(2, ("a", "")), (4, ("b", "")), (5, ("", ""))]


def test_a_row_of_a_failures_file_goes_by_its_old_number(sheet: Sheet) -> None:
    """But for one that was added by hand, which has none."""
    origins = {2: Origin(17, TaskId("t")), 4: Origin(None, None), 5: Origin(3, None)}
    failures = replace(sheet, origins=origins, is_failures=True)
    assert [failures.number(row) for row in (2, 4, 5)] == [17, None, 3]
    assert [failures.cell_name(row, "email") for row in (2, 4, 5)] == ["B17", "B4", "B3"]
