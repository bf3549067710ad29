"""A sheet that cannot be checked before a question is answered: which column, which sheet of a workbook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.routing import Route

from provisioner.errors import SheetError, UnusableError
from provisioner.sheets.headers import SAME, ColumnsError
from provisioner.sheets.workbook import SeveralTabsError
from provisioner.web import forms, views
from provisioner.web.workspace import work_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from provisioner.web.work import Work

MOST_CHOICES: Final = 4000
"""In all lists of a page, beside the columns that are likely."""
ALL_ALIKE: Final = "all alike"
"""The column is not in the sheet: one value is used for all rows."""
GENERATED: Final = "generated"
"""It is not in the sheet: passwords are generated."""
NONE: Final = "none"
"""It is not in the sheet, and need not be."""


@dataclass(frozen=True)
class Question:
    """Which column of the sheet holds what a column of the schema stands for."""

    column: str
    headers: Mapping[str, str]
    """What can be chosen, by what is sent for it."""
    likely: str
    """What is chosen at first."""
    others: Sequence[str]
    """What else can be chosen."""


def unusable(work: Work, error: UnusableError) -> Response:
    """What is shown instead of the rows of a sheet that cannot be checked: a question, or what is wrong with it."""
    template, status, more = "check_unable.html", 409, dict[str, object]()
    if isinstance(error, ColumnsError):
        template, status, more = "check_columns.html", 200, {"questions": list(_questions(error))}
    elif isinstance(error, SeveralTabsError):
        template, status, more = "check_tabs.html", 200, {"tabs": error.tabs}
    return views.page(template, status=status, work=work, error=error, **more)


def _questions(error: ColumnsError) -> Iterator[Question]:
    columns = dict.fromkeys((*error.missing, *error.alike.values()))
    most = MOST_CHOICES // len(columns)
    headers = {
        f"header {position}": header
        for position, header in enumerate(error.headers)
        if header and (position < most or header in error.alike)
    }
    likely: dict[str, str] = {}
    for header, column in error.alike.items():
        likely.setdefault(column, next(sent for sent, each in headers.items() if each == header))
    for column in columns:
        others = {ALL_ALIKE: column in SAME, GENERATED: column == "password", NONE: column not in error.missing}
        yield Question(column, headers, likely.get(column, ""), [other for other, fits in others.items() if fits])


async def choose_columns(request: Request) -> Response:
    """Read the sheet with the columns that were chosen."""
    work = await work_of(request)
    sent = await forms.fields(request)
    try:
        await work.sheet()
    except ColumnsError as error:
        await work.reopen(**_chosen(work, error, sent))
    return views.go(f"{work.path}/check")


def _chosen(work: Work, error: ColumnsError, sent: Mapping[str, str]) -> dict[str, object]:
    """The options with which the sheet is read again. Raises SheetError if an answer is missing, or two clash."""
    columns = dict.fromkeys(error.alike, "")
    fill = dict(work.options.fill)
    generate = work.options.generate_passwords
    for question in _questions(error):
        answer, column = sent.get(f"column:{question.column}", ""), question.column
        if answer in question.headers:
            header = question.headers[answer]
            if columns.get(header):
                raise SheetError(f"The column “{header}” was chosen twice.", remedy="Choose another one.")
            columns[header] = column
        elif answer == ALL_ALIKE and (value := sent.get(f"value:{column}", "").strip()):
            fill[column] = value
        elif answer == GENERATED:
            generate = True
        elif answer != NONE or column in error.missing:
            raise SheetError(
                f"It is not said yet where the {column.replace('_', ' ')} is.", remedy="Choose it in the list."
            )
    return {"columns": {**work.options.columns, **columns}, "fill": fill, "generate_passwords": generate}


async def generate_passwords(request: Request) -> Response:
    """Have a password generated for every row that has none."""
    return await _read_again(request, generate_passwords=True)


async def choose_tab(request: Request) -> Response:
    """Read one of a workbook's sheets."""
    return await _read_again(request, sheet_name=(await forms.fields(request)).get("tab", ""))


async def _read_again(request: Request, **changed: object) -> Response:
    work = await work_of(request)
    await work.reopen(**changed)
    return views.go(f"{work.path}/check")


ROUTES: Final = (
    Route("/sheets/{id}/columns", choose_columns, methods=["POST"]),
    Route("/sheets/{id}/passwords", generate_passwords, methods=["POST"]),
    Route("/sheets/{id}/tab", choose_tab, methods=["POST"]),
)
