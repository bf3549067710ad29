"""What a run is about to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.console.terminal import say_wrapped
from provisioner.messages import count, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.summary import RunPreview

LONG = 10.0
"""Seconds from which on it is worth saying how long a run takes."""


def show_preview(preview: RunPreview) -> None:
    """Print what a run is about to do, before anything is sent."""
    for line in _lines(preview):
        say_wrapped(line)


def _lines(preview: RunPreview) -> Iterator[str]:
    if preview.to_send:
        takes = f"; this takes at least {duration(round(preview.seconds))}" if preview.seconds >= LONG else ""
        where = "in the sandbox, for practice" if preview.practice else f"at {preview.service}"
        yield f"{count(preview.to_send, 'mailbox', 'mailboxes')} to create {where}{takes}."
    else:
        yield "No new mailboxes to create."
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
    if preview.invalid:
        yield (f"{count(preview.invalid, 'row has', 'rows have')} errors and will be skipped: see {preview.failures}")
    if preview.to_send or preview.to_poll or preview.to_look_up:
        yield f"Results: {preview.results}"
