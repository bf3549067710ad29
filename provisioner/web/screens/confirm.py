"""The question before anything is sent, and what leads to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from provisioner.errors import ProvisionerError
from provisioner.messages import duration, invalid_rows, least_time, other_rows
from provisioner.sheets.headers import ColumnsError
from provisioner.sheets.workbook import SeveralTabsError
from provisioner.web import forms, live, views
from provisioner.web.runs import ANSWER_WITHIN, Phase
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from provisioner.summary import RunPreview
    from provisioner.web.work import Work

TRIAL: Final = 3
"""How many mailboxes are created first, by who wants to see whether it goes well."""
PATIENCE: Final = 1.5
"""Seconds for which the question is waited for, before it is said that the service is being asked."""
_SETTLED: Final = tuple(phase for phase in Phase if phase is not Phase.ASKING)
_GONE: Final = '<div data-gone="confirm"></div>'
_STALE: Final = ProvisionerError(
    f"This question was answered elsewhere, or not within {duration(ANSWER_WITHIN)}, or the program was started again. "
    "So this answer did nothing.",
    remedy="Reload the page to see where the sheet stands.",
)


async def begin(request: Request) -> Response:
    """Start a run, and answer with its question as soon as there is one."""
    work = await work_of(request)
    work.run.begin(work.to_run)
    return await _outcome(work)


async def answer(request: Request) -> Response:
    """Take the person's answer: all, some or none."""
    work = await work_of(request)
    given = await forms.fields(request)
    create, run = given.get("create"), work.run
    # Without a number it was pressed before the question came; to decline is always safe.
    early = "question" not in given and run.phase is Phase.CONFIRMING
    if create == "none" and (early or run.phase in (Phase.ASKING, Phase.IDLE, Phase.ENDED)):
        run.stop()
        return HTMLResponse(_GONE)
    if not run.answer(forms.number(given.get("question", "")), agreed=create == "all"):
        return HTMLResponse(_unable(_STALE), 409)
    await run.until(*(phase for phase in Phase if phase is not Phase.CONFIRMING))
    if create == "none" and run.preview and run.preview.invalid:
        # Some of the errors may be new to the screen: only now was the account asked.
        await run.until(Phase.IDLE, Phase.ENDED)
        return views.go(f"{work.path}/check")
    if create == "some":
        await run.until(Phase.IDLE, Phase.ENDED)
        run.begin(work.to_run, limit=TRIAL, agreed=True)
        return await _outcome(work)
    return HTMLResponse(_GONE) if create != "all" else views.go(f"{work.path}/run")


async def question(request: Request) -> Response:
    """Follow what the service is asked, until there is a question or an end."""
    work = await work_of(request)

    async def state() -> str:
        if work.run.phase is Phase.ASKING:
            return live.message(views.render("asking.html", work=work, progress=work.run.progress, whole=False))
        if (work.run.sending or work.run.phase is Phase.ENDED) and not _is_idle(work):
            return live.go(f"{work.path}/run")
        return live.message(_settled(work))

    return live.stream(work.run.changes, work.workspace.closing, state)


def dialog(work: Work) -> str:
    """The dialog for a page that is loaded while the service or the person is asked, as HTML; empty if nobody is."""
    if work.run.phase is Phase.ASKING:
        return views.render("asking.html", work=work, progress=work.run.progress, whole=True)
    return _settled(work) if work.run.phase is Phase.CONFIRMING else ""


async def _outcome(work: Work) -> Response:
    """What a run that was begun leads to: a question, another screen, or the reason why it cannot be."""
    with anyio.move_on_after(PATIENCE):
        await work.run.until(*_SETTLED)
    if work.run.phase is Phase.ASKING:
        return HTMLResponse(dialog(work))
    if isinstance(work.run.error, (ColumnsError, SeveralTabsError)):
        # The screen of the check asks what is meant.
        return views.go(f"{work.path}/check")
    if _is_idle(work):
        await work.run.until(Phase.ENDED, Phase.IDLE)
    elif work.run.sending or work.run.phase is Phase.ENDED:
        return views.go(f"{work.path}/run")
    return HTMLResponse(_settled(work), 409 if work.run.error else 200)


def _is_idle(work: Work) -> bool:
    """Whether the run turned out to have nothing to do at all."""
    preview = work.run.preview
    return work.run.error is None and preview is not None and not preview.mailboxes and not preview.to_poll


def _settled(work: Work) -> str:
    """The HTML once the service has been asked."""
    run = work.run
    if run.error is not None:
        return _unable(run.error)
    preview = run.preview
    if preview is None:
        return _GONE
    if _is_idle(work):
        return views.render("nothing.html", lines=_others(preview), work=work)
    if run.phase is not Phase.CONFIRMING:
        return _GONE
    return views.render(
        "confirm.html",
        work=work,
        preview=preview,
        question=run.question,
        trial=TRIAL,
        host=preview.service.partition("://")[2],
        values=Counter(preview.by_value).most_common(),
        takes=least_time(preview),
        others=_others(preview),
    )


def _unable(error: ProvisionerError) -> str:
    return _GONE + views.render("trouble.html", error=error, link="", focus=True)


def _others(preview: RunPreview) -> list[str]:
    """What happens to the rows that no new mailbox is created for."""
    return [*other_rows(preview), *([f"{invalid_rows(preview)}."] if preview.invalid else [])]


ROUTES: Final = (
    Route("/sheets/{id}/begin", begin, methods=["POST"]),
    Route("/sheets/{id}/answer", answer, methods=["POST"]),
    Route("/sheets/{id}/question", question),
)
