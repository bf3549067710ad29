"""Who must act, said of each refusal: never the key or the sheet without ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from scripted import reply

from provisioner.errors import PaymentRequiredError, ServiceDownError, StoppedError, WrongServiceError
from provisioner.records import CreateAnswer, Failed, Job, Lost, OpenTask, Refused, Request, RowId, TaskId
from provisioner.resources import Listing
from provisioner.secret import Secret
from provisioner.service import ListingUnavailableError, Service
from provisioner.service.rate_limiter import Priority, RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.settings import Connection

pytestmark = pytest.mark.anyio

JANE = Request("jane", 101, 201, Secret("Zx-4711-pw!"), None, None)
ACCOUNT = reply(200, {"name": "Agency"})
PAGE = b"<!doctype html><title>Just a moment...</title>"


@pytest.fixture
def created(server: Any, connection: Any, listener: Any) -> Callable[..., Any]:
    """Look at the account, then send one create; the service answers as told, the last answer ever after."""

    async def create(*answers: bytes, **options: Any) -> CreateAnswer:
        to: Connection = connection(server(ACCOUNT, *answers).url, **options)
        limiter = RateLimiter(to.rates)
        async with Service(to, limiter, listener) as service:
            await service.account()
            return await service.create(JANE, await limiter.acquire(Priority.CREATE))

    return create


async def test_a_payment_is_asked_for(created: Any) -> None:
    """402 stops the run with the service's sentence: pay, then run again; the rows are right."""
    with pytest.raises(PaymentRequiredError, match="your card was declined") as caught:
        await created(reply(402, {"detail": "Payment required: your card was declined."}))
    assert "nothing to fix in the rows" in caught.value.remedy


@pytest.mark.parametrize("body", [{"detail": 'Method "POST" not allowed.'}, PAGE, b""])
@pytest.mark.parametrize(
    ("path", "other"), [("/api/mailboxes/", "/mailbox/"), ("/mailbox/", "/api/mailboxes/"), ("/x/", "/api/mailboxes/")]
)
async def test_a_path_that_creates_nothing_stops_at_the_first(created: Any, body: Any, path: str, other: str) -> None:
    """405 in either form names the option and the other known path."""
    with pytest.raises(WrongServiceError, match="No mailboxes are created at") as caught:
        await created(reply(405, body), create_path=path)
    assert f"--create-path {other}" in caught.value.remedy


async def test_a_proxy_on_the_way_that_wants_a_login_is_named(created: Any) -> None:
    """407 from within the connection is the office's proxy too."""
    with pytest.raises(ServiceDownError, match="proxy wants a user name and password"):
        await created(reply(407, b""))


@pytest.mark.parametrize("status", [401, 403])
async def test_a_firewalls_page_blames_neither_key_nor_sheet(
    server: Any, connection: Any, listener: Any, created: Any, status: int
) -> None:
    """A web page in place of data, at the start or in the middle, comes from something in front of the service."""
    page = reply(status, PAGE, Content_Type="text/html")
    to = connection(server(page).url)
    with pytest.raises(WrongServiceError, match="key and your sheet are not the cause"):
        async with Service(to, RateLimiter(to.rates), listener) as service:
            await service.account()
    with pytest.raises(WrongServiceError, match="key and your sheet are not the cause"):
        await created(page)


@pytest.mark.parametrize(("status", "error"), [(503, ServiceDownError), (200, WrongServiceError)])
async def test_a_page_at_the_start_is_named_as_one(
    server: Any, connection: Any, listener: Any, status: int, error: type[StoppedError]
) -> None:
    """503 or 200 with a web page: the service is not reached, and nobody's key is blamed."""
    to = connection(server(reply(status, PAGE)).url)
    with pytest.raises(error, match="web page") as caught:
        async with Service(to, RateLimiter(to.rates), listener) as service:
            await service.account()
    assert "key" not in caught.value.message


@pytest.mark.parametrize("status", [200, 500, 503])
async def test_a_page_in_the_middle_leaves_a_create_unknown(created: Any, status: int) -> None:
    """Whether the create was carried out behind the page is not known."""
    assert await created(reply(status, PAGE)) == Lost(
        f"something in front of the service answered with a web page ({status})"
    )


