"""Look in the service's list of mailboxes for rows whose mailbox may exist.

A list proves that a mailbox is not there only if it is whole and did not change while it was read. What it has, it has.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from provisioner.domains import is_same_domain
from provisioner.journal import Finished
from provisioner.records import Job, RowId, Status, Unconfirmed
from provisioner.resources import Listing, Mailbox
from provisioner.service import ListChangedError, ListingUnavailableError
from provisioner.service.lists import READINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.service import Service
    from provisioner.stages.context import RunContext

NO_ANSWER = "no clear answer came"
LOOKED_UP = "looked up, and not there yet"
NOT_LOOKED_UP = "could not be looked up"
EXISTED = "it existed before this run, so its password may be another"


async def set_aside_existing(jobs: Sequence[Job], context: RunContext) -> list[Job]:
    """Look which mailboxes are there before anything is sent, and return the jobs that are to be sent.

    A mailbox that is there is never sent, nor is one that an earlier create may have made and the list does not rule
    out. The others know whether the list said that they were not there, so that what is found later is known to be this
    run's. Raises StoppedError and LimiterClosedError.
    """
    if not jobs:
        return []
    found = await _find(jobs, context.service)
    there = [(job, found.there[job.row_id]) for job in jobs if job.row_id in found.there]
    uncertain = [job for job in jobs if job.maybe_sent and job.row_id in found.unclear]
    await _finish_found(there, context)
    unknown = [(job.row_id, f"{NO_ANSWER}; {NOT_LOOKED_UP}: {found.unclear[job.row_id]}") for job in uncertain]
    await context.finish(*(Finished(row_id, Status.UNKNOWN, context.wall_clock(), error) for row_id, error in unknown))
    for _ in (*there, *uncertain):
        context.listener.sent()
    left = {job.row_id for job in jobs} - found.there.keys() - {job.row_id for job in uncertain}
    return [replace(job, was_absent=job.row_id not in found.unclear) for job in jobs if job.row_id in left]


async def look_up(unconfirmed_rows: Sequence[Unconfirmed], context: RunContext) -> list[Unconfirmed]:
    """Look all of them up at once, store what was found, and return those that are certainly not there.

    A mailbox that is there is `created` if a create of ours may have made it, else `exists`. A row about which the list
    proves nothing stays as it is, with the reason. Raises StoppedError and LimiterClosedError.
    """
    if not unconfirmed_rows:
        return []
    found = await _find([unconfirmed.job for unconfirmed in unconfirmed_rows], context.service)
    if found.doubt:
        context.listener.note(f"Some rows without a clear answer could not be looked up: {found.doubt}.")
    there, changes, absent = [], [], []
    for unconfirmed in unconfirmed_rows:
        job, unclear = unconfirmed.job, found.unclear.get(unconfirmed.job.row_id)
        if job.row_id in found.there:
            is_ours = job.maybe_sent or unconfirmed.status is Status.UNFINISHED
            there.append((replace(job, maybe_sent=is_ours), found.there[job.row_id]))
            continue
        if unclear is not None or not (unconfirmed.resend or unconfirmed.if_absent):
            status = unconfirmed.status if unconfirmed.status is Status.UNKNOWN else unconfirmed.if_absent
            context.listener.finished(status or unconfirmed.status)
        else:
            status = unconfirmed.status
            absent.append(unconfirmed)
        if status is not None:
            changes.append(Finished(job.row_id, status, context.wall_clock(), _error(unconfirmed, unclear)))
    await _finish_found(there, context)
    await context.journal.record(*changes)
    return absent


async def settle_absent(unconfirmed_rows: Sequence[Unconfirmed], context: RunContext) -> list[Job]:
    """Give up waiting for rows that are not there, and return the jobs of those that may be sent again."""
    changes = []
    for unconfirmed in unconfirmed_rows:
        if unconfirmed.if_absent is not None:
            error = unconfirmed.reason if unconfirmed.if_absent is not Status.UNKNOWN else _error(unconfirmed, None)
            changes.append(Finished(unconfirmed.job.row_id, unconfirmed.if_absent, context.wall_clock(), error))
    await context.finish(*changes)
    return [unconfirmed.job for unconfirmed in unconfirmed_rows if unconfirmed.resend]


async def _finish_found(found: Sequence[tuple[Job, Mailbox]], context: RunContext) -> None:
    changes = []
    for job, mailbox in found:
        status = Status.CREATED if job.maybe_sent or job.was_absent else Status.EXISTS
        error = EXISTED if status is Status.EXISTS and job.keeps_password else ""
        changes.append(Finished(job.row_id, status, context.wall_clock(), error, mailbox.id, mailbox.address or ""))
    await context.finish(*changes)


def _error(unconfirmed: Unconfirmed, unclear: str | None) -> str:
    """Why a row is where it is: what the service said, and what the list did not."""
    looked = LOOKED_UP if unclear is None else f"{NOT_LOOKED_UP}: {unclear}"
    return f"{unconfirmed.reason.removesuffix('.') or NO_ANSWER}; {looked}"


async def _find(jobs: Sequence[Job], service: Service) -> _Found:
    found = _Found(jobs, await _domain_names(service))
    for _ in range(READINGS):
        found.doubt, may_help = "", False
        found.unclear = {job.row_id: "its domain is not known" for job in jobs if not job.request.domain}
        try:
            async for mailbox in service.mailboxes():
                found.compare(mailbox)
        except ListingUnavailableError as error:
            found.doubt, may_help = str(error), isinstance(error, ListChangedError)
        if not may_help or len(found.there) == len(jobs):
            break
    if found.doubt:
        found.unclear |= {job.row_id: found.doubt for job in jobs}
    found.unclear = {row_id: why for row_id, why in found.unclear.items() if row_id not in found.there}
    if not found.unclear:
        found.doubt = ""
    return found


async def _domain_names(service: Service) -> dict[int, str]:
    try:
        return {domain.id: domain.name for domain in await service.resources(Listing.DOMAINS) if domain.name}
    except ListingUnavailableError:
        return {}


class _Found:
    """What a list says about the mailboxes that are looked for."""

    def __init__(self, jobs: Sequence[Job], names: dict[int, str]) -> None:
        """`names` are the domains' names by their IDs."""
        self.there: dict[RowId, Mailbox] = {}
        self.unclear: dict[RowId, str] = {}
        """Why nothing certain can be said of a row that is not there."""
        self.doubt = ""
        """Why the list cannot prove that a mailbox is not there; empty if it can."""
        self._names = names
        self._by_username: defaultdict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            self._by_username[_plain(job.request.email)].append(job)

    def compare(self, mailbox: Mailbox) -> None:
        """See whether a mailbox of the list is one that is looked for, or may be."""
        for job in self._by_username.get(_plain(mailbox.username), ()):
            same = self._is_same_domain(job.request.domain, mailbox)
            if same:
                self.there[job.row_id] = mailbox
            elif same is None:
                self.unclear[job.row_id] = "the service's list does not say which domain a mailbox belongs to"

    def _is_same_domain(self, domain: int, mailbox: Mailbox) -> bool | None:
        """None if the list and the domains' names do not tell, or contradict each other."""
        name = mailbox.address.rpartition("@")[2] if mailbox.address else ""
        known = self._names.get(domain)
        by_name = is_same_domain(name, known) if name and known else None
        if mailbox.domain is None or by_name is None:
            return by_name if mailbox.domain is None else mailbox.domain == domain
        return by_name if by_name == (mailbox.domain == domain) else None


def _plain(username: str) -> str:
    return unicodedata.normalize("NFC", username).casefold()
