"""What the tests of single stages share: a journal on the disk, and jobs that it knows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from provisioner.journal import Journal, address_key
from provisioner.records import Entry, Job, Request
from provisioner.secret import Secret
from provisioner.stages.matching import KnownRows, SheetMatcher
from provisioner.stages.reconcile import WorkPlan, reconcile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@pytest.fixture
def jobs(journal: Journal) -> Callable[..., Awaitable[list[Job]]]:
    """So many jobs that the journal has lines for: user1, user2 … of domain 101 unless told otherwise."""

    async def make(count: int, **fields: int) -> list[Job]:
        entries = [_entry(number, **fields) for number in range(1, count + 1)]
        options: dict[str, Any] = {"new_password": None, "since": float}

        def plan() -> WorkPlan:
            matcher = SheetMatcher(KnownRows(journal.rows(), latest_file=False))
            return reconcile(entries, journal, matcher, **options)

        return (await anyio.to_thread.run_sync(plan)).to_send

    return make


@pytest.fixture
def stored(journal: Journal) -> Callable[[], list[sqlite3.Row]]:
    """The journal's lines in the order of the sheet, as another process sees them."""

    def look(query: str = "SELECT * FROM rows ORDER BY id") -> list[sqlite3.Row]:
        with closing(sqlite3.connect(journal._path)) as other:
            other.row_factory = sqlite3.Row
            return other.execute(query).fetchall()

    return look


def _entry(number: int, domain: int = 101, relay_server: int = 201) -> Entry:
    request = Request(f"user{number}", domain, relay_server, Secret("SecurePassword123!"), None, None)
    key = address_key(request.email, domain)
    return Entry(number + 1, number + 1, key, request.email, str(domain), str(relay_server), "", "", request)
