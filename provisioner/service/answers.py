"""From what the service answers to the program's own values.

What the service documents is its guide and its API reference (https://api-v2.missioninbox.com); where they are silent
it is read as Django REST framework and Celery behave. An unknown field or status is never an error.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard

from provisioner.domains import DOMAIN_NAME
from provisioner.messages import shorten
from provisioner.records import Accepted, Created, Request, TaskId
from provisioner.resources import IMAPS_PORT, SMTPS_PORT, Account, Mailbox, MailServer, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provisioner.redaction import Secrets

SECRET_NAME = re.compile(r"pass|secret|key|token", re.IGNORECASE)
"""Fields that are never shown."""
REASON_DEPTH = 8
"""Levels of an error body that are read; sentences stand in the first three."""
REASON_LENGTH = 500
NOT_SHOWN = "(a sentence that repeats a password or the key is not shown)"
LONGEST_ID = 255
NO_PATHS = (".", "..")
"""They would lead a path elsewhere."""

ENDED_WELL = frozenset({"success", "succeeded", "completed", "complete", "done"})
ENDED_BADLY = frozenset({"failure", "failed", "error", "revoked"})
DUPLICATE = re.compile(
    r"already\s+(?:exists?|in\s+use|taken|registered|been\s+taken)|must\s+be\s+unique|must\s+make\s+a\s+unique|duplicate",
    re.IGNORECASE,
)
FAILURE = re.compile(r"\s*(?:error|exception|fail(?:ed|ure)|traceback)\b", re.IGNORECASE)
"""How a text begins that a task returned in place of a result."""
USERNAME = re.compile(r"[^@\s<>]+(?:@[^@\s<>]+)?")
"""A username, or a full address."""


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


def usable_id(value: object, secrets: Secrets) -> str | None:
    """An ID that can be shown, stored and put into a path; None if it is not one."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = str(value)
    is_plain = 0 < len(text) <= LONGEST_ID and text.isprintable() and text.strip() == text and text not in NO_PATHS
    return text if is_plain and not secrets.are_in(text) else None


def accepted(body: object, secrets: Secrets) -> Accepted | Created | None:
    """The outcome of a create that was answered with success; None if the body does not say."""
    if not isinstance(body, dict) or reports_failure(body):
        return None
    task_id = usable_id(body.get("task_id"), secrets)
    if task_id is not None:
        return Accepted(TaskId(task_id))
    mailbox_id = usable_id(body.get("id"), secrets)
    # A task ID that cannot be used still says that there is a task.
    return Created(mailbox_id) if mailbox_id is not None and body.get("task_id") in (None, "") else None


def reports_failure(body: Mapping[str, Any]) -> bool:
    """Whether a body that came with success says within that it failed."""
    if body.get("success") is False or body.get("ok") is False or body.get("error") or body.get("errors"):
        return True
    state = body.get("status") or body.get("state")
    return (isinstance(state, str) and state.lower() in ENDED_BADLY) or any(key.startswith("exc_") for key in body)


def task_failed_within(body: Mapping[str, Any]) -> bool:
    """Whether a task that is said to have succeeded returned a failure, as one that catches its own exception does."""
    result = body.get("result")
    if isinstance(result, str):
        return bool(FAILURE.match(result))
    return any(isinstance(place, dict) and reports_failure(place) for place in (body, result))


def mailbox_id(body: Mapping[str, Any], secrets: Secrets) -> str | None:
    """The new mailbox's ID in a task that ended, wherever the service puts it."""
    for place in (body, body.get("result"), body.get("mailbox"), body.get("data")):
        if isinstance(place, dict):
            found = place.get("mailbox_id") or (place.get("id") if place is not body else None)
            if found is not None:
                return usable_id(found, secrets)
    return None


