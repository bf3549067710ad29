"""Files that only their owner may read, never opened through a link."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from provisioner.errors import RunFolderError

if TYPE_CHECKING:
    from pathlib import Path

_SIDE_FILES: Final = ("-journal", "-wal", "-shm")
"""What SQLite puts beside a database: https://www.sqlite.org/tempfiles.html"""
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
"""Absent on Windows, where only an administrator may make a link to a file."""
_NO_WAITING: Final = getattr(os, "O_NONBLOCK", 0)
"""So that opening a pipe does not wait for a process at its other end."""
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def open_private(path: Path) -> int:
    """Open a file to read and write, made if there is none, and take the permissions of all but its owner away.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        RunFolderError: There is a link or something else in its place, or another user's file. It was not changed.
        OSError: It cannot be opened.
    """
    if path.is_symlink():
        raise _planted(path, "is a link to another place")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK | _NO_WAITING, 0o600)
    wrong = _wrong(path, os.fstat(descriptor))
    if wrong is not None:
        os.close(descriptor)
        raise _planted(path, wrong)
    # Windows has no such permissions, nor have some drives.
    if hasattr(os, "fchmod"):
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o600)
    return descriptor


def _wrong(path: Path, found: os.stat_result) -> str | None:
    """Why an open file is not one to write to; None if it is."""
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    if found.st_nlink > 1:
        return "is also a file of another name"
    # Some drives show all files as one user's, the folder too; and who owns the folder can replace its files anyway.
    if hasattr(os, "geteuid") and found.st_uid not in (os.geteuid(), path.parent.stat().st_uid):
        return "belongs to another user of this computer"
    return None


def claim_database(path: Path) -> None:
    """Secure an SQLite database and the files beside it in the same way, before SQLite opens it by its name.

    Raises RunFolderError and OSError, as `open_private` does.
    """
    os.close(open_private(path))
    for side_file in (path.with_name(path.name + ending) for ending in _SIDE_FILES):
        if os.path.lexists(side_file):
            os.close(open_private(side_file))


def _planted(path: Path, what: str) -> RunFolderError:
    return RunFolderError(
        f"{path} {what}, so nothing is written to it.",
        remedy="Find out who put it there. Delete it, or name another folder with --out.",
    )


def open_to_others(folder: Path) -> str | None:
    """A sentence about a folder that other users may write to; None if they may not, and on Windows."""
    if not hasattr(os, "geteuid"):
        return None
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        return f"The folder {folder} belongs to another user of this computer, who may replace the files in it."
    if found.st_mode & _OTHERS_WRITE:
        return (
            f"Other users of this computer may write to {folder}, and so replace the files in it. "
            "Take that permission away from them (chmod go-w)."
        )
    return None
