"""The folder of a run: where it is, which files it holds, and that one run at a time works in it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from provisioner.errors import RunFolderError, os_errors_as
from provisioner.private_files import open_to_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOURNAL_NAME = "journal.sqlite3"

_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_TAB = 40


class RunFolder:
    """Everything done for one sheet: the folder, and the files in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.results = path / "results.csv"
        self.failures, self.failures_workbook = path / "failures.csv", path / "failures.xlsx"
        self.failures_files = (self.failures, self.failures_workbook)
        """The same rows, as a text file and as a workbook."""
        self.report = path / "report.html"
        self.log = path / "run.log"
        self.journal = path / JOURNAL_NAME


def locate(sheet: Path, out: Path | None, tab: str | None = None) -> RunFolder:
    """The run folder of a sheet: `out` if given, the sheet's own folder if that is one, else one beside the sheet.

    `tab` is the name of one sheet of a workbook, to give it a folder of its own.
    """
    if out is not None:
        return RunFolder(out)
    if (sheet.parent / JOURNAL_NAME).exists():
        return RunFolder(sheet.parent)
    name = sheet.stem if tab is None else f"{sheet.stem}-{_safe(tab)}"
    return RunFolder(sheet.parent / f"{name}-run")


def _safe(tab: str) -> str:
    """A sheet's name as a part of a folder's name, on every operating system."""
    return _UNSAFE.sub("-", tab)[:_LONGEST_TAB].strip("-") or "sheet"


def existing(run: Path) -> RunFolder:
    """The folder of a run that was made, named by itself or by its sheet. Raises RunFolderError."""
    folder = RunFolder(run) if run.is_dir() else locate(run, None)
    if not folder.journal.exists():
        such = next((f", such as {path}" for path in _of_tabs(run)), "")
        raise RunFolderError(
            f"There is no run in {folder.path if run.exists() else run}.",
            remedy=f"Name the folder that results.csv is in{such}.",
        )
    return folder


def _of_tabs(workbook: Path) -> list[Path]:
    """The run folders of single sheets of a workbook."""
    journals = workbook.parent.glob(f"*-run/{JOURNAL_NAME}") if workbook.is_file() else ()
    return sorted(path.parent for path in journals if path.parent.name.startswith(f"{workbook.stem}-"))


@contextmanager
def hold(folder: RunFolder) -> Iterator[str | None]:
    """Make the folder, for its owner alone, and keep every other run out of it. Raises RunFolderError.

    The context is a sentence about the folder if other users of the computer may write to it, else None. The lock is
    the operating system's, which releases it when a process is killed.
    """
    with os_errors_as(
        RunFolderError,
        f"The run folder {folder.path} cannot be used",
        remedy="Name a folder that you may write to with --out.",
    ):
        if not folder.path.is_dir():
            folder.path.mkdir(mode=0o700)
        warning = open_to_others(folder.path)
        # Not a thread's own: a run may take it in one worker thread and release it in another.
        lock = FileLock(folder.path / ".lock", timeout=0, mode=0o600, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise RunFolderError(
                f"Another run is working in {folder.path} at this moment.",
                remedy="Wait until it has ended, or name another folder with --out.",
            ) from None
    try:
        yield warning
    finally:
        lock.release()
