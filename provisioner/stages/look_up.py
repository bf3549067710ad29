"""Ask the service what became of rows whose answer was never seen: one listing of mailboxes for all of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from provisioner.journal import Finished, Journal
from provisioner.records import Listing, Mailbox, RowId, Status, Unconfirmed
from provisioner.service import ListingUnavailableError, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.events import Listener


LOOKED_UP = "no clear answer came; looked up, and not there yet"
NOT_LOOKED_UP = "no clear answer came, and it could not be looked up"


async def look_up(
    unconfirmed_rows: Sequence[Unconfirmed],
    service: Service,
    journal: Journal,
    listener: Listener,
    *,
    wall_clock: Callable[[], float],
) -> list[Unconfirmed]:
    """Look all of them up at once, store what was found, and answer those that may be sent again.

    A mailbox that is there is `created` where a create of ours may have made it, else `exists`. Where the list cannot
    be had, the rows stay as they are, with the reason. Raises StoppedError and LimiterClosedError.
    """
    if not unconfirmed_rows:
        return []
    try:
        there, unclear = await _look_up(unconfirmed_rows, service)
    except ListingUnavailableError as error:
        listener.note(f"{len(unconfirmed_rows)} rows without a clear answer could not be looked up: {error}.")
        there, unclear = {}, {unconfirmed.job.row_id: str(error) for unconfirmed in unconfirmed_rows}
    changes: list[Finished] = []
    resend: list[Unconfirmed] = []
    for unconfirmed in unconfirmed_rows:
        row_id = unconfirmed.job.row_id
        outcome = _outcome(unconfirmed, there.get(row_id), unclear.get(row_id), wall_clock())
        if outcome is not None:
            changes.append(outcome)
        if unconfirmed.resend and row_id not in there and row_id not in unclear:
            resend.append(unconfirmed)
        else:
            listener.finished(outcome.status if outcome is not None else unconfirmed.status)
    await journal.record(*changes)
    return resend


def _outcome(unconfirmed: Unconfirmed, mailbox: Mailbox | None, unclear: str | None, now: float) -> Finished | None:
    """What the look came to for one row; None where the row stays as it is."""
    row_id = unconfirmed.job.row_id
    if mailbox is not None:
        ours = unconfirmed.job.maybe_sent or unconfirmed.status is Status.UNFINISHED
        status = Status.CREATED if ours else Status.EXISTS
        return Finished(row_id, status, now, "", mailbox.id, mailbox.address or "")
    if unconfirmed.refusal:
        return Finished(row_id, Status.REJECTED, now, unconfirmed.refusal)
    if unconfirmed.status is Status.UNKNOWN:
        return Finished(
            row_id, unconfirmed.status, now, LOOKED_UP if unclear is None else f"{NOT_LOOKED_UP}: {unclear}"
        )
    return None


async def _look_up(
    unconfirmed_rows: Sequence[Unconfirmed], service: Service
) -> tuple[dict[RowId, Mailbox], dict[RowId, str]]:
    """The mailboxes that are there, and why nothing certain can be said of a row, by row."""
    names = await _domain_names(service)
    wanted = _Wanted(unconfirmed_rows, names)
    there: dict[RowId, Mailbox] = {}
    unclear = {
        unconfirmed.job.row_id: "it is not known which of the account's domains it is in"
        for unconfirmed in unconfirmed_rows
        if not unconfirmed.job.request.domain
    }
    async for mailbox in service.mailboxes():
        for unconfirmed in wanted.by_username.get(mailbox.username.casefold(), ()):
            same = wanted.is_same_domain(unconfirmed, mailbox)
            if same:
                there[unconfirmed.job.row_id] = mailbox
            elif same is None:
                unclear[unconfirmed.job.row_id] = "the service's list does not say which domain a mailbox belongs to"
    return there, unclear


async def _domain_names(service: Service) -> dict[int, str]:
    try:
        return {domain.id: domain.name for domain in await service.resources(Listing.DOMAINS) if domain.name}
    except ListingUnavailableError:
        return {}


class _Wanted:
    """The mailboxes that are looked for."""

    def __init__(self, unconfirmed_rows: Sequence[Unconfirmed], names: dict[int, str]) -> None:
        self._names = names
        self.by_username: defaultdict[str, list[Unconfirmed]] = defaultdict(list)
        for unconfirmed in unconfirmed_rows:
            self.by_username[unconfirmed.job.request.email.casefold()].append(unconfirmed)

    def is_same_domain(self, unconfirmed: Unconfirmed, mailbox: Mailbox) -> bool | None:
        """None where the list and the domains' names do not tell."""
        domain = unconfirmed.job.request.domain
        if mailbox.domain is not None:
            return mailbox.domain == domain
        name = mailbox.address.partition("@")[2] if mailbox.address else None
        if not name or domain not in self._names:
            return None
        return name.casefold() == self._names[domain].casefold()
