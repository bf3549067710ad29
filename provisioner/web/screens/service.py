"""Which service the page works with, and whose account: shown on the first screen, where a key can be typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.to_thread import run_sync
from starlette.routing import Route

from provisioner import account as account_calls
from provisioner import keys
from provisioner.errors import SettingsError
from provisioner.events import NullListener
from provisioner.secret import Secret
from provisioner.web import forms, views

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.web.workspace import Workspace


async def enter_key(request: Request) -> Response:
    """Try a key that was typed, and use it from then on; save it in the keyring only if that was asked for."""
    workspace: Workspace = request.app.state.workspace
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
    account = await account_calls.account(connection, NullListener())
    if keep:
        await run_sync(options.keep_key, connection)
    workspace.sign_in(connection, account)
    return views.go("/")


ROUTES: Final = (Route("/key", enter_key, methods=["POST"]),)
