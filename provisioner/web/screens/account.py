"""What the account has to be written into a sheet: its domains, relay servers and projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from provisioner import account
from provisioner.concurrency import in_threads
from provisioner.events import NullListener
from provisioner.resources import Listing
from provisioner.web import views
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

LISTS: Final = (Listing.DOMAINS, Listing.RELAY_SERVERS, Listing.PROJECTS)
MOST: Final = 400
"""How many entries of one list are shown."""


async def show(request: Request) -> Response:
    """The lists of the account that a sheet's mailboxes are created in."""
    work = await work_of(request)
    workspace = work.workspace
    async with in_threads(workspace.connect(work.practice)(None)) as connection:
        lists = await account.listings(connection, LISTS, NullListener(), limiter=workspace.limiter(work.practice))
    return views.page("account.html", work=work, lists=lists, most=MOST)


ROUTES: Final = (Route("/sheets/{id}/account", show),)
