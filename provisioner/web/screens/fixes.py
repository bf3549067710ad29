"""Fixing a sheet's rows from the check screen: each answer is the parts of the page that a change concerns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from starlette.routing import Route

from provisioner.concurrency import in_threads
from provisioner.errors import ProvisionerError, SheetError
from provisioner.fixing import StaleRowError, UnknownRowError
from provisioner.fixing.sheet import MOST_TOLD
from provisioner.messages import count
from provisioner.web import forms, uploads, views
from provisioner.web.phrases import name_of, told_of
from provisioner.web.rows import FURTHER_COLUMNS, MOST_FURTHER_COLUMNS, ShownColumns
from provisioner.web.screens.check import failures_files
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.fixing import Changed, OpenRow, OpenSheet
    from provisioner.web.rows import RowToFix
    from provisioner.web.work import Work

CELL: Final = "cell:"
"""Begins the name of a field that holds a cell; its column follows."""
_NOT_TYPED: Final = ProvisionerError(
    "Type the right text into this cell first.", remedy="Then it is used for all rows like it."
)
_NO_PASSWORD: Final = ProvisionerError(
    "There is no such password.", remedy="Reload the page to see the row as it is now."
)


@dataclass(frozen=True)
class SentRow:
    """What the page sent about one row."""

    key: str
    fields: Mapping[str, str]

    @classmethod
    async def of(cls, request: Request) -> SentRow:
        """Raises HTTPException for anything but a form's fields."""
        return cls(request.path_params["key"], await forms.fields(request))

    @property
    def version(self) -> str:
        """Of the row, as the page shows it."""
        return self.fields.get("version", "")

    @property
    def typed(self) -> dict[str, str]:
        """The cells into which something was typed, by column."""
        return {name.removeprefix(CELL): text for name, text in self.fields.items() if name.startswith(CELL)}

    @property
    def at(self) -> str:
        """The column of the cell in which Enter was pressed; empty if it was pressed in none."""
        return self.fields.get("at", "").removeprefix(CELL)

    @property
    def column(self) -> str:
        """The column that a button belongs to."""
        return self.fields.get("column", "")

    @property
    def part(self) -> dict[str, str]:
        """Which part of the sheet the page shows."""
        return {name: self.fields.get(name, "") for name in ("first", "last", "further")}

    def shows(self, row: OpenRow) -> bool:
        """Whether the page may show a row."""
        first, last, _ = map(forms.number, self.part.values())
        return row.number is None or first <= row.number <= last

    def columns(self, sheet: OpenSheet) -> ShownColumns:
        """The columns that the page shows."""
        is_wide = self.part["further"] == str(MOST_FURTHER_COLUMNS)
        return ShownColumns.of(sheet.columns, MOST_FURTHER_COLUMNS if is_wide else FURTHER_COLUMNS)


async def change(request: Request) -> Response:
    """Put texts into a row's cells, or one text into the cells of all rows that hold the same."""
    sent = await SentRow.of(request)
    alike = sent.fields.get("alike")
    if alike is not None and alike not in sent.typed:
        return _said(sent.key, _NOT_TYPED)
    return await _changed(
        request, sent, lambda sheet: sheet.change(sent.key, sent.version, sent.typed, alike=alike), beside=alike is None
    )


async def leave_out(request: Request) -> Response:
    """Take a row away from what is to be run."""
    sent = await SentRow.of(request)
    return await _changed(request, sent, lambda sheet: sheet.leave_out(sent.key, sent.version), beside=True)


async def _changed(request: Request, sent: SentRow, act: Callable[[OpenSheet], Changed], *, beside: bool) -> Response:
    """What the page shows after a change; one that could not be made leaves everything as it was typed.

    `beside`: rows that the page does not show are shown at its end if something is wrong with them now.
    """
    work = await work_of(request)
    sheet = await work.sheet()
    try:
        work.refuse_if_busy()
        changed = await run_sync(act, sheet)
    except StaleRowError as error:
        row = _focused(sent.columns(sheet).row_to_fix(error.row, sent.typed), sent)
        return views.page("check_stale.html", status=409, work=work, row=row, part=sent.part)
    except ProvisionerError as error:
        return _said(sent.key, error)
    return await run_sync(partial(_after, work, sheet, sent, changed, beside=beside))


