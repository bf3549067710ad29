"""Fill in the page.

It holds no password. The content of cells is shown as text: escaped, guarded as in the other files in case it is pasted
into a spreadsheet, and kept from running by a policy that allows only the page's own script.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from provisioner.messages import SHEET_DONE, TASKS, WORDS, count, duration, found_rate, login_remedy, visible
from provisioner.records import Status
from provisioner.report.picture import draw, duration_bars, duration_quantiles, follow
from provisioner.sheets import escape_formula, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from provisioner.journal import Event
    from provisioner.report.picture import Pause
    from provisioner.result import RunResult
    from provisioner.summary import Group

LISTED: Final = 3_000
"""Maximum number of rows that are listed; failures.csv has them all."""


def write_report(
    path: Path,
    result: RunResult,
    events: Iterable[Event],
    *,
    command: str = "",
    paused: Sequence[Pause] = (),
    finished_at: float,
) -> None:
    """Replace the page at `path` in one step. Raises OSError.

    `command` continues the run; empty if nothing is left. `finished_at` is on the wall clock.
    """
    summary, groups = result.summary, result.groups
    course = follow(events)
    listed = list(_listed(groups))
    page = _environment().get_template("report.html.j2")
    content = page.render(
        result=result,
        summary=summary,
        failures=Path(summary.to_fix).name,
        finished_at=local_time(finished_at),
        groups={actor: list(own) for actor, own in groupby(listed, attrgetter("actor"))},
        unlisted=sum(group.rows for group in groups) - sum(len(group.examples) for group in listed),
        command=command,
        created_count=sum(map(len, result.created.values())),
        counted=[status for status in Status if any(status in counts for counts in summary.counts_by.values())],
        picture=draw(course, paused),
        bars=duration_bars(course.durations),
        quantiles=duration_quantiles(course.durations),
        paused=paused,
    )
    replace_file(path, content.encode())


def local_time(moment: float) -> str:
    """A moment on the wall clock as this computer's user reads it, with the time zone."""
    local = datetime.fromtimestamp(moment).astimezone()
    offset = f"UTC{local:%z}"
    named = f"{local:%Z} ({offset[:-2]}:{offset[-2:]})" if local.tzname() != "UTC" else "UTC"
    return f"{local:%d %B %Y, %H:%M} {named}"


def _listed(groups: Sequence[Group]) -> Iterator[Group]:
    """The groups, up to the number of rows that a page can hold."""
    room = LISTED
    for group in groups:
        if room > 0:
            yield group
            room -= len(group.examples)


@cache
def _environment() -> Environment:
    # A template takes far longer to compile than to fill in.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": lambda text: escape_formula(visible(text)),
        "hash": _hash,
        "count": count,
        "visible": visible,
        "duration": duration,
        "found_rate": found_rate,
    }
    environment.globals |= {
        "words": WORDS,
        "exists": Status.EXISTS,
        "tasks": TASKS,
        "sheet_done": SHEET_DONE,
        "login_remedy": login_remedy,
    }
    return environment


def _hash(script: str) -> str:
    """What a content security policy calls a script that may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()}"
