"""Sentences about a whole run, for the screen and for the page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from provisioner.messages import TASKS, count, duration
from provisioner.records import Actor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provisioner.summary import Group, RunPreview

LONG: Final = 10.0
"""Seconds from which on it is worth saying how long a run takes."""

NO_PRACTICE_LOGINS: Final = "Practice mailboxes cannot be logged in to: the sandbox has no mail servers."


def preview_lines(preview: RunPreview) -> Iterator[str]:
    """What a run is about to do: first the mailboxes to create, then every other row."""
    if preview.to_send:
        takes = f"; this takes {least_time(preview)}" if preview.seconds >= LONG else ""
        yield f"{count(preview.to_send, 'mailbox', 'mailboxes')} to create {place(preview)}{takes}."
    else:
        yield "No new mailboxes to create."
    yield from other_rows(preview)
    if preview.invalid:
        yield f"{invalid_rows(preview)}: see {preview.failures}"


def invalid_rows(preview: RunPreview) -> str:
    """How many rows have errors."""
    return f"{count(preview.invalid, 'row has', 'rows have')} errors and will be skipped"


def place(preview: RunPreview) -> str:
    """Where the mailboxes are created."""
    return "in the sandbox, for practice" if preview.practice else f"at {preview.service}"


def least_time(preview: RunPreview) -> str:
    """How long the run takes, whatever the service does."""
    return f"at least {duration(round(preview.seconds))}"


def other_rows(preview: RunPreview) -> Iterator[str]:
    """What happens to the rows without errors for which no new mailbox is created."""
    if preview.beyond_limit:
        them = "it" if preview.beyond_limit == 1 else "them"
        rows = count(preview.beyond_limit, "more row is", "more rows are")
        yield f"{rows} ready; --limit leaves {them} for a later run."
    if preview.to_look_up:
        rows = count(preview.to_look_up, "row was", "rows were")
        yield f"{rows} sent earlier and got no clear answer: looked up first, and sent again only if not there."
    if preview.to_poll:
        rows = count(preview.to_poll, "row was sent earlier and is", "rows were sent earlier and are")
        yield f"{rows} not finished yet: followed up, not sent again."
    if preview.done:
        yield f"{count(preview.done, 'row is', 'rows are')} done already and will be skipped."


def headings(groups: Sequence[Group], left: int) -> dict[Actor, str]:
    """The heading over the causes that each must act on; `left` is the total number of rows left."""
    several = sum(group.rows for group in groups) > left
    more = " (a row with several errors is listed under each)" if several else ""
    return {**TASKS, Actor.SHEET: TASKS[Actor.SHEET] + more}


def paused_until(seconds: float, reason: str) -> str:
    """That nothing is sent for this many seconds, and why."""
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
    return f"Paused until {until}: {reason}"
