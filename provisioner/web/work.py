"""One sheet at the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioner.settings import SheetOptions
    from provisioner.web.workspace import Workspace


class Work:
    """One sheet at the page."""

    def __init__(self, id: str, options: SheetOptions, workspace: Workspace, *, practice: bool) -> None:  # noqa: A002 - it is one
        self.id = id
        self.options = options
        self.practice = practice
        self.workspace = workspace

    @property
    def is_busy(self) -> bool:
        return False
