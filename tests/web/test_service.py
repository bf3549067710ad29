"""Which service and whose account; the key that is typed at the page; the service's exports."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from provisioner.errors import SettingsError
from provisioner.settings import Connection
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from running_page import RunningPage

    from provisioner.sandbox.server import RunningSandbox
    from provisioner.secret import Secret

KEY = "a-secret-key-of-the-office"


@pytest.fixture
def keyless(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> Callable[..., tuple[RunningPage, list[Connection]]]:
    """A page without a key, before a service that takes KEY; and the connections whose keys were kept."""

    def start(**options: Any) -> tuple[RunningPage, list[Connection]]:
        kept: list[Connection] = []
        url = sandbox(api_key=KEY).url

        def connection_with(key: Secret) -> Connection:
            return Connection(api_url=url, api_key=key)

        known = {"connect": None, "sandbox": False, "connection_with": connection_with, "keep_key": kept.append}
        return page_server(**{**known, **options}), kept

    return start


def service_of(client: httpx.Client) -> str:
    """What the page says of the service, once it knows."""
    page = client.get("/").text
    section = page[page.index('<section id="service"') :]
    if "data-live" not in section:
        return section
    with client.stream("GET", "/service") as events:
        return next(line for line in events.iter_lines() if "account of" in line or 'class="bad"' in line)


def test_without_a_key_the_page_works_and_asks_for_one(keyless: Any) -> None:
    """Sheets can be looked at without a key, and the form for it is open."""
    running, _ = keyless()
    client = running.enter()
    page = client.get("/").text
    assert page.index("There is no API key yet.") < page.index("Drop a sheet here")
    assert client.put("/sheets?name=acme.csv", content=b"email\n").status_code == 200
    refused = client.get("/exports/smartlead")
    assert (refused.status_code, "no API key yet" in refused.text) == (409, True)


def test_without_a_key_nothing_is_begun_and_the_way_to_its_field_is_shown(keyless: Any, write_sheet: Any) -> None:
    """The refusal links to the field for the key."""
    running, _ = keyless()
    sheet = write_sheet([("ann", "101", "201", "Sound-Passw0rd!", "", "")])
    refused = running.enter().post(f"/sheets/{id_of(sheet.name)}/begin", json={})
    assert refused.status_code == 409
    assert '<a href="/#service">' in refused.text


@pytest.mark.parametrize("keep", ["", "1"])
def test_a_key_is_tried_and_kept_only_if_asked(keyless: Any, keep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that works is used from then on; the keyring gets it only with the box ticked."""
    monkeypatch.setattr("provisioner.keys.require_keyring", lambda: None)
    running, kept = keyless()
    client = running.enter()
    answer = client.post("/key", json={"key": f" {KEY}\n", "keep": keep})
    assert answer.json() == {"location": "/"}
    assert "the account of <b>Sandbox Agency</b>" in service_of(client)
    assert [connection.api_key.reveal() for connection in kept] == ([KEY] if keep else [])


def test_a_wrong_key_is_refused_in_words(keyless: Any) -> None:
    """The service's refusal is shown in the command line's words; nothing is kept, and no key is used."""
    running, kept = keyless()
    client = running.enter()
    answer = client.post("/key", json={"key": "another-key", "keep": ""})
    assert answer.status_code == 409
    assert "rejected the API key" in answer.text
    assert kept == []
    assert "There is no API key yet." in service_of(client)


