"""A check, in order: from a sheet to its files, without the service."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from provisioner.concurrency import in_threads
from provisioner.record import Record, no_command, open_journal
from provisioner.result import RunResult, summarize
from provisioner.stages.prepare import prepare

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.record import NextCommand
    from provisioner.settings import SheetOptions
    from provisioner.stages.prepare import PreparedSheet


async def check(options: SheetOptions, listener: Listener, *, next_command: NextCommand = no_command) -> RunResult:
    """Read and validate a sheet and write the files. Nothing is sent.

    `next_command` is as for `run`. Raises UnusableError and StoppedError.
    """
    started = time.perf_counter()
    prepared = await run_sync(prepare, options, abandon_on_cancel=True)
    return await check_prepared(prepared, listener, next_command=next_command, started=started)


async def check_prepared(
    prepared: PreparedSheet, listener: Listener, *, next_command: NextCommand = no_command, started: float
) -> RunResult:
    """The same for a sheet that was read and validated. `started` is when that began, on the performance counter."""
    warnings: list[str] = []
    async with in_threads(open_journal(prepared.folder, warnings)) as journal:
        record = Record(prepared, journal, listener)
        await record.begin(warnings)
        await record.reconcile(None, time.time, checking=True)
        await record.write(final=True)
        result = await run_sync(partial(summarize, prepared, journal, seconds=time.perf_counter() - started))
        if await run_sync(prepared.folder.log.exists):
            # The report tells of the last run; a check does not replace that.
            return replace(result, summary=replace(result.summary, report=""))
        await record.report(result, next_command, finished_at=time.time())
        return result
