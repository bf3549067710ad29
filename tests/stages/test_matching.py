"""The journal's row for each row of a sheet, also where many of either look alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from growth import assert_linear

from provisioner.journal import JournalRow, Moved, Written
from provisioner.records import Entry, RowId, Status
from provisioner.stages.matching import KnownRows

if TYPE_CHECKING:
    from collections.abc import Iterable


def known(places: Iterable[int]) -> KnownRows:
    """Rows that say the same and were never ready, in these places; each has its place for an ID."""
    return KnownRows(
        [JournalRow(RowId(place), place, place, None, "a b", "", "", "", "") for place in places], latest_file=True
    )


def entry(place: int) -> Entry:
    return Entry(place, place, "a b@", "a b", "", "", "", "", None)


def test_of_rows_that_look_alike_the_one_in_the_same_place_is_taken() -> None:
    """Each once; if none is there, the first that is left, and in the end none."""
    rows = known([2, 3, 4])
    assert [row and row.id for row in map(rows.take, map(entry, (3, 7, 4, 8)))] == [3, 2, 4, None]


def test_a_row_that_is_released_can_be_taken_again() -> None:
    """By a row in its place or in another."""
    rows = known([2, 3])
    for place in (2, 3):
        rows.take(entry(place))
    rows.release(rows.by_id[RowId(3)])
    assert rows.take(entry(3)) == rows.by_id[RowId(3)]
    rows.release_all()
    assert {row and row.id for row in map(rows.take, map(entry, (7, 8)))} == {2, 3}


def test_a_row_that_stays_as_it_is_is_not_written_again() -> None:
    """Only its place in the file is; what is new or different is written as it is to be."""
    rows = known([2, 3])
    same, other = rows.by_id[RowId(2)], rows.by_id[RowId(3)]._replace(status=Status.INVALID)
    new = rows.new_row(entry(9))
    assert list(rows.to_write(map(Written, (same, other, new)))) == [Moved(same.id, 2, 2), Written(other), Written(new)]


@pytest.mark.parametrize("shift", [0, 1, 1_000_000])
def test_time_does_not_grow_with_the_square_of_the_rows_that_look_alike(shift: int) -> None:
    """Whether they are in their places, below a new row, or all in others."""

    def seconds(size: int) -> float:
        rows = known(range(size))
        began = time.process_time()
        assert sum(rows.take(entry(place + shift)) is not None for place in range(size)) == size
        return time.process_time() - began

    assert_linear(seconds, 1000)
