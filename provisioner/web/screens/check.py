"""Check: what is wrong with the sheet's rows, and all rows to look at."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from starlette.routing import Route

from provisioner.errors import UnusableError
from provisioner.web import forms, views
from provisioner.web.phrases import short_hash
from provisioner.web.rows import (
    FURTHER_COLUMNS,
    MOST_FURTHER_COLUMNS,
    MOST_ROWS_TO_FIX,
    ShownColumns,
    as_many_as_fit,
    in_doubt,
)
from provisioner.web.screens.columns import unusable
from provisioner.web.screens.confirm import dialog
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.fixing import Cause, OpenRow, OpenSheet
    from provisioner.web.work import Work


async def check(request: Request) -> Response:
    """The page: the rows to fix, or all rows to look at."""
    work = await work_of(request)
    try:
        sheet = await work.sheet()
    except UnusableError as error:
        return unusable(work, error)
    show = _all_rows if request.query_params.get("show") == "all" else _rows_to_fix
    return await run_sync(show, work, sheet, request.query_params, dialog(work))


def _rows_to_fix(work: Work, sheet: OpenSheet, query: QueryParams, question: str) -> Response:
    causes = sheet.causes()
    cause, after = _cause(causes, query.get("cause")), query.get("after", "")
    found, total = sheet.rows(cause=cause, after=after, size=MOST_ROWS_TO_FIX)
    further = MOST_FURTHER_COLUMNS if any(map(in_doubt, found)) else FURTHER_COLUMNS
    shown = ShownColumns.of(sheet.columns, further)
    rows = as_many_as_fit(shown.row_to_fix(row) for row in found)
    if rows:
        rows[0] = replace(rows[0], start=next(iter(rows[0].faulty), None))
    beyond = total - len(rows)
    return _page(
        "check.html",
        work,
        sheet,
        shown,
        causes=causes,
        cause=cause,
        after=after,
        rows=rows,
        beyond=beyond,
        next=urlencode({"after": rows[-1].key, **({"cause": short_hash(cause)} if cause else {})}) if beyond else "",
        part=_part(found[: len(rows)], further),
        dialog=question,
        files=failures_files(sheet),
        most=forms.LARGEST_SHEET,
        too_large=forms.too_large(forms.LARGEST_SHEET).detail,
    )


def failures_files(sheet: OpenSheet) -> list[str]:
    """The files with the rows to fix: the workbook too, unless they are too many for one."""
    if not sheet.counts().to_fix:
        return []
    text, workbook = (path.name for path in sheet.folder.failures_files)
    return [text, workbook] if sheet.has_workbook else [text]


def _all_rows(work: Work, sheet: OpenSheet, query: QueryParams, question: str) -> Response:
    shown, search = ShownColumns.of(sheet.columns), query.get("q", "").strip()
    size, number = shown.page_size, forms.number(query.get("page", ""))
    rows, total = sheet.rows(to_fix=False, search=search, start=number * size, size=size)

    def link(page: int) -> str:
        return urlencode({"show": "all", "q": search, "page": page})

    return _page(
        "check_all.html",
        work,
        sheet,
        shown,
        search=search,
        found=total,
        rows=rows,
        dialog=question,
        previous=link(number - 1) if number else "",
        next=link(number + 1) if (number + 1) * size < total else "",
    )


def _page(template: str, work: Work, sheet: OpenSheet, shown: ShownColumns, **values: Any) -> Response:
    return views.page(
        template,
        work=work,
        notes=sheet.notes,
        sheet_changed=sheet.sheet_changed,
        counts=sheet.counts(),
        undoable=sheet.undoable,
        left_out=sheet.left_out,
        columns=shown.columns,
        hidden=shown.hidden,
        **values,
    )


def _cause(causes: Sequence[Cause], wanted: str | None) -> str:
    """The cause that an address asks for; empty if it asks for none, or nothing is left of it."""
    return next((cause.sentence for cause in causes if short_hash(cause.sentence) == wanted), "")


def _part(rows: Sequence[OpenRow], further: int) -> dict[str, str]:
    """Which part of the sheet a page shows: the first and last row number, and how many columns that are not known."""
    numbers = [row.number for row in rows if row.number is not None]
    return {"first": str(min(numbers, default=0)), "last": str(max(numbers, default=0)), "further": str(further)}


ROUTES: Final = (Route("/sheets/{id}/check", check),)
