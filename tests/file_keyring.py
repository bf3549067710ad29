"""A keyring in a file, so that the tests reach no person's own. The variable FILE_KEYRING names it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class FileKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write(self._read() | {f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        known = self._read()
        del known[f"{service}/{username}"]
        self._write(known)

    @property
    def _path(self) -> Path:
        if "FILE_KEYRING" not in os.environ:
            raise KeyringLocked("it is locked")
        return Path(os.environ["FILE_KEYRING"])

    def _read(self) -> dict[str, str]:
        known: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return known

    def _write(self, known: dict[str, str]) -> None:
        self._path.write_text(json.dumps(known))
