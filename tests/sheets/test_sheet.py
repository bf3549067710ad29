"""A sheet that was read: where its cells stand, and what they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from provisioner.records import TaskId
from provisioner.sheets import Origin, Sheet


@pytest.fixture
def sheet() -> Sheet:
    """Three rows of which a blank one was left out, with a column of the office's own."""
    frame = pd.DataFrame({"Notes": ["x", None, "z"], "email": ["a", "b", None]}, index=[2, 4, 5], dtype=object)
    return Sheet(Path("sheet.csv"), frame, headers=("Notes", "User Name"), keys=("Notes", "email"), delimiter=";")


def test_a_row_is_found_by_its_number(sheet: Sheet) -> None:
    """Numbers have gaps; positions do not."""
    assert [sheet.position(row) for row in sheet.rows.tolist()] == [0, 1, 2]
    assert [sheet.own_cells(row) for row in (2, 4, 5)] == [["x", "a"], ["", "b"], ["z", ""]]
    assert sheet.cell_name(4, "email") == "B4"
    assert sheet.number(4) == 4


def test_blank_cells_are_none(sheet: Sheet) -> None:
    """Whatever pandas calls them."""
    assert sheet.texts("email").tolist() == ["a", "b", None]
    assert list(sheet.cells("email", "missing")) == [(2, ("a", "")), (4, ("b", "")), (5, ("", ""))]


def test_a_column_may_hold_few_texts_many_times(sheet: Sheet) -> None:
    """Its cells are the same; and then it is known which texts differ."""
    texts = pd.Categorical.from_codes([1, -1, 1], categories=pd.Index(["z", "x"]))
    few = replace(sheet, frame=sheet.frame.assign(Notes=texts))
    assert few.texts("Notes").tolist() == ["x", None, "x"]
    assert few.filled("Notes").tolist() == [True, False, True]
    assert few.own_cells(2) == ["x", "a"]
    found = few.few("Notes")
    assert found is not None
    assert (found.texts.tolist(), found.places.tolist()) == (["z", "x"], [1, -1, 1])
    assert few.few("email") is None


def test_a_row_of_a_failures_file_goes_by_its_old_number(sheet: Sheet) -> None:
    """But for one that was added by hand, which has none."""
    origins = {2: Origin(17, TaskId("t")), 4: Origin(None, None), 5: Origin(3, None)}
    failures = Sheet(sheet.path, sheet.frame, sheet.headers, sheet.keys, ";", origins=origins, is_failures=True)
    assert [failures.number(row) for row in (2, 4, 5)] == [17, None, 3]
    assert [failures.cell_name(row, "email") for row in (2, 4, 5)] == ["B17", "B4", "B3"]
