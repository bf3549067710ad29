"""Which service the page works with, and whose account: shown on the first screen, where a key can be typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from starlette.routing import Route

from provisioner import keys
from provisioner.errors import SettingsError
from provisioner.secret import Secret
from provisioner.web import forms, live, views
from provisioner.web.account_state import whose
from provisioner.web.workspace import workspace_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.web.workspace import Workspace


async def enter_key(request: Request) -> Response:
    """Try a key that was typed, and use it from then on; save it in the keyring only if that was asked for."""
    workspace = workspace_of(request)
    options = workspace.options
    if options.connection_with is None:
        raise SettingsError(
            "Everything at this page is practice, so it needs no key.", remedy="Start it without --sandbox."
        )
    fields = await forms.fields(request)
    keep = bool(fields.get("keep"))
    connection = options.connection_with(Secret(fields.get("key", "").strip()))
    if keep:
        await run_sync(keys.require_keyring)
    account = await whose(connection, workspace.limiter(practice=False).share())
    if keep:
        await run_sync(options.keep_key, connection)
    workspace.sign_in(connection, account)
    return views.go("/")


async def follow(request: Request) -> Response:
    """What is known of the account, as soon as it is."""
    workspace = workspace_of(request)

    async def state() -> str:
        if workspace.account.asking:
            return ": the service is being asked\n\n"
        return live.message(views.render("service.html", **shown(workspace)))

    return live.stream(workspace.account.changes, workspace.closing, state)


def shown(workspace: Workspace) -> dict[str, Any]:
    """What the template shows of the service."""
    return {"sandbox": workspace.options.sandbox, "has_key": workspace.has_key, "account": workspace.account}


ROUTES: Final = (
    Route("/key", enter_key, methods=["POST"]),
    Route("/service", follow),
)
