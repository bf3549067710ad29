"""What outlives the process: every SQL statement of the sandbox.

What was answered is written before it is answered. A killed process loses nothing of it; a power cut may, since SQLite
is told not to wait for the disk.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.sandbox.records import Creation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provisioner.sandbox.records import Became

_LAYOUT = """
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS creates (number INTEGER PRIMARY KEY, address TEXT, became TEXT, creation TEXT);
"""


def _claim(path: Path) -> None:
    """Make the file if there is none, and keep all but its owner from reading it. Raises OSError, also for a link."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link to another place")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
    path.chmod(0o600)


class Storage:
    """One open state file, held against a second sandbox. Used by one thread at a time.

    `life` counts the starts on this file, from 1.
    """

    def __init__(self, path: Path) -> None:
        """Open or create `path`.

        Raises:
            ValueError: another sandbox holds the file, or it is not a state file, or it cannot be written.
        """
        self._path, self._is_new = path, not path.exists()
        try:
            _claim(path)
        except OSError as error:
            raise ValueError(f"{path} cannot be written: {error.strerror}.") from error
        self._connection = sqlite3.connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            self._connection.executescript(_LAYOUT)
            self.life: int = self._connection.execute("PRAGMA user_version").fetchone()[0] + 1
            self._connection.execute(f"PRAGMA user_version = {self.life}")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise ValueError(f"{path} is in use by another sandbox.") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ValueError(f"{path} is not a state file of the sandbox.") from error

    def add_create(self, address: str, became: Became, creation: Creation | None) -> None:
        made = json.dumps(asdict(creation)) if creation is not None else None
        self._connection.execute(
            "INSERT INTO creates (address, became, creation) VALUES (?, ?, ?)", (address, became, made)
        )

    def creates(self) -> Iterator[tuple[str, Became, Creation | None]]:
        """Every create received, in order: address, outcome, and the creation if it was carried out."""
        rows = self._connection.execute("SELECT address, became, creation FROM creates ORDER BY number")
        for address, became, made in rows:
            yield address, became, Creation(**json.loads(made)) if made is not None else None

    def close(self) -> None:
        """Close the file; delete it if it was made here and holds nothing."""
        is_empty = self._is_new and next(self.creates(), None) is None
        self._connection.close()
        if is_empty:
            self._path.unlink(missing_ok=True)