async def test_a_firewall_that_refuses_one_row_hints_at_its_password(created: Any) -> None:
    """403 with a page for one create alone, while the account's page is given: perhaps the password did it."""
    assert await created(reply(403, PAGE), ACCOUNT) == Refused(
        "something in front of the service refused this row with a web page (403); perhaps its password looks like an "
        "attack: try another"
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(409, {"detail": "Conflict."}), Refused("Conflict.", duplicate=True)),
        (reply(409, b""), Refused("the service gave no reason (409)", duplicate=True)),
        (reply(500, {"error": "relay server 12 is suspended"}), "relay server 12 is suspended"),
        (reply(200, {"error": "relay server 12 is suspended"}), "relay server 12 is suspended"),
        (reply(200, {"success": False, "id": 5, "message": "No room."}), "No room"),
        (reply(200, {"status": "failed", "task_id": "t"}), "without a task ID"),
        (reply(503, {"detail": "Maintenance."}), "Maintenance"),
        (reply(502, b"upstream is down", Content_Type="text/plain"), "upstream is down"),
        (reply(400, {"detail": "Weak.", "error": "Weak.", "password": ["Weak."]}), Refused("password: Weak.")),
        (reply(400, {"error": {"message": "No.", "code": 7}}), Refused("No.")),
    ],
    ids=range(10),
)
async def test_the_services_own_sentence_is_shown_once(created: Any, answer: bytes, expected: object) -> None:
    """Wherever the service gives one: in a refusal, a server error, or a success that reports an error."""
    came = await created(answer)
    if isinstance(expected, str):
        assert isinstance(came, Lost)
        assert came.reason.count(expected) == 1
    else:
        assert came == expected


NO_REASON = "the service gave no reason"


@pytest.mark.parametrize(
    ("body", "reason", "contradictory"),
    [
        ({"status": "failure"}, NO_REASON, False),
        ({"status": "FAILURE", "result": None}, NO_REASON, False),
        ({"status": "REVOKED"}, NO_REASON, False),
        ({"status": "FAILURE", "result": {"exc_type": "E", "exc_message": ["No room."]}}, "No room.", False),
        ({"status": "SUCCESS", "result": {"success": False, "error": "No room."}}, "No room.", True),
        ({"status": "success", "error": "No room."}, "No room.", True),
        ({"status": "success", "result": "Error: No room."}, "Error: No room.", True),
        ({"status": "success", "result": {"exc_type": "ValueError"}}, NO_REASON, True),
        ({"status": "success", "result": {"status": "failed"}}, NO_REASON, True),
    ],
    ids=range(9),
)
async def test_a_task_says_why_it_failed_or_that_it_does_not_say(
    server: Any, connection: Any, listener: Any, body: dict[str, Any], reason: str, *, contradictory: bool
) -> None:
    """A success that says within that it failed is a contradiction, which only the service's list can settle."""
    to = connection(server(reply(200, body)).url)
    limiter = RateLimiter(to.rates)
    async with Service(to, limiter, listener) as service:
        permit = await limiter.acquire(Priority.QUERY)
        answer = await service.task(OpenTask(Job(RowId(1), JANE), TaskId("t")), permit)
    assert answer == Failed(reason, contradictory=contradictory)


@pytest.mark.parametrize(
    "items",
    [
        [{"pk": 101, "name": "a.example"}],
        [{"id": 101, "name": "a.example"}, {"id": "x", "name": "b.example"}],
        [{"id": None}],
        [{"id": True}],
        [{"id": 1.5}],
        [{"url": "https://api.example/domains/101/"}],
    ],
    ids=range(6),
)
@pytest.mark.parametrize("listing", [Listing.DOMAINS, Listing.RELAY_SERVERS, Listing.PROJECTS])
async def test_a_list_whose_entries_are_not_understood_is_none(
    server: Any, connection: Any, listener: Any, items: list[Any], listing: Listing
) -> None:
    """An entry without an integer for an ID: nobody may conclude what the account lacks."""
    to = connection(server(reply(200, items)).url)
    async with Service(to, RateLimiter(to.rates), listener) as service:
        with pytest.raises(ListingUnavailableError, match="form"):
            await service.resources(listing)
