"""The rules of the bodies that are sent, checked as a serializer of Django REST framework checks them.

Every field is looked at and all its sentences are kept by field. The rules that the service does not publish (of the
password, of the username) are this sandbox's own: Django's password validators, and its address syntax.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from provisioner.sandbox.account import PROJECTS, RELAY_SERVERS
from provisioner.sandbox.records import Wanted
from provisioner.sandbox.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from provisioner.sandbox.account import Domain

LONGEST = 255
SHORTEST_PASSWORD = 8
COMMON_PASSWORDS = frozenset(
    {
        "12345678",
        "123456789",
        "1234567890",
        "11111111",
        "abcd1234",
        "admin123",
        "baseball",
        "changeme",
        "football",
        "iloveyou",
        "letmein1",
        "passw0rd",
        "password",
        "password1",
        "password123",
        "princess",
        "qwerty123",
        "qwertyuiop",
        "sunshine",
        "superman",
        "trustno1",
        "welcome1",
    }
)

_RELAY_SERVER_IDS = frozenset(server.id for server in RELAY_SERVERS)
_PROJECT_IDS = frozenset(project.id for project in PROJECTS)
_ATOM = r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+"
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_USERNAME = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|xn--[0-9A-Za-z-]{{1,59}})")
_ADDRESS = re.compile(rf"(?:{_USERNAME.pattern})@(?:{_HOST.pattern})")
_URL = re.compile(rf"https?://(?:{_HOST.pattern})(?::[0-9]{{1,5}})?(?:[/?#]\S*)?", re.IGNORECASE)
_INTEGER = re.compile(r"([+-]?[0-9]{1,1000})(?:\.0*)?")


class Form:
    """One body and the errors found in it so far."""

    def __init__(self, body: object) -> None:
        """Take the parsed body.

        Raises:
            Refusal: it is no JSON object.
        """
        if body is None:
            raise invalid({"non_field_errors": ["No data provided"]})
        if not isinstance(body, dict):
            kind = type(body).__name__
            raise invalid({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]})
        self._body: dict[str, object] = body
        self.errors: dict[str, list[str]] = {}

    def fail(self, name: str, *sentences: str) -> None:
        self.errors.setdefault(name, []).extend(sentences)

    def text(self, name: str, *, required: bool = True, trim: bool = True) -> str | None:
        """A CharField: a number counts as its text. None where it is absent or wrong."""
        value = self._value(name, required=required)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self.fail(name, "Not a valid string.")
            return None
        text = str(value).strip() if trim else str(value)
        sentences = list(_text_faults(text))
        if sentences:
            self.fail(name, *sentences)
            return None
        return text

    def integer(self, name: str, *, required: bool = True) -> int | None:
        """An IntegerField: a text of digits counts as a number. None where it is absent or wrong."""
        value = self._value(name, required=required)
        if value is None:
            return None
        match = None if isinstance(value, bool) else _INTEGER.fullmatch(str(value).strip())
        if match is None:
            self.fail(name, "A valid integer is required.")
            return None
        return int(match[1])

    def related(self, name: str, known: Container[int], *, required: bool = True) -> int | None:
        """The ID of something that exists. None where it is absent or wrong."""
        pk = self.integer(name, required=required)
        if pk is not None and pk not in known:
            self.fail(name, f'Invalid pk "{pk}" - object does not exist.')
            return None
        return pk

    def refuse_errors(self) -> None:
        """Raise the Refusal, where anything was wrong."""
        if self.errors:
            raise invalid(self.errors)

    def _value(self, name: str, *, required: bool) -> object:
        if name not in self._body:
            if required:
                self.fail(name, "This field is required.")
            return None
        value = self._body[name]
        if value is None:
            self.fail(name, "This field may not be null.")
        return value


def _text_faults(text: str) -> list[str]:
    if not text:
        return ["This field may not be blank."]
    faults = []
    if len(text) > LONGEST:
        faults.append(f"Ensure this field has no more than {LONGEST} characters.")
    if "\x00" in text:
        faults.append("Null characters are not allowed.")
    surrogate = next((letter for letter in text if "\ud800" <= letter <= "\udfff"), None)
    if surrogate is not None:
        faults.append(f"Surrogate characters are not allowed: U+{ord(surrogate):X}.")
    return faults


def password_faults(password: str) -> list[str]:
    """What Django's validators say of a password; nothing for a good one."""
    faults = []
    if len(password) < SHORTEST_PASSWORD:
        faults.append(f"This password is too short. It must contain at least {SHORTEST_PASSWORD} characters.")
    if password.lower().strip() in COMMON_PASSWORDS:
        faults.append("This password is too common.")
    if password.isdigit():
        faults.append("This password is entirely numeric.")
    return faults


