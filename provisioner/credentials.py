"""What a client is to be given: addresses, passwords, and the settings for mail programs, as CSV files or workbooks."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync

from provisioner import run_folder
from provisioner.concurrency import in_threads
from provisioner.errors import FilesError, SettingsError, os_errors_as
from provisioner.journal import Fact, Journal
from provisioner.records import Status
from provisioner.run_record import open_journal
from provisioner.settings import PRACTICE
from provisioner.sheets import escape_controls, escape_formula, replacing, write_table
from provisioner.sheets.text_workbook import text_workbook
from provisioner.stages.by_column import columns_by_header, find_column, value_of
from provisioner.stages.fetch_account import ask_account
from provisioner.stages.find_passwords import find_password, read_passwords
from provisioner.stages.look_up import EXISTED
from provisioner.stages.remembered import remembered_servers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from provisioner.events import Listener
    from provisioner.journal import JournalRow
    from provisioner.resources import Account, MailServer
    from provisioner.secret import Secret
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.stages.fetch_account import Connect

COLUMNS: Final = (
    "address",
    "password",
    "smtp_host",
    "smtp_port",
    "smtp_security",
    "imap_host",
    "imap_port",
    "imap_security",
    "login",
    "note",
)
SECURITY: Final = "SSL/TLS"
"""What mail programs call TLS from the first byte on, which all servers of the service have."""
UNKNOWN_PASSWORD: Final = "the password is not known; the service's export may hold it"  # noqa: S105 - a sentence
UNKNOWN_ADDRESS: Final = "the full address is not known; run the sheet again"
BLANK_AT_AN_END: Final = "the password begins or ends with a blank, which is part of it"
APOSTROPHE: Final = "the apostrophe before the password is not part of it"
KINDS: Final = (".csv", ".xlsx")
LONGEST_NAME: Final = 50
"""Characters of a value in a file's name, whose greatest length is 255 bytes on most systems."""


@dataclass(frozen=True, slots=True)
class MailboxCredentials:
    """One mailbox that is there, and its password if that is known."""

    row: JournalRow
    password: Secret | None

    @property
    def uncertain(self) -> bool:
        """Whether the mailbox existed before, so that its password may be another, and no log-in proved it."""
        return self.row.status is Status.EXISTS and not self.row.is_proven

    @property
    def note(self) -> str:
        """What its user has to know; empty if there is nothing."""
        notes = {
            UNKNOWN_ADDRESS: not self.row.address,
            UNKNOWN_PASSWORD: self.password is None,
            EXISTED: self.uncertain,
            BLANK_AT_AN_END: self.password is not None and self.password.reveal() != self.password.reveal().strip(),
        }
        return "; ".join(note for note, applies in notes.items() if applies)


@dataclass(frozen=True, slots=True)
class WrittenCredentials:
    """The files that were written, and what is to be said of the mailboxes in them."""

    files: Mapping[Path, int]
    """How many mailboxes each of them holds."""
    by_value: Mapping[str, Path]
    """The file for each value of the column that was named; empty if none was."""
    without_password: Sequence[str]
    """The addresses whose password is not known."""
    uncertain: Sequence[str]
    """The addresses that existed before, so that their password may be another."""
    not_created: int
    """How many rows of the run have no mailbox, and are in no file."""
    missing_servers: Sequence[str]
    """Which of SMTP and IMAP the service names no server for."""
    practice: bool
    """Whether the mailboxes are at a stand-in, and of no use to a client."""


async def write_credentials(
    run: Path,
    into: Path | None,
    connect: Connect,
    listener: Listener,
    *,
    by: str | None = None,
    sheets: Sequence[Path] = (),
    schema_file: Path | None = None,
    force: bool = False,
    limiter: RateLimiter | None = None,
) -> WrittenCredentials:
    """Write what a client is to be given of a run, named by its folder or its sheet.

    `into` ends in .csv or .xlsx; None is credentials.csv in the run folder. `by` names a column of the sheet: each of
    its values gets a file of its own, whose name ends in the value. Only its owner may read a file, and one that is
    there is replaced only with `force`. `connect` says where the service is; it is asked for the mail servers if the
    run does not know them. `limiter` is shared by all that keep one rate; None makes one. `sheets` hold the passwords;
    without any, the sheet of the latest run does.

    Raises UnusableError, StoppedError, and FilesError if a file cannot be written.
    """
    folder = await run_sync(run_folder.existing, run)
    target = folder.path / "credentials.csv" if into is None else into
    if target.suffix.lower() not in KINDS:
        raise SettingsError(f"{target} is neither a .csv nor an .xlsx file.", remedy="End its name with one of them.")
    async with in_threads(open_journal(folder)) as (journal, warning):
        account = await run_sync(remembered_servers, journal)
        if account is None:
            account = await ask_account(folder, journal, connect, listener, limiter)
        known, notes = await run_sync(read_passwords, sheets, journal, schema_file)
        for note in filter(None, (warning, *notes)):
            listener.note(note)
        return await run_sync(partial(_write, journal, known, account, target, by=by, force=force))


