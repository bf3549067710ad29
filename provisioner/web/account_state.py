"""Whose key it is, asked in the background while the page can be used already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from provisioner import account as account_calls
from provisioner.concurrency import in_threads
from provisioner.events import NullListener
from provisioner.web.live import Changes
from provisioner.web.phrases import told

if TYPE_CHECKING:
    from provisioner.errors import ProvisionerError
    from provisioner.resources import Account
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection
    from provisioner.web.workspace import Connect


PATIENCE: Final = 15.0
"""Seconds for which a service that cannot be reached is tried while somebody waits."""


class AccountState:
    """What is known of the service and of the account that the key belongs to."""

    def __init__(self, *, asking: bool = False) -> None:
        self.host = ""
        """The service's address without its scheme; empty until it is known."""
        self.account: Account | None = None
        self.trouble: ProvisionerError | None = None
        """Why the account is not known."""
        self.asking = asking
        self.changes = Changes()

    @classmethod
    def of(cls, connection: Connection, account: Account) -> AccountState:
        """The state of an account that is known."""
        state = cls()
        state.host, state.account = _host(connection), account
        return state

    async def ask(self, connect: Connect, limiter: RateLimiter) -> None:
        """Ask the service. An error is kept in `trouble`, and never raised."""
        try:
            async with in_threads(connect(None)) as connection:
                self.host = _host(connection)
                self.account = await whose(connection, limiter)
        except Exception as error:  # noqa: BLE001 - the page must go on
            self.trouble = told(error, "The account could not be asked about. Close the page and start it again.")
        finally:
            self.asking = False
            self.changes.tell()


async def whose(connection: Connection, limiter: RateLimiter) -> Account:
    """Ask whose a key is, without the patience of a run. Raises StoppedError."""
    return await account_calls.account(replace(connection, patience=PATIENCE), NullListener(), limiter=limiter)


def _host(connection: Connection) -> str:
    return connection.api_url.partition("://")[2].rstrip("/")
