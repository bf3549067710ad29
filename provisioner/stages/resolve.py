"""Turn ready rows into requests: what the sheet calls a domain, relay server or project becomes the service's ID.

The account's lists say what there is. Where the service gives no such list, IDs are sent as they stand and the service
decides. Where nobody asked it, as in a check, what only it could tell stays open.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from provisioner.domains import ADDRESS, ascii_domain, is_same_domain
from provisioner.journal import address_key
from provisioner.records import GAP, Fault, Request
from provisioner.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.resources import Resource
    from provisioner.secret import Secret

ID = re.compile(r"[1-9][0-9]{0,17}")
NAMED = 3
"""How many of the account's own are suggested for one that it lacks."""
SIMILAR = 0.8
"""Similarity, from 0 to 1, at which one name may be a typo of another; two domains may share only their ending."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which mailbox a row is about, however its cells say it."""

    username: str
    key: str
    """What the journal knows it by."""
    address: str
    """The full address; empty where the domain's name is not known."""


@dataclass(frozen=True, slots=True)
class _Match:
    """What a cell means."""

    id: int | None
    """None where it names nothing, or nothing that could be looked up."""
    name: str = ""
    """Empty where it is not known."""
    fault: str = ""


class Resolver:
    """Knows what the cells of one sheet mean at the service."""

    def __init__(self, resources: Resources | None) -> None:
        """None: the service was not asked."""
        self._asked = asked = resources is not None
        known = resources or Resources(None, None, None)
        about = {"asked": asked, "practice": known.practice}
        self._domains = _Kind("domain", known.domains, ascii_domain, **about)
        self._relay_servers = _Kind("relay server", known.relay_servers, _plain, **about)
        self._projects = _Kind("project", known.projects, _plain, **about)

    def identity(self, email: str, domain: str) -> Identity:
        """Which mailbox the cells mean; cells that mean none are identified by their text."""
        match = self._domains.find(domain)
        name = match.name or ("" if ID.fullmatch(domain) else domain)
        username = email
        address = ADDRESS.fullmatch(email)
        if address and (is_same_domain(address[2], name) if name else not self._asked):
            username = address[1]
        key = address_key(username, match.id if match.id is not None else ascii_domain(domain))
        return Identity(username, key, f"{username}@{match.name}" if match.name and "@" not in username else "")

    def faults(self, email: str, domain: str, relay_server: str, project: str) -> list[tuple[str, Fault]]:
        """Why these cells, as far as they are filled in, cannot be sent; each with its column. Empty if they can."""
        found = [
            (column, Fault(match.fault, of_account=True))
            for column, kind, text in (
                ("domain", self._domains, domain),
                ("relay_server", self._relay_servers, relay_server),
                ("project", self._projects, project),
            )
            if text and (match := kind.find(text)).fault
        ]
        address = ADDRESS.fullmatch(email)
        if address and domain and self.identity(email, domain).username == email:
            found.insert(0, ("email", _foreign(email, address[1], self._domains.find(domain))))
        return found

    def request(self, cells: Sequence[str], password: Secret | None) -> Request | None:
        """The body of the create call for a row without faults; None where only the service could tell it.

        `cells`: email, domain, relay server, project and reply_to.
        """
        email, domain_cell, relay_cell, project_cell, reply_to = cells
        domain, relay_server = self._domains.find(domain_cell), self._relay_servers.find(relay_cell)
        project = self._projects.find(project_cell) if project_cell else None
        username = self.identity(email, domain_cell).username
        unproved = username != email and not domain.name and ID.fullmatch(domain_cell)
        if domain.id is None or relay_server.id is None or (project and project.id is None) or unproved:
            return None
        return Request(
            email=username,
            domain=domain.id,
            relay_server=relay_server.id,
            password=password,
            project=project.id if project else None,
            reply_to=reply_to or None,
        )


