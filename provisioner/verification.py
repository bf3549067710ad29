"""Log in to the mailboxes of a run that was made earlier, and bring its record up to date."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from provisioner import run_folder, schema
from provisioner.errors import SheetError
from provisioner.journal import DELIMITER_FACT, SHEET_FACT, Journal
from provisioner.secret import Secret
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.settings import service_name
from provisioner.stages.group import group_logins
from provisioner.stages.read import read
from provisioner.stages.resolve import Resolver
from provisioner.stages.verify import gather, passwords, servers, verify
from provisioner.stages.write import write_results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from provisioner.events import Listener
    from provisioner.records import Account
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, VerifyOptions
    from provisioner.summary import LoginCounts, LoginGroup

EXAMPLES = 2
"""How many mailboxes of each reason are named."""


@dataclass(frozen=True)
class Verified:
    """What a verification came to."""

    counts: LoginCounts
    results: Path
    run_folder: Path
    bad: Sequence[LoginGroup]
    """The mailboxes that could not be logged in to, or were not tried, by reason."""


def verify_run(
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
    names the mail servers; None where `how` names both. Raises UnusableError and StoppedError.
    """
    folder = run_folder.existing(run)
    with run_folder.hold(folder, listener.note), closing(Journal(folder.journal)) as journal:
        account = _account(folder, journal, connect, listener) if connect is not None else None
        both = servers(account, how)
        known = _passwords(sheets, journal, listener, schema_file)
        mailboxes = gather(journal.record_rows(), known, time.time())
        try:
            counts = anyio.run(lambda: verify(mailboxes, both, journal, listener, patience=how.patience))
        finally:
            write_results(journal, folder, delimiter=journal.fact(DELIMITER_FACT) or ",")
        return Verified(counts, folder.results, folder.path, group_logins(journal.record_rows(), keep=EXAMPLES))


def _account(
    folder: RunFolder,
    journal: Journal,
    connect: Callable[[RunFolder], AbstractContextManager[Connection]],
    listener: Listener,
) -> Account:
    with connect(folder) as connection:
        journal.belong_to(service_name(connection.api_url))

        async def ask() -> Account:
            async with Service(connection, RateLimiter(connection.rates), listener) as service:
                return await service.account()

        return anyio.run(ask)


def _passwords(
    sheets: Sequence[Path], journal: Journal, listener: Listener, schema_file: Path | None
) -> dict[str, list[Secret]]:
    """All passwords that the sheets give, by what their mailboxes are known by."""
    rules = schema.load(schema_file)
    resolver = Resolver(None)
    known = defaultdict[str, list[Secret]](list)
    fact = journal.fact(SHEET_FACT)
    for path in sheets or ([Path(fact)] if fact else []):
        try:
            sheet = read(path, rules, blank_password_ok=True)
        except SheetError as error:
            if sheets:
                raise
            listener.note(f"The sheet of the run cannot be read for its passwords: {error.message}")
            continue
        for key, given in passwords(sheet, lambda email, domain: resolver.identity(email, domain).key).items():
            known[key] += given
    return known
