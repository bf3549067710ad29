"""Ask the service what became of rows whose answer was never seen: one listing of mailboxes for all of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from provisioner.journal import Ended, Journal
from provisioner.records import Doubt, LineId, Listing, Mailbox, Status
from provisioner.service import ListingUnavailableError, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.progress import Listener


LOOKED_UP = "no clear answer came; looked up, and not there yet"
NOT_LOOKED_UP = "no clear answer came, and it could not be looked up"


async def settle(
    doubts: Sequence[Doubt],
    service: Service,
    journal: Journal,
    listener: Listener,
    *,
    wall_clock: Callable[[], float],
) -> list[Doubt]:
    """Look all of them up at once, store what was found, and answer those that may be sent again.

    A mailbox that is there is `created` where a create of ours may have made it, else `exists`. Where the list cannot
    be had, the rows stay as they are, with the reason. Raises StoppedError and LaneClosedError.
    """
    if not doubts:
        return []
    try:
        there, unclear = await _look_up(doubts, service)
    except ListingUnavailableError as error:
        listener.note(f"{len(doubts)} rows without a clear answer could not be looked up: {error}.")
        there, unclear = {}, {doubt.job.line: str(error) for doubt in doubts}
    changes: list[Ended] = []
    resend: list[Doubt] = []
    for doubt in doubts:
        line = doubt.job.line
        outcome = _outcome(doubt, there.get(line), unclear.get(line), wall_clock())
        if outcome is not None:
            changes.append(outcome)
        if doubt.resend and line not in there and line not in unclear:
            resend.append(doubt)
        else:
            listener.ended(outcome.status if outcome is not None else doubt.status)
    await journal.record(*changes)
    return resend


def _outcome(doubt: Doubt, mailbox: Mailbox | None, unclear: str | None, now: float) -> Ended | None:
    """What the look came to for one row; None where the row stays as it is."""
    line = doubt.job.line
    if mailbox is not None:
        ours = doubt.job.doubtful or doubt.status is Status.UNFINISHED
        status = Status.CREATED if ours else Status.EXISTS
        return Ended(line, status, now, "", mailbox.id, mailbox.address or "")
    if doubt.refusal:
        return Ended(line, Status.REJECTED, now, doubt.refusal)
    if doubt.status is Status.UNKNOWN:
        return Ended(line, doubt.status, now, LOOKED_UP if unclear is None else f"{NOT_LOOKED_UP}: {unclear}")
    return None


async def _look_up(doubts: Sequence[Doubt], service: Service) -> tuple[dict[LineId, Mailbox], dict[LineId, str]]:
    """The mailboxes that are there, and why nothing certain can be said of a row, by line."""
    names = await _domain_names(service)
    wanted = _Wanted(doubts, names)
    there: dict[LineId, Mailbox] = {}
    unclear = {
        doubt.job.line: "it is not known which of the account's domains it is in"
        for doubt in doubts
        if not doubt.job.request.domain
    }
    async for mailbox in service.mailboxes():
        for doubt in wanted.by_username.get(mailbox.username.casefold(), ()):
            same = wanted.is_same_domain(doubt, mailbox)
            if same:
                there[doubt.job.line] = mailbox
            elif same is None:
                unclear[doubt.job.line] = "the service's list does not say which domain a mailbox belongs to"
    return there, unclear


async def _domain_names(service: Service) -> dict[int, str]:
    try:
        return {domain.id: domain.name for domain in await service.holdings(Listing.DOMAINS) if domain.name}
    except ListingUnavailableError:
        return {}


class _Wanted:
    """The mailboxes that are looked for."""

    def __init__(self, doubts: Sequence[Doubt], names: dict[int, str]) -> None:
        self._names = names
        self.by_username: defaultdict[str, list[Doubt]] = defaultdict(list)
        for doubt in doubts:
            self.by_username[doubt.job.request.email.casefold()].append(doubt)

    def is_same_domain(self, doubt: Doubt, mailbox: Mailbox) -> bool | None:
        """None where the list and the domains' names do not tell."""
        domain = doubt.job.request.domain
        if mailbox.domain is not None:
            return mailbox.domain == domain
        name = mailbox.address.partition("@")[2] if mailbox.address else None
        if not name or domain not in self._names:
            return None
        return name.casefold() == self._names[domain].casefold()
