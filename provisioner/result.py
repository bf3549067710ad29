"""The outcome of a run or a check: what callers get, and the report page made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import report
from provisioner.journal import CHOSEN_TAB_FACT, SERVICE_FACT, SHEET_FACT, Journal
from provisioner.records import Rate, RequestCounts, Status
from provisioner.settings import PRACTICE
from provisioner.sheets import read_table
from provisioner.stages.by_column import columns_by_header, matching
from provisioner.stages.group import group, group_logins
from provisioner.summary import Group, LoginCounts, LoginGroup, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from provisioner.errors import StoppedError
    from provisioner.run_folder import RunFolder
    from provisioner.stages.prepare import PreparedSheet

WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xls", ".ods"})
EXAMPLES = 500
"""How many rows a result holds for each cause."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run or a check."""

    summary: Summary
    stopped: StoppedError | None
    """Why it ended before every row had its turn; None if it did not."""
    groups: Sequence[Group]
    """The rows that are not done, by cause."""
    logins: Sequence[LoginGroup]
    """The mailboxes that cannot be logged in to, by reason; empty if no log-in was tried."""
    created: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The addresses that were created, by the value that rows are counted by; all under an empty text if by none."""

    @property
    def statuses(self) -> Mapping[Status, int]:
        """Number of rows of the whole sheet by status; a status without rows is absent."""
        return self.summary.statuses

    @property
    def results(self) -> Path:
        """results.csv: one line for every row of the whole sheet."""
        return Path(self.summary.results)

    @property
    def failures(self) -> Path:
        """failures.csv: the rows to retry. It is itself a sheet: fix it, or don't, and run it."""
        return Path(self.summary.failures)

    def frame(self) -> pd.DataFrame:
        """Read results.csv as it is now into a frame. Every cell is text, exactly as it was before it was written.

        Raises OSError if the file is gone.
        """
        import pandas as pd  # noqa: PLC0415 - a run is not kept waiting for it

        header, *rows = read_table(self.results)
        return pd.DataFrame(rows, columns=header, dtype=str)


def summarize(
    prepared: PreparedSheet,
    journal: Journal,
    *,
    seconds: float,
    requests: RequestCounts | None = None,
    stopped: StoppedError | None = None,
    logins: LoginCounts | None = None,
    rate: Rate | None = None,
) -> RunResult:
    """The result as the journal has it now. Raises JournalError."""
    folder = prepared.folder
    header, column = prepared.by or ("", "")
    by_value = _by_value(journal, column)
    original = journal.fact(SHEET_FACT) or prepared.name
    summary = Summary(
        sheet=prepared.name,
        run_folder=str(folder.path),
        results=str(folder.results),
        failures=str(folder.failures),
        report=str(folder.report),
        statuses=journal.statuses(),
        to_retry=journal.retriable_count(of_failures=prepared.sheet.is_failures),
        original=original,
        tab=journal.fact(CHOSEN_TAB_FACT) or "",
        read=len(prepared.sheet.rows),
        requests=requests or RequestCounts(),
        seconds=seconds,
        logins=logins,
        rate=rate,
        existing=_existing(by_value),
        practice=journal.fact(SERVICE_FACT) == PRACTICE,
        by=header,
        counts_by={value: dict(rows.statuses) for value, rows in by_value.items()} if column else {},
        failures_workbook=_failures_workbook(prepared, original),
    )
    unproved = group_logins(journal.record_rows(), keep=EXAMPLES) if logins is not None else ()
    return RunResult(
        summary,
        stopped,
        group(journal.left(), keep=EXAMPLES),
        unproved,
        created={value: rows.created for value, rows in by_value.items() if rows.created},
    )


