"""The screen of a run that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from provisioner.errors import ProvisionerError
from provisioner.messages import count
from provisioner.records import Status
from provisioner.web import forms, live, views
from provisioner.web.runs import Phase
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from provisioner.web.runs import PageProgress
    from provisioner.web.work import Work

ANNOUNCED_EVERY: Final = 10.0
"""Seconds between two announcements to a screen reader."""


async def show(request: Request) -> Response:
    """The whole screen; elsewhere if no run is under way."""
    work = await work_of(request)
    if not work.run.sending:
        return RedirectResponse(_elsewhere(work), 303)
    return views.page("run.html", **await _state(work))


async def follow(request: Request) -> Response:
    """The same, whenever something changed, until the run has ended."""
    work = await work_of(request)
    announced_at = anyio.current_time()

    async def state() -> str:
        nonlocal announced_at
        if not work.run.sending:
            return live.go(_elsewhere(work))
        announce = anyio.current_time() - announced_at >= ANNOUNCED_EVERY
        if announce:
            announced_at = anyio.current_time()
        return live.message(views.render("running.html", **await _state(work, announce=announce)))

    return live.stream(work.run.changes, work.workspace.closing, state)


async def stop(request: Request) -> Response:
    """Stop the run: gently, or at once."""
    work = await work_of(request)
    given = await forms.fields(request)
    if not work.run.sending:
        return views.go(_elsewhere(work))
    work.run.stop(at_once=bool(given.get("at_once")))
    return HTMLResponse(views.render("running.html", **await _state(work, stopped_now=True)))


def _elsewhere(work: Work) -> str:
    return f"{work.path}/done" if work.run.phase is Phase.ENDED else work.path


async def _state(work: Work, *, announce: bool = False, stopped_now: bool = False) -> dict[str, Any]:
    """What the templates show of a run."""
    run = work.run
    progress = run.progress
    assert progress is not None
    try:
        failures = await run.failures()
    except ProvisionerError:
        # The run itself says what is wrong with its journal.
        failures = []
    counts = _counts(progress)
    return {
        "work": work,
        "state": _sentence(progress, stopping=run.phase is Phase.STOPPING, at_once=run.at_once),
        "stopped_now": stopped_now,
        "counts": counts,
        "failures": failures,
        "announcement": ", ".join(f"{number:,} {name}" for number, name in counts) if announce else "",
    }


def _sentence(progress: PageProgress, *, stopping: bool, at_once: bool) -> str:
    """What is happening at this moment, or is being waited for."""
    flying = progress.in_flight
    if at_once:
        return "Stopping at once: the files are being written."
    if stopping:
        sent = count(flying, "mailbox that was sent", "mailboxes that were sent")
        return f"Stopping: nothing more is sent; waiting for {sent}." if flying else "Stopping."
    if progress.pause:
        return f"{progress.pause}."
    if progress.unsent or not progress.to_finish:
        return "Sending."
    them = count(flying, "mailbox is", "mailboxes are")
    working = f"Everything is sent; the service is still working: {them} not done yet."
    return working if flying else "Everything is finished; the files are being written."


def _counts(progress: PageProgress) -> list[tuple[int, str]]:
    """How many rows stand where, none of them twice."""
    ended = progress.ended
    others = sum(ended[status] for status in (Status.UNFINISHED, Status.UNKNOWN, Status.UNSENT))
    counts = [
        (ended[Status.CREATED], "created", True),
        (ended[Status.EXISTS], "already existed", False),
        (progress.in_flight, "sent, not finished", True),
        (progress.unsent, "not sent yet", True),
        (ended[Status.REJECTED], "refused by the service", False),
        (ended[Status.FAILED], "failed", False),
        (others, "left for the next run", False),
        (progress.done, "done before", False),
        (progress.invalid, "with errors, skipped", False),
    ]
    return [(number, name) for number, name, always in counts if number or always]


ROUTES: Final = (
    Route("/sheets/{id}/run", show),
    Route("/sheets/{id}/events", follow),
    Route("/sheets/{id}/stop", stop, methods=["POST"]),
)
