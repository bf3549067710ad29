"""failures.csv while it is being fixed: its lines in memory, and the file replaced as a whole with each change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from provisioner.errors import FilesError, os_errors_as
from provisioner.sheets import replace_file, table_lines
from provisioner.stages.failures_files import failures_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from provisioner.fixing.rows import Rows
    from provisioner.run_folder import RunFolder


class FailuresFile:
    """The file, as far as it was written here."""

    def __init__(self, folder: RunFolder, rows: Rows) -> None:
        """The lines of `rows`, which are not written yet."""
        sheet = rows.sheet
        self._folder = folder
        self._delimiter = sheet.delimiter
        (header,) = self._encoded([failures_header(sheet)])
        self._lines = ["\ufeff".encode() + header]
        """The header's, then each row's by its position; empty where a row was left out."""
        self._lines += self._encoded(rows.table.row(position) for position in range(len(sheet.rows)))
        self.is_written = False
        self._digest = ""
        """SHA-256 of the file as it was written last, if it is remembered; else empty."""

    def _encoded(self, rows: Iterator[Sequence[str]] | list[Sequence[str]]) -> list[bytes]:
        return [line.encode() for line in table_lines(rows, delimiter=self._delimiter)]

    def write(
        self, changes: Mapping[int, Sequence[str] | None], remember: Callable[[list[str]], None] | None = None
    ) -> None:
        """Replace the file, with other cells in the rows at some positions. None leaves a row out.

        `remember` is called with the SHA-256 that the file may have, before it is replaced. Raises FilesError, and what
        `remember` raises; then nothing is changed.
        """
        lines = self._lines.copy()
        for position, cells in changes.items():
            lines[position + 1] = b"" if cells is None else self._encoded([cells])[0]
        content, digest = b"".join(lines), ""
        if remember is not None:
            digest = hashlib.sha256(content).hexdigest()
            # Whichever of the two is there if the program is killed between, it holds what was typed.
            remember([each for each in (self._digest, digest) if each])
        with storing(self._folder):
            replace_file(self._folder.failures, content)
        self._lines, self._digest, self.is_written = lines, digest, True

    def is_on_disk(self) -> bool:
        """Whether the file is as it was written last. Raises OSError."""
        try:
            return self.is_written and self._folder.failures.read_bytes() == b"".join(self._lines)
        except FileNotFoundError:
            return False


def storing(folder: RunFolder) -> AbstractContextManager[None]:
    """Turns OSError into FilesError."""
    return os_errors_as(
        FilesError,
        f"The change could not be stored in {folder.path}",
        remedy="Close failures.csv in other programs or make room on the disk, then try again. Nothing changed.",
    )
