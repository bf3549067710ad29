"""What an account has at the service: its lists, its mailboxes, and the servers that they are logged in to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.records import RowId
    from provisioner.secret import Secret

SMTPS_PORT, IMAPS_PORT = 465, 993
"""Where mail servers speak TLS from the first byte on (https://www.rfc-editor.org/rfc/rfc8314)."""


class Listing(StrEnum):
    """What the service lists of an account."""

    MAILBOXES = "mailboxes"
    DOMAINS = "domains"
    RELAY_SERVERS = "relay-servers"
    PROJECTS = "projects"

    @property
    def words(self) -> str:
        """What it is called in a sentence, such as `relay servers`."""
        return self.replace("-", " ")


@dataclass(frozen=True, slots=True)
class Resource:
    """A domain, relay server or project of the account."""

    id: int
    name: str
    """Empty where the service does not give one."""
    verified: bool | None = None
    """Of a domain; None where the service does not say."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What the account has. Of each kind None means that the service gives no list of it."""

    domains: tuple[Resource, ...] | None
    relay_servers: tuple[Resource, ...] | None
    projects: tuple[Resource, ...] | None
    practice: bool = False
    """Whether the account is the sandbox's."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as the service lists it."""

    id: str | None
    email: str
    """The full address where the service gives it, else the username alone."""
    domain: int | None
    domain_name: str | None

    @property
    def username(self) -> str:
        return self.email.partition("@")[0]

    @property
    def address(self) -> str | None:
        """The full address; None where the service did not say it."""
        if "@" in self.email:
            return self.email
        return f"{self.email}@{self.domain_name}" if self.domain_name else None


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail programs log in, with TLS from the first byte on."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Account:
    """Who an API key belongs to."""

    facts: Mapping[str, str]
    """What the service tells of the account, by the service's own words."""
    smtp: MailServer | None
    """None where the service does not name it."""
    imap: MailServer | None

    @property
    def name(self) -> str:
        """What people call it; empty if the service does not say."""
        return self.facts.get("name") or self.facts.get("email") or ""


class LoginState(StrEnum):
    """The result of logging in to a mailbox."""

    OK = "ok"
    REFUSED = "refused"
    """The server answered, and did not accept the address with this password."""
    UNREACHABLE = "unreachable"
    """No server that can be trusted gave an answer."""


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """One log-in."""

    state: LoginState
    sentence: str = ""
    """Why it is not ok."""


@dataclass(frozen=True, slots=True)
class MailLogin:
    """A mailbox that is to be logged in to."""

    row_id: RowId
    address: str
    password: Secret
    fresh: bool
    """It was created so recently that the mail servers may not know it yet."""
