"""The one place that makes HTML: templates in which every text is escaped."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import jinja2
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from provisioner.messages import count, duration, shorten, visible
from provisioner.web import phrases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provisioner.errors import ProvisionerError

KINDS: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html",
}
"""What files are, by the end of their names. Not the system's own table, which some programs change on Windows."""


def prepare() -> None:
    """Read and compile every template; blocks. Nothing is read from the disk afterwards."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


@cache
def _environment() -> jinja2.Environment:
    """Its filters are functions by their own names."""
    folder = resources.files("provisioner.web") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({file.name: file.read_text("utf-8") for file in folder.iterdir()}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (count, duration, shorten, visible, phrases.counted, phrases.name_of, phrases.short_hash)
    for phrase in (*filters, phrases.state_of, phrases.told_of, phrases.at_the_page):
        environment.filters[phrase.__name__] = phrase
    return environment


def render(template: str, /, **values: object) -> str:
    """The HTML that a template makes of values."""
    return _environment().get_template(template).render(values)


def page(template: str, /, *, status: int = 200, **values: object) -> HTMLResponse:
    """A whole page, or a part of one that the script puts in its place."""
    return HTMLResponse(render(template, **values), status)


def trouble(error: ProvisionerError, status: int = 409, link: str = "") -> HTMLResponse:
    """What went wrong and what to do now, in the words of the command line; `link` is where a missing key is typed."""
    return page("trouble.html", status=status, error=error, link=link, focus=False)


def go(path: str) -> JSONResponse:
    """Let the script open another page."""
    return JSONResponse({"location": path})


def download(content: bytes | AsyncIterator[bytes], name: str) -> Response:
    """A file for the person's own disk, whole or piece by piece."""
    # https://www.rfc-editor.org/rfc/rfc6266#section-4.3: a name with other letters than ASCII's.
    headers = {"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    kind = KINDS[PurePath(name).suffix]
    if isinstance(content, bytes):
        return Response(content, media_type=kind, headers=headers)
    return StreamingResponse(content, media_type=kind, headers=headers)
