"""failures.csv and failures.xlsx: replacing them, without losing what somebody changed in them meanwhile."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.errors import SheetError
from provisioner.journal import Fact
from provisioner.messages import count, remedy, why
from provisioner.sheets import FAILURES_COLUMNS, Sheet, column_letters, replacing, write_table
from provisioner.sheets.text_workbook import MAX_CELLS, text_workbook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from provisioner.journal import Journal, JournalRow, Overview
    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions
    from provisioner.sheets.text_workbook import AddRow
    from provisioner.stages.corrections import Typed

_CELL = re.compile(r"([A-Z]+)[0-9]+")
_TOO_MANY = (
    "There is no failures.xlsx: {rows} are too many for it. All of them are in failures.csv. If they have the same "
    "mistake, fix it in the sheet itself, and run that."
)


def write_failures(journal: Journal, sheet: Sheet, folder: RunFolder, *, final: bool) -> str:
    """Replace failures.csv, and at the end of a run failures.xlsx, by what the journal says now.

    Before the end there is no workbook: it would be out of date. At the end there is none of too many rows; returns the
    sentence that says so, else an empty text. Raises OSError, JournalError.
    """
    header = failures_header(sheet)
    number = journal.retriable_count(of_failures=sheet.is_failures)
    fits = number * len(header) <= MAX_CELLS
    with ExitStack() as files:
        text = files.enter_context(_replacing(journal, folder.failures))
        add: AddRow | None = None
        if final and number and fits:
            workbook = files.enter_context(_replacing(journal, folder.failures_workbook))
            add = files.enter_context(text_workbook(workbook, "Failures", header, read_back=True))
        else:
            folder.failures_workbook.unlink(missing_ok=True)
        write_table(text, header, _rows(journal, sheet, add), delimiter=sheet.delimiter)
    return _TOO_MANY.format(rows=count(number, "row", "rows")) if final and not fits else ""


def _rows(journal: Journal, sheet: Sheet, add: AddRow | None) -> Iterator[list[str]]:
    """The cells of each row of failures.csv; each is added to the workbook on the way, if there is one."""
    places = {column_letters(place): place for place in range(len(sheet.headers))}
    for row in journal.retriable(of_failures=sheet.is_failures):
        assert row.file_row is not None
        cells = [*sheet.own_cells(row.file_row), *added_cells(row)]
        if add is not None:
            add(cells, _faulty(places, row))
        yield cells


def failures_header(sheet: Sheet) -> tuple[str, ...]:
    """The header of a failures file of this sheet."""
    return (*sheet.headers, *FAILURES_COLUMNS)


def unfinished_file(journal: Journal, folder: RunFolder) -> Path | None:
    """The failures file that says what is to be run; None if that is the sheet.

    That is the one that somebody changed last and did not run. If there is none, it is failures.csv while it holds
    corrections that are not done, or rows of the failures file that was read last: they may be corrected in part. At
    last it is a file that was kept. Raises OSError, JournalError.
    """
    edited = edited_files(journal, folder)
    if edited:
        return edited[-1]
    of_failures = bool(journal.fact(Fact.OF_FAILURES)) and journal.retriable_count(of_failures=True) > 0
    if folder.failures.exists() and (of_failures or journal.open_corrections(of_latest=True)):
        return folder.failures
    return kept_file(journal, folder)


def kept_file(journal: Journal, folder: RunFolder) -> Path | None:
    """The renamed failures file that holds fixes of rows which the latest file did not hold; None if there is none.

    Raises OSError, JournalError.
    """
    name = journal.fact(Fact.KEPT)
    path = folder.path / name if name and journal.open_corrections(of_latest=False) else None
    return path if path is not None and path.exists() else None


def failures_options(options: SheetOptions, folder: RunFolder, file: Path) -> SheetOptions:
    """How a failures file of the folder is read."""
    return replace(options, sheet=file, out=folder.path, sheet_name=None, encoding=None, shown="")


def edited_files(journal: Journal | Overview, folder: RunFolder) -> list[Path]:
    """The failures files that were changed since this program wrote them, the latest last. Raises OSError."""
    files = [path for path in folder.failures_files if path.exists()]
    edited = [path for path in files if digest_of(path) not in _written(journal, path)]
    return sorted(edited, key=lambda path: path.stat().st_mtime_ns)


def set_aside(path: Path) -> Path:
    """Rename a failures file that is about to be replaced, or is out of date. Returns its new path. Raises OSError."""
    seconds = itertools.count(path.stat().st_mtime_ns // 10**9)
    names = (path.with_name(f"{path.stem}-edited-{second}{path.suffix}") for second in seconds)
    return path.replace(next(name for name in names if not name.exists()))


def typed_cells(journal: Journal, path: Path) -> Typed:
    """The cells of a failures file that are as somebody typed them, although a program might have made the same.

    There are none in a file that was changed since they were remembered. Raises OSError, JournalError.
    """
    remembered = journal.fact(_typed_fact(path))
    if remembered is None or not path.exists():
        return {}
    digests, typed = json.loads(remembered)
    return {int(row): columns for row, columns in typed.items()} if digest_of(path) in digests else {}


def remember_typed(journal: Journal, path: Path, digests: Iterable[str], typed: Typed) -> None:
    """Remember the cells of a failures file that somebody typed, for as long as it has one of these digests.

    Raises JournalError.
    """
    cells = {str(row): sorted(columns) for row, columns in typed.items()}
    journal.set_fact(_typed_fact(path), json.dumps([list(digests), cells]))


def look_of(path: Path) -> object:
    """What tells a file that was changed from one that was not, without reading it; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def keep_edits(journal: Journal, folder: RunFolder, *, read: Path | None = None, seen: object = None) -> list[Path]:
    """Rename the failures files that hold what no other file does, since they are about to be replaced.

    That is what somebody changed and did not run, and corrections that are not done yet. `read` is the file that was
    just read: what it says is being run; None if none was read. `seen` is how it looked before that; None if that is
    not known. Returns the new paths.

    Raises SheetError if the one that was read was changed since, or is older than changes in the other; OSError and
    JournalError.
    """
    files = [path for path in folder.failures_files if path.exists()]
    run = next((path for path in files if read is not None and read.samefile(path)), None)
    edited = [path for path in edited_files(journal, folder) if path != run]
    if run is not None:
        if seen not in (None, look_of(run)):
            raise SheetError(
                f"{run.name} was changed while it was being read. Nothing was sent, and the change is kept.",
                remedy="Run it again.",
            )
        for path in edited:
            if path.stat().st_mtime_ns > run.stat().st_mtime_ns:
                raise _older(run, path)
        journal.set_fact(_fact(run), f"{digest_of(run)}")
    elif read is not None and not edited and journal.open_corrections(of_latest=True):
        edited = files[:1]
    kept = [set_aside(path) for path in edited]
    if kept:
        journal.set_fact(Fact.KEPT, kept[-1].name)
    return kept


