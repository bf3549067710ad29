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
    from provisioner.web.workspace import Connect


class AccountState:
    """What is known of the service and of the account that the key belongs to."""

    def __init__(self) -> None:
        self.host = ""
        """The service's address without its scheme; empty until it is known."""
        self.account: Account | None = None
        self.trouble: ProvisionerError | None = None
        """Why it is not known."""
        self.answered = anyio.Event()

    @property
    def whose(self) -> str:
        """The account's name; empty if it is not known."""
        facts = self.account.facts if self.account is not None else {}
        return facts.get("name") or facts.get("email") or ""

    async def ask(self, connect: Connect) -> None:
        """Ask the service. Never raises what it says."""
        try:
            async with in_threads(connect(None)) as connection:
                self.host = connection.api_url.partition("://")[2].rstrip("/")
                self.account = await account_calls.account(connection, NullListener())
        except ProvisionerError as error:
            self.trouble = error
        finally:
            self.answered.set()
