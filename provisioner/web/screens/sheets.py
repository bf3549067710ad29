"""The first screen: a sheet comes in, the folder's sheets stand below, and whose account it is; a key can be typed."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from provisioner import keys, schema
from provisioner.account import SERVICES
from provisioner.concurrency import in_threads
from provisioner.errors import RunFolderError, SettingsError, SheetError
from provisioner.secret import Secret
from provisioner.sheets.template import template
from provisioner.web import forms, live, uploads, views
from provisioner.web.account_state import whose
from provisioner.web.folder import id_of, list_folder, with_failures
from provisioner.web.practice import make_sheet
from provisioner.web.workspace import work_of, workspace_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from provisioner.web.workspace import Workspace


MOST_OFFERED: Final = 8
"""How many sheets are offered that a failures file may belong to: the latest ones."""


async def show(request: Request) -> Response:
    """The whole screen. With `q`, only the sheets whose names hold it."""
    workspace = workspace_of(request)
    workspace.ask_account()
    busy = {work.id for work in workspace.works.values() if work.is_busy}
    search = request.query_params.get("q", "")
    listed, more = await run_sync(partial(list_folder, workspace.options.folder, busy, search))
    return views.page(
        "sheets.html",
        practice=workspace.options.sandbox,
        folder=workspace.options.folder.absolute(),
        sheets=listed,
        more=more,
        search=search,
        most=forms.LARGEST_SHEET,
        too_large=forms.too_large(forms.LARGEST_SHEET).detail,
        exports=SERVICES if workspace.has_key and not workspace.options.sandbox else (),
        **_service(workspace),
    )


async def receive(request: Request) -> Response:
    """Save a sheet that was dropped or chosen, and open it; ask if another one has its name.

    Of a failures file it is asked first whether it belongs to a sheet that is here: as a sheet of its own, it would
    leave that one's rows to be fixed once more, and a mailbox might be created under two names.
    """
    name = uploads.safe_name(request.query_params.get("name", ""))
    existing = request.query_params.get("existing", "")
    if not existing and "failures" in name.lower() and name.endswith((".csv", ".xlsx")):
        sheets = await run_sync(with_failures, workspace_of(request).options.folder)
        if sheets:
            async for _ in request.stream():
                pass
            return views.page("belongs.html", status=409, name=name, sheets=sheets[:MOST_OFFERED])
    return await _save(request, name, request.stream(), existing)


async def paste(request: Request) -> Response:
    """Save pasted rows as a sheet, and open it."""
    fields = await forms.fields(request)
    rows = fields.get("rows", "")
    if not rows.strip():
        raise SheetError("No rows were pasted.", remedy="Copy them in the spreadsheet program, with their header.")

    async def pieces() -> AsyncIterator[bytes]:
        yield rows.encode(errors="replace")

    return await _save(request, time.strftime("pasted-%Y-%m-%d-%H%M.tsv"), pieces(), "both")


async def _save(request: Request, name: str, pieces: AsyncIterator[bytes], existing: str) -> Response:
    workspace = workspace_of(request)
    _refuse_if_run(workspace, name, existing)
    async with in_threads(uploads.receiving(workspace.options.folder)) as part:
        async for piece in pieces:
            await run_sync(part.write, piece)
        # A run may have begun meanwhile.
        _refuse_if_run(workspace, name, existing)
        try:
            path = await run_sync(part.keep, name, existing)
        except uploads.NameTakenError:
            return views.page("taken.html", status=409, name=name)
    if existing == "replace":
        workspace.works.pop(id_of(path.name), None)
        return views.go(f"/sheets/{id_of(path.name)}/check")
    return views.go(f"/sheets/{id_of(path.name)}")


def _refuse_if_run(workspace: Workspace, name: str, existing: str) -> None:
    known = workspace.works.get(id_of(name))
    if existing == "replace" and known is not None and known.is_busy:
        raise RunFolderError(f"{name} is being run now.", remedy="Wait until the run has ended, or keep both sheets.")


async def empty_sheet(request: Request) -> Response:
    """A sheet with the header and one example row, to be filled in."""
    kind = request.path_params["kind"]
    if kind not in ("csv", "xlsx"):
        raise HTTPException(404)
    rules = workspace_of(request).options.sheet.get("schema")
    content = await run_sync(_empty_sheet, kind, rules)
    return views.download(content, f"mailboxes.{kind}")


def _empty_sheet(kind: str, rules: Path | None) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mailboxes.{kind}"
        template(path, schema.load(rules))
        return path.read_bytes()


async def practise(request: Request) -> Response:
    """Make a sheet to practise with, and open it."""
    options = workspace_of(request).options
    path = await run_sync(make_sheet, options.folder, options.sheet.get("schema"))
    return views.go(f"/sheets/{id_of(path.name)}")


async def copy(request: Request) -> Response:
    """Open a copy of a sheet, which is a sheet of its own: one that was practised with cannot be run for real.

    There is none of another sheet: the copy would not know what was sent for it.
    """
    work = await work_of(request)
    if not work.practice:
        raise HTTPException(404)
    path = await run_sync(uploads.copy, work.options.sheet, work.workspace.options.folder)
    return views.go(f"/sheets/{id_of(path.name)}/check")


async def stand(request: Request) -> Response:
    """Go to the screen where a sheet stands."""
    work = await work_of(request)
    return RedirectResponse(await work.standing(), 303)


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
    account = await whose(connection, workspace.limiter(practice=False))
    if keep:
        await run_sync(options.keep_key, connection)
    workspace.sign_in(connection, account)
    return views.go("/")


async def follow_service(request: Request) -> Response:
    """What is known of the account, as soon as it is."""
    workspace = workspace_of(request)

    async def state() -> str:
        if workspace.account.asking:
            return ": the service is being asked\n\n"
        return live.message(views.render("service.html", **_service(workspace)))

    return live.stream(workspace.account.changes, workspace.closing, state)


def _service(workspace: Workspace) -> dict[str, Any]:
    """What the template shows of the service."""
    return {"sandbox": workspace.options.sandbox, "has_key": workspace.has_key, "account": workspace.account}


ROUTES: Final = (
    Route("/", show),
    Route("/sheets", receive, methods=["PUT"]),
    Route("/pasted", paste, methods=["PUT"]),
    Route("/template.{kind}", empty_sheet),
    Route("/practice", practise, methods=["POST"]),
    Route("/sheets/{id}", stand),
    Route("/sheets/{id}/copy", copy, methods=["POST"]),
    Route("/key", enter_key, methods=["POST"]),
    Route("/service", follow_service),
)
