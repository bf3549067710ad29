"""Where the API key comes from: the environment, the system's keyring, or a file. Sole owner of the keyring library.

The keyring stores a key together with the address it belongs to, under the name of a profile, so that the key of one
account is never sent to another service.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.errors import SettingsError
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

KEYRING_SERVICE = "provisioner"
DEFAULT_PROFILE = "default"


class NoKeyError(SettingsError):
    """No API key was given in any way."""


@dataclass(frozen=True, slots=True)
class Login:
    """An API key and the address of the service it is for."""

    api_url: str
    api_key: Secret


def load(profile: str, *, required: bool) -> Login | None:
    """Return what the keyring has for a profile, or None if it has nothing.

    A computer without a usable keyring has nothing; if the key is `required`, that raises SettingsError.
    """
    try:
        kept = _kept(profile)
    except SettingsError:
        if required:
            raise
        return None
    if kept is None:
        return None
    try:
        entry = json.loads(kept)
        return Login(str(entry["url"]), Secret(str(entry["key"])))
    except (ValueError, TypeError, KeyError):
        raise SettingsError(
            f"The keyring entry for the profile “{profile}” was not written by this program.",
            remedy="Run provisioner login again.",
        ) from None


def require_keyring() -> None:
    """Raise SettingsError if this computer has no usable keyring."""
    _kept(DEFAULT_PROFILE)


def keep(profile: str, login: Login) -> None:
    """Save a key in the keyring and read it back. Raises SettingsError."""
    entry = json.dumps({"url": login.api_url, "key": login.api_key.reveal()})
    with _keyring() as keyring:
        keyring.set_password(KEYRING_SERVICE, profile, entry)
    if load(profile, required=True) != login:
        raise _no_keyring("it did not keep the key")


def forget(profile: str) -> bool:
    """Remove a key from the keyring; False if there was none. Raises SettingsError."""
    if _kept(profile) is None:
        return False
    with _keyring() as keyring:
        keyring.delete_password(KEYRING_SERVICE, profile)
    return True


def read(file: Path) -> Secret:
    """Read the key from a text file that contains nothing else. Raises SettingsError."""
    try:
        return Secret(file.read_text(encoding="utf-8-sig").strip())
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            f"The key file {file} cannot be read.",
            remedy="Give a text file that contains the API key and nothing else.",
        ) from None


def _kept(profile: str) -> str | None:
    with _keyring() as keyring:
        kept: str | None = keyring.get_password(KEYRING_SERVICE, profile)
        return kept


@contextmanager
def _keyring() -> Iterator[ModuleType]:
    """The keyring library. Raises SettingsError in place of its errors."""
    import keyring  # noqa: PLC0415 - it looks for its backends, which takes time
    from keyring.errors import KeyringError  # noqa: PLC0415 - the same

    try:
        yield keyring
    except KeyringError as error:
        raise _no_keyring(error) from None


def _no_keyring(reason: object) -> SettingsError:
    said = " ".join(str(reason).split()) or type(reason).__name__
    return SettingsError(
        "This computer's keyring cannot be used.",
        remedy="Set MISSION_INBOX_API_KEY instead, or save the key in a file that only you can read and give it with "
        "--api-key-file.",
        technical=said,
    )
