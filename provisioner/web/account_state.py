"""Whose key it is, asked in the background while the page can be used already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from provisioner import account as account_calls
from provisioner.concurrency import in_threads
from provisioner.errors import ProvisionerError
from provisioner.events import NullListener

if TYPE_CHECKING:
    from provisioner.resources import Account
    from provisioner.settings import Connection
    from provisioner.web.workspace import Connect


class AccountState:
    """What is known of the service and of the account that the key belongs to."""

    def __init__(self, connection: Connection | None = None, account: Account | None = None) -> None:
        self.host = _host(connection) if connection is not None else ""
        """The service's address without its scheme; empty until it is known."""
        self.account = account
        self.trouble: ProvisionerError | None = None
        """Why the account is not known."""
        self.answered = anyio.Event()
        """Set once the account or the trouble is known."""
        if account is not None:
            self.answered.set()

    async def ask(self, connect: Connect) -> None:
        """Ask the service. Never raises what comes of it."""
        try:
            async with in_threads(connect(None)) as connection:
                self.host = _host(connection)
                self.account = await account_calls.account(connection, NullListener())
        except ProvisionerError as error:
            self.trouble = error
        finally:
            self.answered.set()


def _host(connection: Connection) -> str:
    return connection.api_url.partition("://")[2].rstrip("/")
