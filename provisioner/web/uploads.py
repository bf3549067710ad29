"""A sheet from the browser becomes a file of the folder, whole or not at all. Everything here blocks."""

from __future__ import annotations

import filecmp
import os
import re
import tempfile
import time
import unicodedata
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from provisioner import run_folder
from provisioner.errors import FilesError, SheetError, os_errors_as
from provisioner.messages import shorten
from provisioner.web.folder import SHEET_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_NAME: Final = 120
"""Bytes of a file's name; its run folder's and its kept copies' are longer."""
_FORBIDDEN: Final = re.compile(r'[<>:"/\\|?*]+')
"""By Windows: https://learn.microsoft.com/windows/win32/fileio/naming-a-file"""
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
"""By the same page: names that are devices, whatever their ending."""


class NameTakenError(Exception):
    """There is a file of that name already, and it holds something else."""


class Part:
    """A file that is still being received. Only its owner may read it."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self.path = path

    def write(self, piece: bytes) -> None:
        """Add to it. Raises OSError."""
        self._file.write(piece)

    def end(self) -> None:
        """Have all of it on the disk. Raises OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def keep(self, name: str, existing: str) -> Path:
        """Give it its name in the folder, and return where it is then.

        `existing` says what to do where another file has that name: `both` chooses a free name for the new one,
        `replace` for the old one, anything else raises NameTakenError. A file of that name with the same content is
        taken as it is. Raises OSError.
        """
        self.end()
        target = self.path.with_name(name)
        if _claim(target):
            return self.path.replace(target)
        is_file = target.is_file() and not target.is_symlink()
        if is_file and filecmp.cmp(target, self.path, shallow=False):
            return target
        if existing == "replace" and is_file:
            when = time.strftime("%Y-%m-%d %H.%M.%S")
            target.replace(_free(_numbered(target.with_stem(f"{target.stem} (until {when})"))))
            return self.path.replace(target)
        if existing == "both" or not is_file:
            return self.path.replace(free_for_sheet(target))
        raise NameTakenError


@contextmanager
def receiving(folder: Path, ending: str = ".part") -> Iterator[Part]:
    """A new file in the folder, which is gone at the end unless it was kept. Raises FilesError."""
    with os_errors_as(
        FilesError,
        f"The sheet could not be saved in {folder}",
        remedy="Make room on the disk, or start the page for a folder that you may write to.",
    ):
        descriptor, name = tempfile.mkstemp(prefix=".receiving-", suffix=ending, dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Part(file, Path(name))
        finally:
            Path(name).unlink(missing_ok=True)


def copy(sheet: Path, folder: Path) -> Path:
    """Copy a sheet into the folder under a name that is free, and return the copy. Raises FilesError."""
    with receiving(folder) as part:
        part.write(sheet.read_bytes())
        part.end()
        return part.path.replace(free_for_sheet(folder / sheet.name))


def free_for_sheet(path: Path) -> Path:
    """The path, or one with a number, that no sheet and no run folder has. It is taken by an empty file."""
    return _free(path for path in _numbered(path) if not run_folder.locate(path, None).path.exists())


def safe_name(name: str) -> str:
    """A file's name for what the browser calls `name`: without folders, and allowed on every system.

    Raises SheetError if it does not end as the name of a sheet does.
    """
    name = re.split(r"[/\\]", name)[-1]
    readable = "".join(sign for sign in unicodedata.normalize("NFC", name) if unicodedata.category(sign)[0] != "C")
    stem, dot, ending = readable.rpartition(".")
    kind = f"{dot}{ending}".strip().lower()
    if kind not in SHEET_KINDS:
        raise SheetError(
            f"“{shorten(readable)}” is not a sheet." if readable else "The sheet has no name.",
            remedy=f"Choose a file that ends in {', '.join(sorted(SHEET_KINDS))}.",
        )
    stem = " ".join(_FORBIDDEN.sub("-", stem).split()).strip(". ~") or "sheet"
    if _DEVICE.fullmatch(stem):
        stem = f"sheet-{stem}"
    while len(stem.encode()) > LONGEST_NAME:
        stem = stem[:-1]
    return stem.rstrip(". ") + kind


def _numbered(path: Path) -> Iterator[Path]:
    """The path itself, then with numbers."""
    yield path
    for number in count(2):
        yield path.with_stem(f"{path.stem} {number}")


def _free(paths: Iterable[Path]) -> Path:
    """The first of the paths that nothing has yet. It is taken by an empty file."""
    return next(filter(_claim, paths))


def _claim(path: Path) -> bool:
    """Make an empty file, so that nothing else takes its name; False if there is something already."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True
