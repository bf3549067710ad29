"""Ask what the account has, before any row is resolved by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.records import Holding, Holdings, Listing
from provisioner.service import ListingUnavailableError

if TYPE_CHECKING:
    from provisioner.progress import Listener
    from provisioner.service import Service


async def take_stock(service: Service, listener: Listener) -> Holdings:
    """List what the account has, each kind once; a list that cannot be had is noted. Raises StoppedError."""
    found: dict[Listing, tuple[Holding, ...] | None] = {}
    for listing in (Listing.DOMAINS, Listing.RELAY_SERVERS, Listing.PROJECTS):
        try:
            found[listing] = await service.holdings(listing)
        except ListingUnavailableError as error:
            found[listing] = None
            what = listing.replace("-", " ")
            listener.note(f"The account's {what} could not be looked up beforehand, so the service decides: {error}.")
    return Holdings(found[Listing.DOMAINS], found[Listing.RELAY_SERVERS], found[Listing.PROJECTS])
