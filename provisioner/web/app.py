"""The table of routes, and what is answered where something goes wrong."""

from __future__ import annotations

from importlib import resources
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from provisioner.errors import ProvisionerError
from provisioner.keys import NoKeyError
from provisioner.web import views
from provisioner.web.forms import BodyLimit
from provisioner.web.phrases import told
from provisioner.web.screens import account, check, columns, confirm, done, downloads, fixes, run, sheets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from provisioner.web.workspace import Workspace

_SCREENS: Final = (sheets, account, check, fixes, columns, confirm, run, done, downloads)


def build(workspace: Workspace) -> Starlette:
    """The application behind the gate. Blocks while it reads templates and static files; they are not read later."""
    views.prepare()
    app = Starlette(
        routes=[*(route for screen in _SCREENS for route in screen.ROUTES), *_static()],
        middleware=[Middleware(BodyLimit)],
        exception_handlers={
            ClientDisconnect: _left,
            ProvisionerError: _unable,
            HTTPException: _refused,
            Exception: _unexpected,
        },
    )
    app.state.workspace = workspace
    return app


def _static() -> Iterator[Route]:
    """A route for each file of the page itself: no other name leads to anything."""
    for file in (resources.files("provisioner.web") / "static").iterdir():
        content, kind = file.read_bytes(), views.KINDS[PurePath(file.name).suffix]

        async def show(_: Request, content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        yield Route(f"/static/{file.name}", show)


async def _unable(request: Request, error: Exception) -> Response:
    """Whatever the command line would say, at the place where it happened."""
    assert isinstance(error, ProvisionerError)
    if request.method == "GET":
        return views.page("unable.html", status=409, error=error)
    return views.trouble(error, link="/#service" if isinstance(error, NoKeyError) else "")


async def _left(_: Request, __: Exception) -> Response:
    """The browser is gone: nobody reads this."""
    return Response(status_code=400)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "There is no such page." if error.status_code == 404 else error.detail  # noqa: PLR2004 - HTTP's own number
    known = ProvisionerError(message)
    if request.method == "GET":
        return views.page("unable.html", status=error.status_code, error=known)
    return views.trouble(known, error.status_code)


async def _unexpected(request: Request, error: Exception) -> Response:
    return await _unable(request, told(error, "Open the page again. What was sent and fixed is kept."))
