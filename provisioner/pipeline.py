"""The whole way of a sheet: builds what the stages share, and runs them in order."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from provisioner import __version__, runfolder, runlog
from provisioner.journal import SHEET_FACT, Journal
from provisioner.pace import Pace
from provisioner.preparation import Loaded
from provisioner.progress import Together
from provisioner.records import Group, LoginCounts, LoginGroup, Prospect, RequestCounts, Summary
from provisioner.settings import RunOptions, SheetOptions, service_name
from provisioner.stages.group import group, group_logins
from provisioner.stages.report import report
from provisioner.stages.write import set_aside_edited, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.errors import StoppedError
    from provisioner.progress import Listener
    from provisioner.runfolder import RunFolder
    from provisioner.settings import Connection

EXAMPLES = 500
"""How many of the rows that are left for one cause an ending holds."""


@dataclass(frozen=True)
class Ending:
    """What a run or a check came to."""

    summary: Summary
    stopped: StoppedError | None
    """Why it ended before every row had its turn; None where it did not."""
    groups: Sequence[Group]
    """The rows that are left, by cause."""
    logins: Sequence[LoginGroup]
    """The mailboxes that cannot be logged in to, by reason; empty where none was logged in to."""


def load(options: SheetOptions) -> Loaded:
    """Read and validate a sheet, and do nothing else. Raises UnusableError."""
    return Loaded(options)


def check(options: SheetOptions, listener: Listener, *, go_on: Callable[[Ending], str] = lambda _: "") -> Ending:
    """Read and validate a sheet and write the files. Nothing is sent. Raises UnusableError, StoppedError.

    `go_on` is as for `run`.
    """
    started = time.perf_counter()
    loaded = Loaded(options)
    with runfolder.hold(loaded.folder), closing(Journal(loaded.folder.journal)) as journal:
        _tell_kept(set_aside_edited(journal, loaded.folder, sheet=options.sheet), listener)
        loaded.remember(journal)
        loaded.plan(journal, listener, None, time.time, checking=True)
        write(journal, loaded.sheet, loaded.folder)
        ending = _ending(loaded, journal, started)
        _report(ending, journal, listener, command=go_on(ending), after=journal.latest_event(), finished_at=time.time())
        return ending


def run(
    options: SheetOptions,
    how: RunOptions,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]],
    listener: Listener,
    *,
    agree: Callable[[Prospect], bool] = lambda _: True,
    go_on: Callable[[Ending], str] = lambda _: "",
    pace: Pace | None = None,
    wall_clock: Callable[[], float] = time.time,
) -> Ending:
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

    started = time.perf_counter()
    loaded = Loaded(options)
    folder = loaded.folder
    with (
        runfolder.hold(folder),
        closing(Journal(folder.journal)) as journal,
        runlog.keep(folder.log, __version__) as log,
    ):
        listener = Together(listener, log)
        before = journal.latest_event()
        with connect(folder) as connection:
            journal.belong_to(service_name(connection.api_url))
            _tell_kept(set_aside_edited(journal, folder, sheet=options.sheet), listener)
            loaded.remember(journal)
            pace = pace or Pace(connection.rates)
            pace.open()
            work = Delivery(
                loaded,
                journal,
                how=how,
                connection=connection,
                pace=pace,
                listener=listener,
                refresh=partial(_write, loaded, journal, listener),
                wall_clock=wall_clock,
            )
            holdings = anyio.run(work.ask) if loaded.any_ready else None
            todo = loaded.plan(journal, listener, holdings, wall_clock)
            write(journal, loaded.sheet, folder)
            try:
                work.begin(todo, agree)
                logins = work.verify() if how.verify is not None and work.halt_reason is None else None
            finally:
                _write(loaded, journal, listener)
        ending = _ending(loaded, journal, started, requests=work.requests, stopped=work.halt_reason, logins=logins)
        log.end(ending.summary, ending.stopped)
        _report(
            ending, journal, listener, after=before, command=go_on(ending), held=log.held_back, finished_at=wall_clock()
        )
        return ending


def _tell_kept(kept: Path | None, listener: Listener) -> None:
    """Say where corrections are that nobody ran; None: there are none."""
    if kept is not None:
        listener.note(
            f"failures.csv held corrections that are not done and not in the new one: it is kept as {kept}. Run it too."
        )


def _write(loaded: Loaded, journal: Journal, listener: Listener) -> None:
    _tell_kept(write(journal, loaded.sheet, loaded.folder), listener)


def _ending(
    loaded: Loaded,
    journal: Journal,
    started: float,
    *,
    requests: RequestCounts | None = None,
    stopped: StoppedError | None = None,
    logins: LoginCounts | None = None,
) -> Ending:
    folder = loaded.folder
    summary = Summary(
        sheet=loaded.name,
        run_folder=str(folder.path),
        results=str(folder.results),
        failures=str(folder.failures),
        report=str(folder.report),
        statuses=journal.statuses(),
        to_retry=journal.retriable_count(of_failures=loaded.sheet.is_failures),
        original=journal.fact(SHEET_FACT) or loaded.name,
        read=len(loaded.sheet.rows),
        requests=requests or RequestCounts(),
        seconds=time.perf_counter() - started,
        logins=logins,
    )
    unproved = group_logins(journal.record_lines(), keep=EXAMPLES) if logins is not None else ()
    return Ending(summary, stopped, group(journal.left(), keep=EXAMPLES), unproved)


def _report(
    ending: Ending,
    journal: Journal,
    listener: Listener,
    *,
    command: str,
    after: int,
    held: Sequence[tuple[float, float, str]] = (),
    finished_at: float,
) -> None:
    """Write the page. It only shows what the other files hold, so a run does not fail for its sake."""
    path = Path(ending.summary.report)
    try:
        report(
            path,
            ending.summary,
            ending.groups,
            journal.events(after),
            command=command,
            failed_logins=ending.logins,
            held=held,
            stopped=ending.stopped,
            finished_at=finished_at,
        )
    except OSError as error:
        listener.note(f"The page {path} could not be written ({error.strerror or error}); the other files are whole.")