def recall(folder: RunFolder, *, by: str | None = None) -> RunResult:
    """The result of an earlier run or check, as its journal has it now; blocks.

    `by` is the column whose values rows are counted by; None takes one that is called Client. What only the program
    that ran it knew is missing: the time, the requests, and why it was stopped. Raises RunFolderError, JournalError.
    """
    with closing(Journal(folder.journal)) as journal:
        header, column = _recalled_column(journal, by or "Client")
        by_value = _by_value(journal, column)
        statuses, original = journal.statuses(), journal.fact(SHEET_FACT) or ""
        logins = _logins(journal)
        workbook = folder.failures_workbook
        summary = Summary(
            sheet=original,
            run_folder=str(folder.path),
            results=str(folder.results),
            failures=str(folder.failures),
            report=str(folder.report),
            statuses=statuses,
            to_retry=sum(1 for _ in journal.left()),
            original=original,
            tab=journal.fact(CHOSEN_TAB_FACT) or "",
            read=sum(statuses.values()),
            requests=RequestCounts(),
            seconds=0.0,
            logins=logins,
            existing=_existing(by_value),
            practice=journal.fact(SERVICE_FACT) == PRACTICE,
            by=header,
            counts_by={value: dict(rows.statuses) for value, rows in by_value.items()} if column else {},
            failures_workbook=str(workbook) if workbook.exists() else "",
        )
        return RunResult(
            summary,
            None,
            group(journal.left(), keep=EXAMPLES),
            group_logins(journal.record_rows(), keep=EXAMPLES) if logins is not None else (),
            created={value: rows.created for value, rows in by_value.items() if rows.created},
        )


def _recalled_column(journal: Journal, name: str) -> tuple[str, str]:
    """The header and the journal's column that rows are counted by; both empty if there is none."""
    keys = columns_by_header(journal)
    found = matching(keys, name)
    return (found[0], keys[found[0]]) if found else ("", "")


def _logins(journal: Journal) -> LoginCounts | None:
    """What came of the latest log-ins; None if none was tried."""
    ok = failed = untried = 0
    for row in journal.done():
        ok += row.is_proven
        failed += not row.is_proven and (row.imap or row.smtp) is not None
        untried += row.imap is None and row.smtp is None and row.login_error is not None
    return LoginCounts(ok, failed, untried) if ok or failed or untried else None


@dataclass(frozen=True)
class _Rows:
    """The rows that have one value under the column that rows are counted by."""

    statuses: Counter[Status] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    """Addresses; a username where the full address is not known."""
    existing: list[str] = field(default_factory=list)


def _by_value(journal: Journal, column: str) -> dict[str, _Rows]:
    """The rows of results.csv by their value under `column`; if that is empty, the mailboxes under an empty text."""
    found: dict[str, _Rows] = defaultdict(_Rows)
    for row in journal.record_rows() if column else journal.done():
        rows = found[row.cells.get(column, "").strip()]
        rows.statuses[row.status] += 1
        if row.status is Status.CREATED:
            rows.created.append(row.name)
        elif row.status is Status.EXISTS and not row.is_proven:
            rows.existing.append(row.name)
    return found


def _existing(by_value: Mapping[str, _Rows]) -> tuple[str, ...]:
    return tuple(islice((name for rows in by_value.values() for name in rows.existing), EXAMPLES))


def _failures_workbook(prepared: PreparedSheet, original: str) -> str:
    """Where it is, if the sheet or the file that was read is a workbook; else an empty text."""
    is_workbook = any(Path(name).suffix.lower() in WORKBOOKS for name in (original, prepared.name))
    workbook = prepared.folder.failures_workbook
    return str(workbook) if is_workbook and workbook.exists() else ""


def write_report(
    result: RunResult,
    journal: Journal,
    *,
    command: str,
    after: int,
    paused: Sequence[tuple[float, float, str]] = (),
    finished_at: float,
) -> str:
    """Write report.html; returns a note if that failed, else an empty text: the page shows only what other files hold.

    `command` continues the run, `after` is the last event of earlier runs, `paused` and `finished_at` are on the wall
    clock. Raises JournalError.
    """
    path = Path(result.summary.report)
    try:
        report.write_report(
            path,
            result.summary,
            result.groups,
            journal.events(after),
            command=command,
            created=result.created,
            failed_logins=result.logins,
            paused=paused,
            stopped=result.stopped,
            finished_at=finished_at,
        )
    except OSError as error:
        return f"The page {path} could not be written ({error.strerror or error}); the other files are whole."
    return ""
