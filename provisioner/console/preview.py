"""What a run is about to do."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from provisioner.console.terminal import size
from provisioner.messages import count, duration, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.summary import RunPreview

TELL_TIME = 10.0
"""Seconds from which on it is worth saying how long it takes."""


def show_preview(preview: RunPreview) -> None:
    """What a run is about to do, before anything is sent."""
    width, _ = size(sys.stderr)
    for line in _preview_lines(preview):
        print(textwrap.fill(visible(line), width, break_long_words=False, break_on_hyphens=False), file=sys.stderr)


def _preview_lines(preview: RunPreview) -> Iterator[str]:
    if preview.to_send:
        takes = f"; that takes {duration(round(preview.seconds))} or more" if preview.seconds >= TELL_TIME else ""
        where = "for practice" if preview.practice else f"at {preview.service}"
        yield f"{count(preview.to_send, 'mailbox', 'mailboxes')} to create {where}{takes}."
    else:
        yield "No mailbox is to be created."
    if preview.held_back:
        yield f"{count(preview.held_back, 'further row is', 'further rows are')} ready, and held back by --limit."
    if preview.to_look_up:
        rows = count(preview.to_look_up, "row was sent earlier and has", "rows were sent earlier and have")
        yield f"{rows} no clear answer: looked up first, and sent again only if not there."
    if preview.to_poll:
        rows = count(preview.to_poll, "row was", "rows were")
        yield f"{rows} sent earlier and will be followed up, not sent again."
    if preview.done:
        yield f"{count(preview.done, 'row is', 'rows are')} done already and will be left alone."
    if preview.invalid:
        yield f"{count(preview.invalid, 'row is', 'rows are')} invalid and will not be sent: see {preview.failures}"
    if preview.to_send or preview.to_poll or preview.to_look_up:
        yield f"What becomes of each row is written to {preview.results}"
