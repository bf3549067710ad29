"""Whose key it is, asked in the background while the page can be used already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner import account as account_calls
from provisioner.concurrency import in_threads
from provisioner.errors import ProvisionerError
from provisioner.events import NullListener
from provisioner.web.live import Changes

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
        self.asking = False
        self.changes = Changes()

    async def ask(self, connect: Connect) -> None:
        """Ask the service. What comes of it is never raised."""
        self.asking = True
        try:
            async with in_threads(connect(None)) as connection:
                self.host = _host(connection)
                self.account = await account_calls.account(connection, NullListener())
        except ProvisionerError as error:
            self.trouble = error
        except Exception as error:  # noqa: BLE001 - the page must go on; what it was may hold anything
            self.trouble = ProvisionerError(
                f"Something unexpected happened in the program ({type(error).__name__}).",
                remedy="The account could not be asked about. Close the page and start it again.",
            )
        finally:
            self.asking = False
            self.changes.tell()


def _host(connection: Connection) -> str:
    return connection.api_url.partition("://")[2].rstrip("/")
