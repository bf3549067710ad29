"""What a run has done so far, as the page shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from provisioner import progress
from provisioner.records import Status

if TYPE_CHECKING:
    from provisioner.web.live import Changes

NOTES: Final = 20
"""How many of the latest notes are kept."""


class Progress(progress.Progress):
    """Counts what one run announces. `changes` are told of each."""

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.began_at = time.time()
        """On the wall clock."""
        self._changes = changes

    def changed(self) -> None:
        self._changes.tell()

    def note(self, sentence: str) -> None:
        self.notes = [*self.notes, sentence][-NOTES:]
        self.changed()

    @property
    def unsent(self) -> int:
        return self.to_send - self.sent_of_planned

    @property
    def failed(self) -> int:
        """Rows of which something has to be said."""
        return self.ended[Status.REJECTED] + self.ended[Status.FAILED]
