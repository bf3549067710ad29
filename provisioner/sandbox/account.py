"""What the sandbox's account holds before anybody asks for anything. This is the one place that says so.

Domain 104 is not verified: creating a mailbox in it is refused. `info` and `sales` of domain 101 exist already.
"""

from __future__ import annotations

from dataclasses import dataclass

from provisioner.sandbox.records import Creation

ACCOUNT_NAME = "Sandbox Agency"
CREATED_AT = 1_767_225_600.0
"""1 January 2026, UTC, in seconds: when everything below was made."""


@dataclass(frozen=True, slots=True)
class Domain:
    id: int
    name: str
    verified: bool
    relay_server: int
    project: int


@dataclass(frozen=True, slots=True)
class RelayServer:
    id: int
    name: str
    provider: str


@dataclass(frozen=True, slots=True)
class Project:
    id: int
    name: str


def _existing(mailbox_id: int, username: str, password: str) -> Creation:
    return Creation(
        id=mailbox_id,
        task_id=None,
        username=username,
        domain=101,
        domain_name="acme-mail.example",
        relay_server=201,
        project=789,
        reply_to=None,
        password=password,
        created=CREATED_AT,
        due=CREATED_AT,
    )


DOMAINS = (
    Domain(101, "acme-mail.example", verified=True, relay_server=201, project=789),
    Domain(102, "acme-outreach.example", verified=True, relay_server=202, project=789),
    Domain(103, "acme-news.example", verified=True, relay_server=203, project=790),
    Domain(104, "acme-pending.example", verified=False, relay_server=201, project=790),
)
RELAY_SERVERS = (
    RelayServer(201, "MissionInbox", "MissionInbox"),
    RelayServer(202, "Mailgun", "Mailgun"),
    RelayServer(203, "SendGrid", "SendGrid"),
)
PROJECTS = (Project(789, "Spring campaign"), Project(790, "Autumn campaign"))
EXISTING_MAILBOXES = (
    _existing(1001, "info", "Existing-Info-2026"),
    _existing(1002, "sales", "Existing-Sales-2026"),
)
