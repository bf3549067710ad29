"""Time grows with the size of a file, and no faster, whatever is in it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from growth import assert_linear

import provisioner
from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets import FAILURES_COLUMNS
from provisioner.stages.entries import RowBuilder
from provisioner.stages.read import read
from provisioner.stages.resolve import Resolver
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable

MAILBOX = schema.load()
HEADER = "email,domain,relay_server,password,project,reply_to"
ROW = "john,101,201,Abcdef1!,789,a@b.co"
FAILURES = ",".join((HEADER, *FAILURES_COLUMNS))
HEADS = ("", "total", "=", "=A1", "=A(", '="', "a@", "mailto:", "<", "1")
PIECES = (*" aA1.-@=\"<_,'/+(\t\u0301é", "a.", "a@", ".a", "0.", "-1", "1-", 'a"', '""', "()", "&A1", " 1", "@.", "#A")
TAILS = ("", "x", "!", "\0", "@", "\u00e9")


@pytest.mark.parametrize("column", MAILBOX.columns)
def test_no_pattern_of_the_shipped_schema_grows_faster_than_its_text(column: str) -> None:
    """Texts that make a pattern try every way of matching: a beginning, one piece again and again, an end."""
    known = MAILBOX.columns[column]
    patterns = [(rule.pattern, rule.whole) for rule in known.rules]
    patterns += [(each.pattern, each.whole) for each in (*known.explanations, *known.warnings)]
    finds = [pattern.fullmatch if whole else pattern.search for pattern, whole in patterns]
    for head in HEADS:
        for piece in PIECES:
            for tail in TAILS:

                def seconds(size: int, head: str = head, piece: str = piece, tail: str = tail) -> float:
                    text = head + piece * (size // len(piece)) + tail
                    began = time.process_time()
                    for find in finds:
                        find(text)
                    return time.process_time() - began

                assert_linear(seconds, 500)


def many(line: str) -> Callable[[int], str]:
    """A sheet of rows that are all the same; `#` stands for the row's number."""
    return lambda size: "\n".join([HEADER, *(line.replace("#", str(number)) for number in range(size))])


SHEETS: dict[str, Callable[[int], str]] = {
    "good rows": many("john#,101,201,Abcdef1!,789,a@b.co"),
    "the same mailbox": many(ROW),
    "one mailbox written in two ways": lambda size: (
        f"{HEADER}\n{ROW}\n" + "john@acme.com,acme.com,201,Abcdef1!,,\njohn,ACME.com,201,Abcdef1!,,\n" * size
    ),
    "bad rows": many("x y,a,,weak,=1,z"),
    "names": many("john#,acme#.com,relay #,Abcdef1!,project #,"),
    "addresses": many("john#@acme.com,,201,Abcdef1!,,"),
    "short rows": many("john#,101"),
    "long rows": many(ROW + ",,,"),
    "marked rows": many("[unclear]john#,101,201,Abcdef1!,789,"),
    "stray quotation marks": many('a,"b'),
    "a quotation mark that never closes": lambda size: f'{HEADER}\na,"b\n' + 'c""d\n' * size,
    "a cell of many lines": lambda size: f'{HEADER}\na,"b\n' + 'c""d\n' * size + '",1,2,3,4',
    "rows or a cell": lambda size: f'{HEADER}\na,1,1,1,1,"b\n' + "1,1,1,1,1,1\n" * size + 'x"',
    "headers again": lambda size: f"{HEADER}\n" * size + ROW,
    "a second table": lambda size: f"{HEADER}\n{ROW}\nemail,relay,domain,password,a,b\n" + "a,b,c,d,e,f\n" * size,
    "blank rows": lambda size: HEADER + "\n" * 10 * size + ROW,
    "one row corrected by many": lambda size: f"{FAILURES}\n" + f"{ROW},17,failed,e,r,t\n" * size,
    "a failures file": lambda size: "\n".join(
        [FAILURES, *(f"{ROW},{number},invalid,e,r,t" for number in range(2, size))]
    ),
    "one long line": lambda size: f"{HEADER}\n" + "x" * 100 * size,
    "one long quoted cell": lambda size: f'{HEADER}\n"' + "x" * 100 * size + '",1,1,1,1,1',
    "one row of commas": lambda size: f"{HEADER}\n" + "," * 20 * size,
    "a long header": lambda size: "email" * 20 * size,
    "many columns": lambda size: HEADER + "".join(f",note {number}" for number in range(size)) + f"\n{ROW}",
    "many columns of one name": lambda size: HEADER + ",Note" * size + f"\n{ROW}" + "," * size,
    "a long line above": lambda size: "x" * 100 * size + f"\n{HEADER}\n{ROW}",
    "combining marks in a header": lambda size: "e" + "\u0301\u0323" * 10 * size + f",{HEADER}\nx,{ROW}",
    "combining marks in a cell": lambda size: f"{HEADER}\ne" + "\u0301\u0323" * 10 * size + ROW,
    "a long note": lambda size: f"{HEADER},Notes\n{ROW}," + "y " * 20 * size,
    "padding": many("john# , 101 , 201 , Abcdef1! , 5 , "),
    "control characters": many("\0=#,101,201,Abcdef1!,789,"),
}


@pytest.mark.parametrize("name", SHEETS)
def test_no_sheet_takes_longer_than_its_size(tmp_path: Path, name: str) -> None:
    """Every way through the reader and the rules, good rows or not."""
    path = tmp_path / "sheet.csv"

    def seconds(size: int) -> float:
        path.write_text(SHEETS[name](size), encoding="utf-8")
        began = time.process_time()
        try:
            sheet = read(path, MAILBOX)
            checked = validate(sheet, MAILBOX)
        except SheetError:
            return time.process_time() - began
        builder = RowBuilder(sheet, checked, Resolver(None))
        assert all(entry.problems or entry.key for entry in builder.entries())
        list(checked.warnings)
        return time.process_time() - began

    seconds(10)
    assert_linear(seconds, 600)


WRONG = many("us er#,1o1.x,201,weak,=1,z@")
WHOLE_CHECKS: dict[str, Callable[[int], str]] = {
    "good rows": SHEETS["good rows"],
    "four faults a row": WRONG,
    "one mailbox": SHEETS["the same mailbox"],
    "short rows": SHEETS["short rows"],
    "a failures file": lambda size: "\n".join(
        [FAILURES, *(f"us er{number},101,201,weak,,,{number},invalid,e,r," for number in range(2, size))]
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("name", WHOLE_CHECKS)
def test_no_check_takes_longer_than_the_size_of_its_sheet(tmp_path: Path, name: str, *, again: bool) -> None:
    """From the file to the files, its journal and its causes; the second one in the folder as well."""
    path = tmp_path / "sheet.csv"

    def seconds(size: int) -> float:
        path.write_text(WHOLE_CHECKS[name](size), encoding="utf-8")
        out = Path(tempfile.mkdtemp(dir=tmp_path))
        if again:
            provisioner.check(path, out=out)
        began = time.process_time()
        result = provisioner.check(path, out=out)
        assert result.summary.read > size // 2
        return time.process_time() - began

    seconds(10)
    assert_linear(seconds, 500)
