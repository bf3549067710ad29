"""The account's mail servers, remembered with the run, so that they are known without asking the service again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.resources import Account, MailServer

if TYPE_CHECKING:
    from provisioner.journal import Journal

_FACT = "mail servers"


def remember_servers(journal: Journal, account: Account) -> None:
    """Store the account's mail servers. Raises JournalError."""
    servers = {"smtp": account.smtp, "imap": account.imap}
    journal.set_fact(_FACT, json.dumps({name: server and asdict(server) for name, server in servers.items()}))


def remembered_servers(journal: Journal) -> Account | None:
    """The account as far as it was stored, its mail servers alone; None if nothing was. Raises JournalError."""
    fact = journal.fact(_FACT)
    if fact is None:
        return None
    stored = {name: server and MailServer(**server) for name, server in json.loads(fact).items()}
    return Account(facts={}, **stored)
