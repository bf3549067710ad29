"""The whole way of a sheet: builds what the stages share, and runs them in order."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from provisioner import __version__, run_folder, run_log
from provisioner.events import CompositeListener
from provisioner.journal import SHEET_FACT, Journal
from provisioner.preparation import PreparedSheet
from provisioner.records import RequestCounts
from provisioner.report import report
from provisioner.settings import RunOptions, SheetOptions, service_name
from provisioner.stages.group import group, group_logins
from provisioner.stages.write import set_aside_edited, write
from provisioner.summary import Group, LoginCounts, LoginGroup, RunPreview, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.errors import StoppedError
    from provisioner.events import Listener
    from provisioner.run_folder import RunFolder
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection

EXAMPLES = 500
"""How many of the rows that are left for one cause an ending holds."""


@dataclass(frozen=True)
class RunResult:
    """What a run or a check came to."""

    summary: Summary
    stopped: StoppedError | None
    """Why it ended before every row had its turn; None where it did not."""
    groups: Sequence[Group]
    """The rows that are left, by cause."""
    logins: Sequence[LoginGroup]
    """The mailboxes that cannot be logged in to, by reason; empty where none was logged in to."""


def load(options: SheetOptions) -> PreparedSheet:
    """Read and validate a sheet, and do nothing else. Raises UnusableError."""
    return PreparedSheet(options)


def check(
    options: SheetOptions, listener: Listener, *, next_command: Callable[[RunResult], str] = lambda _: ""
) -> RunResult:
    """Read and validate a sheet and write the files. Nothing is sent. Raises UnusableError, StoppedError.

    `go_on` is as for `run`.
    """
    started = time.perf_counter()
    prepared = PreparedSheet(options)
    with run_folder.hold(prepared.folder, listener.note), closing(Journal(prepared.folder.journal)) as journal:
        _tell_kept(set_aside_edited(journal, prepared.folder, sheet=options.sheet), listener)
        prepared.remember(journal)
        prepared.reconcile(journal, listener, None, time.time, checking=True)
        write(journal, prepared.sheet, prepared.folder)
        result = _result(prepared, journal, started)
        _report(
            result,
            journal,
            listener,
            command=next_command(result),
            after=journal.latest_event(),
            finished_at=time.time(),
        )
        return result


def run(
    options: SheetOptions,
    how: RunOptions,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]],
    listener: Listener,
    *,
    confirm: Callable[[RunPreview], bool] = lambda _: True,
    next_command: Callable[[RunResult], str] = lambda _: "",
    limiter: RateLimiter | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> RunResult:
    """Create the sheet's mailboxes and write the files.

    `connect` says where the service is, for as long as its context lasts; it is handed the run's folder. `agree` is
    told what is about to be sent, and says whether it shall be; nothing was sent before. `go_on` names the command
    that the page tells its readers to go on with; empty where nothing is left.
    `pace` is given where several runs, one after the other, are to keep one rate; None makes one for this run.

    Systemic trouble after the beginning ends the run early and is told in the ending, never raised: the files are
    written in any case. Raises UnusableError where the work cannot begin, and FilesError or JournalError where its
    outcome cannot be written down.
    """
    # A check does not wait for what only a run needs.
    from provisioner.delivery import Delivery
    from provisioner.service.rate_limiter import RateLimiter

    started = time.perf_counter()
    prepared = PreparedSheet(options)
    folder = prepared.folder
    with (
        run_folder.hold(folder, listener.note),
        closing(Journal(folder.journal)) as journal,
        run_log.keep(folder.log, __version__) as log,
    ):
        listener = CompositeListener(listener, log)
        before = journal.latest_event()
        with connect(folder) as connection:
            journal.belong_to(service_name(connection.api_url))
            _tell_kept(set_aside_edited(journal, folder, sheet=options.sheet), listener)
            prepared.remember(journal)
            limiter = limiter or RateLimiter(connection.rates)
            limiter.open()
            work = Delivery(
                prepared,
                journal,
                how=how,
                connection=connection,
                limiter=limiter,
                listener=listener,
                refresh=partial(_write, prepared, journal, listener),
                wall_clock=wall_clock,
            )
            resources = anyio.run(work.ask) if prepared.any_ready else None
            todo = prepared.reconcile(journal, listener, resources, wall_clock)
            write(journal, prepared.sheet, folder)
            try:
                work.begin(todo, confirm)
                logins = work.verify() if how.verify is not None and work.stop_reason is None else None
            finally:
                _write(prepared, journal, listener)
        result = _result(prepared, journal, started, requests=work.requests, stopped=work.stop_reason, logins=logins)
        log.end(result.summary, result.stopped)
        _report(
            result,
            journal,
            listener,
            after=before,
            command=next_command(result),
            paused=log.held_back,
            finished_at=wall_clock(),
        )
        return result


def _tell_kept(kept: Path | None, listener: Listener) -> None:
    """Say where corrections are that nobody ran; None: there are none."""
    if kept is not None:
        listener.note(
            f"failures.csv held corrections that are not done and not in the new one: it is kept as {kept}. Run it too."
        )


def _write(prepared: PreparedSheet, journal: Journal, listener: Listener) -> None:
    _tell_kept(write(journal, prepared.sheet, prepared.folder), listener)


def _result(
    prepared: PreparedSheet,
    journal: Journal,
    started: float,
    *,
    requests: RequestCounts | None = None,
    stopped: StoppedError | None = None,
    logins: LoginCounts | None = None,
) -> RunResult:
    folder = prepared.folder
    summary = Summary(
        sheet=prepared.name,
        run_folder=str(folder.path),
        results=str(folder.results),
        failures=str(folder.failures),
        report=str(folder.report),
        statuses=journal.statuses(),
        to_retry=journal.retriable_count(of_failures=prepared.sheet.is_failures),
        original=journal.fact(SHEET_FACT) or prepared.name,
        read=len(prepared.sheet.rows),
        requests=requests or RequestCounts(),
        seconds=time.perf_counter() - started,
        logins=logins,
    )
    unproved = group_logins(journal.record_rows(), keep=EXAMPLES) if logins is not None else ()
    return RunResult(summary, stopped, group(journal.left(), keep=EXAMPLES), unproved)


def _report(
    result: RunResult,
    journal: Journal,
    listener: Listener,
    *,
    command: str,
    after: int,
    paused: Sequence[tuple[float, float, str]] = (),
    finished_at: float,
) -> None:
    """Write the page. It only shows what the other files hold, so a run does not fail for its sake."""
    path = Path(result.summary.report)
    try:
        report(
            path,
            result.summary,
            result.groups,
            journal.events(after),
            command=command,
            failed_logins=result.logins,
            paused=paused,
            stopped=result.stopped,
            finished_at=finished_at,
        )
    except OSError as error:
        listener.note(f"The page {path} could not be written ({error.strerror or error}); the other files are whole.")
