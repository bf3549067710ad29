"""Write results.csv, the record of the whole sheet, and failures.csv, the rows that are left to retry."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provisioner.errors import FilesError
from provisioner.messages import remedy, why
from provisioner.sheets import FAILURES_COLUMNS, RESULTS_COLUMNS, Sheet, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provisioner.journal import Journal, JournalRow
    from provisioner.run_folder import RunFolder

FAILURES_FACT = "failures.csv as it was written"


def write(journal: Journal, sheet: Sheet, folder: RunFolder) -> Path | None:
    """Replace both files by what the journal says now, each in one step. Raises FilesError, JournalError.

    Answers where a failures.csv is kept that somebody has changed since it was written; None: nobody has.
    """
    write_results(journal, folder, delimiter=sheet.delimiter)
    kept = set_aside_edited(journal, folder)
    try:
        header = (*sheet.headers, *FAILURES_COLUMNS)
        write_table(folder.failures, header, _failures(journal, sheet), delimiter=sheet.delimiter)
        journal.set_fact(FAILURES_FACT, str(folder.failures.stat().st_mtime_ns))
    except OSError as error:
        raise _files_error(folder, error) from error
    return kept


def write_results(journal: Journal, folder: RunFolder, *, delimiter: str) -> None:
    """Replace results.csv alone. Raises FilesError, JournalError."""
    try:
        write_table(folder.results, RESULTS_COLUMNS, map(_result, journal.record_rows()), delimiter=delimiter)
    except OSError as error:
        raise _files_error(folder, error) from error


def set_aside_edited(journal: Journal, folder: RunFolder, *, sheet: Path | None = None) -> Path | None:
    """Keep corrections that stand in failures.csv alone, not run or not done yet: it is about to be replaced.

    The file is renamed, and its new path answered; None where there is nothing to keep. `sheet` was read just now: if
    it is failures.csv itself, what it says is being run; None: nothing was read. Raises FilesError, JournalError.
    """
    try:
        changed = folder.failures.stat().st_mtime_ns
        if sheet is not None and sheet.samefile(folder.failures):
            journal.set_fact(FAILURES_FACT, str(changed))
            return None
        edited = str(changed) != journal.fact(FAILURES_FACT)
        if not edited and (sheet is None or not journal.open_corrections()):
            return None
        kept = folder.failures.with_name(f"failures-edited-{changed // 10**9}.csv")
        folder.failures.replace(kept)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _files_error(folder, error) from error
    return kept


def _files_error(folder: RunFolder, error: OSError) -> FilesError:
    return FilesError(
        f"The files in {folder.path} cannot be written: {error.strerror or error}.",
        remedy="Close them in other programs, or make room on the disk, and run again: the journal has kept all.",
    )


def _result(row: JournalRow) -> tuple[str, ...]:
    return (
        _text(row.sheet_row),
        row.email,
        row.domain,
        row.relay_server,
        row.project,
        row.reply_to,
        row.address,
        row.status,
        _text(row.task_id),
        _text(row.mailbox_id),
        row.password.reveal() if row.password else "",
        why(row.status, row.error),
        _time(row.submitted_at),
        _time(row.finished_at),
        row.imap or "",
        row.smtp or "",
        row.login_error or "",
    )


def _failures(journal: Journal, sheet: Sheet) -> Iterator[tuple[str, ...]]:
    for row in journal.retriable(of_failures=sheet.is_failures):
        assert row.file_row is not None
        yield (
            *sheet.own_cells(row.file_row),
            _text(row.sheet_row),
            row.status,
            why(row.status, row.error),
            remedy(row.status, row.actor),
            _text(row.task_id),
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
