"""Every sample shows what it is there to show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from running import ready_rows

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.stages.read import read
from provisioner.stages.validate import validate

SAMPLES = Path(__file__).parent.parent / "sample_csvs"

# Of a sheet that can be read: how many rows are ready, and of each other row what its problems say.
EXPECTED = {
    "mailboxes.csv": (
        10,
        {
            12: ["D12: .*8 to 255.*upper-case.*special"],
            13: ["B13: the domain is missing"],
        },
    ),
    "semicolons.csv": (3, {}),
    "full_addresses.csv": (2, {3: ["write only “ben.okafor” here"]}),
    "duplicates.csv": (
        2,
        {2: ["the same .* as in row 4;"], 4: ["the same .* as in row 2;"]},
    ),
    "ragged_rows.csv": (
        2,
        {
            3: ["has 4 cells where the header has 5"],
            5: ["has 6 cells where the header has 5"],
            6: ["quotation mark"],
        },
    ),
    "unknown_columns.csv": (1, {3: ["E3: .*8 to 255.*upper.*digit.*special"]}),
    "excel_unicode_text.txt": (3, {}),
    "windows_1252.csv": (1, {3: ["D3.*encoding"]}),
    "preamble.csv": (2, {}),
    "separator_line.csv": (2, {}),
    "repeated_header.csv": (
        3,
        {
            8: ["second table begins at row 8"],
            9: ["second table begins at row 8"],
            10: ["second table begins at row 8"],
        },
    ),
    "excel_errors.csv": (
        1,
        {
            3: ["B3: “1.02E.02” is not a plain whole number"],
            4: ["C4: .*the error “#REF!”"],
            5: ["E5: .*the error “#N/A”.*leave the cell blank"],
            6: ["A6: “NULL” is what a program writes"],
        },
    ),
    "no_domain_column.csv": (2, {4: ["A4: the domain is missing"]}),
    "template_headers.csv": (2, {}),
    "spreadsheet_changes.csv": (
        1,
        {
            2: ["A2: “1-Mar” is what a spreadsheet program makes of a date"],
            3: ["A3: “01.03.2026” is what a spreadsheet program makes of a date"],
            4: ['D4: the password is wrapped in ="'],
            5: ["D5: the password reads as a formula"],
            6: ["E6: “789.000” may be 789 or 789,000"],
        },
    ),
    "look_alikes.csv": (1, {2: ["A2: .*though it may look like one"], 3: ["A3: .*an invisible character"]}),
    "failures_from_a_run.csv": (2, {}),
    "excel_workbook.xlsx": (1, {3: ["D3 is stored as a number"], 4: ["E4 shows an error"]}),
    "excel_97.xls": (2, {}),
    "opendocument.ods": (2, {}),
}

# Of a sheet that cannot be used at all: what is said of it.
REFUSED = {
    "missing_column.csv": "lacks the column relay_server",
    "near_miss_header.csv": "“realy_server” .* did you mean relay_server",
    "same_column_twice.csv": "“Username” .* and “E-mail”",
}


def test_every_sample_has_an_expectation() -> None:
    """No sample lies about unexplained, and none is missing; a run folder beside one that was tried is no sample."""
    assert {path.name for path in SAMPLES.iterdir() if path.is_file()} == EXPECTED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_usable_sample_shows_its_mistakes_and_nothing_else(name: str) -> None:
    """Rows without a fault are ready; each other row has exactly the problems that it is there for."""
    ready, faults = EXPECTED[name]
    rules = schema.load()
    sheet = read(SAMPLES / name, rules)
    checked = validate(sheet, rules)
    assert len(ready_rows(checked)) == ready
    assert list(checked.invalid) == list(faults)
    for row, patterns in faults.items():
        problems = [str(problem) for problem in checked.problems(row)]
        assert len(problems) == len(patterns), problems
        for problem, pattern in zip(problems, patterns, strict=True):
            assert re.search(pattern, problem)


@pytest.mark.parametrize("name", REFUSED)
def test_an_unusable_sample_is_refused_with_its_reason(name: str) -> None:
    """A sheet that cannot be read as a whole says why, in plain words, and what to do."""
    with pytest.raises(SheetError, match=REFUSED[name]) as refusal:
        read(SAMPLES / name, schema.load())
    assert refusal.value.remedy
