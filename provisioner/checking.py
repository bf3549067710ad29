"""A check, in order: from a sheet to its files, without the service."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync

from provisioner.concurrency import in_own_task, in_threads
from provisioner.errors import SheetError
from provisioner.journal import Fact, Journal
from provisioner.result import RunResult, summarize
from provisioner.run_record import RunRecord, no_command, open_journal
from provisioner.stages.failures_files import digest_of, failures_options, unfinished_file
from provisioner.stages.prepare import prepare

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.run_record import NextCommand
    from provisioner.settings import SheetOptions
    from provisioner.stages.prepare import PreparedSheet

_INSTEAD: Final = (
    "{name} has not changed, and {file} may hold fixes that are not done: that file was checked instead. Go on with "
    "it; to use the sheet without them, move the file to another folder first."
)


@in_own_task
async def check(options: SheetOptions, listener: Listener, *, next_command: NextCommand = no_command) -> RunResult:
    """Read and validate a sheet and write the files. Nothing is sent.

    If the sheet has not changed and a failures file holds rows that are still to be run, that file is checked instead,
    so that a check never discards the fixes in it. The listener gets a note about that.

    `next_command` is as for `run`. Raises UnusableError and StoppedError.
    """
    started = time.perf_counter()
    prepared = await run_sync(_prepared, options, abandon_on_cancel=True)
    if prepared.options is not options:
        listener.note(_INSTEAD.format(name=options.shown or options.sheet, file=prepared.options.sheet))
    return await check_prepared(prepared, listener, next_command=next_command, started=started)


def _prepared(options: SheetOptions) -> PreparedSheet:
    """The sheet, or the failures file that is to be run instead and can be read. Raises UnusableError."""
    prepared = prepare(options)
    folder, sheet = prepared.folder, prepared.sheet
    if sheet.is_failures or not folder.journal.exists():
        return prepared
    with closing(Journal(folder.journal)) as journal:
        if not sheet.path.is_file() or journal.fact(Fact.CONTENT) != digest_of(sheet.path):
            return prepared
        file = unfinished_file(journal, folder)
    if file is None:
        return prepared
    with suppress(SheetError):
        failures = prepare(failures_options(options, folder, file))
        if failures.sheet.is_failures:
            return failures
    return prepared


async def check_prepared(
    prepared: PreparedSheet, listener: Listener, *, next_command: NextCommand = no_command, started: float
) -> RunResult:
    """Check a sheet that is already read and validated; `started` is the time.perf_counter() at which that began."""
    async with in_threads(open_journal(prepared.folder)) as (journal, warning):
        record = RunRecord(prepared, journal, listener)
        await record.begin(warning)
        await record.reconcile(None, time.time, checking=True)
        await record.write(final=True)
        result = await run_sync(partial(summarize, prepared, journal, seconds=time.perf_counter() - started))
        if await run_sync(prepared.folder.log.exists):
            # The report tells of the last run; a check does not replace that.
            return replace(result, summary=replace(result.summary, report=""))
        await record.report(result, next_command, finished_at=time.time())
        return result
