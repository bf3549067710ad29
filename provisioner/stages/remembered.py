"""What a run found out about the service, remembered with it: the rate that it allows, and the mail servers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.journal import Fact
from provisioner.records import Rate
from provisioner.resources import Account, MailServer

if TYPE_CHECKING:
    from provisioner.journal import Journal
    from provisioner.service.rate_limiter import RateLimiter


def remember_rate(journal: Journal, limiter: RateLimiter) -> None:
    """Store the rate that was found, if any, so that the next run begins there. Raises JournalError."""
    if (rate := limiter.to_remember) is not None:
        journal.set_fact(Fact.RATE, str(rate))


def remembered_rate(journal: Journal) -> Rate | None:
    """The rate that an earlier run found; None if none did. Raises JournalError."""
    fact = journal.fact(Fact.RATE)
    return None if fact is None else Rate.parse(fact)


def remember_servers(journal: Journal, account: Account) -> None:
    """Store the account's mail servers. Raises JournalError."""
    servers = {"smtp": account.smtp, "imap": account.imap}
    journal.set_fact(Fact.SERVERS, json.dumps({name: server and asdict(server) for name, server in servers.items()}))


def remembered_servers(journal: Journal) -> Account | None:
    """The account as far as it was stored, its mail servers alone; None if nothing was. Raises JournalError."""
    fact = journal.fact(Fact.SERVERS)
    if fact is None:
        return None
    stored = {name: server and MailServer(**server) for name, server in json.loads(fact).items()}
    return Account(facts={}, **stored)