def _foreign(email: str, username: str, domain: _Match) -> Fault:
    """About a full address that is not certainly one of the row's own domain."""
    if domain.name:
        cause = f"“{GAP}” is no address of the row's domain {GAP}; write only “{GAP}” here, or fix the domain"
        return Fault(cause, (email, f"{domain.id} ({domain.name})", username), of_account=True)
    cause = f"“{GAP}” is a full address; write only “{GAP}” here, and the ID of its domain in the domain column"
    return Fault(cause, (email, username))


def written_plainly(email: str, domain: str) -> bool:
    """Whether the cells are a username alone and an ID or nothing, so that equal mailboxes are equal texts."""
    return "@" not in email and (domain.isdecimal() or not domain)


class _Kind:
    """The domains, the relay servers or the projects of an account."""

    def __init__(
        self,
        noun: str,
        resources: Sequence[Resource] | None,
        plain: Callable[[str], str],
        *,
        asked: bool,
        practice: bool,
    ) -> None:
        """`plain` takes from a name what does not matter in it."""
        self._noun = noun
        self._listing = f"provisioner list {noun.replace(' ', '-')}s{' --sandbox' if practice else ''}"
        self._plain = plain
        self._is_listed, self._resources = resources is not None, resources or ()
        self._asked = asked
        self._by_id = {resource.id: resource for resource in self._resources}
        self._found: dict[str, _Match] = {}

    def find(self, text: str) -> _Match:
        """What a cell means: an ID, or a name that is looked up whatever its case."""
        if text not in self._found:
            self._found[text] = self._look_up(text)
        return self._found[text]

    def _look_up(self, text: str) -> _Match:
        number = int(text) if ID.fullmatch(text) else None
        if not self._is_listed:
            if number is not None or not self._asked:
                return _Match(number)
            no_list = f"is not an ID, and the service gives no list of the account's {self._noun}s to look up a name in"
            return _Match(None, fault=f"“{text}” {no_list}; write the {self._noun}'s ID")
        matches = self._named(text) if number is None else self._with_id(number)
        if len(matches) > 1:
            which = " and ".join(str(resource.id) for resource in matches)
            fault = f"“{text}” is the name of {self._noun}s {which}; write the ID of the one meant"
            return _Match(None, fault=fault)
        if not matches:
            return _Match(None, fault=self._lacking(text))
        (found,) = matches
        unverified = f"{self._noun} {_shown(found)} is not verified yet; verify it at Mission Inbox, then run again"
        return _Match(found.id, found.name, unverified if found.verified is False else "")

    def _with_id(self, number: int) -> list[Resource]:
        return [self._by_id[number]] if number in self._by_id else []

    def _named(self, text: str) -> list[Resource]:
        exactly = [resource for resource in self._resources if resource.name == text]
        if len(exactly) == 1:
            return exactly
        plain = self._plain(text)
        return [resource for resource in self._resources if resource.name and self._plain(resource.name) == plain]

    def _lacking(self, text: str) -> str:
        said = f"the account has no {self._noun} {text if ID.fullmatch(text) else f'“{text}”'}"
        by_text: defaultdict[str, list[Resource]] = defaultdict(list)
        for resource in self._resources:
            for known in filter(None, (str(resource.id), self._plain(resource.name) if resource.name else "")):
                by_text[known].append(resource)
        close = get_close_matches(self._plain(text), by_text, n=NAMED, cutoff=SIMILAR)
        nearest = list(dict.fromkeys(_shown(resource) for match in close for resource in by_text[match]))[:NAMED]
        if nearest:
            return f"{said}; the closest {'is' if len(nearest) == 1 else 'are'} {', '.join(nearest)}"
        some = [_shown(resource) for resource in self._resources[:NAMED]]
        more = f", … ({self._listing} shows all)" if len(self._by_id) > NAMED else ""
        if some:
            return f"{said}; write one that it has: {', '.join(some)}{more}"
        return f"{said}, nor any other; add one at Mission Inbox, then run again"


def _shown(resource: Resource) -> str:
    return f"{resource.id} ({resource.name})" if resource.name else str(resource.id)


def _plain(name: str) -> str:
    """A name without what does not matter in it: case, and how blanks are written."""
    return " ".join(name.casefold().split())
