"""Memory and time grow with a workbook's own size: what would need more is refused in a sentence before it is read."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import hostile
import pytest
from growth import assert_linear
from hostile import GOOD, cell, ods, ods_cell, ods_row, repeated, row, xlsx

from provisioner import schema
from provisioner.errors import SheetError
from provisioner.sheets.limits import LONGEST_CELL, MOST_COLUMNS, MOST_SHEETS, most_faulty_rows
from provisioner.stages.read import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provisioner.sheets import Sheet

MAILBOX = schema.load()
FAR = "unpacks to far more than a file of its size"
MEGABYTE = 1 << 20


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[bytes], Sheet]:
    def opened(data: bytes) -> Sheet:
        path = tmp_path / "sheet"
        path.write_bytes(data)
        return read(path, MAILBOX)

    return opened


def declaring_less(data: bytes) -> bytes:
    """The archive, which says of its sheet in both places that it unpacks to 5,000 bytes."""
    changed = bytearray(data)
    name = b"xl/worksheets/sheet1.xml"
    struct.pack_into("<I", changed, changed.rindex(name) - 46 + 24, 5000)
    struct.pack_into("<I", changed, changed.index(name) - 30 + 22, 5000)
    return bytes(changed)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a cell in the last corner": (lambda: xlsx([f'<row r="1048576">{cell("XFD1048576", "x")}</row>']), "XFD1048576"),
    "a row after the last": (lambda: xlsx([f'<row r="4294967295">{cell("A4294967295", "x")}</row>']), "damaged"),
    "thousands of merged areas": (
        lambda: xlsx(after=["<mergeCells>", *repeated('<mergeCell ref="A1:XFD1048576"/>', 3000), "</mergeCells>"]),
        "damaged",
    ),
    "millions of merged areas": (lambda: xlsx(after=repeated('<mergeCell ref="A3:B3"/>', 1_500_000)), FAR),
    "a formula of 32 MB": (
        lambda: xlsx(['<row r="3"><c r="A3"><f>', *repeated("1+", 16 * MEGABYTE), "</f></c></row>"]),
        "more than 100,000 characters",
    ),
    "a text of 32 MB": (
        lambda: xlsx(['<row r="3"><c r="A3" t="str"><v>', *repeated("ab", 16 * MEGABYTE), "</v></c></row>"]),
        "more than 100,000 characters",
    ),
    "an attribute of 32 MB": (lambda: xlsx(['<row x="', *repeated("ab", 16 * MEGABYTE), '"/>']), "damaged"),
    "a comment of 32 MB": (lambda: xlsx(["<!--", *repeated("ab", 16 * MEGABYTE), "-->"]), "damaged"),
    "a reference of 1 MB": (lambda: xlsx([f'<row r="3"><c r="{"A" * 900_000}3"/></row>']), "damaged"),
    "a sheet of 100 MB": (lambda: xlsx(repeated("<row/>", 17 * MEGABYTE)), FAR),
    "a sheet that declares less": (lambda: declaring_less(xlsx(repeated("<row/>", MEGABYTE))), "damaged"),
    "shared texts of 100 MB": (lambda: xlsx(shared=repeated("<si><t>x</t></si>", 6 * MEGABYTE)), FAR),
    "a list of sheets of 100 MB": (lambda: xlsx(in_book=repeated("<x>aaaa</x>", 9 * MEGABYTE)), FAR),
    "rows that cost nothing": (lambda: xlsx(repeated("<row><c><v>1</v></c></row>", 30_000)), "20,"),
    "tags that cost nothing": (lambda: xlsx(repeated("<row/>", 1_100_000)), FAR),
    "blank cells that cost nothing": (
        lambda: xlsx(f'<row r="{number}">{cell(f"ALL{number}", "x")}</row>' for number in range(3, 3000)),
        "1,000 columns",
    ),
    "hidden columns without number": (
        lambda: xlsx(columns="<cols>" + '<col min="1" max="16384" hidden="1"/>' * 2000 + "</cols>"),
        "damaged",
    ),
    "entities that expand": (lambda: xlsx([row(3, "anna", "&i;", *GOOD[2:])], before=hostile.ENTITIES), "damaged"),
    "too many sheets": (lambda: xlsx(sheets=MOST_SHEETS + 1), "501 sheets"),
    "a row a million times": (lambda: ods([ods_row(*GOOD, attributes='table:number-rows-repeated="1048570"')]), "rows"),
    "many rows a hundred times": (
        lambda: ods(repeated(ods_row(*GOOD, attributes='table:number-rows-repeated="100"'), 1000)),
        "more than a file of this size holds",
    ),
    "a cell a million times": (
        lambda: ods([ods_row(more=ods_cell("x", 'table:number-columns-repeated="1000000"'))]),
        "far to the right",
    ),
    "areas over everything": (
        lambda: ods(repeated(ods_row(more=ods_cell("x", 'table:number-rows-spanned="1048576"')), 3000)),
        "damaged",
    ),
    "blanks without number": (
        lambda: ods([ods_row(*GOOD[:3], '<text:s text:c="60000"/>' * 1000)]),
        "more than 100,000 characters",
    ),
    "a document of 100 MB": (lambda: ods(repeated("<table:table-row></table:table-row>", 3 * MEGABYTE)), FAR),
    "entities in a document": (lambda: ods([ods_row("anna", "&i;")], before=hostile.ENTITIES), "damaged"),
    "too many tables": (lambda: ods(tables=MOST_SHEETS + 1), "501 sheets"),
}
"""By what is too much, how it is made and what is said."""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_need_too_much_is_refused(opened: Callable[[bytes], Sheet], name: str) -> None:
    """In a sentence, with a way out."""
    make, said = HOSTILE[name]
    data = make()
    assert len(data) < 330_000
    with pytest.raises(SheetError, match=said) as refusal:
        opened(data)
    assert "save" in refusal.value.remedy or "Copy" in refusal.value.remedy or "Delete" in refusal.value.remedy


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_it_is_refused_in_little_memory(tmp_path: Path) -> None:
    """A process that may take 60 MB more than its libraries do refuses each of them."""
    for number, (make, _) in enumerate(HOSTILE.values()):
        tmp_path.joinpath(str(number)).write_bytes(make())
    code = f"""
