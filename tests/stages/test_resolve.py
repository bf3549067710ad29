"""What the sheet calls a thing becomes what the service calls it, or a sentence that says why not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import context_of

from provisioner.resources import Resource, Resources
from provisioner.sheets import Sheet
from provisioner.stages.fetch_account import FetchedAccount, fetch_account
from provisioner.stages.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.journal import Journal
    from provisioner.settings import Connection

ACCOUNT = Resources(
    domains=(
        Resource(101, "acme-mail.example", verified=True),
        Resource(102, "acme-outreach.example", verified=True),
        Resource(104, "acme-pending.example", verified=False),
        Resource(105, "bücher.example"),
    ),
    relay_servers=(Resource(201, "MissionInbox"), Resource(202, "Mailgun"), Resource(203, "Mailgun")),
    projects=(Resource(789, "Spring campaign"), Resource(790, "spring campaign"), Resource(791, "Autumn 2026")),
)
UNLISTED = Resources(None, None, None)


Cells = tuple[str, str, str, str, str]


def row(email: str = "ann", domain: str = "101", relay_server: str = "201", project: str = "") -> Cells:
    return email, domain, relay_server, project, ""


def faults(resolver: Resolver, of: Cells) -> list[str]:
    found = resolver.faults(*of[:4])
    return [f"{column}: {fault.sentence}" for column, fault in found]


def test_ids_and_names_mean_the_same() -> None:
    """A domain, relay server or project may be written as its ID or its name, in any case."""
    resolver = Resolver(ACCOUNT)
    by_id = resolver.request(row("ann", "101", "201", "791"), None)
    by_name = resolver.request(row("ann", "Acme-Mail.example", " missioninbox", "autumn  2026"), None)
    assert by_id == by_name
    assert by_id is not None
    assert (by_id.domain, by_id.relay_server, by_id.project) == (101, 201, 791)


def test_a_domain_is_known_in_letters_and_as_the_network_writes_it() -> None:
    """A domain with letters beyond a to z is found in either spelling."""
    for name in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example"):
        request = Resolver(ACCOUNT).request(row(domain=name), None)
        assert request is not None
        assert request.domain == 105


def test_an_exact_name_is_not_ambiguous() -> None:
    """Of two names that differ in case alone, the one that is written exactly so is meant."""
    request = Resolver(ACCOUNT).request(row(project="spring campaign"), None)
    assert request is not None
    assert request.project == 790


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (row(domain="999"), "domain: the account has no domain 999; write one that it has: 101 .acme-mail.example., "),
        (row(domain="1011"), "domain: .* no domain 1011; the closest is 101 .acme-mail.example."),
        (row(domain="acme-mial.example"), "no domain “acme-mial.example”; the closest is 101 .acme-mail.example."),
        (
            row(domain="no-such.example"),
            "“no-such.example”; write one that it has: .*, … .provisioner list domains shows",
        ),
        (row(domain="104"), "domain 104 .acme-pending.example. is not verified yet"),
        (row(domain="acme-pending.example"), "domain 104 .acme-pending.example. is not verified yet"),
        (row(relay_server="Mailgun"), "relay_server: “Mailgun” is the name of relay servers 202 and 203; write the ID"),
        (row(relay_server="Mailgum"), "the closest are 202 .Mailgun., 203 .Mailgun."),
        (row(project="SPRING campaign"), "project: .* is the name of projects 789 and 790"),
        (row(project="2026"), "project: the account has no project 2026"),
        (row("ann@other.example"), "email: .* 101 .acme-mail.example.; write only “ann” here"),
    ],
)
def test_what_the_account_lacks_is_told_with_the_nearest(written: Cells, said: str) -> None:
    """One sentence for each cell, naming what there is."""
    (found,) = faults(Resolver(ACCOUNT), written)
    assert re.search(said, found), found


def test_an_id_with_a_zero_before_it_is_not_the_same() -> None:
    """`0101` is not 101: it is looked for as it stands."""
    assert faults(Resolver(ACCOUNT), row(domain="0101"))


def test_a_full_address_of_the_rows_own_domain_is_its_username() -> None:
    """The part before the @ is sent, and the address is known."""
    resolver = Resolver(ACCOUNT)
    for domain in ("101", "acme-mail.example"):
        request = resolver.request(row("ann@ACME-mail.example", domain), None)
        assert request is not None
        assert request.email == "ann"
        identity = resolver.identity("ann@acme-mail.example", domain)
        assert (identity.key, identity.address) == ("ann@101", "ann@acme-mail.example")


def test_without_lists_ids_are_sent_and_names_are_refused() -> None:
    """Where the service gives no lists it decides about IDs; a name cannot be sent."""
    resolver = Resolver(UNLISTED)
    request = resolver.request(row("ann", "999", "998", "997"), None)
    assert request is not None
    assert (request.domain, request.relay_server, request.project) == (999, 998, 997)
    (found,) = faults(resolver, row(domain="acme-mail.example"))
    assert "gives no list of the account's domains" in found
    assert "write only “ann” here" in faults(resolver, row("ann@acme-mail.example"))[0]


def test_what_nobody_asked_the_service_stays_open() -> None:
    """A check finds no fault with names, and makes no request of what it cannot know."""
    resolver = Resolver(None)
    for written in (row(domain="any.example"), row(project="Any"), row("ann@any.example")):
        assert faults(resolver, written) == []
        assert resolver.request(written, None) is None
    assert resolver.request(row(), None) is not None
    assert faults(resolver, row("ann@other.example", "any.example"))


def sharing(cells: list[tuple[str, str]], resolver: Resolver) -> dict[int, list[int]]:
    """The rows of a sheet that are for one mailbox. `cells`: the email and domain of each."""
    emails, domains = zip(*cells, strict=True)
    columns = {"email": emails, "domain": domains}
    sheet = Sheet(Path("sheet.csv"), columns, range(2, 2 + len(cells)), tuple(columns), tuple(columns), ",")
    return sheet.sharing(lambda email, domain: resolver.identity(email, domain).key)


def test_one_mailbox_written_in_several_ways_is_found() -> None:
    """By ID, by name and by address: the rows of one mailbox know of each other."""
    cells = [
        ("ann", "101"),
        ("bob", "101"),
        ("Ann", "acme-mail.example"),
        ("ann@acme-mail.example", "101"),
        ("ann", "102"),
    ]
    assert sharing(cells, Resolver(ACCOUNT)) == {2: [2, 4, 5], 4: [2, 4, 5], 5: [2, 4, 5]}
    by_name = [("ann", "any.example"), ("ann@any.example", "ANY.example")]
    assert sharing(by_name, Resolver(None)) == {2: [2, 3], 3: [2, 3]}


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_any_cells_resolve_without_an_exception(email: str, cell: str) -> None:
    """Whatever stands in the cells, the answer is a fault or a meaning."""
    for resources in (ACCOUNT, UNLISTED, None):
        resolver = Resolver(resources)
        resolver.identity(email, cell)
        resolver.faults(email, cell, cell, cell)


@pytest.mark.parametrize("paginated", [False, True])
def test_the_account_is_listed_once(
    sandbox: Any, connection: Callable[..., Connection], journal: Journal, listener: Any, *, paginated: bool
) -> None:
    """One list for each kind, every page of it; domains say whether they are verified."""
    service = sandbox(paginated=paginated, page_size=3)
    found = ask(connection(service), journal, listener)
    assert found.domains is not None
    assert [(domain.id, domain.verified) for domain in found.domains] == [
        (101, True),
        (102, True),
        (103, True),
        (104, False),
    ]
    assert found.relay_servers is not None
    assert [server.name for server in found.relay_servers] == ["MissionInbox", "Mailgun", "SendGrid"]
    assert listener.all("note") == []


def test_a_list_that_the_service_lacks_is_noted_once(
    sandbox: Any, connection: Any, journal: Any, listener: Any
) -> None:
    """A 404 is no trouble: the service will decide."""
    found = ask(connection(sandbox(no_projects=True)), journal, listener)
    assert found.projects is None
    ((note,),) = listener.all("note")
    assert "projects" in note
    assert "404" in note


def ask(connection: Connection, journal: Journal, listener: Any) -> Resources:
    async def go() -> FetchedAccount:
        context = context_of(connection, journal, listener)
        async with context.service:
            return await fetch_account(context)

    fetched = anyio.run(go)
    assert fetched.resources is not None
    return fetched.resources