def _after(work: Work, sheet: OpenSheet, sent: SentRow, changed: Changed, *, beside: bool) -> Response:
    if len(changed.also) >= MOST_TOLD:
        # Not all of them are told.
        return views.go(f"{work.path}/check")
    shown = sent.columns(sheet)
    others = [row for row in changed.also if sent.shows(row)]
    rows = [shown.row_to_fix(row) for row in others if row.status.to_fix]
    is_fixed = changed.row is None or not changed.row.status.to_fix
    if changed.row and not is_fixed:
        rows.insert(0, _focused(shown.row_to_fix(changed.row), sent))
        said = f"{name_of(sent.key).capitalize()} is saved, and something in it is still to be fixed"
    else:
        said = _settled(sent.key, changed)
    return _parts(
        work,
        sheet,
        said=said,
        rows=rows,
        fixed=sent.key if is_fixed else "",
        others=[row for row in others if not row.status.to_fix],
        into="rows" if beside else "",
        sent=sent,
    )


def _settled(key: str, changed: Changed) -> str:
    """What is said of a row for which nothing is left to fix."""
    if changed.row is None:
        return f"{name_of(key).capitalize()} is left out"
    ready = sum(not row.status.to_fix for row in changed.also)
    return told_of(changed.row) + (f", and {count(ready, 'other row', 'other rows')} with it" if ready else "")


async def use_sheet(request: Request) -> Response:
    """Take the rows from the sheet, which was changed since it was checked."""
    work = await work_of(request)
    sheet = await work.sheet()
    work.refuse_if_busy()
    await run_sync(sheet.use_sheet)
    return views.go(f"{work.path}/check")


async def put_back(request: Request) -> Response:
    """Take the rows from a failures file that was downloaded and fixed in a spreadsheet program."""
    work = await work_of(request)
    sheet = await work.sheet()
    name = uploads.safe_name(request.query_params.get("name", ""))
    if not name.endswith((".csv", ".xlsx")):
        raise SheetError(f"{name} cannot be put back.", remedy="Save it as a CSV file or as an Excel workbook (.xlsx).")
    await work.settle()
    async with in_threads(uploads.receiving(sheet.folder.path, Path(name).suffix)) as part:
        async for piece in request.stream():
            await run_sync(part.write, piece)
        await run_sync(part.end)
        work.refuse_if_busy()
        await run_sync(sheet.put_back, part.path)
    return views.go(f"{work.path}/check")


async def undo(request: Request) -> Response:
    """Take back the latest change."""
    return await _taken_back(request, lambda sheet: sheet.undo())


async def take_back(request: Request) -> Response:
    """Take back a row that was left out."""
    return await _taken_back(request, lambda sheet: sheet.take_back(request.path_params["key"]))


async def _taken_back(request: Request, act: Callable[[OpenSheet], Changed | None]) -> Response:
    work, sent = await work_of(request), SentRow("", await forms.fields(request))
    sheet = await work.sheet()
    try:
        work.refuse_if_busy()
        changed = await run_sync(act, sheet)
    except (StaleRowError, UnknownRowError):
        sentence = "This change cannot be undone: the row was changed elsewhere meanwhile."
        return views.trouble(ProvisionerError(sentence))
    except ProvisionerError as error:
        return views.trouble(error)
    return await run_sync(_undone, work, sheet, sent, changed)


