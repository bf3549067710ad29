"""The files of a run, by name: nothing else can be asked for, and none is shown within the page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, Final

from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException
from starlette.routing import Route

from provisioner import account, run_folder
from provisioner.concurrency import in_threads
from provisioner.credentials import KINDS, write_credentials
from provisioner.errors import RunFolderError
from provisioner.events import NullListener
from provisioner.fixing import is_current
from provisioner.web import views
from provisioner.web.screens.check import failures_files
from provisioner.web.workspace import work_of, workspace_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.run_folder import RunFolder

FILES: Final = ("results.csv", "failures.csv", "failures.xlsx", "report.html")
PIECE: Final = 1 << 16


async def file(request: Request) -> Response:
    """One of the run folder's files, as it is now."""
    name = request.path_params["name"]
    if name not in FILES:
        raise HTTPException(404)
    work = await work_of(request)
    folder = await work.folder()
    path = folder.path / name
    await work.settle()
    if path == folder.failures_workbook and not await run_sync(is_current, folder):
        sheet = await work.sheet()
        if name in failures_files(sheet):
            return views.download(await run_sync(sheet.workbook), name)
    try:
        opened = await run_sync(partial(path.open, "rb"))
    except FileNotFoundError:
        raise HTTPException(404) from None
    return views.download(_pieces(opened), name)


async def credentials(request: Request) -> Response:
    """What a client is to be given; of one client only, if the address names one."""
    work = await work_of(request)
    client = request.query_params.get("client")
    kind = f".{request.query_params.get('kind', 'csv')}"
    if kind not in KINDS:
        raise HTTPException(404)
    by = (await work.outcome()).summary.by if client is not None else None
    folder = await run_sync(run_folder.existing, (await work.folder()).path)
    async with in_threads(await run_sync(partial(TemporaryDirectory, dir=folder.path))) as temporary:
        target = Path(temporary) / f"credentials{kind}"
        written = await write_credentials(
            folder.path,
            target,
            # A missing key is an error only if the service has to be asked.
            lambda within: work.workspace.connect(work.practice)(within),  # noqa: PLW0108 - not before it is called
            NullListener(),
            by=by or None,
            schema_file=work.options.schema,
            limiter=work.workspace.limiter(work.practice),
        )
        path = target if client is None else written.by_value.get(client)
        if path is None:
            raise HTTPException(404)
        content = await run_sync(path.read_bytes)
    return views.download(content, path.name)


async def export(request: Request) -> Response:
    """The service's own CSV for a sending service, with the mailboxes of this run alone."""
    work = await work_of(request)
    folder = await work.folder()
    if work.run.active:
        raise RunFolderError("A run is under way.", remedy="Wait until it has ended.")
    return await _exported(request, practice=work.practice, only=folder)


async def export_all(request: Request) -> Response:
    """The same with all mailboxes of the account."""
    return await _exported(request, practice=False, only=None)


async def _exported(request: Request, *, practice: bool, only: RunFolder | None) -> Response:
    workspace, name = workspace_of(request), request.path_params["service"]
    if name not in account.SERVICES:
        raise HTTPException(404)
    limiter = workspace.limiter(practice)
    async with in_threads(workspace.connect(practice)(only)) as connection:
        exported = await account.export(connection, name, NullListener(), only=only, limiter=limiter)
    return views.download(exported.content, f"{name}.csv")


async def _pieces(opened: BinaryIO) -> AsyncIterator[bytes]:
    """An open file, piece by piece: what takes its place meanwhile is not mixed in."""
    try:
        while piece := await run_sync(opened.read, PIECE):
            yield piece
    finally:
        opened.close()


ROUTES: Final = (
    Route("/sheets/{id}/files/{name}", file),
    Route("/sheets/{id}/credentials", credentials),
    Route("/sheets/{id}/exports/{service}", export),
    Route("/exports/{service}", export_all),
)
