"""Lines to records: what is certain is told apart from what is not, and nothing vanishes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.sheets.delimited import DELIMITERS, Record, records

PLAIN = st.text("ab,\"\n '", max_size=5)


def rows_of(
    text: str, width: int, *, written_by_us: bool = False, delimiter: str = ","
) -> list[tuple[int, list[str], bool]]:
    """Every row as (number, cells, certain)."""
    found = records(text.split("\n"), delimiter, width=width, written_by_us=written_by_us)
    return [(record.number, record.cells, record.fault is None) for record in found]


def test_a_quoted_cell_may_hold_delimiters_quotes_and_line_breaks() -> None:
    """A row over several lines counts once, as it does in a spreadsheet program."""
    text = 'a,"b ""x"", c",d\n1,"two\nlines",3\n4,5,6'
    assert rows_of(text, 3) == [
        (1, ["a", 'b "x", c', "d"], True),
        (2, ["1", "two\nlines", "3"], True),
        (3, ["4", "5", "6"], True),
    ]


def test_a_row_may_hold_several_cells_with_line_breaks() -> None:
    """One quoted cell closes and another opens in the middle of a row."""
    assert rows_of('1,"a\nb","c\nd"\n2,x,y', 3) == [(1, ["1", "a\nb", "c\nd"], True), (2, ["2", "x", "y"], True)]


@pytest.mark.parametrize("place", range(len("4,5,6") + 1))
def test_a_stray_quote_anywhere_costs_its_own_row_only(place: int) -> None:
    """Wherever it slips in, the rows before and after are read, and their numbers stand."""
    line = "4,5,6"
    text = "\n".join(["1,2,3", line[:place] + '"' + line[place:], "7,8,9", 'x,"y, z",w'])
    first, broken, *rest = rows_of(text, 3)
    assert first == (1, ["1", "2", "3"], True)
    assert (broken[0], broken[2]) == (2, False)
    assert rest == [(3, ["7", "8", "9"], True), (4, ["x", "y, z", "w"], True)]


def test_lines_that_may_be_rows_or_a_cell_are_neither() -> None:
    """Two stray quotes, or one cell over four lines: none of them is certain, and the row after them is."""
    text = '1,2,"x\n4,5,6\n7,8,9\n0,1,y"\n2,3,4'
    assert [(number, certain) for number, _, certain in rows_of(text, 3)] == [
        (1, False),
        (2, False),
        (3, False),
        (4, False),
        (5, True),
    ]


@pytest.mark.parametrize("text", ['1,2,"x\n4,5,6\n7"', '1,2,"x\nsee\n4,5,6"', '1,2,"x\n"",,\n"'])
def test_what_looks_like_a_row_within_a_quoted_cell_is_not_taken_for_one(text: str) -> None:
    """Nor for a part of the cell: a quote that slipped in must not make a mailbox vanish, nor a note make one."""
    rows = rows_of(f"{text}\n2,3,4", 3)
    assert [certain for _, _, certain in rows] == [False, False, False, True]
    assert rows[1][1] == text.split("\n")[1].split(",")


def test_two_rows_with_a_stray_quote_each_are_two_rows() -> None:
    """They could be one with a line break in it, but each is as long as a row."""
    assert [(number, certain) for number, _, certain in rows_of('1,2,"x\n4,5,6"', 3)] == [(1, False), (2, False)]


def test_a_cell_with_line_breaks_keeps_its_row_one_where_cells_are_missing() -> None:
    """The row is as short as it is, and counts once."""
    assert rows_of('1,"x\ny"\n4,5,6', 3) == [(1, ["1", "x\ny"], True), (2, ["4", "5", "6"], True)]


def test_our_own_quotes_are_trusted() -> None:
    """A file that we wrote may hold a cell that looks like rows."""
    assert rows_of('1,2,"x\n4,5,6\n7"', 3, written_by_us=True) == [(1, ["1", "2", "x\n4,5,6\n7"], True)]


@given(st.lists(st.lists(PLAIN, min_size=3, max_size=3), min_size=1, max_size=6))
def test_whatever_was_written_properly_is_read_as_it_was_or_refused(table: list[list[str]]) -> None:
    """No cell of a proper CSV file comes out as anything else."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(table)
    text = out.getvalue().removesuffix("\n")
    assert [cells for _, cells, certain in rows_of(text, 3, written_by_us=True) if certain] == table
    if "\n" not in "".join(map("".join, table)):
        assert [cells for _, cells, certain in rows_of(text, 3) if certain] == table


@given(st.text('a,"\n', max_size=40))
def test_every_line_is_accounted_for(text: str) -> None:
    """Whatever the quotes do, each line belongs to exactly one row, and rows are numbered without a gap."""
    found = list(records(text.split("\n"), ",", width=3))
    assert sum(record.lines for record in found) == text.count("\n") + 1
    assert [record.number for record in found] == list(range(1, len(found) + 1))


CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "nan", "null", "True", "101.0", "1e5", "0x1F", "007", "-", "#x", "'", "\\", "\\n", " a "]
    ),
    st.text(st.characters(exclude_characters=',;\t|"\n', exclude_categories=["Cs"]), max_size=4),
)


@given(st.data(), st.sampled_from(DELIMITERS), st.integers(1, 4))
def test_plain_rows_are_read_as_they_stand(data: st.DataObject, delimiter: str, width: int) -> None:
    """Whatever their cells hold, and were it a number, a blank or what other programs take for nothing."""
    table = data.draw(st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=5))
    rows = rows_of("\n".join(map(delimiter.join, table)), width, delimiter=delimiter)
    assert rows == [(number, row, True) for number, row in enumerate(table, 1)]


@given(st.text("ab,\n", max_size=30), st.integers(1, 4))
def test_no_cell_changes_its_row(text: str, width: int) -> None:
    """However many or few cells the lines have beside what the header has: also where they are right on the whole."""
    assert rows_of(text, width) == [(number, line.split(","), True) for number, line in enumerate(text.split("\n"), 1)]


@pytest.mark.parametrize("cell", ["\ufeff", "\ufeffa", "\0", "a\0b", "a\rb", "\x1a", "\u2028"])
def test_what_a_parser_may_take_for_itself_stays_in_its_cell(cell: str) -> None:
    """Wherever in a piece it stands: byte-order marks, NULs, ends of lines and of files."""
    for table in ([[cell, "b"], ["c", "d"]], [["a", "b"], [cell, "d"]], [["a", cell], ["b", f"{cell}c"]]):
        text = "\n".join(map(",".join, table))
        assert rows_of(text, 2) == [(number, row, True) for number, row in enumerate(table, 1)]


def test_a_quote_that_never_closes_costs_no_more_than_the_length_of_the_file() -> None:
    """A hundred thousand open quotes are read in linear time: each looks no further than the next."""
    lines = ['a,"b,c'] * 100_000
    assert sum(1 for record in records(lines, ",", width=3) if record.fault) == len(lines)


def test_a_cell_of_any_length_is_no_traceback() -> None:
    """What the standard library refuses to read is a row that is not certain."""
    (record,) = records(['a,"' + "x" * 200_000 + '",c'], ",")
    assert isinstance(record, Record)
    assert record.fault == "a cell is too long to be read"
