"""Log in to the mailboxes of a run that was made earlier, and bring its record up to date."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import run_folder
from provisioner.concurrency import in_own_task, in_threads
from provisioner.journal import DELIMITER_FACT, Journal
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.stages.find_passwords import read_passwords
from provisioner.stages.group import group_logins
from provisioner.stages.verify import gather, servers, verify
from provisioner.stages.write import write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.resources import Account
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, VerifyOptions
    from provisioner.summary import LoginCounts, LoginGroup

EXAMPLES = 2
"""How many mailboxes of each reason are named."""


@dataclass(frozen=True)
class Verified:
    """The outcome of a verification."""

    counts: LoginCounts
    results: Path
    run_folder: Path
    bad: Sequence[LoginGroup]
    """The mailboxes that could not be logged in to, or were not tried, by reason."""


async def verify_run(
    run: Path,
    sheets: Sequence[Path],
    how: VerifyOptions,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]] | None,
    listener: Listener,
    *,
    schema_file: Path | None = None,
) -> Verified:
    """Log in to every created mailbox of a run, named by its folder or its sheet.

    `sheets` hold the passwords; without any, the sheet of the latest run does. `connect` says where the service is that
    names the mail servers; None if `how` names both. results.csv is written in any case, also when the call is
    cancelled. Raises UnusableError and StoppedError.
    """
    work = partial(_verify_run, run, sheets, how, connect, listener, schema_file=schema_file)
    return await in_own_task(work)


async def _verify_run(
    run: Path,
    sheets: Sequence[Path],
    how: VerifyOptions,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]] | None,
    listener: Listener,
    *,
    schema_file: Path | None,
) -> Verified:
    folder = await run_sync(run_folder.existing, run)
    warnings: list[str] = []
    async with in_threads(_open(folder, warnings)) as journal:
        account = await _account(folder, journal, connect, listener) if connect is not None else None
        both = servers(account, how)
        known, notes = await run_sync(read_passwords, sheets, journal, schema_file)
        for note in (*warnings, *notes):
            listener.note(note)
        mailboxes = await run_sync(lambda: gather(journal.record_rows(), known, time.time(), existing=True))
        try:
            counts = await verify(mailboxes, both, journal, listener, patience=how.patience)
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(_write, journal, folder)
        bad = await run_sync(lambda: group_logins(journal.record_rows(), keep=EXAMPLES))
        return Verified(counts, folder.results, folder.path, bad)


@contextmanager
def _open(folder: RunFolder, warnings: list[str]) -> Iterator[Journal]:
    with run_folder.hold(folder, warnings.append), closing(Journal(folder.journal)) as journal:
        yield journal


def _write(journal: Journal, folder: RunFolder) -> None:
    write_results(journal, folder, delimiter=journal.fact(DELIMITER_FACT) or ",")


async def _account(
    folder: RunFolder,
    journal: Journal,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]],
    listener: Listener,
) -> Account:
    async with in_threads(connect(folder)) as connection:
        await run_sync(journal.belong_to, connection.service_name)
        async with Service(connection, RateLimiter(connection.rates), listener) as service:
            return await service.account()
