"""From what the service answers to the program's own values.

What the service documents is its guide and its API reference (https://api-v2.missioninbox.com); where they are silent
it is read as Django REST framework and Celery behave. A field or status that is not known here is never an error.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from provisioner.records import (
    IMAPS_PORT,
    SMTPS_PORT,
    Accepted,
    Account,
    CreateAnswer,
    Created,
    Lost,
    Mailbox,
    MailServer,
    Request,
    Resource,
    TaskId,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provisioner.service.transport import Reply

SECRET_NAME = re.compile(r"pass|secret|key|token", re.IGNORECASE)
"""Fields that are never shown."""
REASON_DEPTH = 8
"""Levels of an error body that are read; sentences stand in the first three."""

ENDED_WELL = frozenset({"success", "succeeded", "completed", "complete", "done"})
ENDED_BADLY = frozenset({"failure", "failed", "error", "revoked"})
DUPLICATE = re.compile(
    r"already\s+(?:exists?|in\s+use|taken|registered|been\s+taken)|must\s+be\s+unique|must\s+make\s+a\s+unique|duplicate",
    re.IGNORECASE,
)
UNKNOWN_FORM = "the service's list has a form that this program does not know"


class ListingUnavailableError(Exception):
    """The service does not give this list now, or does not have it; the message says which in plain words."""


def body_of(request: Request) -> bytes:
    """The body of a create call; what the request leaves open is left out."""
    fields = {
        "email": request.email,
        "domain": request.domain,
        "relay_server": request.relay_server,
        "password": request.password.reveal() if request.password else None,
        "project": request.project,
        "reply_to": request.reply_to,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def accepted(reply: Reply) -> CreateAnswer:
    """What a create came to that was answered with success."""
    if isinstance(reply.body, dict):
        task_id, mailbox_id = reply.body.get("task_id"), reply.body.get("id")
        if isinstance(task_id, str | int) and task_id != "":
            return Accepted(TaskId(str(task_id)))
        if isinstance(mailbox_id, str | int) and mailbox_id != "":
            return Created(str(mailbox_id))
    return Lost(f"the service answered {reply.status} without a task ID")


def mailbox_id(body: Mapping[str, Any]) -> str | None:
    """The new mailbox's ID in a task that ended, wherever the service puts it."""
    for place in (body, body.get("result"), body.get("mailbox"), body.get("data")):
        if isinstance(place, dict):
            found = place.get("mailbox_id") or (place.get("id") if place is not body else None)
            if found is not None:
                return str(found)
    return None


def account(body: Mapping[str, Any]) -> Account:
    """Who a key belongs to; what looks like a secret is left out."""
    servers = {key: str(body.get(key) or "").strip() for key in ("ibx_smtp", "ibx_imap")}
    return Account(
        facts={
            key: str(value)
            for key, value in body.items()
            if isinstance(value, str | int | float) and value != "" and not SECRET_NAME.search(key)
        },
        smtp=MailServer(servers["ibx_smtp"], SMTPS_PORT) if servers["ibx_smtp"] else None,
        imap=MailServer(servers["ibx_imap"], IMAPS_PORT) if servers["ibx_imap"] else None,
    )


def resource(item: Mapping[str, Any]) -> Resource | None:
    """None where the item has no number to name it by."""
    number = str(item.get("id", ""))
    if not (number.isascii() and number.isdecimal()):
        return None
    # Relay servers are documented with a provider, and no name.
    name = next((item[key] for key in ("name", "domain", "domain_name", "provider") if item.get(key)), "")
    verified = next((item[key] for key in ("verified", "is_verified") if isinstance(item.get(key), bool)), None)
    return Resource(int(number), str(name), verified)


def mailbox(item: Mapping[str, Any]) -> Mailbox:
    """Raises ListingUnavailableError where the item does not say which mailbox it is."""
    domain = item.get("domain")
    nested = domain if isinstance(domain, dict) else {}
    number = nested.get("id", domain)
    if isinstance(number, str) and number.isascii() and number.isdecimal():
        number = int(number)
    texts = (text for key in ("email", "address", "username") if isinstance(text := item.get(key), str))
    email = next((text for text in texts if text.strip()), None)
    if email is None:
        # Whoever looks for a mailbox must not take it for missing because it could not be read.
        raise ListingUnavailableError(UNKNOWN_FORM)
    name = item.get("domain_name") or nested.get("name") or (number if isinstance(number, str) else None)
    return Mailbox(
        id=str(item["id"]) if item.get("id") is not None else None,
        email=email,
        domain=number if isinstance(number, int) else None,
        domain_name=str(name) if name else None,
    )


# Keys under which a failure's sentence stands beside fields that say nothing to a reader.
_REASON_KEYS = ("error", "errors", "detail", "message", "reason", "result", "non_field_errors")


def sentences(body: object, depth: int = REASON_DEPTH) -> Iterator[str]:
    """The sentences of an error body in reading order: Django REST framework's by field, a task's by its reason."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, list) and depth:
        for item in body:
            yield from sentences(item, depth - 1)
    elif isinstance(body, dict) and depth:
        reasons = [key for key in _REASON_KEYS if body.get(key)]
        is_task = "status" in body or "state" in body
        for key in reasons:
            yield from sentences(body[key], depth - 1)
        for key, value in body.items():
            if not is_task and key not in reasons:
                yield from (f"{key}: {sentence}" for sentence in sentences(value, depth - 1))
