"""The header: what stands under each of its cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import FAILURES_COLUMNS
from provisioner.sheets.delimited import Record
from provisioner.sheets.headers import is_ours, known_columns, lay_out

MAILBOX = schema.load()
CELLS = st.lists(
    st.sampled_from(["email", "Username", "domain", "Notes", "", "status", *FAILURES_COLUMNS]), max_size=12
)


def test_our_columns_are_told_from_the_sheets_own() -> None:
    """Wherever they stand; what is left is the sheet."""
    layout = lay_out(Record(3, ["email", "sheet_row", "Notes", *FAILURES_COLUMNS[1:]]), MAILBOX.column_for)
    assert layout.headers == ("email", "Notes")
    assert layout.own == (0, 2)
    assert layout.added == {"sheet_row": 1, "status": 3, "error": 4, "remedy": 5, "task_id": 6}


def test_a_formula_in_a_header_was_guarded_by_us_alone() -> None:
    """In a foreign sheet an apostrophe is part of the header."""
    assert lay_out(Record(1, ["email", "'=x", *FAILURES_COLUMNS]), MAILBOX.column_for).headers == ("email", "=x")
    assert lay_out(Record(1, ["email", "'=x"]), MAILBOX.column_for).headers == ("email", "'=x")


@given(CELLS)
def test_every_header_has_one_column_or_the_sheet_is_refused(cells: list[str]) -> None:
    """No two columns share a name within the program, and none is lost."""
    try:
        layout = lay_out(Record(1, cells), MAILBOX.column_for)
    except SheetError as refusal:
        assert refusal.remedy  # noqa: PT017 - either way is right, and must be held to its promise
        return
    assert len(layout.keys) == len(set(layout.keys)) == len(layout.headers) == len(layout.own)
    assert sorted([*layout.own, *layout.added.values()]) == list(range(len(cells)))
    assert bool(layout.added) == is_ours(cells)


@pytest.mark.parametrize(
    ("cells", "known"),
    [(["email", "Username", "domain"], 2), (["x", ""], 0), (["Domain-ID", "RELAY", "pass_word", "Reply to"], 4)],
)
def test_a_header_is_weighed_by_the_columns_that_it_names(cells: list[str], known: int) -> None:
    """Each counts once, under whatever name."""
    assert known_columns(cells, MAILBOX.column_for) == known
