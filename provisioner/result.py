"""The outcome of a run or a check: what callers get."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.journal import Fact, Journal
from provisioner.records import Rate, RequestCounts, Status
from provisioner.settings import PRACTICE
from provisioner.sheets import read_table
from provisioner.stages.by_column import columns_by_header, counted_by, value_of
from provisioner.stages.failures_files import kept_file
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
    practice: bool = False,
) -> RunResult:
    """The result of a run or a check that ended just now, as the journal has it. Raises JournalError."""
    result = _result(journal, prepared.folder, prepared.by, logins, name=prepared.name)
    summary = replace(
        result.summary,
        read=len(prepared.sheet.rows),
        requests=requests or RequestCounts(),
        seconds=seconds,
        rate=rate,
        practice=practice or result.summary.practice,
    )
    return replace(result, summary=summary, stopped=stopped)


def recall(folder: RunFolder, *, by: str | None = None) -> RunResult:
    """The result of an earlier run or check, as its journal has it now; blocks.

    `by` is the column whose values rows are counted by; None takes one that is called Client. What only the program
    that ran it knew is missing: the time, the requests, and why it was stopped. Raises RunFolderError, JournalError.
    """
    with closing(Journal(folder.journal)) as journal:
        return _result(journal, folder, counted_by(columns_by_header(journal), by), _logins(journal))


def _result(
    journal: Journal, folder: RunFolder, by: tuple[str, str], logins: LoginCounts | None, *, name: str = ""
) -> RunResult:
    """What the journal says. `name` is what people call the file that was read, if it is not the original sheet."""
    header, column = by
    by_value = _by_value(journal, column)
    statuses = journal.statuses()
    of_failures = bool(journal.fact(Fact.OF_FAILURES))
    original = journal.fact(Fact.SHEET) or name
    existing = (address for rows in by_value.values() for address in rows.existing)
    summary = Summary(
        sheet=name or original,
        run_folder=str(folder.path),
        results=str(folder.results),
        failures=str(folder.failures),
        report=str(folder.report),
        statuses=statuses,
        to_retry=journal.retriable_count(of_failures=of_failures),
        requests=RequestCounts(),
        seconds=0.0,
        logins=logins,
        original=original,
        tab=journal.fact(Fact.CHOSEN_TAB) or "",
        kept=str(kept_file(journal, folder) or ""),
        read=sum(statuses.values()),
        existing=tuple(islice(existing, EXAMPLES)),
        of_failures=of_failures,
        practice=journal.fact(Fact.SERVICE) == PRACTICE,
        by=header,
        counts_by={value: dict(rows.statuses) for value, rows in by_value.items()} if column else {},
        failures_workbook=_failures_workbook(folder, original, name),
    )
    return RunResult(
        summary,
        None,
        group(journal.left(), keep=EXAMPLES),
        group_logins(journal.record_rows(), keep=EXAMPLES) if logins is not None else (),
        created={value: rows.created for value, rows in by_value.items() if rows.created},
    )


def _logins(journal: Journal) -> LoginCounts | None:
    """The outcome of the latest log-ins; None if none was tried."""
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
        rows = found[value_of(row, column)]
        rows.statuses[row.status] += 1
        if row.status is Status.CREATED:
            rows.created.append(row.name)
        elif row.status is Status.EXISTS and not row.is_proven:
            rows.existing.append(row.name)
    return found


def _failures_workbook(folder: RunFolder, *names: str) -> str:
    """Where it is, if one of the sheets of these names is a workbook; else an empty text."""
    is_workbook = any(Path(name).suffix.lower() in WORKBOOKS for name in names)
    return str(folder.failures_workbook) if is_workbook and folder.failures_workbook.exists() else ""
