"""Our own CSV files: written in one step, safe in a spreadsheet program, and read back as they were."""

from __future__ import annotations

import csv
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioner.sheets import (
    FAILURES_COLUMNS,
    RESULTS_COLUMNS,
    escape_formula,
    read_table,
    replace_file,
    unescape_formula,
    write_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@given(st.one_of(CELLS, st.text(FORMULA_SIGNS + "' a1", max_size=6)))
@example("=1+1")
@example("'=1+1")
@example("''@x")
@example("'quoted")
@example("'")
@example(" =1")
def test_the_guard_is_undone_exactly(text: str) -> None:
    """Whatever a cell holds, apostrophes at its beginning included, comes back from under the guard."""
    assert unescape_formula(escape_formula(text)) == text


@given(st.sampled_from(FORMULA_SIGNS), CELLS)
@example(" =", "1")
def test_no_formula_is_written_bare(sign: str, rest: str) -> None:
    """A cell that a spreadsheet program would run begins with an apostrophe once written."""
    assert escape_formula(sign + rest).startswith("'")


@pytest.mark.parametrize("text", ["", "john", "'quoted", "1+1", "a=b", "o'neil"])
def test_what_is_no_formula_is_written_as_it_is(text: str) -> None:
    """The guard stays away from ordinary text."""
    assert escape_formula(text) == text


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5), st.sampled_from(",;\t|"))
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    """Quotes, delimiters, line breaks, formulas and apostrophes survive, whatever the delimiter."""
    path = tmp_path_factory.mktemp("table") / "results.csv"
    write_table(path, ["a", "=b"], rows, delimiter=delimiter)
    assert list(read_table(path, delimiter=delimiter)) == [["a", "=b"], *rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [RESULTS_COLUMNS, ("remedy", "a;b,c", *FAILURES_COLUMNS)])
def test_a_files_delimiter_is_found_by_its_header(tmp_path: Path, header: Sequence[str], delimiter: str) -> None:
    """Who reads results.csv or failures.csv need not know what the sheet was separated by."""
    path = tmp_path / "results.csv"
    write_table(path, header, [header], delimiter=delimiter)
    assert list(read_table(path)) == [list(header), list(header)]


def test_another_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A table without our columns needs its delimiter named."""
    write_table(tmp_path / "x.csv", ["a", "b"], [])
    with pytest.raises(csv.Error):
        list(read_table(tmp_path / "x.csv"))


def test_the_file_opens_rightly_in_a_spreadsheet_program(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark, and CRLF at the end of each line."""
    path = tmp_path / "results.csv"
    write_table(path, ["name"], [["Zoë"]], delimiter=";")
    assert path.read_bytes() == b"\xef\xbb\xbfname\r\nZo\xc3\xab\r\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps other people out by the folder")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """Passwords stand in these files."""
    path = tmp_path / "results.csv"
    write_table(path, ["a"], [])
    replace_file(tmp_path / "x", b"")
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


class PowerCutError(Exception):
    pass


def test_the_old_file_stays_where_the_new_one_cannot_be_finished(tmp_path: Path) -> None:
    """A row that cannot be had leaves the earlier file whole, and nothing beside it."""
    path = tmp_path / "results.csv"
    write_table(path, ["a"], [["old"]])

    def rows() -> Iterator[list[str]]:
        yield ["new"]
        raise PowerCutError

    with pytest.raises(PowerCutError):
        write_table(path, ["a"], rows())
    assert list(read_table(path, delimiter=",")) == [["a"], ["old"]]
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_a_target_that_cannot_be_replaced_is_an_oserror(tmp_path: Path) -> None:
    """As on Windows where another program has the file open: the caller is told, and nothing is left behind."""
    path = tmp_path / "results.csv"
    path.mkdir()
    with pytest.raises(OSError):
        write_table(path, ["a"], [["new"]])
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_the_standard_library_reads_it_too(tmp_path: Path) -> None:
    """What is written is plain CSV, for whoever else reads it."""
    path = tmp_path / "results.csv"
    write_table(path, ["a", "b"], [['x"y', "1,2\n3"], ["", " z "]])
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ['x"y', "1,2\n3"], ["", " z "]]
