"""Our own CSV files: written in one step, safe in a spreadsheet program, and read back as they were."""

from __future__ import annotations

import csv
import os
import re
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

CELLS = st.text(st.characters(exclude_categories=[]), max_size=12)
"""Any text at all, lone surrogates included."""
FORMULA_SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20"
HARMFUL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
TRICKY = st.text("=+-@' \n\0\t\r\x85\u200bU[]00+D\ud800", max_size=9)


@given(st.one_of(CELLS, TRICKY, st.lists(st.sampled_from(["[", "[U+005B]", "U+0000]", "\0", "'", "="])).map("".join)))
@example("=1+1")
@example("'=1+1")
@example("''@x")
@example("'quoted")
@example("'")
@example(" =1")
@example("[U+0000]")
@example("[U+005B]U+0000]")
def test_what_is_escaped_comes_back_as_it_was(text: str) -> None:
    """Whatever a cell holds, apostrophes at its beginning and what looks like an escaped character included."""
    assert unescape_formula(escape_formula(text)) == text


@given(st.one_of(CELLS, TRICKY))
@example("\0=HYPERLINK(1)")
@example("\ufffe")
def test_no_control_character_is_written(text: str) -> None:
    """A program that drops a character makes another cell of it; a file with some of them cannot be opened at all."""
    assert HARMFUL.search(escape_formula(text)) is None


def test_a_control_character_is_shown_by_its_code() -> None:
    """A reader sees what stands there; a line break, which spreadsheets keep, stays."""
    assert escape_formula("\0=1") == "[U+0000]=1"
    assert escape_formula("a\tb\nc") == "a[U+0009]b\nc"


@given(st.text("\0\x01\t\r\n\x1c \x85\u2028'", max_size=4), st.sampled_from(FORMULA_SIGNS), CELLS)
@example(" ", "=", "1")
def test_no_formula_is_written_bare(before: str, sign: str, rest: str) -> None:
    """Blanks and control characters before its sign, which a program may drop, do not make a formula pass."""
    assert escape_formula(before + sign + rest).lstrip()[0] in "'["


@pytest.mark.parametrize("text", ["", "john", "'quoted", "1+1", "a=b", "o'neil", "[unclear]7", "[U+]", "two\nlines"])
def test_what_is_no_formula_is_written_as_it_is(text: str) -> None:
    """Ordinary text is left alone."""
    assert escape_formula(text) == text


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=5), st.sampled_from(",;\t|"))
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str
) -> None:
    """Quotes, delimiters, line breaks, formulas and apostrophes survive, whatever the delimiter."""
    path = tmp_path_factory.mktemp("table") / "results.csv"
    write_table(path, ["remedy", "task_id"], rows, delimiter=delimiter)
    assert list(read_table(path)) == [["remedy", "task_id"], *rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [RESULTS_COLUMNS, ("remedy", "a;b,c", *FAILURES_COLUMNS)])
def test_a_files_delimiter_is_found_by_its_header(tmp_path: Path, header: Sequence[str], delimiter: str) -> None:
    """Who reads results.csv or failures.csv need not know what the sheet was separated by."""
    path = tmp_path / "results.csv"
    write_table(path, header, [header], delimiter=delimiter)
    assert list(read_table(path)) == [list(header), list(header)]


def test_another_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    """A table without our columns is refused."""
    write_table(tmp_path / "x.csv", ["a", "b"], [])
    with pytest.raises(csv.Error):
        list(read_table(tmp_path / "x.csv"))


def test_the_file_opens_rightly_in_a_spreadsheet_program(tmp_path: Path) -> None:
    """UTF-8 with a byte order mark, every cell quoted, and CRLF at the end of each line."""
    path = tmp_path / "results.csv"
    write_table(path, ["name"], [["Zoë"]], delimiter=";")
    assert path.read_bytes() == b'\xef\xbb\xbf"name"\r\n"Zo\xc3\xab"\r\n'


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
    assert path.read_text("utf-8-sig").splitlines() == ['"a"', '"old"']
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_all_of_a_file_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut there is the earlier file or the new one, and never an empty one."""
    path, fsync = tmp_path / "results.csv", os.fsync
    write_table(path, ["a"], [["old"]])
    seen = []

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        seen.append((path.read_text("utf-8-sig"), os.fstat(descriptor)))

    monkeypatch.setattr(os, "fsync", watched)
    write_table(path, ["a"], [["new"]] * 1000)
    ((before, new),) = seen
    assert before.splitlines() == ['"a"', '"old"']
    assert os.path.samestat(new, path.stat())
    assert new.st_size == path.stat().st_size


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
