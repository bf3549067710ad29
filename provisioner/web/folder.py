"""The sheets and run folders that lie in one folder, and what is said of each. Everything here blocks.

A sheet is known to the browser by an ID made of its name, never by a path, so that nothing outside the folder can be
asked for. Links, pipes and devices are not followed.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provisioner import run_folder
from provisioner.errors import FilesError, os_errors_as
from provisioner.journal import Overview, overview
from provisioner.messages import count
from provisioner.records import Status
from provisioner.result import WORKBOOKS
from provisioner.settings import SheetOptions
from provisioner.stages.failures_files import edited_files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_TEXTS: Final = frozenset({".csv", ".txt", ".tsv"})
SHEET_KINDS: Final = _TEXTS | WORKBOOKS
"""How the names of sheets end."""
RUN: Final = "-run"
"""How the names of run folders end."""
MOST: Final = 50
"""How many sheets are shown at once: only their journals are opened."""
FIX: Final = "Fix"
_SENT: Final = frozenset(Status) - {Status.VALID, Status.INVALID}


@dataclass(frozen=True)
class FoundSheet:
    """One sheet of the folder, or one run folder whose sheet lies elsewhere."""

    path: Path
    is_run: bool
    """It is a run folder."""
    changed: float
    """When it was last written to, in seconds since the epoch."""

    @property
    def id(self) -> str:
        return id_of(self.path.name)

    @property
    def run(self) -> run_folder.RunFolder:
        """Its run folder, which need not exist."""
        return run_folder.RunFolder(self.path) if self.is_run else run_folder.locate(self.path, None)

    @property
    def name(self) -> str:
        """What people call it."""
        name = self.path.name.removesuffix(RUN) if self.is_run else self.path.name
        return os.fsencode(name).decode(errors="replace")

    @property
    def has_journal(self) -> bool:
        """Whether a run or a check was ever begun."""
        return self.run.journal.is_file() and not self.run.journal.is_symlink()

    def overview(self) -> Overview | None:
        """What its journal says; None if there is none, or it cannot be read."""
        return overview(self.run.journal) if self.has_journal else None


def id_of(name: str) -> str:
    """The ID of what has this name in the folder: the same after every start."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]


def look(folder: Path) -> list[FoundSheet]:
    """What lies in a folder, the latest first. No file is opened. Raises FilesError."""
    with os_errors_as(
        FilesError,
        f"The folder {folder} cannot be read",
        remedy="See that it is still there and that you may read it, then open the page again.",
    ):
        return sorted(_look(folder), key=lambda found: found.changed, reverse=True)


def _look(folder: Path) -> Iterator[FoundSheet]:
    sheets, runs = dict[str, os.DirEntry[str]](), dict[str, os.DirEntry[str]]()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith((".", "~$")):
                continue
            if entry.is_dir(follow_symlinks=False) and entry.name.endswith(RUN):
                runs[entry.name] = entry
            elif Path(entry.name).suffix.lower() in SHEET_KINDS and entry.is_file(follow_symlinks=False):
                sheets[entry.name] = entry
    if (folder / run_folder.JOURNAL_NAME).exists():
        sheets.pop("results.csv", None)
    for name, entry in sheets.items():
        run = runs.pop(Path(name).stem + RUN, None)
        times = [part.stat(follow_symlinks=False).st_mtime for part in (entry, run) if part is not None]
        yield FoundSheet(folder / name, is_run=False, changed=max(times))
    for name, entry in runs.items():
        if (folder / name / run_folder.JOURNAL_NAME).is_file():
            yield FoundSheet(folder / name, is_run=True, changed=entry.stat(follow_symlinks=False).st_mtime)


def find(folder: Path, sheet_id: str, keywords: Mapping[str, Any]) -> tuple[SheetOptions, bool] | None:
    """How to read what has that ID, and whether its run folder was used for practice; None if nothing has it.

    `keywords` are those of SheetOptions that every sheet gets.
    """
    found = next((found for found in look(folder) if found.id == sheet_id), None)
    if found is None:
        return None
    known = found.overview()
    options = _of_run(found.path, known, keywords) if found.is_run else _options(found.path, keywords)
    return options, known is not None and known.practice


def _of_run(run: Path, known: Overview | None, keywords: Mapping[str, Any]) -> SheetOptions:
    """The sheet that a run folder was made for; its failures file if that sheet is gone."""
    sheet = Path(known.sheet) if known and known.sheet else run / "failures.csv"
    tab = (known.tab or None) if known else None
    if not sheet.is_file():
        return _options(run_folder.RunFolder(run).failures, keywords)
    is_usual = run_folder.locate(sheet, None, tab).path == run
    return replace(_options(sheet, keywords), sheet_name=tab, out=None if is_usual else run)


def _options(sheet: Path, keywords: Mapping[str, Any]) -> SheetOptions:
    """How a sheet is read. A workbook has no encoding."""
    options = SheetOptions(sheet=sheet, **keywords)
    return options if sheet.suffix.lower() in _TEXTS else replace(options, encoding=None)


@dataclass(frozen=True)
class Listed:
    """One line of the screen."""

    name: str
    state: str
    step: str
    """What the link to it says."""
    path: str
    """Where that leads."""
    practice: bool


def list_folder(folder: Path, busy: Collection[str], search: str = "") -> tuple[list[Listed], int]:
    """The latest sheets whose names hold `search`, and how many more there are. Raises FilesError.

    `busy` are the IDs of those with a run under way.
    """
    found = [found for found in look(folder) if search.casefold() in found.name.casefold()]
    return [_listed(each, is_busy=each.id in busy) for each in found[:MOST]], max(len(found) - MOST, 0)


def _listed(found: FoundSheet, *, is_busy: bool) -> Listed:
    known = found.overview()
    is_being_fixed = known is not None and not is_busy and _is_being_fixed(known, found.run)
    state, step = state_of(known, is_being_fixed=is_being_fixed)
    if is_busy:
        state, step = "running now", "Watch"
    elif known is None and found.has_journal:
        state, step = "its journal cannot be read now", "Open"
    path = f"/sheets/{found.id}{'/check' if is_being_fixed or step.startswith(FIX) else ''}"
    return Listed(found.name, state, step, path, known is not None and known.practice)


def with_failures(folder: Path) -> list[FoundSheet]:
    """The latest sheets of which a failures file may hold rows. Raises FilesError."""
    return [found for found in look(folder)[:MOST] if found.run.failures.is_file() and _is_left(found.overview())]


def _is_left(known: Overview | None) -> bool:
    """Whether a row is left that a failures file holds."""
    return known is not None and not all(status.done for status in known.statuses)


def _is_being_fixed(known: Overview, run: run_folder.RunFolder) -> bool:
    """Whether a failures file was changed and not run since: how many rows are still to be fixed is not known then."""
    with suppress(OSError):
        return bool(edited_files(known, run))
    return False


def state_of(known: Overview | None, *, is_being_fixed: bool = False) -> tuple[str, str]:
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
    fixing = "being fixed" if is_being_fixed else "to fix"
    state = ", ".join(f"{number:,} {word}" for number, word in ((left, what), (to_fix, fixing)) if number)
    return state, "Continue" if left or is_being_fixed else f"{FIX} {count(to_fix, 'row', 'rows')}"
