"""The objects that the service answers, and lists of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from provisioner.sandbox.account import CREATED_AT
from provisioner.sandbox.refusals import not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from provisioner.sandbox.account import Domain, RelayServer
    from provisioner.sandbox.records import Creation, TaskState
    from provisioner.sandbox.state import State

T = TypeVar("T")
Answer = dict[str, object]
TASK_STATES: tuple[TaskState, ...] = ("pending", "started", "success", "failure")
MOST_PAGE_DIGITS = 9


def mailbox(creation: Creation) -> Answer:
    return {
        "id": creation.id,
        "email": creation.address,
        "domain": creation.domain,
        "domain_name": creation.domain_name,
        "relay_server": creation.relay_server,
        "project": creation.project,
        "reply_to": creation.reply_to,
        "password": creation.password,
        "status": "active",
        "created_at": _moment(creation.created),
    }


def task(task_id: str, creation: Creation | None, now: float, *, celery_states: bool) -> Answer:
    """A task at the moment `now`; None for one that nobody knows, which Celery calls pending."""
    state = creation.state(now) if creation is not None else "pending"
    guide_state = "pending" if state == "started" else state
    answer: Answer = {"task_id": task_id, "status": state.upper() if celery_states else guide_state}
    if creation is not None and state == "success":
        answer["result"] = {"id": creation.id, "email": creation.address}
    if creation is not None and state == "failure":
        answer["error"] = creation.error
    return answer


def domain(known: Domain) -> Answer:
    return {
        "id": known.id,
        "name": known.name,
        "verified": known.verified,
        "status": "active" if known.verified else "pending",
        "relay_server": known.relay_server,
        "project": known.project,
        "redirect": None,
        "created_at": _moment(CREATED_AT),
    }


def relay_server(known: RelayServer) -> Answer:
    return {**asdict(known), "status": "active"}


def page(request: Request, items: Sequence[T], shown: Callable[[T], Answer], size: int) -> Answer:
    """One page of a list, as Django REST framework's PageNumberPagination makes it.

    Raises:
        Refusal: there is no such page.
    """
    pages = max(1, -(-len(items) // size))
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isdecimal() and len(asked) <= MOST_PAGE_DIGITS else 0
    if not 1 <= number <= pages:
        raise not_found("Invalid page.")
    return {
        "count": len(items),
        "next": _page_url(request, number + 1) if number < pages else None,
        "previous": _page_url(request, number - 1) if number > 1 else None,
        "results": [shown(item) for item in items[(number - 1) * size : number * size]],
    }


def state(kept: State) -> Answer:
    """What `GET /sandbox/state/` answers, for tests in another process."""
    mailboxes, tasks = kept.mailboxes, list(kept.tasks.values())
    return {
        "counts": {
            "mailboxes": len(mailboxes),
            "tasks": {name: tasks.count(name) for name in TASK_STATES},
            "requests": kept.requests_by_kind,
            "throttled": kept.throttled,
        },
        "mailboxes": [mailbox(creation) for creation in mailboxes],
        "creates": {address: asdict(received) for address, received in kept.creates.items()},
    }


def _page_url(request: Request, number: int) -> str:
    """Absolute, under the host by which the request came; the first page has no number."""
    if number == 1:
        return str(request.url.remove_query_params("page"))
    return str(request.url.include_query_params(page=number))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
