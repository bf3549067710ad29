"""The screen of a run that has ended, in this program, in an earlier one, or on the command line."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from provisioner.account import SERVICES
from provisioner.errors import InterruptedRunError, ProvisionerError
from provisioner.messages import LOGGED_IN, NO_PRACTICE_LOGINS, SHEET_DONE, found_rate, headings, listed, login_remedy
from provisioner.records import Status
from provisioner.web import live, views
from provisioner.web.phrases import plain
from provisioner.web.runs import Phase
from provisioner.web.screens.downloads import FILES
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from provisioner.result import RunResult
    from provisioner.run_folder import RunFolder
    from provisioner.summary import Summary
    from provisioner.web.work import Work

SHOWN_CAUSES: Final = 50


async def show(request: Request) -> Response:
    """The whole screen, made from the journal and the files."""
    work = await work_of(request)
    if work.run.sending:
        return RedirectResponse(f"{work.path}/run", 303)
    if not await work.is_known():
        return RedirectResponse(f"{work.path}/check", 303)
    result = await work.outcome()
    files = await run_sync(_files, await work.folder())
    return views.page("done.html", **_values(work, result, files))


async def verify(request: Request) -> Response:
    """Log in to each mailbox of the run."""
    work = await work_of(request)
    if work.logins.possible:
        work.logins.begin(await work.folder(), work.options.schema)
    return HTMLResponse(await _logins(work))


async def follow(request: Request) -> Response:
    """The log-ins, whenever something changed; the browser leaves when it is told that they cannot be read."""
    work = await work_of(request)

    async def state() -> str:
        try:
            return live.message(await _logins(work))
        except ProvisionerError as error:
            # Raised here, it would cut the stream, and the browser would connect again for ever.
            return live.message(views.render("logins.html", logins=work.logins, unreadable=error))

    return live.stream(work.logins.changes, work.workspace.closing, state)


def _values(work: Work, result: RunResult, files: list[str]) -> dict[str, Any]:
    """What the template shows."""
    summary, statuses = result.summary, result.statuses
    left = 0 if summary.is_sheet_done else summary.left
    to_fix = sum(number for status, number in statuses.items() if status.to_fix) if left else 0
    again = "Continue" if statuses.get(Status.UNSENT) or work.run.result is None else "Run the rest again"
    groups = result.groups[:SHOWN_CAUSES]
    known = work.run.result.summary.rate if work.run.result else None
    return {
        "work": work,
        "error": _error(work, left, again if left - to_fix else ""),
        "created": statuses.get(Status.CREATED, 0),
        "counts": [(number, plain(status)) for status, number in statuses.items()],
        "existing": listed(summary.existing, 3, statuses.get(Status.EXISTS, 0)),
        "headings": headings(result.groups, left),
        "groups": [(actor, list(own)) for actor, own in groupby(groups, attrgetter("actor"))],
        "more_causes": len(result.groups) - len(groups),
        "to_fix": to_fix,
        "rest": left - to_fix,
        "sheet_done": f"{SHEET_DONE}." if summary.left and not left else "",
        "again": again,
        "rate": found_rate(known) if known else "",
        "files": files,
        "clients": _clients(summary),
        "mailboxes": summary.rows - summary.left,
        "by": summary.by,
        "exports": SERVICES,
        **_login_values(work, result),
    }


def _error(work: Work, left: int, again: str) -> ProvisionerError | None:
    """Why the latest run ended early. One that could not be begun is told where that was tried, and not for ever.

    `again` is the name of the button that sends the rest; empty if there is none.
    """
    error = work.run.error
    if work.run.phase is not Phase.ENDED:
        return None
    if not isinstance(error, InterruptedRunError):
        return error
    return InterruptedRunError(error.message, remedy=f"Press “{again}” to go on." if again else "") if left else None


def _clients(summary: Summary) -> list[tuple[str, int]]:
    """The values of the counting column that have mailboxes, and how many each, most first."""
    done = {
        value: sum(number for status, number in statuses.items() if status.done)
        for value, statuses in summary.counts_by.items()
    }
    return [(value, number) for value, number in Counter(done).most_common() if number]


def _files(folder: RunFolder) -> list[str]:
    return [name for name in FILES if (folder.path / name).is_file()]


async def _logins(work: Work) -> str:
    return views.render("logins.html", work=work, **_login_values(work, await work.outcome()))


def _login_values(work: Work, result: RunResult) -> dict[str, Any]:
    """What is shown of log-ins: those under way, else the outcome of the latest."""
    return {
        "logins": work.logins,
        "unreadable": None,
        "no_logins": "" if work.logins.possible else NO_PRACTICE_LOGINS,
        "login_total": result.summary.rows - result.summary.left,
        "login_counts": result.summary.logins,
        "login_groups": result.logins,
        "logged_in": LOGGED_IN,
        "login_remedy": login_remedy,
    }


ROUTES: Final = (
    Route("/sheets/{id}/done", show),
    Route("/sheets/{id}/verify", verify, methods=["POST"]),
    Route("/sheets/{id}/logins", follow),
)