@contextmanager
def _replacing(journal: Journal, path: Path) -> Iterator[Path]:
    """Replace a file in one step, and remember what it holds, so that changes are told from a file left alone."""
    with replacing(path) as part:
        yield part
        # Whichever of the two is there if the program is killed between, nobody changed it.
        known = [*_written(journal, path)[-1:], digest_of(part)]
        journal.set_fact(_fact(path), " ".join(known))


def _older(run: Path, other: Path) -> SheetError:
    return SheetError(
        f"{other.name} was changed after {run.name}, so its changes would be lost. Nothing was sent.",
        remedy=f"Run {other}. If its changes are not wanted, delete it, then run {run} again.",
    )


def digest_of(path: Path) -> str:
    """SHA-256 of what a file holds. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_changed(sheet: Path, known: str | None) -> bool:
    """Whether a sheet holds something else than when its digest was `known`; False if either is missing.

    Raises OSError.
    """
    return bool(known) and sheet.is_file() and digest_of(sheet) != known


def _written(journal: Journal | Overview, path: Path) -> list[str]:
    """The digests of a file as this program wrote it, the latest last."""
    return (journal.fact(_fact(path)) or "").split()


def _fact(path: Path) -> str:
    return f"{path.name} as it was written"


def _typed_fact(path: Path) -> str:
    return f"{path.name} as it was typed"


def added_cells(row: JournalRow) -> tuple[str, ...]:
    """What a failures file has of the row under FAILURES_COLUMNS."""
    place = "" if row.sheet_row is None else str(row.sheet_row)
    explained = why(row.status, row.error), remedy(row.status, row.actor)
    return (place, row.status, *explained, row.task_id or "")


def _faulty(places: Mapping[str, int], row: JournalRow) -> set[int]:
    """The places of the row's cells that something is wrong with. `places` is by the letters of a column."""
    letters = {match[1] for problem in row.problems if (match := _CELL.fullmatch(problem.cell or ""))}
    return {places[column] for column in letters if column in places}
