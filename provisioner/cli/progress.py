"""Progress on the screen, for as long as a command lasts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def screen_progress(*, quiet: bool) -> Iterator[Any]:
    """A listener for the screen, which is left tidy however the command ends."""
    from provisioner import console

    listener = console.make_progress(quiet=quiet)
    try:
        yield listener
    finally:
        listener.close()
