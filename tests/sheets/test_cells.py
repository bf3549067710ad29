"""A column as it grows: every cell stands where it was put, however many of them are the same."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.sheets import cells as module
from provisioner.sheets.cells import Cells

BATCHES = st.lists(st.lists(st.sampled_from(["", "", "a", "b", *map(str, range(20))]), max_size=6), max_size=12)


def gathered(batches: list[list[str]], fill: str | None, *, kept_once: int) -> tuple[pd.Series, Cells]:
    """A column of these cells, of whose different texts so many are kept once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_KEPT_ONCE", kept_once)
        cells = Cells(fill)
        for batch in batches:
            cells.add(batch)
        return cells.gathered(pd.RangeIndex(sum(map(len, batches)))), cells


@given(BATCHES, st.sampled_from([None, "", "a", "filled"]), st.integers(1, 30))
def test_every_cell_stands_where_it_was_put(batches: list[list[str]], fill: str | None, kept_once: int) -> None:
    """Blank ones are None or filled, whether each text is kept once, or was for a while, or none is."""
    column, _ = gathered(batches, fill, kept_once=kept_once)
    texts = [None if pd.isna(cell) else cell for cell in column]
    assert texts == [cell or fill or None for batch in batches for cell in batch]


@given(BATCHES, st.sampled_from([None, "", "filled"]), st.integers(1, 30))
def test_a_column_is_complete_only_without_blank_cells(
    batches: list[list[str]], fill: str | None, kept_once: int
) -> None:
    """Wherever the blank cell came in; and it is blank only where nothing stands in it at all."""
    column, cells = gathered(batches, fill, kept_once=kept_once)
    assert not (cells.complete and column.isna().any())
    assert cells.blank or any(map(any, batches)) or fill
    assert not (cells.blank and column.notna().any())


def test_a_column_without_blank_cells_is_known_to_be_complete() -> None:
    """Of one in which most texts differ it is known without looking at them again."""
    _, cells = gathered([["a", "b"], ["c"], ["d", "e"]], None, kept_once=2)
    assert cells.complete
    _, cells = gathered([["a", "b"], ["c"], ["d", ""]], "x", kept_once=2)
    assert cells.complete


def test_few_texts_are_kept_once() -> None:
    """Of a column in which nearly all differ nothing is gained by it."""
    column, _ = gathered([["101", "102"], ["101"] * 3, ["101", "", "102"]], None, kept_once=10)
    assert column.cat.categories.tolist() == ["101", "102"]
    assert column.cat.codes.tolist() == [0, 1, 0, 0, 0, 0, -1, 1]
    column, _ = gathered([["a", "b"], ["c"]], None, kept_once=2)
    assert column.dtype == object
