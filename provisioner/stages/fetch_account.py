"""Ask what the account has, before any row is resolved by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.records import Listing, Resource, Resources
from provisioner.service import ListingUnavailableError

if TYPE_CHECKING:
    from provisioner.events import Listener
    from provisioner.service import Service


async def fetch_account(service: Service, listener: Listener) -> Resources:
    """List what the account has, each kind once; a list that cannot be had is noted. Raises StoppedError."""
    found: dict[Listing, tuple[Resource, ...] | None] = {}
    for listing in (Listing.DOMAINS, Listing.RELAY_SERVERS, Listing.PROJECTS):
        try:
            found[listing] = await service.resources(listing)
        except ListingUnavailableError as error:
            found[listing] = None
            what = listing.replace("-", " ")
            listener.note(f"The account's {what} could not be looked up beforehand, so the service decides: {error}.")
    return Resources(found[Listing.DOMAINS], found[Listing.RELAY_SERVERS], found[Listing.PROJECTS])
