"""The CSV files made for sending services. Their columns are each service's import format as far as it is published."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.sandbox.records import Creation

SMTP_PORT = 465
IMAP_PORT = 993

COLUMNS: dict[str, dict[str, str]] = {
    "smartlead": {
        "from_name": "name",
        "from_email": "email",
        "user_name": "email",
        "password": "password",
        "smtp_host": "smtp_host",
        "smtp_port": "smtp_port",
        "imap_host": "imap_host",
        "imap_port": "imap_port",
    },
    "instantly": {
        "Email": "email",
        "First Name": "first_name",
        "Last Name": "last_name",
        "IMAP Username": "email",
        "IMAP Password": "password",
        "IMAP Host": "imap_host",
        "IMAP Port": "imap_port",
        "SMTP Username": "email",
        "SMTP Password": "password",
        "SMTP Host": "smtp_host",
        "SMTP Port": "smtp_port",
    },
    "reply.io": {
        "Email": "email",
        "Sender name": "name",
        "SMTP host": "smtp_host",
        "SMTP port": "smtp_port",
        "SMTP username": "email",
        "SMTP password": "password",
        "IMAP host": "imap_host",
        "IMAP port": "imap_port",
        "IMAP username": "email",
        "IMAP password": "password",
    },
    "woodpecker": {
        "email": "email",
        "from_name": "name",
        "smtp_login": "email",
        "smtp_password": "password",
        "smtp_server": "smtp_host",
        "smtp_port": "smtp_port",
        "imap_login": "email",
        "imap_password": "password",
        "imap_server": "imap_host",
        "imap_port": "imap_port",
    },
    "emailbison": {
        "Name": "name",
        "Email": "email",
        "Username": "email",
        "Password": "password",
        "SMTP Server": "smtp_host",
        "SMTP Port": "smtp_port",
        "IMAP Server": "imap_host",
        "IMAP Port": "imap_port",
    },
}
"""By service: each column's header, and what stands in it."""


def export(service: str, mailboxes: Iterable[Creation], *, smtp_host: str, imap_host: str) -> str:
    """The CSV for `service`, a header and a line for each mailbox, passwords in clear.

    Raises:
        KeyError: there is no such service.
    """
    columns = COLUMNS[service]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for mailbox in mailboxes:
        cells = _cells(mailbox) | {"smtp_host": smtp_host, "imap_host": imap_host}
        writer.writerow([cells[what] for what in columns.values()])
    return text.getvalue()


def _cells(mailbox: Creation) -> dict[str, str | int]:
    names = [part.capitalize() for part in mailbox.username.replace("_", ".").replace("-", ".").split(".") if part]
    return {
        "email": mailbox.address,
        "password": mailbox.password or "",
        "name": " ".join(names),
        "first_name": names[0] if names else "",
        "last_name": " ".join(names[1:]),
        "smtp_port": SMTP_PORT,
        "imap_port": IMAP_PORT,
    }
