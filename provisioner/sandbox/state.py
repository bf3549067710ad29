"""Everything the sandbox remembers: creations, what was received, and the log of requests."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from provisioner.sandbox.account import EXISTING_MAILBOXES
from provisioner.sandbox.records import Became, Creation, LoggedRequest, Received, TaskState, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.sandbox.faults import CreateFate
    from provisioner.sandbox.storage import Storage

ALREADY_EXISTS = "Mailbox with this email already exists."


class State:
    """Changed by the server's thread alone. The requests and the properties at the end may be read from any thread.

    Addresses are compared without regard to case. A mailbox is listed once its task has succeeded; a failed task frees
    its address, an unfinished one holds it.
    """

    def __init__(
        self, storage: Storage | None, clock: Callable[[], float] = time.time, *, passwords: bool = True
    ) -> None:
        """Begin with what `storage` holds, or afresh for None. `clock` gives seconds of the wall clock.

        `passwords`: whether mailboxes keep theirs; else they are blank once the create is answered.
        """
        self._passwords = passwords
        self.requests: list[LoggedRequest] = []
        """Every request to the API in the order of arrival, this process's only."""
        self._storage = storage
        self._clock = clock
        self._latest = 0.0
        self._creations: list[Creation] = []
        self._by_address: dict[str, Creation] = {}
        self._by_task: dict[str, Creation] = {}
        self._running: list[tuple[float, int]] = []
        self._listed: list[Creation] = []
        self._received: dict[str, Received] = {}
        for existing in EXISTING_MAILBOXES:
            self._add(existing)
        if storage is not None:
            self._load(storage)

    def now(self) -> float:
        """The wall clock, never running backwards: a task that was seen to end stays ended."""
        self._latest = max(self._latest, self._clock())
        return self._latest

    def is_taken(self, address: str) -> bool:
        """Whether a mailbox has `address`, or a task that has not failed is to give it one."""
        holder = self._by_address.get(address.casefold())
        return holder is not None and holder.state(self.now()) != "failure"

    def carry_out(self, wanted: Wanted, fate: CreateFate, *, with_task: bool = True) -> Creation:
        """Create what is wanted: under a task that ends as `fate` says, or at once. Kept before this returns."""
        now = self.now()
        taken = self.is_taken(wanted.address)
        duration = fate.duration if with_task else 0.0
        error = ALREADY_EXISTS if taken else fate.failure if with_task else None
        creation = Creation(
            **asdict(wanted if wanted.password is not None else replace(wanted, password=fate.password)),
            id=self._creations[-1].id + 1,
            task_id=fate.task_id if with_task else None,
            created=now,
            due=None if duration is None else now + duration,
            error=error,
        )
        kept = creation if self._passwords else replace(creation, password="")
        self.note(wanted.address, "duplicate" if taken else "carried_out", kept)
        self._add(kept)
        return creation

    def note(self, address: str, became: Became, creation: Creation | None = None) -> None:
        """Keep that a create of `address` was received, and what it came to."""
        if self._storage is not None:
            self._storage.add_create(address, became, creation)
        self._count(address, became)

    def task(self, task_id: str) -> Creation | None:
        """The creation under `task_id`; None where nobody knows it."""
        return self._by_task.get(task_id)

    def listed(self) -> Sequence[Creation]:
        """The mailboxes there are, in the order in which they came to be. A live view: only for the server's thread."""
        now = self.now()
        while self._running and self._running[0][0] <= now:
            self._listed.append(self._creations[heapq.heappop(self._running)[1]])
        return self._listed

    def _add(self, creation: Creation) -> None:
        if creation.due is not None and creation.error is None:
            heapq.heappush(self._running, (creation.due, len(self._creations)))
        self._creations.append(creation)
        holder = self._by_address.get(creation.address.casefold())
        if holder is None or holder.state(creation.created) == "failure":
            self._by_address[creation.address.casefold()] = creation
        if creation.task_id is not None:
            self._by_task[creation.task_id] = creation

    def _load(self, storage: Storage) -> None:
        for address, became, creation in storage.creates():
            self._count(address, became)
            if creation is not None:
                self._latest = max(self._latest, creation.created)
                self._add(creation)

    def _count(self, address: str, became: Became) -> None:
        self._received.setdefault(address.casefold(), Received()).count(became)

    @property
    def mailboxes(self) -> list[Creation]:
        """The mailboxes there are at this moment, in the order in which they were asked for."""
        now = max(self._latest, self._clock())
        return [made for made in list(self._creations) if made.state(now) == "success"]

    @property
    def tasks(self) -> dict[str, TaskState]:
        """The state of every task by its ID."""
        now = max(self._latest, self._clock())
        return {task_id: made.state(now) for task_id, made in list(self._by_task.items())}

    @property
    def creates(self) -> dict[str, Received]:
        """By address in lower case: how many creates were received, and what they came to."""
        return dict(self._received)

    @property
    def requests_by_kind(self) -> dict[str, int]:
        """How many requests of each kind arrived."""
        return dict(Counter(request.kind for request in list(self.requests)))

    @property
    def throttled(self) -> int:
        """How many requests were answered 429."""
        return sum(request.status == HTTPStatus.TOO_MANY_REQUESTS for request in list(self.requests))
