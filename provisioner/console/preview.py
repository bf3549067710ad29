"""What a run is about to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.console.terminal import say_wrapped
from provisioner.wording import preview_lines

if TYPE_CHECKING:
    from provisioner.summary import RunPreview


def show_preview(preview: RunPreview) -> None:
    """Print what a run is about to do, before anything is sent."""
    for line in preview_lines(preview):
        say_wrapped(line)
    if preview.mailboxes or preview.to_poll:
        say_wrapped(f"Results: {preview.results}")
