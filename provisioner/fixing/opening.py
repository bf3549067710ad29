"""From a sheet and its run folder to the rows that are to be fixed: which file says what is to be run."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from provisioner import run_folder
from provisioner.errors import SheetError
from provisioner.fixing.rows import Rows
from provisioner.journal import Fact, Journal
from provisioner.messages import count
from provisioner.sheets import FAILURES_COLUMNS
from provisioner.stages.failures_files import (
    added_cells,
    failures_header,
    failures_options,
    has_changed,
    look_of,
    unfinished_file,
)
from provisioner.stages.prepare import PreparedSheet, prepare
from provisioner.stages.read import read_rows
from provisioner.stages.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.journal import JournalRow
    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions
    from provisioner.sheets import Sheet
    from provisioner.stages.corrections import Typed


LAST: Final = 2**31
"""Above every row's number."""


@dataclass
class Opened:
    rows: Rows
    folder: RunFolder
    notes: list[str]
    seen: dict[Path, object]
    """How the files were when they were read."""
    complete: bool = True
    """Whether the file holds all that is to be run; False if `rows` were gathered from several files."""
    sheet_changed: bool = False
    """Whether the sheet says something else now than when it was checked, and the rows are a failures file's."""


def watched(folder: RunFolder) -> tuple[Path, ...]:
    """The files of which one is replaced whenever something happens to the rows."""
    return (*folder.failures_files, folder.results)


def find(options: SheetOptions) -> Opened:
    """Read and validate what is to be run, and compare it with the journal. Writes nothing. Raises UnusableError."""
    seen = {options.sheet: look_of(options.sheet)}
    opened = _without_the_sheet(options) or _compared(options, prepare(options))
    opened.seen = seen | opened.seen
    return opened


def _without_the_sheet(options: SheetOptions) -> Opened | None:
    """What a failures file says that is known to be what is to be run; None if the sheet has to be read first."""
    folder = run_folder.locate(options.sheet, options.out)
    if options.sheet_name is not None or options.sheet in folder.failures_files or not folder.journal.exists():
        return None
    seen = {path: look_of(path) for path in watched(folder)}
    with closing(Journal(folder.journal)) as journal:
        # Only of a text file is the folder known before it is read.
        file = unfinished_file(journal, folder) if journal.fact(Fact.TAB) == "" else None
        if file is None:
            return None
        return _in_failures(options, file, journal, partial(prepare, options), seen)


def _compared(options: SheetOptions, prepared: PreparedSheet) -> Opened:
    folder = prepared.folder
    seen = {path: look_of(path) for path in watched(folder)}
    if not folder.journal.exists():
        return _opened(prepared, None, {}, seen)
    with closing(Journal(folder.journal)) as journal:
        if prepared.sheet.is_failures:
            return _gathered(prepared, partial(_original, journal, prepared.options), journal, seen)
        file = unfinished_file(journal, folder)
        if file is None:
            return _opened(prepared, list(journal.rows()), {}, seen)
        return _in_failures(options, file, journal, lambda: prepared, seen)


def _in_failures(
    options: SheetOptions,
    file: Path,
    journal: Journal,
    read_original: Callable[[], PreparedSheet],
    seen: dict[Path, object],
) -> Opened:
    """What a failures file says in place of the sheet that it belongs to. Raises UnusableError."""
    prepared = prepare(failures_options(options, run_folder.RunFolder(file.parent), file))
    if not prepared.sheet.is_failures:
        raise SheetError(
            f"{file} has lost the columns that say which row of the sheet each of its rows is.",
            remedy=f"Put them back ({', '.join(FAILURES_COLUMNS)}), or move the file to another folder: without it, "
            "the sheet itself is opened.",
        )
    opened = _gathered(prepared, read_original, journal, seen)
    opened.sheet_changed = has_changed(options.sheet, journal.fact(Fact.CONTENT))
    return opened


def _opened(prepared: PreparedSheet, known: list[JournalRow] | None, typed: Typed, seen: dict[Path, object]) -> Opened:
    rows = Rows(prepared, known, typed)
    return Opened(rows, prepared.folder, prepared.notes(rows.plan), seen)


def _gathered(
    prepared: PreparedSheet,
    read_original: Callable[[], PreparedSheet | None],
    journal: Journal,
    seen: dict[Path, object],
) -> Opened:
    """The rows of a failures file, together with those that are to be run and stand in the original sheet alone."""
    known, typed = list(journal.rows()), prepared.typed(journal)
    found = _opened(prepared, known, typed, seen)
    if not found.rows.missing:
        return found
    try:
        original = read_original()
    except SheetError as error:
        some = count(len(found.rows.missing), "row is", "rows are")
        found.notes.append(f"{some} to be run from the sheet, which cannot be read now: {error.message}")
        return found
    if original is None or set(original.sheet.keys) != set(prepared.sheet.keys):
        return found
    wanted = {row.id: row for row in found.rows.missing}
    more = [
        _as_failure(original.sheet, prepared.sheet, number, wanted[row_id])
        for number, row_id in Rows(original, known, {}).identities()
        if row_id in wanted
    ]
    if more:
        table = sorted([*found.rows.all_cells(), *more], key=by_sheet_row)
        return replace(found, rows=from_table(prepared, table, known, typed), complete=False)
    return found


def _original(journal: Journal, options: SheetOptions) -> PreparedSheet | None:
    path = journal.fact(Fact.SHEET)
    return prepare(replace(options, sheet=Path(path), out=options.sheet.parent)) if path else None


def _as_failure(sheet: Sheet, like: Sheet, number: int, row: JournalRow) -> list[str]:
    """A row of a sheet as a failures file of these columns has it. `number` is the row's in that sheet."""
    cells = dict(zip(sheet.keys, sheet.own_cells(number), strict=True))
    return [*(cells[key] for key in like.keys), *added_cells(row)]


def by_sheet_row(cells: Sequence[str]) -> int:
    """Sorts the rows of a failures file, new ones last."""
    number = cells[-len(FAILURES_COLUMNS)]
    return int(number) if number else LAST


def from_table(prepared: PreparedSheet, table: Sequence[Sequence[str]], known: list[JournalRow], typed: Typed) -> Rows:
    """The rows of a failures file that is about to be written, as they will be read from it."""
    sheet, schema, options = prepared.sheet, prepared.schema, prepared.options
    again = read_rows(failures_header(sheet), enumerate(table, 2), schema, delimiter=sheet.delimiter, fill=options.fill)
    folder = prepared.folder
    again = replace(again, path=folder.failures)
    checked = validate(again, schema, blank_password_ok=options.generate_passwords)
    own = failures_options(options, folder, folder.failures)
    return Rows(PreparedSheet(schema, again, checked, folder, own), known, typed)
