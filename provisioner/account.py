"""What only asks the service and changes nothing there: the account, its lists, and its exports."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from anyio.to_thread import run_sync

from provisioner.concurrency import in_threads
from provisioner.errors import FilesError, SettingsError, UnavailableError, WrongServiceError
from provisioner.journal import Journal
from provisioner.resources import Account, Listing
from provisioner.service import ListingUnavailableError, Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.sheets import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from provisioner.events import Listener
    from provisioner.run_folder import RunFolder
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
    async with Service(connection, limiter or RateLimiter(connection.rates), listener) as service:
        return await service.account()


async def listing(connection: Connection, what: Listing, listener: Listener, show: Callable[[list[Item]], None]) -> int:
    """Hand each page of a list to `show` as it comes, and return the number of entries. Raises StoppedError.

    `show` is called in a worker thread.
    """
    count = 0
    async with Service(connection, RateLimiter(connection.rates), listener) as service:
        await service.account()
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
    """The outcome of an export."""

    rows: int
    """Mailboxes in it."""
    missing: int = 0
    """Mailboxes of the run that was asked for which the service's export does not hold."""


async def export(
    connection: Connection,
    name: str,
    listener: Listener,
    into: Path | IO[bytes],
    *,
    only: RunFolder | None = None,
    limiter: RateLimiter | None = None,
) -> Exported:
    """Download the CSV made for a sending service, see that it is one, and put it in its place in one step.

    `into`: a file, which is replaced and which only its owner may read; or a stream. `only` keeps the mailboxes of one
    run. `limiter` is shared by all that keep one rate; None makes one. Nothing is written unless all of it arrived.
    Raises StoppedError and UnusableError.
    """
    wanted = await run_sync(_addresses, only) if only is not None else None
    folder = into.parent if isinstance(into, Path) else None
    try:
        async with in_threads(await run_sync(lambda: tempfile.TemporaryFile(dir=folder))) as raw:
            async with Service(connection, limiter or RateLimiter(connection.rates), listener) as service:
                await _download(service, name, raw)
            return await run_sync(_put, raw, into, wanted)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise FilesError(
            f"The export cannot be written: {error.strerror or error}.", remedy="Name another file, or make room."
        ) from error


async def _download(service: Service, name: str, into: IO[bytes]) -> None:
    await service.account()
    async with aclosing(service.download(name)) as pieces:
        async for piece in pieces:
            await run_sync(into.write, piece)


def _put(raw: IO[bytes], into: Path | IO[bytes], wanted: frozenset[str] | None) -> Exported:
    """Check what was downloaded, and only then write it."""
    raw.seek(0)
    if isinstance(into, Path):
        with replacing(into) as part, part.open("wb") as file:
            exported = _copy(raw, file, wanted)
            file.flush()
            os.fsync(file.fileno())
        return exported
    with tempfile.TemporaryFile() as checked:
        exported = _copy(raw, checked, wanted)
        checked.seek(0)
        shutil.copyfileobj(checked, into)
        into.flush()
        return exported


def _copy(raw: IO[bytes], into: Any, wanted: frozenset[str] | None) -> Exported:
    """Copy a CSV file row by row, the wanted ones only. Cells stay as they are: another program is to read them."""
    rows, met = 0, set[str]()
    text = io.TextIOWrapper(into, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\r\n")
        source = _rows(raw)
        writer.writerow(next(source))
        for row in source:
            own = {cell.strip().casefold() for cell in row} & wanted if wanted is not None else set()
            if wanted is None or own:
                writer.writerow(row)
                rows += 1
                met |= own
    finally:
        text.detach()
    return Exported(rows, len(wanted - met) if wanted is not None else 0)


def _rows(raw: IO[bytes]) -> Iterator[list[str]]:
    """The rows of what was downloaded, blank ones left out. Raises WrongServiceError where it is no CSV file."""
    text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    try:
        width = 0
        for row in csv.reader(text, strict=True):
            if not row:
                continue
            if not width and (len(row) < 2 or row[0].lstrip()[:1] in ("<", "{", "[")):  # noqa: PLR2004 - a mailbox has a password too
                raise _no_table("it does not begin with a header")
            width = width or len(row)
            if len(row) != width:
                raise _no_table("its rows differ in length")
            if any(_CONTROL.search(cell) for cell in row):
                raise _no_table("a cell holds a control character, which programs take in different ways")
            yield row
        if not width:
            raise _no_table("it is empty")
    except (csv.Error, UnicodeDecodeError) as error:
        raise _no_table(str(error)) from error
    finally:
        text.detach()


def _no_table(reason: str) -> WrongServiceError:
    return WrongServiceError(
        f"What the service sent is not a whole CSV file: {reason}.",
        remedy="Nothing was written. Run again; if it stays so, ask Mission Inbox's support.",
    )


def _addresses(run: RunFolder) -> frozenset[str]:
    """The addresses that a run made or found, in lower case."""
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
    """A value as it is shown; of an object within, what names it."""
    if isinstance(value, dict):
        return _cell(next((value[key] for key in ("name", "id") if value.get(key) is not None), None), safe)
    return value if isinstance(value, int | bool | None) else safe(str(value))