class CreateForm(Form):
    """The body of a create."""

    def __init__(self, body: object, domains: Mapping[int, Domain]) -> None:
        """Check every field against the account's `domains` and what else it holds."""
        super().__init__(body)
        self._username = self._checked_username()
        self._domain = self._checked_domain(domains)
        self._relay_server = self.related("relay_server", _RELAY_SERVER_IDS)
        self._password = self.text("password", required=False, trim=False)
        self._project = self.related("project", _PROJECT_IDS, required=False)
        self._reply_to = self._checked_reply_to()
        if self._password is not None:
            self._check_password(self._password)
        if self.address is not None and len(self.address) > LONGEST:
            self.fail("email", f"Ensure this field has no more than {LONGEST} characters.")

    @property
    def address(self) -> str | None:
        """Whom the create is for; None where that cannot be said."""
        return f"{self._username}@{self._domain.name}" if self._username and self._domain else None

    def wanted(self) -> Wanted:
        """What is wanted.

        Raises:
            Refusal: a field is wrong; the answer names all that are.
        """
        self.refuse_errors()
        assert self._username is not None
        assert self._domain is not None
        assert self._relay_server is not None
        return Wanted(
            username=self._username,
            domain=self._domain.id,
            domain_name=self._domain.name,
            relay_server=self._relay_server,
            password=self._password,
            project=self._project,
            reply_to=self._reply_to,
        )

    def _checked_username(self) -> str | None:
        username = self.text("email")
        if username is not None and "@" in username:
            self.fail("email", "Enter the username alone, without @ and the domain.")
            return None
        if username is not None and _USERNAME.fullmatch(username) is None:
            self.fail("email", "Enter a valid email address.")
            return None
        return username

    def _checked_domain(self, domains: Mapping[int, Domain]) -> Domain | None:
        pk = self.related("domain", domains)
        if pk is None:
            return None
        if not domains[pk].verified:
            self.fail("domain", f"Domain {domains[pk].name} is not verified.")
        return domains[pk]

    def _checked_reply_to(self) -> str | None:
        reply_to = self.text("reply_to", required=False)
        if reply_to is not None and _ADDRESS.fullmatch(reply_to) is None:
            self.fail("reply_to", "Enter a valid email address.")
            return None
        return reply_to

    def _check_password(self, password: str) -> None:
        faults = password_faults(password)
        if faults:
            self.fail("password", *faults)


class DomainForm(Form):
    """The body with which a domain is created."""

    def __init__(self, body: object, domains: Mapping[int, Domain]) -> None:
        """Check every field; `domains` are those there are.

        Raises:
            Refusal: a field is wrong; the answer names all that are.
        """
        super().__init__(body)
        name = self.text("name")
        relay_server = self.related("relay_server", _RELAY_SERVER_IDS)
        project = self.related("project", _PROJECT_IDS)
        self.redirect = self.text("redirect", required=False)
        if name is not None and _HOST.fullmatch(name) is None:
            self.fail("name", "Enter a valid domain name.")
        elif name is not None and name.casefold() in {domain.name.casefold() for domain in domains.values()}:
            self.fail("name", "Domain with this name already exists.")
        if self.redirect is not None and _URL.fullmatch(self.redirect) is None:
            self.fail("redirect", "Enter a valid URL.")
        self.refuse_errors()
        assert name is not None
        assert relay_server is not None
        assert project is not None
        self.name, self.relay_server, self.project = name, relay_server, project
