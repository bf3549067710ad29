"""Write results.csv, the record of the whole sheet, and the failures files, the rows that are left to retry."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provisioner.errors import FilesError, os_errors_as
from provisioner.journal import Fact
from provisioner.messages import why
from provisioner.records import sent_columns
from provisioner.sheets import RESULTS_COLUMNS, Sheet, write_table
from provisioner.stages.failures_files import keep_edits, write_failures

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from provisioner.journal import Journal, JournalRow
    from provisioner.run_folder import RunFolder


def write(journal: Journal, sheet: Sheet, folder: RunFolder, *, final: bool = False) -> list[str]:
    """Replace the files by what the journal says now, each in one step. Raises FilesError, JournalError.

    `final`: the run is over, so failures.xlsx is written too. Returns what people should know of it: that failures
    files are kept which somebody changed since they were written, and that there is no failures.xlsx.
    """
    write_results(journal, folder, delimiter=sheet.delimiter)
    with _explained(folder):
        kept = map(_kept, keep_edits(journal, folder))
        return [*kept, *filter(None, [write_failures(journal, sheet, folder, final=final)])]


def write_results(journal: Journal, folder: RunFolder, *, delimiter: str) -> None:
    """Replace results.csv alone. Raises FilesError, JournalError."""
    further = json.loads(journal.fact(Fact.FURTHER) or "[]")
    header = (*RESULTS_COLUMNS, *(name for name, _ in further))
    columns = [column for _, column in further]
    rows = ((*_result(row), *(row.cells.get(column, "") for column in columns)) for row in journal.record_rows())
    with _explained(folder):
        write_table(folder.results, header, rows, delimiter=delimiter)


def set_aside_edited(journal: Journal, folder: RunFolder, sheet: Path, seen: object) -> list[str]:
    """Keep corrections that only the failures files hold, before `sheet`, which was just read, is run.

    `seen` is as in `keep_edits`. Returns what people should know of it. Raises SheetError, FilesError, JournalError.
    """
    with _explained(folder):
        return list(map(_kept, keep_edits(journal, folder, read=sheet, seen=seen)))


def _kept(path: Path) -> str:
    was = f"failures{path.suffix}"
    return f"{was} held fixes that are not used in this run. It is kept as {path}: run that file too."


def _explained(folder: RunFolder) -> AbstractContextManager[None]:
    """Turns OSError into FilesError."""
    return os_errors_as(
        FilesError,
        f"The files in {folder.path} cannot be written",
        remedy="Close them in other programs, or make room on the disk, and run again: the journal has kept all.",
    )


def _result(row: JournalRow) -> tuple[str, ...]:
    return (
        _text(row.sheet_row),
        *sent_columns(row).values(),
        row.address,
        row.status,
        _text(row.task_id),
        _text(row.mailbox_id),
        row.password.reveal() if row.password else "",
        "" if row.is_proven else why(row.status, row.error),
        _time(row.submitted_at),
        _time(row.finished_at),
        row.imap or "",
        row.smtp or "",
        row.login_error or "",
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
