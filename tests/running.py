"""Runs and checks as the command line does them, for tests that are not asynchronous; and what stages share."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.to_thread

from provisioner import checking, pipeline
from provisioner.journal import JournalRow, address_key
from provisioner.records import RowId
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.settings import RunOptions, SheetOptions
from provisioner.stages.context import RunContext
from provisioner.stages.stop_signal import StopSignal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.journal import Journal
    from provisioner.result import RunResult
    from provisioner.settings import Connection
    from provisioner.stages.validate import Checked
    from provisioner.summary import RunPreview


def context_of(to: Connection, journal: Journal, listener: Listener, **options: Any) -> RunContext:
    """What the stages of one run share, with any of RunOptions. Its service is still to be entered."""
    limiter = RateLimiter(to.rates)
    return RunContext(
        connection=to,
        service=Service(to, limiter, listener),
        limiter=limiter,
        journal=journal,
        stop_signal=StopSignal(),
        listener=listener,
        options=RunOptions(**{"stop_after": 0, "task_timeout": 60.0, **options}),
        wall_clock=time.time,
    )


def check(sheet: Path, listener: Listener, **options: Any) -> RunResult:
    """Check a sheet, with any of SheetOptions."""
    return anyio.run(checking.check, SheetOptions(sheet=sheet, **options), listener)


def run(
    sheet: Path | SheetOptions,
    connection: Connection,
    listener: Listener,
    how: RunOptions | None = None,
    *,
    confirm: Callable[[RunPreview], bool] = lambda _: True,
    **more: Any,
) -> RunResult:
    """Run a sheet against a service; `more` are further arguments of `pipeline.run`."""

    async def agree(preview: RunPreview) -> bool:
        return await anyio.to_thread.run_sync(confirm, preview)

    options = sheet if isinstance(sheet, SheetOptions) else SheetOptions(sheet=sheet)
    to = lambda _: nullcontext(connection)  # noqa: E731 - one line
    return anyio.run(partial(pipeline.run, options, how or RunOptions(), to, listener, confirm=agree, **more))


def journal_row(number: int, email: str = "", **known: Any) -> JournalRow:
    """What the journal has of a row in domain 101, in the place after its number; `known` are any of its fields."""
    email = email or f"user{number}"
    row = JournalRow(RowId(number), number + 1, number + 1, address_key(email, 101), email, "101", "201", "", "")
    return row._replace(**known)


class ReadyRow(NamedTuple):
    """A row that breaks no rule, as its cells are."""

    file_row: int
    email: str
    domain: str
    relay_server: str
    password: str
    project: str
    reply_to: str


def ready_rows(checked: Checked) -> list[ReadyRow]:
    """The rows of a sheet that break no rule."""
    rows = checked.sheet.cells(*ReadyRow._fields[1:])
    return [ReadyRow(row, *cells) for row, cells in rows if row not in checked.invalid]
