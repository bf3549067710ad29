"""One look at the service's list tells what became of every row in doubt."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from running import context_of, journal_row
from scripted import Scripted, reply

from provisioner.journal import Journal, JournalRow, Written
from provisioner.records import Job, Request, RowId, Status, Unconfirmed
from provisioner.secret import Secret
from provisioner.stages.look_up import look_up, set_aside_existing, settle_absent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.settings import Connection
    from provisioner.stages.context import RunContext


def unconfirmed(
    number: int,
    email: str,
    status: Status,
    *,
    maybe_sent: bool = False,
    was_absent: bool = False,
    resend: bool = False,
    if_absent: Status | None = None,
    reason: str = "",
) -> Unconfirmed:
    return Unconfirmed(job(number, email, maybe_sent, was_absent), 0.0, status, resend, if_absent, reason)


def job(number: int, email: str, maybe_sent: bool = False, was_absent: bool = False) -> Job:  # noqa: FBT001, FBT002 - short
    request = Request(email, 101, 201, Secret("generated"), None, None)
    return Job(RowId(number), request, maybe_sent=maybe_sent, was_absent=was_absent, keeps_password=True)


@pytest.fixture
def in_context(journal: Journal, listener: Any) -> Callable[..., Any]:
    """Call a function of the stage with some rows, which the journal knows, and a service."""

    def call(function: Callable[..., Any], to: Connection, things: Sequence[Unconfirmed | Job]) -> Any:
        if any(True for _ in journal.rows()):
            return anyio.run(go, function, to, things)
        jobs = [(thing, Status.UNSENT) if isinstance(thing, Job) else (thing.job, thing.status) for thing in things]
        known = {"explanation": "as it was", "password": Secret("generated")}
        rows = [
            journal_row(job.row_id, job.request.email, status=status, sends=int(status is not Status.UNSENT), **known)
            for job, status in jobs
        ]
        journal.apply_sheet(map(Written, rows))
        return anyio.run(go, function, to, things)

    async def go(function: Callable[..., Any], to: Connection, things: Sequence[Unconfirmed | Job]) -> Any:
        context = replace(context_of(to, journal, listener), wall_clock=lambda: 77.0)
        async with context.service:
            return await function(things, context)

    return call


@pytest.fixture
def looked_up(in_context: Any, journal: Journal) -> Callable[..., tuple[list[str], dict[str, JournalRow]]]:
    """Look rows up until they are settled; returns the usernames that may be sent again, and the rows by username."""

    async def look_and_settle(rows: Sequence[Unconfirmed], context: RunContext) -> list[Job]:
        return await settle_absent(await look_up(rows, context), context)

    def look(to: Connection, *rows: Unconfirmed) -> tuple[list[str], dict[str, JournalRow]]:
        resend = in_context(look_and_settle, to, rows)
        return [job.request.email for job in resend], {row.email: row for row in journal.rows()}

    return look


@pytest.mark.parametrize("paginated", [False, True])
def test_found_and_missing_are_told_apart(
    looked_up: Any, sandbox: Any, connection: Any, listener: Any, *, paginated: bool
) -> None:
    """There after a create of ours: created. There though we made nothing: exists. Not there: may be sent again."""
    service = sandbox(paginated=paginated, page_size=1)
    resend, rows = looked_up(
        connection(service),
        unconfirmed(1, "INFO", Status.UNKNOWN, maybe_sent=True, resend=True),
        unconfirmed(2, "sales", Status.UNSENT, if_absent=Status.REJECTED, reason="already exists"),
        unconfirmed(3, "nobody", Status.UNKNOWN, maybe_sent=True, resend=True),
        unconfirmed(4, "other", Status.UNSENT, if_absent=Status.REJECTED, reason="already exists"),
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
    assert sorted(finished) == [Status.CREATED, Status.EXISTS, Status.REJECTED, Status.UNFINISHED]


def test_one_listing_serves_all_doubts(looked_up: Any, sandbox: Any, connection: Any, listener: Any) -> None:
    """However many rows are in doubt, the service is asked for its domains and its mailboxes once."""
    service = sandbox()
    unconfirmed_rows = [unconfirmed(n, f"user{n}", Status.UNKNOWN, resend=True) for n in range(1, 300)]
    resend, _ = looked_up(connection(service), *unconfirmed_rows)
    assert len(resend) == 299
    assert [request.kind for request in service.state.requests] == ["domains", "mailboxes"]


def test_without_a_listing_nothing_may_be_sent_again(
    looked_up: Any, sandbox: Any, connection: Any, listener: Any
) -> None:
    """A list that cannot be had leaves every row as it is, with the reason."""
    service = sandbox(no_listing=True)
    resend, rows = looked_up(connection(service), unconfirmed(1, "info", Status.UNKNOWN, resend=True))
    assert resend == []
    assert rows["info"].status is Status.UNKNOWN
    assert "could not be looked up" in rows["info"].error
    assert listener.all("note")


def test_no_doubts_ask_nothing(looked_up: Any, sandbox: Any, connection: Any, listener: Any) -> None:
    """A run without doubts costs no listing."""
    service = sandbox()
    assert looked_up(connection(service)) == ([], {})
    assert not service.state.requests


DOMAINS = [{"id": 101, "name": "bücher.example"}, {"id": 102, "name": "other.example"}]
OTHERS = [{"id": number, "email": f"box{number}@other.example", "domain": 102} for number in range(1, 9)]
JANE = {"id": 77, "email": "jane@xn--bcher-kva.example", "domain": 101}


class Lists(Scripted):
    """A service whose list of mailboxes has the given pages, once for each reading of it, the last one ever after."""

    def __init__(self, *readings: list[object]) -> None:
        self._readings = list(readings)
        super().__init__(self._answer)

    def _answer(self, said: str) -> bytes:
        path = said.split()[1]
        if path.startswith("/api/domains/"):
            return reply(200, DOMAINS)
        number = int(path.partition("page=")[2] or 1)
        if number == 1 and len(self._readings) > 1 and self.requests.count(said) > 1:
            self._readings.pop(0)
        return reply(200, self._readings[0][number - 1])


def page(items: list[dict[str, object]], following: int | None = None, count: int | None = None) -> dict[str, object]:
    link = f"/api/mailboxes/?page={following}" if following else None
    return {"results": items, "next": link} | ({"count": count} if count is not None else {})


WHOLE: list[list[object]] = [
    [OTHERS],
    [[]],
    [page(OTHERS)],
    [page(OTHERS, count=8)],
    [page(OTHERS[:4], 2, 8), page(OTHERS[4:], count=8)],
    [{"results": OTHERS, "count": 8}],
]
DOUBTFUL: list[list[object]] = [
    [[*OTHERS, OTHERS[0]]],
    [page(OTHERS, count=9)],
    [page(OTHERS, count=7)],
    [page(OTHERS[:4], 2, 8), page(OTHERS[4:], count=7)],
    [page(OTHERS[:4], 2, 7), page(OTHERS[4:], count=8)],
    [page(OTHERS[:4], 2), page(OTHERS[3:])],
    [page(OTHERS[:4], 2), page(OTHERS[:4], 3), page(OTHERS)],
    [page(OTHERS, 2), page([], 3), page([])],
    [page(OTHERS, 1)],
    [[*OTHERS, {"id": 9}]],
    [[*OTHERS, {"id": 9, "email": "Jane <jane@x.example>"}]],
    [[*OTHERS, {"id": 9, "email": "jane", "domain": "https://api.example/api/domains/101/"}]],
    [[*OTHERS, {"id": 9, "email": "jane", "domain": None}]],
    [[*OTHERS, {"id": 9, "email": "jane@other.example", "domain": 101}]],
    [{"results": OTHERS}],
    [{"results": OTHERS, "has_more": True}],
    [{"mailboxes": OTHERS}],
    ["nothing"],
]


@pytest.mark.parametrize("pages", WHOLE)
def test_a_list_that_is_whole_and_stood_still_proves_an_absence(
    looked_up: Any, connection: Any, pages: list[object]
) -> None:
    """However the list comes, a row that is not in it may be sent again."""
    with closing(Lists(pages)) as server:
        resend, _ = looked_up(
            connection(server.url), unconfirmed(1, "jane", Status.UNKNOWN, maybe_sent=True, resend=True)
        )
    assert resend == ["jane"]


@pytest.mark.parametrize("pages", DOUBTFUL)
def test_a_list_that_changed_or_is_not_understood_proves_nothing(
    looked_up: Any, connection: Any, pages: list[object]
) -> None:
    """A row that is not in such a list is left unknown, whatever else the list says, and a reader is told why."""
    with closing(Lists(pages)) as server:
        resend, rows = looked_up(
            connection(server.url), unconfirmed(1, "jane", Status.UNKNOWN, maybe_sent=True, resend=True)
        )
    assert resend == []
    assert rows["jane"].status is Status.UNKNOWN
    assert "could not be looked up: " in rows["jane"].error


@pytest.mark.parametrize("pages", [pages for pages in DOUBTFUL if "jane" not in str(pages) and len(pages) == 1][:5])
def test_what_a_doubtful_list_has_is_found(looked_up: Any, connection: Any, pages: list[Any]) -> None:
    """A list that proves no absence proves a presence all the same."""
    items = pages[0] if isinstance(pages[0], list) else pages[0]["results"]
    held: list[object] = [[*items, JANE]] if isinstance(pages[0], list) else [{**pages[0], "results": [*items, JANE]}]
    with closing(Lists(held)) as server:
        _, rows = looked_up(
            connection(server.url),
            unconfirmed(1, "jane", Status.UNKNOWN, maybe_sent=True, resend=True),
            unconfirmed(2, "joe", Status.UNKNOWN, maybe_sent=True, resend=True),
        )
    assert (rows["jane"].status, rows["jane"].mailbox_id) == (Status.CREATED, "77")
    assert rows["joe"].status is Status.UNKNOWN


def test_a_list_that_changed_is_read_again_once(looked_up: Any, connection: Any) -> None:
    """If it stands still the second time, it proves what it says."""
    with closing(Lists([page(OTHERS, count=9)], [page(OTHERS, count=8)])) as server:
        resend, _ = looked_up(
            connection(server.url), unconfirmed(1, "jane", Status.UNKNOWN, maybe_sent=True, resend=True)
        )
    assert resend == ["jane"]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "item",
    [
        JANE,
        {"id": 77, "email": "JANE@BÜCHER.example."},
        {"id": 77, "email": "jane", "domain": 101},
        {"id": 77, "email": "jane", "domain": "101"},
        {"id": 77, "email": "jane", "domain": "Bücher.Example"},
        {"id": 77, "email": "jane", "domain_name": "xn--bcher-kva.example"},
        {"id": 77, "email": "jane", "domain": {"id": 101, "name": "bücher.example"}},
        {"id": 77, "username": "jane", "domain": {"url": "https://api.example/101/", "name": "XN--BCHER-KVA.example"}},
    ],
)
def test_a_mailbox_is_found_however_its_domain_is_written(looked_up: Any, connection: Any, item: Any) -> None:
    """As a number, a name or an object, in any script and capitals."""
    with closing(Lists([[*OTHERS, item]])) as server:
        _, rows = looked_up(connection(server.url), unconfirmed(1, "jane", Status.UNKNOWN, maybe_sent=True))
    assert rows["jane"].status is Status.CREATED


@pytest.mark.parametrize(
    ("status", "how", "expected"),
    [
        (Status.UNSENT, {}, Status.EXISTS),
        (Status.FAILED, {}, Status.EXISTS),
        (Status.UNSENT, {"was_absent": True}, Status.CREATED),
        (Status.UNKNOWN, {"maybe_sent": True}, Status.CREATED),
        (Status.UNFINISHED, {}, Status.CREATED),
    ],
)
def test_a_mailbox_that_was_not_there_before_is_this_runs(
    looked_up: Any, connection: Any, status: Status, how: dict[str, Any], expected: Status
) -> None:
    """Refused as a duplicate: it existed, unless the list said before that it did not, or a create of ours was lost."""
    with closing(Lists([[JANE]])) as server:
        _, rows = looked_up(connection(server.url), unconfirmed(1, "jane", status, if_absent=Status.REJECTED, **how))
    assert rows["jane"].status is expected


@pytest.mark.parametrize(
    ("status", "if_absent", "error"),
    [
        (Status.UNSENT, Status.REJECTED, "Conflict."),
        (Status.UNKNOWN, Status.UNKNOWN, "Conflict; looked up, and not there yet"),
        (Status.UNKNOWN, Status.FAILED, "Conflict."),
    ],
)
def test_the_services_sentence_stays_with_a_row_that_is_not_there(
    looked_up: Any, connection: Any, listener: Any, status: Status, if_absent: Status, error: str
) -> None:
    """What the service said is kept, and the row ends where the submitter or poller said it would."""
    with closing(Lists([[]])) as server:
        resend, rows = looked_up(
            connection(server.url), unconfirmed(1, "jane", status, if_absent=if_absent, reason="Conflict.")
        )
    assert (resend, rows["jane"].status, rows["jane"].error) == ([], if_absent, error)
    assert listener.all("finished") == [(if_absent,)]


def test_what_is_there_before_a_run_is_not_sent(
    in_context: Any, connection: Any, listener: Any, journal: Journal
) -> None:
    """A mailbox of the list is never created again; the others know that they were not there."""
    with closing(Lists([[JANE]])) as server:
        jobs = in_context(set_aside_existing, connection(server.url), [job(1, "Jane"), job(2, "joe")])
    assert [(each.request.email, each.was_absent) for each in jobs] == [("joe", True)]
    assert {row.email: row.status for row in journal.rows()} == {"Jane": Status.EXISTS, "joe": Status.UNSENT}
    assert listener.all("finished") == [(Status.EXISTS,)]
    kept = {row.email: row.password for row in journal.rows()}
    assert kept == {"Jane": None, "joe": Secret("generated")}, "a password that was never sent is not the mailbox's"


def test_a_password_that_may_not_be_the_mailboxs_is_marked(looked_up: Any, connection: Any) -> None:
    """A generated password was sent, and the mailbox turns out to have existed: it is kept, and marked."""
    with closing(Lists([[JANE]])) as server:
        _, rows = looked_up(connection(server.url), unconfirmed(1, "jane", Status.FAILED, if_absent=Status.FAILED))
    assert (rows["jane"].status, rows["jane"].password) == (Status.EXISTS, Secret("generated"))
    assert rows["jane"].error == "it existed before this run, so its password may be another"


def test_before_a_run_a_doubtful_list_holds_back_only_what_may_have_been_sent(
    in_context: Any, connection: Any, journal: Journal
) -> None:
    """A row whose earlier create may have been carried out is not sent unless the list rules that out."""
    with closing(Lists([page(OTHERS, count=9)])) as server:
        jobs = in_context(set_aside_existing, connection(server.url), [job(1, "jane", maybe_sent=True), job(2, "joe")])
    assert [(each.request.email, each.was_absent) for each in jobs] == [("joe", False)]
    assert {row.email: row.status for row in journal.rows()} == {"jane": Status.UNKNOWN, "joe": Status.UNSENT}
