"""Where the API key comes from: the environment, the system's keyring, or a file. Sole owner of the keyring library.

In the keyring a key stands together with the address that it belongs to, under the name of a profile, so that the key
of one account is never sent to another.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioner.errors import SettingsError
from provisioner.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

KEYRING_SERVICE = "provisioner"
DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Login:
    """An API key and the address of the service that it is for."""

    api_url: str
    api_key: Secret


def load(profile: str, *, required: bool) -> Login | None:
    """What the keyring holds for a profile; None where it holds nothing.

    A machine without a usable keyring holds nothing, unless that is `required`. Raises SettingsError.
    """
    import keyring  # noqa: PLC0415 - it looks for its backends, which takes time
    from keyring.errors import KeyringError  # noqa: PLC0415 - the same

    try:
        kept = keyring.get_password(KEYRING_SERVICE, profile)
    except KeyringError as error:
        if required:
            raise _no_keyring(error) from None
        return None
    if kept is None:
        return None
    try:
        entry = json.loads(kept)
        return Login(str(entry["url"]), check(str(entry["key"])))
    except (ValueError, TypeError, KeyError):
        raise SettingsError(
            f"What the keyring holds for the profile “{profile}” was not written by this program.",
            remedy="Run provisioner login again.",
        ) from None


def keep(profile: str, login: Login) -> None:
    """Put a key into the keyring, and see that it is there. Raises SettingsError."""
    import keyring  # noqa: PLC0415 - it looks for its backends, which takes time
    from keyring.errors import KeyringError  # noqa: PLC0415 - the same

    entry = json.dumps({"url": login.api_url, "key": login.api_key.reveal()})
    try:
        keyring.set_password(KEYRING_SERVICE, profile, entry)
    except KeyringError as error:
        raise _no_keyring(error) from None
    if load(profile, required=True) != login:
        raise _no_keyring("it did not keep the key")


def forget(profile: str) -> bool:
    """Take a key out of the keyring. False where there was none. Raises SettingsError."""
    import keyring  # noqa: PLC0415 - it looks for its backends, which takes time
    from keyring.errors import KeyringError  # noqa: PLC0415 - the same

    try:
        if keyring.get_password(KEYRING_SERVICE, profile) is None:
            return False
        keyring.delete_password(KEYRING_SERVICE, profile)
    except KeyringError as error:
        raise _no_keyring(error) from None
    return True


def read(file: Path) -> Secret:
    """The key in a text file that holds nothing else. Raises SettingsError."""
    try:
        return check(file.read_text(encoding="utf-8-sig").strip())
    except (OSError, UnicodeDecodeError):
        raise SettingsError(
            f"The key file {file} cannot be read.",
            remedy="Name a text file that holds the API key and nothing else.",
        ) from None


def check(key: str) -> Secret:
    """A key that can be sent. Raises SettingsError."""
    if not key:
        raise SettingsError("The API key is empty.", remedy="Copy the key once more, and all of it.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "The API key holds a blank or a character that no key has.", remedy="Copy the key once more, and all of it."
        )
    return Secret(key)


def _no_keyring(reason: object) -> SettingsError:
    said = " ".join(str(reason).split()) or type(reason).__name__
    return SettingsError(
        "This computer's keyring cannot be used.",
        remedy="Set MISSION_INBOX_API_KEY instead, or keep the key in a file that only you can read and name it with "
        "--api-key-file.",
        technical=said,
    )