def account(body: Mapping[str, Any], secrets: Secrets) -> Account:
    """Who a key belongs to, without anything that looks like a secret."""
    facts = {
        str(key): str(value)
        for key, value in body.items()
        if isinstance(value, str | int | float) and value != "" and not SECRET_NAME.search(key)
    }
    facts = {key: value for key, value in facts.items() if not (secrets.are_in(key) or secrets.are_in(value))}
    servers = {key: facts.get(key, "").strip() for key in ("ibx_smtp", "ibx_imap")}
    return Account(
        facts=facts,
        smtp=MailServer(servers["ibx_smtp"], SMTPS_PORT) if servers["ibx_smtp"] else None,
        imap=MailServer(servers["ibx_imap"], IMAPS_PORT) if servers["ibx_imap"] else None,
    )


def resource(item: Mapping[str, Any], secrets: Secrets) -> Resource | None:
    """A domain, relay server or project; None if the item has no integer to name it by."""
    number = _integer(item.get("id"))
    if number is None:
        return None
    # Relay servers are documented with a provider, and no name.
    names = (item.get(key) for key in ("name", "domain", "domain_name", "provider"))
    name = next((name for name in names if isinstance(name, str) and name), "")
    verified = next((item[key] for key in ("verified", "is_verified") if isinstance(item.get(key), bool)), None)
    return Resource(number, secrets.safe(name, ""), verified)


def mailbox(item: Mapping[str, Any], secrets: Secrets) -> Mailbox | None:
    """A mailbox of the list; None if the item does not say which mailbox it is.

    A domain that is given as neither an ID nor a name, such as a link, is unknown.
    """
    texts = (text for key in ("email", "address", "username") if isinstance(text := item.get(key), str))
    email = next((text.strip() for text in texts if text.strip()), "")
    if not USERNAME.fullmatch(email):
        return None
    username, _, host = email.partition("@")
    domain = item.get("domain")
    nested = domain if isinstance(domain, dict) else {"id": domain}
    names = (item.get("domain_name"), nested.get("name"), domain)
    return Mailbox(
        id=usable_id(item.get("id"), secrets),
        email=username if secrets.are_in(host) else email,
        domain=_integer(nested.get("id")),
        domain_name=next((name for name in names if _is_domain_name(name) and not secrets.are_in(name)), None),
    )


def _is_domain_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and DOMAIN_NAME.fullmatch(value) is not None


def _integer(value: object) -> int | None:
    """A positive integer, given as a number or its digits."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


# Keys under which a failure's sentence stands beside fields that say nothing to a reader.
_REASON_KEYS = ("error", "errors", "detail", "message", "reason", "exc_message", "result", "non_field_errors")


def sentences(body: object, *, by_field: bool = True, depth: int = REASON_DEPTH) -> Iterator[str]:
    """The sentences of a body in reading order: Django REST framework's by field, a task's by its reason.

    `by_field`: whether its other fields hold sentences too, as they do in a refusal; in a success they are data.
    """
    if isinstance(body, str):
        yield body
    elif isinstance(body, list) and depth:
        for item in body:
            yield from sentences(item, by_field=by_field, depth=depth - 1)
    elif isinstance(body, dict) and depth:
        reasons = [key for key in _REASON_KEYS if body.get(key)]
        is_task = "status" in body or "state" in body
        for key in reasons:
            yield from sentences(body[key], by_field=by_field or key != "result", depth=depth - 1)
        for key, value in body.items():
            if by_field and not is_task and key not in reasons:
                yield from (f"{key}: {text}" for text in sentences(value, depth=depth - 1))


def shown(said: Iterable[str], secrets: Secrets) -> str:
    """Sentences as they are shown: each once, none with a secret in it, and together not too long."""
    unlike = list(dict.fromkeys(safe for sentence in said if (safe := _safe(" ".join(sentence.split()), secrets))))
    once = [one for one in unlike if not any(one in other for other in unlike if other != one)]
    # Sentences that are safe apart could form a secret together.
    return shorten(secrets.safe("; ".join(once), NOT_SHOWN), REASON_LENGTH)


def _safe(sentence: str, secrets: Secrets) -> str:
    """A sentence if it can be shown; if not, the name of its field."""
    if not secrets.are_in(sentence):
        return sentence
    field, colon, _ = sentence.partition(": ")
    is_name = bool(colon) and field.isidentifier() and not secrets.are_in(field)
    return f"{field}: {NOT_SHOWN}" if is_name else NOT_SHOWN
