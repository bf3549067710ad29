"""The table of routes, and what is answered where something goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from provisioner.errors import ProvisionerError
from provisioner.web import views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

STATIC: Final = Path(__file__).parent / "static"


def build(routes: Sequence[BaseRoute]) -> Starlette:
    """The application behind the gate."""
    static = Mount("/static", StaticFiles(directory=STATIC))
    return Starlette(
        routes=[*routes, static],
        exception_handlers={
            ProvisionerError: _unable,
            HTTPException: _refused,
            Exception: _unexpected,
        },
    )


async def _unable(request: Request, error: Exception) -> Response:
    """Whatever the command line would say, at the place where it happened."""
    assert isinstance(error, ProvisionerError)
    if request.method == "GET":
        return views.page("unable.html", status=409, message=error.message, remedy=error.remedy)
    return views.trouble(error)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = "There is no such page." if error.status_code == 404 else error.detail  # noqa: PLR2004 - HTTP's own number
    return views.page("unable.html", status=error.status_code, message=message, remedy="")


async def _unexpected(request: Request, error: Exception) -> Response:
    """A fault of the program: what it was is not shown, since it may hold anything."""
    sentence = f"Something unexpected happened in the program ({type(error).__name__})."
    unexpected = ProvisionerError(sentence, remedy="Open the page again. What was sent and fixed is kept.")
    return await _unable(request, unexpected)