def find_credentials(
    rows: Iterable[JournalRow], known: Mapping[str, Sequence[Secret]]
) -> tuple[list[MailboxCredentials], int]:
    """The mailboxes of a run, and the number of rows that have none. `known`: what sheets give as passwords."""
    found, without = [], 0
    for row in rows:
        if row.status.has_mailbox:
            found.append(MailboxCredentials(row, find_password(row, known)))
        else:
            without += 1
    return found, without


def _write(
    journal: Journal,
    known: Mapping[str, Sequence[Secret]],
    account: Account,
    target: Path,
    *,
    by: str | None,
    force: bool,
) -> WrittenCredentials:
    headers = columns_by_header(journal)
    column = headers[find_column(headers, by)] if by is not None else None
    found, without = find_credentials(journal.record_rows(), known)
    files = {target: found} if column is None else _divided(found, column, target)
    _refuse_existing(files, force=force)
    # Where spreadsheet programs write semicolons, they do not split at commas.
    delimiter = ";" if journal.fact(Fact.DELIMITER) == ";" else ","
    for path, mailboxes in files.items():
        _write_file(path, mailboxes, account, delimiter)
    return WrittenCredentials(
        files={path: len(mailboxes) for path, mailboxes in files.items()},
        by_value={value_of(own[0].row, column): path for path, own in files.items()} if column is not None else {},
        without_password=[mailbox.row.name for mailbox in found if mailbox.password is None],
        uncertain=[mailbox.row.name for mailbox in found if mailbox.uncertain],
        not_created=without,
        missing_servers=[name for name, server in (("SMTP", account.smtp), ("IMAP", account.imap)) if server is None],
        practice=journal.fact(Fact.SERVICE) == PRACTICE,
    )


def _divided(
    mailboxes: Iterable[MailboxCredentials], column: str, target: Path
) -> dict[Path, list[MailboxCredentials]]:
    """The mailboxes by file: one for each value of a column, in the order in which the values come."""
    by_value: dict[str, list[MailboxCredentials]] = {}
    for mailbox in mailboxes:
        by_value.setdefault(value_of(mailbox.row, column), []).append(mailbox)
    names: dict[str, str] = {}
    for value in by_value:
        # Some systems take names that differ in case alone for one.
        name = wanted = safe_name(value) or f"without {safe_name(column)}"
        number = 1
        while name.casefold() in names:
            number += 1
            name = f"{wanted} ({number})"
        names[name.casefold()] = name
    files = [target.with_name(f"{target.stem}-{name}{target.suffix}") for name in names.values()]
    return dict(zip(files, by_value.values(), strict=True))


def safe_name(text: str) -> str:
    """`text` as part of a file's name on every system: letters, digits, and blanks, dots and hyphens between them."""
    plain = unicodedata.normalize("NFC", text)
    return re.sub(r" *[^\w .-][^\w.]*", "-", plain)[:LONGEST_NAME].strip(" .-")


def _refuse_existing(paths: Iterable[Path], *, force: bool) -> None:
    there = [path for path in paths if os.path.lexists(path)]
    if there and not force:
        raise SettingsError(
            f"There is a file {there[0]} already.",
            remedy="Name another with --output, or add --force to replace it.",
        )


def _write_file(path: Path, mailboxes: Iterable[MailboxCredentials], account: Account, delimiter: str) -> None:
    rows = [_cells(mailbox, account) for mailbox in mailboxes]
    with os_errors_as(FilesError, f"{path} cannot be written", remedy="Name another file, or make room."):
        if path.suffix.lower() == ".xlsx":
            with replacing(path) as part, text_workbook(part, "Mailboxes", COLUMNS) as add:
                for row in rows:
                    add(row, ())
        else:
            write_table(path, COLUMNS, map(_apostrophe_noted, rows), delimiter=delimiter)


def _cells(mailbox: MailboxCredentials, account: Account) -> list[str]:
    """What a file says of one mailbox, under COLUMNS."""
    password = mailbox.password.reveal() if mailbox.password else ""
    settings = (*_settings(account.smtp), *_settings(account.imap))
    return [mailbox.row.address, password, *settings, mailbox.row.login_state or "", mailbox.note]


def _apostrophe_noted(cells: Sequence[str]) -> list[str]:
    """The same cells; the note says so if the password is written with an apostrophe, as a formula would be."""
    *others, note = cells
    password = others[COLUMNS.index("password")]
    with_apostrophe = escape_formula(password) != escape_controls(password)
    return [*others, "; ".join(filter(None, [note, APOSTROPHE if with_apostrophe else ""]))]


def _settings(server: MailServer | None) -> tuple[str, str, str]:
    return (server.host, str(server.port), SECURITY) if server else ("", "", "")
