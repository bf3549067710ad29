"""Whatever is done to an open sheet: no row is lost or doubled, none changes but by its own change, one verdict."""

from __future__ import annotations

import csv
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import provisioner
from provisioner.fixing import FixRefusedError, OpenSheet
from provisioner.journal import Journal
from provisioner.settings import SheetOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.records import Status

HEADER = ("email", "domain", "relay_server", "password", "project", "reply_to", "Client")
TEXTS: dict[str, Sequence[str]] = {
    "email": ("ann", "Ann", "bob", "bob@acme.com", "a b", "007", "7", "", "[unclear]x", "=1+1", "1E5", "'x"),
    "domain": ("101", "102", "acme.com", "ACME.com", "", "x y", "101.0"),
    "relay_server": ("201", "north", "", "1,5", "[unclear]7"),
    "password": ("Sheet-Pass-77!", "weak", "", "Other-Pass-12! ", "[unclear]We", "Pass,Word-1!"),
    "project": ("789", "", "n/a", "0789"),
    "reply_to": ("", "a@b.com", "nobody", "4-Mar"),
    "Client": ("", "Acme", "007", "7", "4-Mar"),
}
CELLS = st.tuples(*(st.sampled_from(TEXTS[name]) for name in HEADER))
CHANGES = st.fixed_dictionaries({}, optional={name: st.sampled_from(TEXTS[name]) for name in HEADER})
STEPS = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 9), CHANGES),
    st.tuples(st.just("alike"), st.integers(0, 9), st.sampled_from(HEADER), st.integers(0, 9)),
    st.tuples(st.just("leave out"), st.integers(0, 9)),
    st.tuples(st.just("undo")),
    st.tuples(st.just("open again")),
    st.tuples(st.just("check")),
)


def shown(sheet: OpenSheet) -> dict[str, dict[str, str]]:
    """Every cell of every row that is left."""
    rows, _ = sheet.rows(to_fix=False, size=1000)
    return {row.key: {column.key: sheet.reveal(row.key, column.key) for column in sheet.columns} for row in rows}


def verdicts(sheet: OpenSheet) -> dict[str, tuple[Status, list[str]]]:
    rows, _ = sheet.rows(to_fix=False, size=1000)
    return {row.key: (row.status, [fault.sentence for fault in row.faults]) for row in rows}


def checked(sheet: OpenSheet, folder: Path) -> dict[str, tuple[Status, list[str]]]:
    """What a check of a copy of it says, in a program that knows nothing of the open one."""
    run, original = sheet.working_file, sheet.options.sheet
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        shutil.copy2(original, copy)
        shutil.copytree(folder, copy / folder.name)
        provisioner.check(copy / run.sheet.relative_to(original.parent), out=copy / folder.name)
        with closing(Journal(copy / folder.name / "journal.sqlite3")) as journal:
            rows = [row for row in journal.record_rows() if row.file_row is not None]
        return {str(row.sheet_row): (row.status, [problem.sentence for problem in row.problems]) for row in rows}


class Tried:
    """An open sheet, and what is expected of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.with_name("acme-run")
        self.sheet = OpenSheet(SheetOptions(sheet=path))
        self.expected = shown(self.sheet)
        self.before: list[dict[str, dict[str, str]]] = []

    def step(self, what: str, *more: Any) -> None:
        getattr(self, what.replace(" ", "_"))(*more)

    def row(self, place: int) -> Any:
        rows, _ = self.sheet.rows(to_fix=False, size=1000)
        return rows[place % len(rows)] if rows else None

    def change(self, place: int, cells: Mapping[str, str], alike: str | None = None) -> None:
        if (row := self.row(place)) is None:
            return
        try:
            changed = self.sheet.change(row.key, row.version, cells, alike=alike)
        except FixRefusedError:
            return
        self.before.append(self.expected)
        now = shown(self.sheet)
        # What was typed is there, as it is to be understood; nothing else has moved.
        others = {key for key in now if alike and self.expected[key][alike] == self.expected[row.key][alike]}
        for key, own in now.items():
            for name, text in own.items():
                if key == row.key and name in cells:
                    assert text in (cells[name].strip(), cells[name], cells[name].removesuffix(".0"))
                elif key not in others or name != alike:
                    assert text == self.expected[key][name]
        assert changed.row is not None
        assert changed.row.key == row.key
        self.expected = now

    def alike(self, place: int, column: str, text: int) -> None:
        row = self.row(place)
        if row is not None and column in row.alike:
            texts = TEXTS[column]
            self.change(place, {column: texts[text % len(texts)]}, alike=column)

    def leave_out(self, place: int) -> None:
        if (row := self.row(place)) is None:
            return
        changed = self.sheet.leave_out(row.key, row.version)
        assert changed.row is None
        self.before.append(self.expected)
        self.expected = {key: cells for key, cells in self.expected.items() if key != row.key}

    def undo(self) -> None:
        assert self.sheet.undoable is bool(self.before)
        self.sheet.undo()
        if self.before:
            self.expected = self.before.pop()

    def open_again(self) -> None:
        self.sheet.working_file  # noqa: B018 - waits for what it writes
        self.sheet = OpenSheet(SheetOptions(sheet=self.path))
        self.before = []

    def check(self) -> None:
        """Somebody checks what is to be run on the command line."""
        provisioner.check(self.sheet.working_file.sheet)
        self.sheet.refresh()

    def holds(self) -> None:
        assert shown(self.sheet) == self.expected
        counts = self.sheet.counts()
        assert counts.rows == counts.ready + counts.to_fix + counts.left_out
        assert counts.ready + counts.to_fix == len(self.expected)
        own, fresh = verdicts(self.sheet), checked(self.sheet, self.folder)
        assert {key: (own.get(key), fresh.get(key)) for key in own | fresh if own.get(key) != fresh.get(key)} == {}


def write(folder: str, rows: Sequence[Sequence[str]]) -> Path:
    path = Path(folder) / "acme.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(CELLS, min_size=1, max_size=6), st.lists(STEPS, max_size=8))
def test_every_way_ends_where_a_check_of_the_file_does(
    rows: list[tuple[str, ...]], steps: list[tuple[Any, ...]]
) -> None:
    """Changes, rows left out, undoing, opening again and checks: each row stands once, as it was typed."""
    with tempfile.TemporaryDirectory() as folder:
        tried = Tried(write(folder, rows))
        tried.holds()
        for step in steps:
            tried.step(*step)
        tried.holds()
        assert tried.sheet.counts().rows == len(rows)
