"""The account's mail servers, remembered with the run, so that they are known without asking the service again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from provisioner.resources import MailServer

if TYPE_CHECKING:
    from provisioner.journal import Journal
    from provisioner.resources import Account

_FACT = "mail servers"


@dataclass(frozen=True, slots=True)
class MailServers:
    """Where the mail programs of an account log in; None where the service names no server."""

    smtp: MailServer | None
    imap: MailServer | None


def remember_servers(journal: Journal, account: Account) -> MailServers:
    """Store the account's mail servers. Raises JournalError."""
    servers = MailServers(account.smtp, account.imap)
    journal.set_fact(_FACT, json.dumps(asdict(servers)))
    return servers


def remembered_servers(journal: Journal) -> MailServers | None:
    """What was stored, or None if nothing was. Raises JournalError."""
    fact = journal.fact(_FACT)
    if fact is None:
        return None
    stored = {name: MailServer(**server) if server else None for name, server in json.loads(fact).items()}
    return MailServers(**stored)
