"""Log in to the mailboxes of a run that was made earlier, and bring its record up to date."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import run_folder
from provisioner.concurrency import in_own_task, in_threads
from provisioner.journal import Fact
from provisioner.run_record import open_journal
from provisioner.stages.fetch_account import ask_account
from provisioner.stages.find_passwords import read_passwords
from provisioner.stages.group import group_logins
from provisioner.stages.verify import gather, mail_servers, verify
from provisioner.stages.write import write_results

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import VerifyOptions
    from provisioner.stages.fetch_account import Connect
    from provisioner.summary import LoginCounts, LoginGroup

EXAMPLES = 2
"""How many mailboxes of each reason are named."""


@dataclass(frozen=True)
class Verified:
    """The outcome of a verification."""

    counts: LoginCounts
    results: Path
    bad: Sequence[LoginGroup]
    """The mailboxes that could not be logged in to, or were not tried, by reason."""


@in_own_task
async def verify_run(
    run: Path,
    sheets: Sequence[Path],
    how: VerifyOptions,
    connect: Connect | None,
    listener: Listener,
    *,
    schema_file: Path | None = None,
    limiter: RateLimiter | None = None,
) -> Verified:
    """Log in to every created mailbox of a run, named by its folder or its sheet.

    `sheets` hold the passwords; without any, the sheet of the latest run does. `connect` says where the service is that
    names the mail servers; None if `how` names both. `limiter` is shared by all that keep one rate; None makes
    one. results.csv is written in any case, also when the call is cancelled. Raises UnusableError and StoppedError.
    """
    folder = await run_sync(run_folder.existing, run)
    async with in_threads(open_journal(folder)) as (journal, warning):
        account = await ask_account(folder, journal, connect, listener, limiter) if connect is not None else None
        both = mail_servers(account, how)
        known, notes = await run_sync(read_passwords, sheets, journal, schema_file)
        for note in filter(None, (warning, *notes)):
            listener.note(note)
        mailboxes = await run_sync(lambda: gather(journal.record_rows(), known, time.time(), existing=True))
        try:
            counts = await verify(mailboxes, both, journal, listener, patience=how.patience)
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(lambda: write_results(journal, folder, delimiter=journal.fact(Fact.DELIMITER) or ","))
        bad = await run_sync(lambda: group_logins(journal.record_rows(), keep=EXAMPLES))
        return Verified(counts, folder.results, bad)
