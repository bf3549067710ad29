"""One look at the service's list tells what became of every row in doubt."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from provisioner.journal import Journal, JournalRow, Written, address_key
from provisioner.records import Job, Request, RowId, Status, Unconfirmed
from provisioner.secret import Secret
from provisioner.service import Service
from provisioner.service.rate_limiter import RateLimiter
from provisioner.stages.look_up import look_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def journal_row(number: int, email: str, status: Status) -> JournalRow:
    place = number + 1
    return JournalRow(
        RowId(number),
        place,
        place,
        address_key(email, 101),
        email,
        "101",
        "201",
        "",
        "",
        "",
        status,
        "as it was",
        sends=1,
    )


def unconfirmed(
    number: int, email: str, status: Status, *, maybe_sent: bool = False, resend: bool = False, refusal: str = ""
) -> Unconfirmed:
    job = Job(RowId(number), Request(email, 101, 201, Secret("x"), None, None), maybe_sent)
    return Unconfirmed(job, 0.0, status, resend, refusal)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.sqlite3")) as opened:
        yield opened


def settled(
    journal: Journal, connection: Any, listener: Any, *unconfirmed_rows: Unconfirmed
) -> tuple[list[str], dict[str, JournalRow]]:
    """Settle the doubts; answers the usernames that may be sent again, and the rows by username."""
    journal.apply_sheet(
        Written(journal_row(unconfirmed.job.row_id, unconfirmed.job.request.email, unconfirmed.status))
        for unconfirmed in unconfirmed_rows
    )

    async def look() -> list[Unconfirmed]:
        async with Service(connection, RateLimiter(connection.rates), listener) as service:
            return await look_up(unconfirmed_rows, service, journal, listener, wall_clock=lambda: 77.0)

    resend = anyio.run(look)
    return [unconfirmed.job.request.email for unconfirmed in resend], {row.email: row for row in journal.rows()}


@pytest.mark.parametrize("paginated", [False, True])
def test_found_and_missing_are_told_apart(
    journal: Journal, sandbox: Any, connection: Any, listener: Any, *, paginated: bool
) -> None:
    """There after a create of ours: created. There though we made nothing: exists. Not there: may be sent again."""
    service = sandbox(paginated=paginated, page_size=1)
    resend, rows = settled(
        journal,
        connection(service),
        listener,
        unconfirmed(1, "INFO", Status.UNKNOWN, maybe_sent=True, resend=True),
        unconfirmed(2, "sales", Status.UNSENT, refusal="already exists"),
        unconfirmed(3, "nobody", Status.UNKNOWN, maybe_sent=True, resend=True),
        unconfirmed(4, "other", Status.UNSENT, refusal="already exists"),
        unconfirmed(5, "slow", Status.UNFINISHED),
    )
    assert {email: (found.status, found.address) for email, found in rows.items()} == {
        "INFO": (Status.CREATED, "info@acme-mail.example"),
        "sales": (Status.EXISTS, "sales@acme-mail.example"),
        "nobody": (Status.UNKNOWN, ""),
        "other": (Status.REJECTED, ""),
        "slow": (Status.UNFINISHED, ""),
    }
    assert resend == ["nobody"]
    assert rows["other"].error == "already exists"
    assert "looked up" in rows["nobody"].error
    finished = [status for (status,) in listener.all("finished")]
    assert finished == [Status.CREATED, Status.EXISTS, Status.REJECTED, Status.UNFINISHED]


def test_one_listing_serves_all_doubts(journal: Journal, sandbox: Any, connection: Any, listener: Any) -> None:
    """However many rows are in doubt, the service is asked for its domains and its mailboxes once."""
    service = sandbox()
    unconfirmed_rows = [unconfirmed(n, f"user{n}", Status.UNKNOWN, resend=True) for n in range(1, 300)]
    resend, _ = settled(journal, connection(service), listener, *unconfirmed_rows)
    assert len(resend) == 299
    assert [request.kind for request in service.state.requests] == ["domains", "mailboxes"]


def test_without_a_listing_nothing_may_be_sent_again(
    journal: Journal, sandbox: Any, connection: Any, listener: Any
) -> None:
    """A list that cannot be had leaves every row as it is, with the reason."""
    service = sandbox(no_listing=True)
    resend, rows = settled(journal, connection(service), listener, unconfirmed(1, "info", Status.UNKNOWN, resend=True))
    assert resend == []
    assert rows["info"].status is Status.UNKNOWN
    assert "could not be looked up" in rows["info"].error
    assert listener.all("note")


def test_no_doubts_ask_nothing(journal: Journal, sandbox: Any, connection: Any, listener: Any) -> None:
    """A run without doubts costs no listing."""
    service = sandbox()
    assert settled(journal, connection(service), listener) == ([], {})
    assert not service.state.requests
