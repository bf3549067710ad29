"""The outcome of a run or a check: what callers get, and the report page made of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner import report
from provisioner.journal import CHOSEN_TAB_FACT, SERVICE_FACT, SHEET_FACT
from provisioner.records import Rate, RequestCounts, Status
from provisioner.settings import PRACTICE
from provisioner.sheets import read_table
from provisioner.stages.group import group, group_logins
from provisioner.summary import Group, LoginCounts, LoginGroup, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from provisioner.errors import StoppedError
    from provisioner.journal import Journal
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
        existing=tuple(islice((name for value in by_value.values() for name in value.existing), EXAMPLES)),
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
            rows.created.append(row.address or row.email)
        elif row.status is Status.EXISTS and not row.is_proven:
            rows.existing.append(row.address or row.email)
    return found


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
