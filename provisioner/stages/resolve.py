"""Turn ready rows into requests: text that is known to be good becomes what the service expects."""

from __future__ import annotations

from provisioner.records import Request, Row


def resolve(row: Row) -> Request:
    """The body of the create call for a row that passed every rule."""
    return Request(
        email=row.email,
        domain=int(row.domain),
        relay_server=int(row.relay_server),
        password=row.password,
        project=int(row.project) if row.project else None,
        reply_to=row.reply_to or None,
    )
