"""What the first screen says of the folder: each sheet's state, and what to do next. Everything here blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.messages import count
from provisioner.records import Status
from provisioner.settings import PRACTICE
from provisioner.web.folder import look

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from provisioner.journal import Overview
    from provisioner.web.folder import Found

MOST: Final = 50
"""How many sheets are shown at once: only their journals are opened."""
FIX: Final = "Fix"
_SENT: Final = frozenset(Status) - {Status.VALID, Status.INVALID}


@dataclass(frozen=True)
class Listed:
    """One line of the screen."""

    id: str
    name: str
    state: str
    step: str
    """What the link to it says."""
    path: str
    """Where that leads."""
    practice: bool


@dataclass(frozen=True)
class Listing:
    """What is shown of a folder."""

    sheets: list[Listed]
    more: int
    """How many sheets there are beyond those."""


def list_folder(folder: Path, busy: Collection[str], search: str = "") -> Listing:
    """The latest sheets whose names hold `search`; `busy` are the IDs of those with a run under way.

    Raises FilesError.
    """
    found = [found for found in look(folder) if search.casefold() in found.name.casefold()]
    return Listing([_listed(each, is_busy=each.id in busy) for each in found[:MOST]], max(len(found) - MOST, 0))


def _listed(found: Found, *, is_busy: bool) -> Listed:
    known = found.overview()
    state, step = state_of(known)
    if is_busy:
        state, step = "running now", "Watch"
    elif known is None and found.has_journal:
        state, step = "its journal cannot be read now", "Open"
    path = f"/sheets/{found.id}{'/check' if step.startswith(FIX) else ''}"
    return Listed(found.id, found.name, state, step, path, known is not None and known.service == PRACTICE)


def state_of(known: Overview | None) -> tuple[str, str]:
    """Where a sheet stands and the next step with it, in words. `known` is None where it has no journal."""
    statuses = known.statuses if known is not None else {}
    if not statuses:
        return "new", "Check"
    to_fix = sum(number for status, number in statuses.items() if status.to_fix)
    done = sum(number for status, number in statuses.items() if status.has_mailbox)
    left = sum(statuses.values()) - to_fix - done
    if not left and not to_fix:
        return f"{count(done, 'mailbox', 'mailboxes')} done", "See the results"
    what = "left" if _SENT & set(statuses) else "ready"
    state = ", ".join(f"{number:,} {word}" for number, word in ((left, what), (to_fix, "to fix")) if number)
    return state, "Continue" if left else f"{FIX} {count(to_fix, 'row', 'rows')}"
