"""The first screen: a sheet comes in, and the folder's sheets stand below with their next steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from provisioner.web import views

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def show(request: Request) -> Response:
    """The whole screen."""
    workspace = request.app.state.workspace
    return views.page("sheets.html", practice=workspace.options.sandbox)


ROUTES: Final = (Route("/", show),)
