"""Where the service is, and the key for it: from the options, the environment, the keyring or a file."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provisioner import keys
from provisioner.cli.options import KEY_VARIABLE, rates_of, subset, typed_here
from provisioner.defaults import API_URL, CREATE_PATH, RATE
from provisioner.errors import RunFolderError, SettingsError
from provisioner.secret import Secret

SANDBOX_STATE = "sandbox.sqlite3"
"""In a run folder, what --sandbox remembers of it."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from provisioner.records import AutoRate, Rate
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, VerifyOptions


def connector(
    options: dict[str, Any], rate: tuple[Rate, ...] | AutoRate | None = None
) -> Callable[[RunFolder | None], AbstractContextManager[Connection]]:
    """A context that connects a command: to the given address with the key, or to a sandbox of its own.

    It takes the run folder, or None where the command belongs to no run. A `rate` of None means the default.
    """
    rates, create_path = rate or rates_of(RATE), options.get("create_path", CREATE_PATH)
    if not options["sandbox"]:
        connection = connection_to(find_login(options), rates=rates, create_path=create_path)
        return lambda _: nullcontext(connection)
    if (options["api_url"] and typed_here("api_url")) or options["profile"]:
        raise SettingsError(
            "--sandbox cannot be combined with --api-url or --profile.", remedy="Leave out one or the other."
        )
    return partial(_sandboxed, rates=rates, create_path=create_path)


@contextmanager
def _sandboxed(folder: RunFolder | None, **more: Any) -> Iterator[Connection]:
    """A connection, with `more` of its options, to a sandbox of its own. Raises RunFolderError."""
    from provisioner.sandbox.options import SandboxOptions
    from provisioner.sandbox.server import serve
    from provisioner.settings import Connection

    # It remembers its mailboxes beside the journal, as the service itself would, so that a second run can go on.
    state = folder.path / SANDBOX_STATE if folder else None
    form: Any = "guide" if more["create_path"] == CREATE_PATH else "reference"
    with ExitStack() as stack:
        try:
            served = serve(SandboxOptions(state=state, keep_passwords=False, create_form=form))
            sandbox = stack.enter_context(served)
        except ValueError as error:
            raise RunFolderError(
                f"The sandbox cannot be started: {error}", remedy="Choose another folder with --out."
            ) from error
        yield Connection(api_url=sandbox.url, api_key=Secret(sandbox.api_key), practice=True, **more)


def connection_to(login: keys.Login, **more: Any) -> Connection:
    """A connection to a service, as the environment says to reach it. Raises SettingsError."""
    from provisioner.settings import Connection

    return Connection(api_url=login.api_url, api_key=login.api_key, proxy=proxy_for(login.api_url), **more)


def proxy_for(api_url: str) -> str | None:
    """The proxy through which the environment says to reach a service: HTTPS_PROXY, unless NO_PROXY names its host."""
    from urllib.request import getproxies_environment, proxy_bypass

    if proxy_bypass(urlsplit(api_url).netloc):
        return None
    return getproxies_environment().get("https") or None


def find_login(options: dict[str, Any]) -> keys.Login:
    """The key and the address that it belongs to.

    Raises NoKeyError if there is none, and SettingsError if there is more than one.
    """
    profile, url, file = options["profile"], options["api_url"], options["api_key_file"]
    in_environment = os.environ.get(KEY_VARIABLE, "").strip()
    in_file = keys.read(file) if file is not None else None
    if profile is None and in_environment:
        key = Secret(in_environment)
        if in_file not in (None, key):
            raise _two_keys(KEY_VARIABLE, file, f"remove {KEY_VARIABLE}")
        return keys.Login(url or API_URL, key)
    kept = keys.load(profile or keys.DEFAULT_PROFILE, required=profile is not None)
    if kept is None:
        if profile is not None or in_file is None:
            raise _no_key(profile)
        return keys.Login(url or API_URL, in_file)
    if in_file not in (None, kept.api_key):
        raise _two_keys("The keyring", file, "remove the key from the keyring with provisioner logout")
    if url and url.rstrip("/") != kept.api_url.rstrip("/") and (profile is None or typed_here("api_url")):
        raise SettingsError(
            f"The key in the keyring is for {kept.api_url}, so it is not sent to {url}.",
            remedy=f"Give the other service's key with {KEY_VARIABLE}, or log in to it under a --profile of its own.",
        )
    return kept


def _no_key(profile: str | None) -> SettingsError:
    if profile is not None:
        return SettingsError(
            f"The keyring holds no key for the profile “{profile}”.",
            remedy=f"Run provisioner login --profile {profile} first.",
        )
    return keys.NoKeyError(
        "There is no API key.",
        remedy=f"Run provisioner login once, or set {KEY_VARIABLE}, or give a file that contains the key with "
        "--api-key-file. To practice without a key, add --sandbox.",
    )


def _two_keys(source: str, file: Path, instead: str) -> SettingsError:
    return SettingsError(
        f"{source} and the file {file} hold different API keys, so it is not certain which account is meant.",
        remedy=f"Leave out --api-key-file, or {instead}.",
    )


def read_verify_options(options: dict[str, Any], *, instead: str) -> VerifyOptions:
    """How to log in. Raises SettingsError in the sandbox, with what to do `instead`."""
    from provisioner.messages import NO_PRACTICE_LOGINS

    how = login_options(options)
    if options["sandbox"] and not how.names_servers:
        raise SettingsError(
            NO_PRACTICE_LOGINS,
            remedy=f"{instead}, or give servers of your own with --imap-host and --smtp-host.",
        )
    return how


def login_options(options: dict[str, Any]) -> VerifyOptions:
    """How to log in, whatever the service is."""
    from provisioner.settings import VerifyOptions

    servers = subset(options, "imap_host", "imap_port", "smtp_host", "smtp_port")
    return VerifyOptions(patience=options["verify_timeout"], **servers)