import resource
from pathlib import Path
from provisioner.errors import SheetError
from provisioner.sheets import ods, xlsx
from provisioner.sheets.kinds import Kind, kind_of
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60_000_000, used + 60_000_000))
for path in sorted(Path({str(tmp_path)!r}).iterdir()):
    try:
        for tab in (xlsx if kind_of(path.read_bytes(), path) is Kind.XLSX else ods).tabs(path.read_bytes()):
            list(tab.read(1 << 24).records())
    except SheetError as error:
        assert "MemoryError" not in error.technical
    else:
        raise AssertionError(path)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_spreadsheet_programs_write_is_read(opened: Callable[[bytes], Sheet]) -> None:
    """A cell in the last row, a merged title over all columns, blank rows to the end, long cells and wide tables."""
    assert opened(xlsx([f'<row r="1048576">{cell("A1048576", "x")}</row>'])).rows == [2, 1048576]
    title = '<mergeCells><mergeCell ref="A3:XFD1048576"/></mergeCells>'
    assert opened(xlsx(after=[title])).rows == [2]
    blank = '<table:table-cell table:number-columns-repeated="16384"/>'
    blanks = ods_row(attributes='table:number-rows-repeated="1048570"', more=blank)
    assert opened(ods([blanks, ods_row("anna", *GOOD[1:])])).rows == [2, 1048573]
    assert opened(xlsx([row(3, "anna", *GOOD[1:4], "x" * LONGEST_CELL)])).rows == [2, 3]
    wide = "".join(f'<c t="str"><v>{number}</v></c>' for number in range(MOST_COLUMNS))
    assert opened(xlsx([f"<row>{wide}</row>"])).rows == [2, 3]


@pytest.mark.parametrize("rows", [1_000, 30_000, 50_000])
def test_all_rows_of_a_sheet_of_mailboxes_may_have_errors(rows: int) -> None:
    """A mistake in a column of equal cells is in every row; what is refused is a file of far shorter rows."""
    shortest = "ann,1,1,Abcdef1!,,\n"
    assert most_faulty_rows(rows * len(shortest)) >= rows
    assert most_faulty_rows(100_000) < 100_000 // len("xyzab\n")
    assert most_faulty_rows(1 << 30) == 50_000


GROWING: dict[str, Callable[[int], bytes]] = {
    "rows": lambda n: xlsx(row(number, *GOOD) for number in range(3, 3 + 100 * n)),
    "shared texts": lambda n: xlsx(shared=repeated("<si><t>x</t></si>", 500 * n)),
    "merged areas": lambda n: xlsx(
        (row(number, *GOOD) for number in range(3, 3 + 50 * n)),
        after=(f'<mergeCell ref="A{number}:B{number}"/>' for number in range(3, 3 + 50 * n)),
    ),
    "one long text": lambda n: xlsx([f'<row><c t="str"><v>{"&amp;" * 1500 * n}</v></c></row>']),
    "one long tag": lambda n: xlsx([f'<row x="{"a" * 20_000 * n}"/>']),
    "blank rows": lambda n: xlsx(repeated("<row/>", 1000 * n)),
    "sheets": lambda n: xlsx(sheets=4 * n),
    "document rows": lambda n: ods(repeated(ods_row(*GOOD), 50 * n)),
    "document texts": lambda n: ods([ods_row("a <text:s/>" * 500 * n)]),
}


@pytest.mark.parametrize("name", GROWING)
def test_time_grows_no_faster_than_the_workbook(opened: Callable[[bytes], Sheet], name: str) -> None:
    """Twice as much takes about twice as long, and not four times."""

    def seconds(n: int) -> float:
        data = GROWING[name](n)
        started = time.process_time()
        with contextlib.suppress(SheetError):
            opened(data)
        return time.process_time() - started

    seconds(1)  # What is loaded or compiled once.
    assert_linear(seconds, 10)