def test_a_keyring_that_cannot_be_used_is_said(keyless: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for the key to be kept is told that it cannot be, before it is used."""

    def broken() -> None:
        raise SettingsError("This computer's keyring cannot be used.", remedy="Leave the box empty.")

    monkeypatch.setattr("provisioner.keys.require_keyring", broken)
    running, _ = keyless()
    answer = running.enter().post("/key", json={"key": KEY, "keep": "1"})
    assert (answer.status_code, "keyring cannot be used" in answer.text) == (409, True)
    assert not running.workspace.has_key


def test_the_key_is_nowhere_to_be_seen(keyless: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """No page, header, log or file shows a key that was typed, right or wrong."""
    caplog.set_level(logging.DEBUG)
    running, _ = keyless()
    client = running.enter()
    answers = [
        client.post("/key", json={"key": "wrong-secret-key"}),
        client.post("/key", json={"key": "secret key with blanks"}),
        client.post("/key", content=f'{{"key": "{KEY}"', headers={"content-type": "application/json"}),
        client.post("/key", json={"key": KEY}),
        client.get("/"),
    ]
    assert [answer.status_code for answer in answers] == [409, 409, 400, 200, 200]
    for answer in answers:
        assert "secret" not in answer.text + str(answer.headers)
    assert "secret" not in "".join(record.getMessage() for record in caplog.records if record.name != "httpx")
    assert list(tmp_path.rglob("*")) == []


def test_whose_key_it_is_is_asked_in_the_background(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> None:
    """The page can be used while the service is asked, and says the host and the account as soon as it knows."""
    service = sandbox()
    connection = Connection(api_url=service.url, api_key=service.api_key)
    client = page_server(sandbox=False, connect=lambda _: nullcontext(connection)).enter()
    assert "the account of <b>Sandbox Agency</b>" in service_of(client)
    assert service.url.removeprefix("http://") in client.get("/").text


def test_trouble_with_the_service_is_said_and_stops_nothing(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> None:
    """A key that the service rejects is said on the page, which goes on working."""
    connection = Connection(api_url=sandbox().url, api_key="another-key")
    client = page_server(sandbox=False, connect=lambda _: nullcontext(connection)).enter()
    assert "rejected the API key" in service_of(client)
    assert client.put("/sheets?name=acme.csv", content=b"email\n").status_code == 200


def test_a_service_that_comes_back_is_asked_again(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> None:
    """What went wrong once is not the last word: the page asks again when it is opened again."""
    service = sandbox()
    keys = iter(["another-key", service.api_key])
    connect = lambda _: nullcontext(Connection(api_url=service.url, api_key=next(keys)))  # noqa: E731 - one line
    client = page_server(sandbox=False, connect=connect).enter()
    while "the account of <b>Sandbox Agency</b>" not in service_of(client):
        pass


def test_an_export_is_downloaded(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> None:
    """Each of the service's files comes as an attachment; any other name is a page that is not there."""
    service = sandbox()
    connection = Connection(api_url=service.url, api_key=service.api_key)
    client = page_server(sandbox=False, connect=lambda _: nullcontext(connection)).enter()
    assert 'href="/exports/reply.io"' in client.get("/").text
    export = client.get("/exports/reply.io")
    assert export.headers["content-disposition"] == "attachment; filename*=utf-8''reply.io.csv"
    assert "info@acme-mail.example" in export.text
    assert client.get("/exports/other").status_code == 404


def test_everything_keeps_the_one_rate(keyless: Any, sandbox: Any) -> None:
    """While the service asked for a pause, nothing is sent: no question about a key, and no export."""
    service = sandbox()
    running, _ = keyless(connection_with=lambda key: Connection(api_url=service.url, api_key=key))
    client = running.enter()
    limiter = running.workspace.limiter(practice=False)

    def sent_while_paused(ask: Callable[[], Any]) -> int:
        before, until = len(service.state.requests), time.monotonic() + 0.2
        running.call(limiter.pause, 0.2)
        assert ask().status_code == 200
        sent = service.state.requests[before:]
        assert sent
        return sum(request.at < until for request in sent)

    assert sent_while_paused(lambda: client.post("/key", json={"key": service.api_key})) == 0
    assert sent_while_paused(lambda: client.get("/exports/smartlead")) == 0


def test_the_account_is_asked_for_at_the_one_rate(
    page_server: Callable[..., RunningPage], sandbox: Callable[..., RunningSandbox]
) -> None:
    """What is asked in the background waits too."""
    service, paused = sandbox(), threading.Event()

    def connect(_: Any) -> Any:
        assert paused.wait(20)
        return nullcontext(Connection(api_url=service.url, api_key=service.api_key))

    running = page_server(sandbox=False, connect=connect)
    until = time.monotonic() + 0.3
    running.call(running.workspace.limiter(practice=False).pause, 0.3)
    paused.set()
    assert "the account of <b>Sandbox Agency</b>" in service_of(running.enter())
    assert min(request.at for request in service.state.requests) >= until
