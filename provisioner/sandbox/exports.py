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

_HEADERS = {
    "smartlead": "from_name,from_email,user_name,password,smtp_host,smtp_port,imap_host,imap_port",
    "instantly": "Email,First Name,Last Name,IMAP Username,IMAP Password,IMAP Host,IMAP Port,"
    "SMTP Username,SMTP Password,SMTP Host,SMTP Port",
    "reply.io": "Email,Sender name,SMTP host,SMTP port,SMTP username,SMTP password,"
    "IMAP host,IMAP port,IMAP username,IMAP password",
    "woodpecker": "email,from_name,smtp_login,smtp_password,smtp_server,smtp_port,"
    "imap_login,imap_password,imap_server,imap_port",
    "emailbison": "Name,Email,Username,Password,SMTP Server,SMTP Port,IMAP Server,IMAP Port",
}
COLUMNS = {service: header.split(",") for service, header in _HEADERS.items()}
"""By service: the header of each column."""
_OTHER_WORDS = {
    "email": ("from_email", "user_name", "username", "smtp_username", "imap_username", "smtp_login", "imap_login"),
    "name": ("from_name", "sender_name"),
    "password": ("smtp_password", "imap_password"),
    "smtp_host": ("smtp_server",),
    "imap_host": ("imap_server",),
}
"""What else the services call a cell."""


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
        cells |= {word: cells[name] for name, words in _OTHER_WORDS.items() for word in words}
        writer.writerow([cells[header.lower().replace(" ", "_")] for header in columns])
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
