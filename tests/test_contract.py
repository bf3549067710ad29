"""What the client really sends, held to the description of the API that the stand-in is held to as well."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import jsonschema
import pytest
import running
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import threaded

from provisioner import account as account_calls
from provisioner.records import Request, Status
from provisioner.resources import Listing
from provisioner.secret import Secret
from provisioner.service import Service
from provisioner.service.rate_limiter import Priority, RateLimiter
from provisioner.settings import RunOptions, SheetOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

API: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "sandbox" / "openapi.yaml").read_text("utf-8"))
CREATE: dict[str, Any] = {**API["components"]["schemas"]["Create"], "additionalProperties": False}
BEYOND_THE_PAGES = {("GET", "/api/projects/")}
"""Asked for although no page describes it: a 404 costs nothing."""
FAST = {"latency": 0.02, "latency_spread": 0.0}


@dataclass(frozen=True)
class Sent:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Between(BaseHTTPRequestHandler):
    """Passes each request on to the stand-in, and remembers it as it came over the wire."""

    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.sent.append(Sent(self.command, self.path, headers, body))  # type: ignore[attr-defined]
        own = {name: value for name, value in headers.items() if name not in ("host", "connection", "content-length")}
        url = self.server.target + self.path  # type: ignore[attr-defined]
        try:
            answer = httpx.request(self.command, url, headers=own, content=body)
        except httpx.RemoteProtocolError:
            self.close_connection = True  # as the stand-in has closed its own
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("content-type", "text/plain"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = _pass_on  # noqa: N815 - as the library names them

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library names it
        pass


@contextmanager
def listening_to(target: str) -> Iterator[tuple[str, list[Sent]]]:
    """An address that passes all on to `target`, and what was sent there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Between)
    sent: list[Sent] = []
    server.target, server.sent = target, sent  # type: ignore[attr-defined]
    with threaded(server) as port:
        yield f"http://127.0.0.1:{port}", sent


def described(method: str, path: str) -> bool:
    """Whether the description has this path, with values for its parameters that it allows."""
    for template, methods in API["paths"].items():
        match = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template), path)
        operation = methods.get(method.lower())
        if match and operation:
            schemas = {each["name"]: each["schema"] for each in operation.get("parameters", ())}
            jsonschema.validate(match.groupdict(), {"properties": schemas})
            return True
    return False


def check(sent: Sent, key: str) -> None:
    """Path, method, header and body are as described, and nothing is sent beside."""
    path = sent.path.partition("?")[0]
    assert described(sent.method, path) or (sent.method, path) in BEYOND_THE_PAGES, sent
    assert path.endswith("/")
    assert sent.headers["authorization"] == f"Api-Key {key}"
    assert "cookie" not in sent.headers
    if sent.method == "POST":
        assert sent.headers["content-type"] == "application/json"
        jsonschema.validate(json.loads(sent.body), CREATE)
    else:
        assert sent.body == b""


def test_all_that_is_ever_sent_is_described(sandbox: Any, connection: Any, write_sheet: Any, listener: Any) -> None:
    """A whole run, every list, the account and every export: no request that the published pages do not have."""
    service = sandbox(**FAST, lost_share=0.1, seed=4)
    rows = [("ann", "101", "201", "Sheetpass77!", "789", "a@b.example"), ("info", "101", "201", "Sheetpass77!", "", "")]
    rows += [(f"user{number}", "acme-mail.example", "Mailgun", "Sheetpass77!", "", "") for number in range(8)]
    with listening_to(service.url) as (url, sent):
        to = connection(url, api_key=Secret(service.api_key))
        options = SheetOptions(sheet=write_sheet(rows))
        running.run(options, to, listener, RunOptions(look_up_after=0.1))
        anyio.run(account_calls.account, to, listener)
        for listing in Listing:
            anyio.run(account_calls.listing, to, listing, listener, lambda _: None)
        for name in ("smartlead", "instantly", "reply.io", "woodpecker", "emailbison"):
            anyio.run(account_calls.export, to, name, listener)
    for each in sent:
        check(each, service.api_key)
    paths = {re.sub(r"[0-9a-f-]{36}", "{task_id}", each.path) for each in sent}
    assert {*API["paths"]} - paths == {"/mailbox/download/{service}/"}, "each path but the exports' by its own name"


REQUESTS = st.builds(
    Request,
    email=st.from_regex(r"[a-z0-9]+(\.[a-z0-9]+)*", fullmatch=True).filter(lambda name: len(name) <= 64),
    domain=st.sampled_from([101, 102, 103]),
    relay_server=st.sampled_from([201, 202, 203]),
    password=st.none() | st.from_regex(r"[A-Z][a-z]{5}[A-Za-z0-9!]{6,40}", fullmatch=True).map(Secret),
    project=st.none() | st.sampled_from([789, 790]),
    reply_to=st.none() | st.emails(),
)


@settings(suppress_health_check=list(HealthCheck))
@given(request=REQUESTS)
def test_every_create_is_as_described(
    server_between: tuple[str, list[Sent]], connection: Any, listener: Any, request: Request
) -> None:
    """Whatever a request holds, its body has the described fields with the described types, and no null."""
    url, sent = server_between
    sent.clear()

    async def create() -> None:
        to = connection(url, api_key=Secret("sandbox-key"))
        limiter = RateLimiter(to.rates)
        async with Service(to, limiter, listener) as service:
            await service.create(request, await limiter.acquire(Priority.CREATE))

    anyio.run(create)
    (each,) = sent
    check(each, "sandbox-key")
    values = {name: getattr(request, name) for name in Request.__slots__ if getattr(request, name) is not None}
    if request.password is not None:
        values["password"] = request.password.reveal()
    assert json.loads(each.body) == values


@pytest.fixture
def server_between(sandbox: Any) -> Iterator[tuple[str, list[Sent]]]:
    with listening_to(sandbox(**FAST).url) as between:
        yield between


def test_the_references_form_works_from_sheet_to_record(
    sandbox: Any, connection: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """Created at once under the other path: nothing is asked about, lost answers are looked up, none is made twice."""
    service = sandbox(create_form="reference", lost_share=0.2, error_share=0.2, seed=2)
    sheet = write_sheet([(f"user{number}", "101", "201", "Sheetpass77!", "", "") for number in range(30)])
    with listening_to(service.url) as (url, sent):
        to = connection(url, api_key=Secret(service.api_key), create_path="/mailbox/")
        options, how = SheetOptions(sheet=sheet), RunOptions(look_up_after=0.1, stop_after=0)
        for _ in range(5):
            result = running.run(options, to, listener, how)
            if result.summary.statuses == {Status.CREATED: 30}:
                break
    assert result.summary.statuses == {Status.CREATED: 30}
    assert all(received.carried_out == 1 for received in service.state.creates.values())
    assert {each.path for each in sent if each.method == "POST"} == {"/mailbox/"}
    assert not any("/tasks/" in each.path for each in sent)
    for each in sent:
        if each.method == "POST":
            jsonschema.validate(json.loads(each.body), CREATE)
    results = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert all(line["address"].endswith("@acme-mail.example") for line in results)
    assert sum(bool(line["mailbox_id"]) for line in results) == 30