def _undone(work: Work, sheet: OpenSheet, sent: SentRow, changed: Changed | None) -> Response:
    shown = sent.columns(sheet)
    if changed and len(changed.also) >= MOST_TOLD:
        return views.go(f"{work.path}/check")
    again = [row for row in (changed.row, *changed.also) if row] if changed else []
    rows = [shown.row_to_fix(row) for row in again if row.status.to_fix]
    if rows:
        rows[0] = replace(rows[0], focus=next(iter(rows[0].faulty), None))
    said = f"{name_of(again[0].key).capitalize()} is as it was before" if again else "Nothing is left to undo"
    return _parts(
        work,
        sheet,
        said=said,
        rows=rows,
        fixed="",
        others=[row for row in again if not row.status.to_fix],
        into="rows",
        sent=sent,
    )


def _parts(work: Work, sheet: OpenSheet, *, sent: SentRow, **values: Any) -> Response:
    """The parts of the page that a change concerns."""
    return views.page(
        "check_changed.html",
        work=work,
        counts=sheet.counts(),
        causes=sheet.causes(),
        files=failures_files(sheet),
        undoable=sheet.undoable,
        left_out=sheet.left_out,
        part=sent.part,
        width=len(sent.columns(sheet).columns) + 1,
        **values,
    )


async def generate(request: Request) -> Response:
    """Put a generated password into a row, and save it with whatever else was typed there."""
    sent = await SentRow.of(request)
    sheet = await (await work_of(request)).sheet()
    if not any(column.secret and column.key == sent.column for column in sheet.columns):
        return _said(sent.key, _NO_PASSWORD)

    def act(sheet: OpenSheet) -> Changed:
        return sheet.change(sent.key, sent.version, {**sent.typed, sent.column: sheet.generated_password()})

    return await _changed(request, sent, act, beside=True)


async def reveal(request: Request) -> Response:
    """Show a password that stands in the sheet."""
    sent = await SentRow.of(request)
    work = await work_of(request)
    sheet = await work.sheet()
    try:
        row = sent.columns(sheet).row_to_fix(await run_sync(sheet.row, sent.key))
        cell = row.cell(sent.column)
        if cell is None or not cell.hidden:
            return _said(sent.key, _NO_PASSWORD)
        shown = replace(cell, text=await run_sync(sheet.reveal, sent.key, sent.column), revealed=True)
    except ProvisionerError as error:
        return _said(sent.key, error)
    return views.page("check_password.html", work=work, row=row, cell=shown)


def _said(key: str, error: ProvisionerError) -> Response:
    """What is wrong, beside the row; what was typed into it stays."""
    return views.page("check_said.html", status=409, key=key, error=error)


def _focused(row: RowToFix, sent: SentRow) -> RowToFix:
    """Where to go in a row in which something is still to be fixed.

    To the cell that was typed into if that is still wrong, else to the next that is; if nothing was typed, it is left
    behind after its last fault.
    """
    columns = [cell.column.key for cell in row.cells]
    here = columns.index(sent.at) if sent.at in columns else -1
    still = [place for place in row.faulty if columns[place] in sent.typed]
    later = [place for place in row.faulty if place > here]
    ahead = still or later or (row.faulty if sent.typed else [])
    return replace(row, focus=ahead[0]) if ahead else replace(row, onward=True)


ROUTES: Final = (
    Route("/sheets/{id}/rows/{key}", change, methods=["PUT"]),
    Route("/sheets/{id}/rows/{key}/leave-out", leave_out, methods=["POST"]),
    Route("/sheets/{id}/rows/{key}/take-back", take_back, methods=["POST"]),
    Route("/sheets/{id}/rows/{key}/reveal", reveal, methods=["POST"]),
    Route("/sheets/{id}/rows/{key}/generate", generate, methods=["POST"]),
    Route("/sheets/{id}/undo", undo, methods=["POST"]),
    Route("/sheets/{id}/use-sheet", use_sheet, methods=["POST"]),
    Route("/sheets/{id}/failures", put_back, methods=["PUT"]),
)
