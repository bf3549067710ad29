"""Progress on the screen, for as long as a command lasts."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioner.console import ScreenProgress


def screen_progress(*, quiet: bool = False) -> closing[ScreenProgress]:
    """A listener for the screen, which is left tidy however the command ends."""
    from provisioner import console

    return closing(console.make_progress(quiet=quiet))
