"""A corpus of polluted sheets: whatever happened to the file, nothing is sent that it does not hold.

Every case ends in one of three ways: the sheet is refused whole, or each of its rows is ready or has its reason. The
tally of a session is printed at its end (`-s` shows it).
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import ReadyRow, ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import UNCERTAIN
from provisioner.stages.read import read
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path


MAILBOX = schema.load()
HEADER = "email,domain,relay_server,password,project,Notes"
LINES = [
    "anna.keller,101,201,Sample-Birch10!,789,",
    'ben.okafor,102,202,"Sample,Cedar20!",,"first, then"',
    "carla.mendes,103,203,Sample-Maple30!,790,hello",
]
CLEAN = "\n".join([HEADER, *LINES])
FOREIGN = ",;\t|"
PASSWORD = 3
UNSEEN = " \t\n\u00a0\u200b"
"""What a person does not see at the ends of a cell."""


@dataclass
class Case:
    """How one polluted sheet ended."""

    ready: dict[int, ReadyRow]
    invalid: Mapping[int, Sequence[str]]
    cells: dict[int, list[str]]


@dataclass
class Corpus:
    """Puts sheets to the program, and counts how they end."""

    path: Path
    tally: Counter[str] = field(default_factory=Counter)

    def __call__(self, content: str | bytes) -> Case | None:
        """What became of a sheet; None where it was refused whole."""
        self.path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.tally["sheets"] += 1
        try:
            sheet = read(self.path, MAILBOX)
        except SheetError:
            self.tally["refused whole"] += 1
            return None
        checked = validate(sheet, MAILBOX)
        ready = {row.file_row: row for row in ready_rows(checked)}
        invalid = {row: [str(problem) for problem in checked.problems(row)] for row in checked.invalid}
        assert ready.keys().isdisjoint(invalid)
        assert ready.keys() | invalid.keys() == set(sheet.rows)
        assert all(invalid.values())
        self.tally["rows ready"] += len(ready)
        self.tally["rows invalid"] += len(invalid)
        return Case(ready, invalid, {row: sheet.own_cells(row) for row in sheet.rows})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    corpus = Corpus(tmp_path_factory.mktemp("corpus") / "sheet.csv")
    yield corpus
    print(f"\npolluted sheets: {dict(corpus.tally)}")


def values(row: ReadyRow) -> tuple[str, ...]:
    """What of a row would be sent."""
    return row[1:6]


def paused(line: str) -> tuple[str, ...]:
    """What a line by itself says, as the standard library reads it."""
    (cells,) = csv.reader([line])
    return tuple(cell if position == PASSWORD else cell.strip(UNSEEN) for position, cell in enumerate(cells[:5]))


ORIGINAL = {number: paused(line) for number, line in enumerate(LINES, start=2)}


def assert_costs_its_own_row_only(corpus: Corpus, number: int, line: str) -> None:
    """The row of a polluted line is refused, or holds what the line says; the others are as they were."""
    lines = [HEADER, *LINES]
    lines[number - 1] = line
    case = corpus("\n".join(lines))
    assert case is not None
    assert case.ready.keys() | case.invalid.keys() | {number} == ORIGINAL.keys()
    for row, cells in ORIGINAL.items():
        if row != number:
            assert values(case.ready[row]) == cells
    if number in case.ready:
        assert values(case.ready[number]) == paused(line)


def at_every_place(change: Callable[[str, int], str]) -> Iterator[tuple[int, str]]:
    """Every line with the change at every place in it."""
    for number, line in enumerate(LINES, start=2):
        for place in range(len(line) + 1):
            changed = change(line, place)
            if changed != line:
                yield number, changed


@pytest.mark.parametrize("sign", [*FOREIGN, '"', "'", "\0", " ", "\u00a0", "\u200b", "\u0430", "\t ", '""', '","'])
@pytest.mark.slow
def test_a_sign_too_many_at_every_place(corpus: Corpus, sign: str) -> None:
    """Extra and foreign delimiters, stray quotes, blanks, invisible and look-alike characters at every character."""
    for number, line in at_every_place(lambda line, place: line[:place] + sign + line[place:]):
        assert_costs_its_own_row_only(corpus, number, line)


def test_a_character_too_few_at_every_place(corpus: Corpus) -> None:
    """Missing delimiters and quotes among them."""
    for number, line in at_every_place(lambda line, place: line[:place] + line[place + 1 :]):
        assert_costs_its_own_row_only(corpus, number, line)


@pytest.mark.parametrize("sign", [*FOREIGN, '"'])
@pytest.mark.slow
def test_a_wrong_sign_at_every_place(corpus: Corpus, sign: str) -> None:
    """A comma typed as a semicolon, a quote in place of a letter."""
    for number, line in at_every_place(lambda line, place: line[:place] + sign + line[place + 1 :]):
        assert_costs_its_own_row_only(corpus, number, line)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.slow
def test_a_file_cut_off_at_every_byte(corpus: Corpus, end: str, encoding: str) -> None:
    """What was saved before the cut is read; of the cut row, only what it still holds."""
    data = CLEAN.replace("\n", end).encode(encoding)
    for size in range(len(data)):
        case = corpus(data[:size])
        if case is None:
            continue
        last = data[:size].decode(encoding, "replace").replace(end, "\n").split("\n")[-1]
        for row, sent in case.ready.items():
            assert values(sent) in (ORIGINAL[row], paused(last))


@pytest.mark.slow
def test_two_signs_too_many_in_two_rows(corpus: Corpus) -> None:
    """A stray quote in each of two rows costs these two, and what is between them only where it may be in a cell."""
    first, between, last = LINES[0], LINES[2], "dora.klein,101,201,Sample-Aspen40!,789,"
    for place in range(len(first) + 1):
        for other in range(0, len(last) + 1, 3):
            broken = first[:place] + '"' + first[place:], last[:other] + '"' + last[other:]
            case = corpus("\n".join([HEADER, broken[0], between, broken[1], LINES[0]]))
            assert case is not None
            assert case.ready.keys() | {3} == {3, 5}, broken
            assert case.invalid.keys() | {3} == {2, 3, 4}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from(['"', ",", ";", "\t", "|", "\n", "\r", "\0", " ", "é", UNCERTAIN, ""])
        ),
        max_size=6,
    ),
    st.sampled_from(["utf-8", "utf-16", "cp1252", "utf-8-sig"]),
)
def test_signs_scattered_about(corpus: Corpus, edits: list[tuple[int, str]], encoding: str) -> None:
    """Each row that is ready is one that the standard library reads from the file too, by line or as a whole."""
    text = CLEAN
    for number, sign in edits:
        place = number % len(text)
        text = text[:place] + sign + text[place + (not sign) :]
    case = corpus(text.encode(encoding, "replace"))
    if case is None:
        return
    # What cp1252 cannot hold became a question mark on the way.
    text = text.encode(encoding, "replace").decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    readings = list(readings_of(text))
    for row in case.ready.values():
        assert any({part for part in values(row) if part} <= reading for reading in readings), row


def readings_of(text: str) -> Iterator[set[str]]:
    """The cells of every row that the standard library finds, under any delimiter, line by line and in the whole."""
    for delimiter in FOREIGN:
        for lines in ([line] for line in text.split("\n")):
            yield from readable(lines, delimiter)
        yield from readable(text.splitlines(keepends=True), delimiter)


def readable(lines: list[str], delimiter: str) -> Iterator[set[str]]:
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            yield {*row, *(cell.strip(UNSEEN) for cell in row)}
    except csv.Error:
        return


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(0, 60))
def test_random_bytes_within_a_sheet(corpus: Corpus, noise: bytes, place: int, gone: int) -> None:
    """A damaged disk, a failed download: rows before and after are as they were, or refused."""
    clean = CLEAN.encode()
    place %= len(clean)
    data = clean[:place] + noise + clean[place + gone :]
    case = corpus(data)
    if case is None:
        return
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    readings = list(readings_of(text))
    for row in case.ready.values():
        assert any({part for part in values(row) if part} <= reading for reading in readings), row


@given(st.binary(max_size=400))
def test_random_bytes_alone(corpus: Corpus, data: bytes) -> None:
    """Any file at all."""
    corpus(data)


@given(st.text("email,domain;relay_server\tpassword|\"'\n\r101Ab!", max_size=200))
def test_texts_of_the_right_letters(corpus: Corpus, text: str) -> None:
    """Files that are nearly sheets."""
    corpus(text)
