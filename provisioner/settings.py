"""The options of a run, in frozen values. Secrets are masked in their repr."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provisioner.defaults import API_URL, CREATE_PATH, MOST_WORKERS, STOP_AFTER, TASK_TIMEOUT, VERIFY_TIMEOUT, WORKERS
from provisioner.errors import SettingsError
from provisioner.records import AutoRate, Rate
from provisioner.secret import SecretField

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from provisioner.secret import Secret

HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?")
"""In lower case. The finer rules of a name are left to the network."""
PRACTICE = "practice"
"""What a journal remembers as its service if the run was for practice."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the service is and how to speak to it."""

    api_url: str = API_URL
    """Scheme, host and port alone; https, or http on loopback."""
    api_key: SecretField = SecretField()  # noqa: RUF009 - it is a descriptor, and no default
    """A plain text or a Secret."""
    rates: tuple[Rate, ...] | AutoRate = field(default_factory=AutoRate)
    """Fixed rates, all of which are kept at once; or the service's own limit is found."""
    proxy: str | None = field(default=None, repr=False)
    """Address of the proxy for https; None connects directly. Without a scheme it means http. May hold credentials."""
    create_path: str = CREATE_PATH
    """Where mailboxes are created. The service's API reference has another one, which answers without a task."""
    answer_timeout: float = 30.0
    """Seconds to wait for an answer before it counts as lost."""
    patience: float = 120.0
    """Seconds to keep trying a service that cannot be reached before the run is stopped."""
    practice: bool = False
    """It leads to a stand-in, so nothing costs money. A loopback address alone does not say so: it may be a tunnel."""

    def __post_init__(self) -> None:
        check_api_url(self.api_url)
        if self.practice and not _is_loopback(urlsplit(self.api_url).hostname or ""):
            raise SettingsError(
                f"“{self.api_url}” is not on this computer, so it cannot be for practice.",
                remedy="Leave out practice, or connect to a stand-in on loopback.",
            )
        if not re.fullmatch(r"/([!-~]*/)?", self.create_path):
            raise SettingsError(
                f"“{self.create_path}” is not a path of the service.",
                remedy=f"Write it like {CREATE_PATH}, with a slash at both ends.",
            )
        check_api_key(self.api_key)
        if self.proxy is not None:
            object.__setattr__(self, "proxy", proxy_url(self.proxy))

    @property
    def service_name(self) -> str:
        """What a journal remembers of the service that its mailboxes are at. All stand-ins are one."""
        parts = urlsplit(self.api_url)
        return PRACTICE if self.practice else f"{parts.scheme}://{parts.netloc.lower()}"


@dataclass(frozen=True, kw_only=True)
class SheetOptions:
    """Which sheet, read how, and where its files go."""

    sheet: Path
    shown: str = ""
    """What people call the sheet if its path means nothing to them, as with standard input; otherwise empty."""
    out: Path | None = None
    """The run folder; None puts it beside the sheet."""
    schema: Path | None = None
    """A schema file; None takes the built-in schema."""
    generate_passwords: bool = False
    encoding: str | None = None
    """Of a text file; None finds it."""
    sheet_name: str | None = None
    """Which sheet of a workbook, in a run folder of its own; None takes the only one there is."""
    fill: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Column to value, for columns that are missing or blank."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What headers of the sheet mean that say it unclearly: each the schema's name of a column, or empty for none."""
    by: str | None = None
    """The column whose values rows are counted by; None takes one that is called Client."""

    @property
    def name(self) -> str:
        """The file and, if one is chosen, which sheet of it."""
        return f"{self.sheet}, sheet {self.sheet_name}" if self.sheet_name else str(self.sheet)


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """How to log in to created mailboxes. None takes the account's server, and the usual port."""

    patience: float = VERIFY_TIMEOUT
    """Seconds for which a very new mailbox, or a server that cannot be reached, is tried again."""
    imap_host: str | None = None
    imap_port: int | None = None
    smtp_host: str | None = None
    smtp_port: int | None = None

    @property
    def names_servers(self) -> bool:
        """Whether both servers are named, so that the account need not name them."""
        return bool(self.imap_host and self.smtp_host)


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out. Durations are in seconds."""

    limit: int | None = None
    """Send at most this many rows; None sends all."""
    workers: int = WORKERS
    task_timeout: float = TASK_TIMEOUT
    stop_after: int = STOP_AFTER
    """Stop after this many failures in a row with one cause; 0 never stops."""
    look_up_after: float = 60.0
    """A create without an answer may be sent again when it is this old, and three times as old as the slowest task of
    this run, and the service still does not list its mailbox."""
    grace: float = 10.0
    """How long tasks in flight are still polled after an interruption."""
    refresh: float = 5.0
    """The least time between two refreshes of the files."""
    verify: VerifyOptions | None = None
    """Log in to the created mailboxes at the end; None does not."""

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_WORKERS:
            raise SettingsError(
                f"The number of workers cannot be {self.workers}.", remedy=f"Use a number from 1 to {MOST_WORKERS}."
            )
        if self.limit is not None and self.limit < 1:
            raise SettingsError(
                f"The limit cannot be {self.limit}.", remedy="Use 1 or more, or leave it out to send all rows."
            )
        if self.stop_after < 0 or self.task_timeout < 0:
            raise SettingsError("The options stop_after and task_timeout cannot be negative.", remedy="Use 0 or more.")


def check_api_url(url: str) -> None:
    """Raise SettingsError unless the key may be sent there: https, or http on loopback; nothing but an origin."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if "@" in url or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise SettingsError(
            "The service's address may hold a scheme, a host and a port, and nothing else.",
            remedy=f"Write it like {API_URL}; the key is given separately.",
        )
    if parts.scheme not in ("http", "https") or not host:
        raise SettingsError(
            f"“{url}” is not the address of a service.", remedy=f"Write it like {API_URL}, with https://."
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(
            f"“{url}” would send the API key unencrypted.", remedy="Write the address with https:// in front."
        )


def check_api_key(key: Secret) -> None:
    """Raise SettingsError unless the key can stand in a request's header. The message does not show it."""
    text = key.reveal()
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise SettingsError(
            "The API key is empty, or holds a space, a line break or another character that no key has.",
            remedy="Copy the key once more, and nothing before or after it.",
        )


def proxy_url(text: str) -> str:
    """The address of a proxy with its scheme. Raises SettingsError, which does not show it, for anything else."""
    text = text.strip()
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        is_host = bool(HOST_NAME.fullmatch(host) or ip_address(host))
    except ValueError:
        is_host = False
    if not is_host or port == 0 or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise SettingsError(
            "HTTPS_PROXY is not the address of a proxy that this program can use.",
            remedy="Write its name and port, like proxy.example:3128, or remove HTTPS_PROXY to connect directly. A "
            "SOCKS proxy cannot be used. Your network administrator knows the address.",
        )
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
