"""The files that this program writes, and reading them back exactly as they were.

Every cell of them passes `escape_formula`, which is undone on reading, but only in our own files, which are known by
their headers: elsewhere an apostrophe at the beginning is part of the cell.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FAILURES_COLUMNS: Final = ("sheet_row", "status", "error", "remedy", "task_id")
"""What failures.csv has after the sheet's own columns."""

RESULTS_COLUMNS: Final = (
    "sheet_row",
    "email",
    "domain",
    "relay_server",
    "project",
    "reply_to",
    "address",
    "status",
    "task_id",
    "mailbox_id",
    "password",
    "error",
    "submitted_at",
    "finished_at",
    "imap",
    "smtp",
    "login_error",
)

# What no spreadsheet file may hold, or what a program drops when it opens one, so that the rest begins the cell:
# control characters, and what is no character of XML 1.0. A line break is one that spreadsheets keep in a cell.
# https://www.w3.org/TR/xml/#charsets
_HARMFUL: Final = r"\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff"
_CODE: Final = r"U\+([0-9A-F]{4})\]"
_TO_ESCAPE: Final = re.compile(rf"[{_HARMFUL}]|\[(?={_CODE})")
_ESCAPED: Final = re.compile(rf"\[{_CODE}")
# A formula, after blanks and apostrophes or none, its sign perhaps of full width. The apostrophes count, so that a
# cell which holds '=1 itself is guarded too and comes back whole; one such as 'quoted needs no guard and gets none.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA: Final = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|\n)")
_OUR_DELIMITER: Final = re.compile(r'(?:"sheet_row"(?=."email")|"remedy"(?=."task_id"))(.)')


def escape_controls(text: str) -> str:
    """`text` with the code of each control character in its place, such as [U+0000]."""
    if text.isprintable() and "[U+" not in text:
        return text
    return _TO_ESCAPE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)


def escape_formula(text: str) -> str:
    """`text` such that a spreadsheet program shows all of it and runs none.

    Control characters are escaped, and a cell that would begin a formula gets an apostrophe before it.
    `unescape_formula` gives back the same text, whatever it was.
    """
    text = escape_controls(text)
    return "'" + text if _FORMULA.match(text) else text


def unescape_formula(text: str) -> str:
    """The text that `escape_formula` was given."""
    if text[:1] == "'" and _FORMULA.match(text):
        text = text[1:]
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "[U+" in text else text


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, delimiter: str = ",") -> None:
    """Put a CSV file in the place of `path` in one step: UTF-8 with a byte order mark, CRLF, every cell quoted.

    The quotation marks matter to programs that split at tabs, commas and semicolons alike, as LibreOffice does. Only
    the file's owner may read it. Where anything fails, what was there before stays as it was.

    Raises:
        OSError: It cannot be written, or is open in a program that lets nobody replace it, as Excel does on Windows.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8-sig", newline="") as file:
        file.writelines(table_lines(chain((header,), rows), delimiter=delimiter))


def table_lines(rows: Iterable[Sequence[str]], *, delimiter: str = ",") -> Iterator[str]:
    """The lines of such a file, one for each row, as they are asked for."""
    writer = csv.writer(_Echo(), delimiter=delimiter, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        yield writer.writerow([cell and escape_formula(cell) for cell in row])


class _Echo:
    """A file that gives back what is written: the writer returns it."""

    def write(self, text: str) -> str:
        return text


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in the place of `path` as `write_table` does, whatever it holds. Raises OSError."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file in one step by one that only its owner may read. Raises OSError.

    The context is a new file beside `path`. It takes its place at the end, when all of it is on the disk, or is gone if
    anything is raised.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def read_table(path: Path) -> Iterator[list[str]]:
    """The header and the rows of results.csv or failures.csv, as they were given to `write_table`.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not in UTF-8.
        csv.Error: It is not the file that was written: its delimiter is told by the columns that only these have.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        found = _OUR_DELIMITER.search(file.readline())
        if found is None:
            raise csv.Error(f"{path} has not the columns of a run's files")
        file.seek(0)
        for row in csv.reader(file, delimiter=found[1], strict=True):
            yield [unescape_formula(cell) for cell in row]
