"""The paths, and what each answers.

Every request to the API passes the same gates in the order of Django REST framework: is the path there (404 page, or
301 where only the last slash is missing), is the key right (403), is it not too fast (429), is the method allowed
(405), can the body be read (415, 400). Only then does its handler see it, and only a create that would be accepted is
hit by the faults of a create; any answer may be hit by those of an answer. See `faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hmac import compare_digest
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, NoReturn, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Match, Route, Router

from provisioner.sandbox import answers, refusals
from provisioner.sandbox.account import ACCOUNT_NAME, DOMAINS, PROJECTS, RELAY_SERVERS
from provisioner.sandbox.exports import COLUMNS, export
from provisioner.sandbox.forms import CreateForm
from provisioner.sandbox.records import LoggedRequest
from provisioner.sandbox.refusals import Lost, Refusal
from provisioner.sandbox.state import ALREADY_EXISTS
from provisioner.sandbox.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from provisioner.sandbox.faults import Faults
    from provisioner.sandbox.options import SandboxOptions
    from provisioner.sandbox.records import Creation, Wanted
    from provisioner.sandbox.state import State

Handler = Callable[[Request, bytes], Response]
T = TypeVar("T")

RETRY_AFTER = "1"
"""Seconds, with a 503."""


@dataclass(frozen=True, slots=True)
class Action:
    """What one method does on one path."""

    kind: str
    """What the log calls it."""
    handler: Handler


class Sandbox:
    """The service itself, as an ASGI application over one state."""

    def __init__(self, options: SandboxOptions, state: State, faults: Faults) -> None:
        self.options = options
        self.state = state
        self.faults = faults
        self.stopping = asyncio.Event()
        """Set when the server stops: answers that are held back go out at once."""
        self._throttle = Throttle(options.throttle)
        self._views = [Route(path, View(self, actions)) for path, actions in self._paths().items() if actions]
        watch = Route("/sandbox/state/", self._watch)
        self._router = Router([*self._views, watch], redirect_slashes=False, default=self._elsewhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router(scope, receive, send)

    def check_key(self, request: Request) -> None:
        """Raise the Refusal of a request that lacks the key, or was made for another host.

        A web page elsewhere, whose name suddenly leads to this computer, is one of those.
        """
        if _is_loopback(self.options.host) and not _is_loopback(request.url.hostname or ""):
            raise refusals.wrong_host()
        keyword, _, key = request.headers.get("authorization", "").partition(" ")
        if keyword.lower() != "api-key" or not compare_digest(key.strip().encode(), self.options.api_key.encode()):
            raise refusals.not_authenticated()

    def admit(self, request: Request, arrived: float) -> None:
        """Raise the Refusal of a request that lacks the key, or comes too fast."""
        self.check_key(request)
        wait = self._throttle.refusal(arrived)
        if wait is not None:
            raise refusals.throttled(wait)

    async def answer(
        self, request: Request, send: Send, kind: str, handler: Callable[[bytes, float], Response]
    ) -> None:
        """Log the request, have it handled, and send the response with the faults of an answer."""
        arrived = time.monotonic()
        logged = LoggedRequest(arrived, request.method, kind)
        self.state.requests.append(logged)
        try:
            body = await request.body()
            response = handler(body, arrived)
        except ClientDisconnect:
            return
        except Refusal as refusal:
            response = JSONResponse(refusal.body, refusal.status, refusal.headers)
        except Lost:
            await _cut(request)
            return
        fate = self.faults.answer()
        if fate.html is not None:
            response = HTMLResponse(refusals.stray_page(fate.html), fate.html)
        if fate.delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), fate.delay)
        logged.status = response.status_code
        await response(request.scope, request.receive, send)

    def _paths(self) -> dict[str, dict[str, Action]]:
        options = self.options
        create = {"POST": Action("create", self._create)}
        by_guide = options.create_form == "guide"
        projects = self._list("projects", lambda: PROJECTS, asdict)
        return {
            "/api/tasks/{task_id}/": {"GET": Action("task", self._task)},
            "/api/mailboxes/": {
                "GET": self._list("mailboxes", self._mailboxes, answers.mailbox),
                **(create if by_guide else {}),
            },
            "/mailbox/": {} if by_guide else create,
            "/mailbox/download/{service}/": {"GET": Action("download", self._download)},
            "/api/userinfo/": {"GET": Action("userinfo", self._userinfo)},
            "/api/domains/": {"GET": self._list("domains", lambda: DOMAINS, answers.domain)},
            "/api/relay-servers/": {"GET": self._list("relay_servers", lambda: RELAY_SERVERS, answers.relay_server)},
            "/api/projects/": {} if options.no_projects else {"GET": projects},
        }

    async def _watch(self, request: Request) -> Response:
        """What has come of everything so far, for tests in another process. It is not logged, and not throttled."""
        try:
            self.check_key(request)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)
        return JSONResponse(answers.state(self.state))

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a path that is not there, or not without a slash at its end, as Django does."""

        def handler(_body: bytes, _arrived: float) -> Response:
            slashed = {**scope, "path": scope["path"] + "/"}
            if any(view.matches(slashed)[0] is not Match.NONE for view in self._views):
                query = b"?" + scope["query_string"] if scope["query_string"] else b""
                location = scope["raw_path"] + b"/" + query
                return HTMLResponse(status_code=301, headers={"Location": location.decode("latin-1")})
            return HTMLResponse(refusals.NOT_FOUND_PAGE, 404)

        await self.answer(Request(scope, receive), send, "other", handler)

    def _create(self, request: Request, body: bytes) -> Response:
        wanted = self._wanted(request, body)
        fate = self.faults.create()
        if fate.error_before is not None:
            self.state.note(wanted.address, "error")
            return _gateway_error(fate.error_before)
        creation = self.state.carry_out(wanted, fate, with_task=self.options.create_form == "guide")
        if fate.lost:
            raise Lost
        if fate.error_after is not None:
            return _gateway_error(fate.error_after)
        if creation.task_id is None:
            return JSONResponse(answers.mailbox(creation), 201)
        return JSONResponse({"task_id": creation.task_id}, 202)

    def _wanted(self, request: Request, body: bytes) -> Wanted:
        """Check a create and note one that is refused."""
        form = CreateForm(_parsed(request, body))
        try:
            wanted = form.wanted()
        except Refusal:
            if form.address is not None:
                self.state.note(form.address, "invalid")
            raise
        refuse = self.options.duplicates != "task" or self.options.create_form == "reference"
        if refuse and self.state.is_taken(wanted.address):
            self.state.note(wanted.address, "duplicate")
            is_conflict = self.options.duplicates == "conflict"
            raise refusals.conflict() if is_conflict else refusals.invalid({"email": [ALREADY_EXISTS]})
        return wanted

    def _task(self, request: Request, _body: bytes) -> Response:
        task_id = request.path_params["task_id"]
        creation = self.state.task(task_id)
        if creation is None and self.options.unknown_task == "404":
            raise refusals.not_found()
        now, celery_states = self.state.now(), self.options.celery_states
        return JSONResponse(answers.task(task_id, creation, now, celery_states=celery_states))

    def _mailboxes(self) -> Sequence[Creation]:
        if self.options.no_listing:
            raise refusals.not_found()
        return self.state.listed()

    def _userinfo(self, _request: Request, _body: bytes) -> Response:
        hosts = {"ibx_smtp": self.options.smtp_host, "ibx_imap": self.options.imap_host}
        return JSONResponse({"id": 1, "name": ACCOUNT_NAME, "email": "office@acme-mail.example", **hosts})

    def _download(self, request: Request, _body: bytes) -> Response:
        service = request.path_params["service"]
        if service not in COLUMNS:
            raise refusals.not_found()
        hosts = {"smtp_host": self.options.smtp_host, "imap_host": self.options.imap_host}
        disposition = f'attachment; filename="mailboxes_{service}.csv"'
        content = export(service, self.state.listed(), **hosts)
        return Response(content, media_type="text/csv", headers={"Content-Disposition": disposition})

    def _list(self, kind: str, items: Callable[[], Sequence[T]], shown: Callable[[T], answers.Answer]) -> Action:
        def answer(request: Request, _body: bytes) -> Response:
            if self.options.paginated:
                return JSONResponse(answers.page(request, items(), shown, self.options.page_size))
            return JSONResponse([shown(item) for item in items()])

        return Action(kind, answer)


