"""What only asks the service and changes nothing there: the account, its lists, and its exports."""

from __future__ import annotations

import csv
import io
import re
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from provisioner.errors import FilesError, SettingsError, UnavailableError, WrongServiceError, os_errors_as
from provisioner.journal import Journal
from provisioner.resources import Account, Listing
from provisioner.service import ListingUnavailableError, Service
from provisioner.sheets import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.run_folder import RunFolder
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection

Item = dict[str, str | int | bool | None]
"""One entry of a list: what it says under each of the list's columns."""

COLUMNS = {
    Listing.MAILBOXES: ("id", "email", "domain", "relay_server", "project", "reply_to", "status"),
    Listing.DOMAINS: ("id", "name", "verified", "status", "relay_server", "project", "redirect"),
    Listing.RELAY_SERVERS: ("id", "name", "provider", "status"),
    Listing.PROJECTS: ("id", "name"),
}
"""What is shown of each list. Never all that the service answers, for that can hold passwords and keys."""
SERVICES = ("smartlead", "instantly", "reply.io", "woodpecker", "emailbison")
"""The sending services that there are exports for."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


async def account(connection: Connection, listener: Listener, *, limiter: RateLimiter | None = None) -> Account:
    """Ask who the key belongs to, and for the mail servers. Raises StoppedError.

    `limiter` is shared by all that keep one rate; None makes one.
    """
    async with Service(connection, limiter, listener) as service:
        return await service.account()


async def listing(connection: Connection, what: Listing, listener: Listener, show: Callable[[list[Item]], None]) -> int:
    """Hand each page of a list to `show` as it comes, and return the number of entries.

    `show` is called in a worker thread. Raises StoppedError, and UnavailableError if the service does not list it.
    """
    async with Service(connection, None, listener) as service:
        await service.account()
        return await _listing(service, what, show)


async def listings(
    connection: Connection, wanted: Iterable[Listing], listener: Listener, *, limiter: RateLimiter
) -> dict[Listing, list[Item] | UnavailableError]:
    """The entries of several lists; for each that the service does not list, why. Raises StoppedError.

    `limiter` is shared by all that keep one rate.
    """
    found: dict[Listing, list[Item] | UnavailableError] = {}
    async with Service(connection, limiter, listener) as service:
        await service.account()
        for what in wanted:
            entries: list[Item] = []
            try:
                await _listing(service, what, entries.extend)
                found[what] = entries
            except UnavailableError as error:
                found[what] = error
    return found


async def _listing(service: Service, what: Listing, show: Callable[[list[Item]], None]) -> int:
    count = 0
    try:
        async with aclosing(service.pages(what)) as pages:
            async for page in pages:
                count += len(page)
                await run_sync(show, [_item(entry, what, service.safe) for entry in page])
    except ListingUnavailableError as error:
        raise UnavailableError(
            f"The account's {what.words} cannot be listed: {error}.",
            remedy="See them at Mission Inbox; or run again later, if the service is out of order.",
        ) from error
    return count


@dataclass(frozen=True, slots=True)
class Exported:
    """What the service exports for a sending service."""

    content: bytes
    """A CSV file."""
    rows: int
    """Mailboxes in it."""
    missing: int = 0
    """Mailboxes of the run that was asked for which the service's export does not hold."""

    def save(self, path: Path) -> None:
        """Put it in the place of a file in one step, for its owner alone. Raises FilesError."""
        with os_errors_as(FilesError, "The export cannot be written", remedy="Name another file, or make room."):
            replace_file(path, self.content)


async def export(
    connection: Connection,
    name: str,
    listener: Listener,
    *,
    only: RunFolder | None = None,
    limiter: RateLimiter | None = None,
) -> Exported:
    """Download the CSV made for a sending service, and see that it is one.

    `only` keeps the mailboxes of one run. `limiter` is shared by all that keep one rate; None makes one. Raises
    StoppedError and UnusableError.
    """
    wanted = await run_sync(_addresses, only) if only is not None else None
    async with Service(connection, limiter, listener) as service:
        await service.account()
        content = await service.download(name)
    return await run_sync(_checked, content, wanted)


def _checked(content: bytes, wanted: frozenset[str] | None) -> Exported:
    """The wanted rows of what was downloaded; None wants all. Cells stay as they are: another program is to read them.

    Raises WrongServiceError.
    """
    header, *rows = _rows(content)
    missing = set(wanted or ())
    if wanted is not None:
        own = [wanted.intersection(cell.strip().casefold() for cell in row) for row in rows]
        rows = [row for row, addresses in zip(rows, own, strict=True) if addresses]
        missing.difference_update(*own)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows([header, *rows])
    return Exported(text.getvalue().encode(), len(rows), len(missing))


def _rows(content: bytes) -> list[list[str]]:
    """The rows of what was downloaded, blank ones left out. Raises WrongServiceError if it is no CSV file."""
    try:
        text = content.decode("utf-8-sig")
        rows = list(filter(None, csv.reader(io.StringIO(text, newline=""), strict=True)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _no_table(str(error)) from error
    if not rows:
        raise _no_table("it is empty")
    header = rows[0]
    if len(header) < 2 or header[0].lstrip()[:1] in ("<", "{", "["):  # noqa: PLR2004 - a mailbox has a password too
        raise _no_table("it does not begin with a header")
    if any(len(row) != len(header) for row in rows):
        raise _no_table("its rows differ in length")
    if _CONTROL.search(text):
        raise _no_table("a cell holds a control character, which programs take in different ways")
    return rows


def _no_table(reason: str) -> WrongServiceError:
    return WrongServiceError(
        f"What the service sent is not a whole CSV file: {reason}.",
        remedy="Nothing was written. Run again; if it stays so, ask Mission Inbox's support.",
    )


def _addresses(run: RunFolder) -> frozenset[str]:
    """The addresses of a run's mailboxes, in lower case."""
    with closing(Journal(run.journal)) as journal:
        there = list(journal.done())
    if any(not line.address for line in there):
        raise SettingsError(
            f"The run in {run.path} does not know the full address of every mailbox.",
            remedy="Run its sheet again first: nothing is created twice, and the addresses are looked up.",
        )
    return frozenset(line.address.casefold() for line in there)


def _item(entry: Mapping[str, Any], what: Listing, safe: Callable[[str], str]) -> Item:
    return {column: _cell(entry.get(column), safe) for column in COLUMNS[what]}


def _cell(value: object, safe: Callable[[str], str]) -> str | int | bool | None:
    """A value as it is shown; for a nested object, its name or its ID."""
    if isinstance(value, dict):
        return _cell(next((value[key] for key in ("name", "id") if value.get(key) is not None), None), safe)
    return value if isinstance(value, int | bool | None) else safe(str(value))
