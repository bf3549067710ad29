"""Ask what the account has, before rows are resolved."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

from provisioner.concurrency import in_threads
from provisioner.errors import StoppedError
from provisioner.resources import Account, Listing, Resource, Resources
from provisioner.service import ListingUnavailableError, Service
from provisioner.stages.remembered import remember_servers
from provisioner.stages.verify import mail_servers

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from provisioner.events import Listener
    from provisioner.journal import Journal
    from provisioner.run_folder import RunFolder
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection
    from provisioner.stages.context import RunContext

    Connect = Callable[[RunFolder], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class FetchedAccount:
    """What is known of the account."""

    account: Account | None = None
    """None if it was not asked for, or could not be had."""
    resources: Resources | None = None
    """None in the same cases."""
    trouble: StoppedError | None = None
    """Why the service could not be asked. It matters only if something is to be sent."""


async def fetch_account(context: RunContext) -> FetchedAccount:
    """Ask who the key belongs to and what the account has; an interruption ends it early.

    The journal belongs to the service as soon as that has told anything: an address that was mistyped claims nothing.
    Raises SettingsError if mailboxes are to be logged in to and the account names no mail servers.
    """
    account = resources = trouble = None
    try:
        with context.stop_signal.cancelling():
            account = await context.service.account()
            if context.options.verify is not None:
                mail_servers(account, context.options.verify)
            listed = await _resources(context.service, context.listener)
            if account.facts or listed != Resources(None, None, None):
                await run_sync(context.journal.belong_to, context.connection.service_name)
            resources = replace(listed, practice=context.connection.practice)
            await run_sync(remember_servers, context.journal, account)
    except StoppedError as error:
        trouble = error
    return FetchedAccount(account, resources, trouble)


async def ask_account(
    folder: RunFolder, journal: Journal, connect: Connect, listener: Listener, limiter: RateLimiter | None
) -> Account:
    """Ask who the key of a run that was made earlier belongs to. Raises RunFolderError and StoppedError.

    `limiter` is shared by all that keep one rate; None makes one.
    """
    async with in_threads(connect(folder)) as connection:
        await run_sync(journal.refuse_other_service, connection.service_name)
        async with Service(connection, limiter, listener) as service:
            account = await service.account()
    await run_sync(remember_servers, journal, account)
    return account


async def _resources(service: Service, listener: Listener) -> Resources:
    """List what the account has, each kind once; a list that is not available is noted. Raises StoppedError."""
    found: dict[Listing, tuple[Resource, ...] | None] = {}
    for listing in (Listing.DOMAINS, Listing.RELAY_SERVERS, Listing.PROJECTS):
        try:
            found[listing] = await service.resources(listing)
        except ListingUnavailableError as error:
            found[listing] = None
            listener.note(
                f"The account's {listing.words} could not be looked up beforehand, so the service decides: {error}."
            )
    return Resources(found[Listing.DOMAINS], found[Listing.RELAY_SERVERS], found[Listing.PROJECTS])