class View:
    """One path of the API, as an ASGI application: the gates, then the action for the method."""

    def __init__(self, sandbox: Sandbox, actions: dict[str, Action]) -> None:
        self._sandbox = sandbox
        self._actions = actions | ({"HEAD": actions["GET"]} if "GET" in actions else {})
        self._allowed = [*actions, *(["HEAD"] if "GET" in actions else []), "OPTIONS"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        action = self._actions.get(request.method)

        def handler(body: bytes, arrived: float) -> Response:
            self._sandbox.admit(request, arrived)
            if action is not None:
                return action.handler(request, body)
            if request.method == "OPTIONS":
                parses = {"renders": ["application/json"], "parses": ["application/json"]}
                return JSONResponse(parses, headers={"Allow": ", ".join(self._allowed)})
            raise refusals.method_not_allowed(request.method, self._allowed)

        await self._sandbox.answer(request, send, action.kind if action is not None else "other", handler)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


async def _cut(request: Request) -> None:
    request.scope["state"]["abort"]()
    # The server learns of the cut on its next turn; before that it would answer 500 for want of an answer.
    await asyncio.sleep(0)


def _gateway_error(status: int) -> Response:
    headers = {"Retry-After": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return HTMLResponse(refusals.stray_page(status), status, headers)


def _parsed(request: Request, body: bytes) -> object:
    """The body as JSON; an empty one counts as an empty object, as in Django REST framework."""
    if not body:
        return {}
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise refusals.unsupported_media_type(content_type)
    try:
        parsed: object = json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise refusals.parse_error(error) from error
    return parsed


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")
