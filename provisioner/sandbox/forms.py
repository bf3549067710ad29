"""The rules of the bodies that are sent, checked as a serializer of Django REST framework checks them.

Every field is looked at and all its sentences are kept by field. The rules that the service does not publish (of the
password, of the username) are this sandbox's own: Django's password validators, and its address syntax.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provisioner.sandbox.account import DOMAINS, PROJECTS, RELAY_SERVERS
from provisioner.sandbox.records import Wanted
from provisioner.sandbox.refusals import invalid

if TYPE_CHECKING:
    from collections.abc import Container

    from provisioner.sandbox.account import Domain

LONGEST = 255
SHORTEST_PASSWORD = 8
_COMMON = """
12345678 123456789 1234567890 11111111 abcd1234 admin123 baseball changeme football iloveyou letmein1 passw0rd
password password1 password123 princess qwerty123 qwertyuiop sunshine superman trustno1 welcome1
"""
COMMON_PASSWORDS = frozenset(_COMMON.split())

_DOMAINS = {domain.id: domain for domain in DOMAINS}
_RELAY_SERVER_IDS = frozenset(server.id for server in RELAY_SERVERS)
_PROJECT_IDS = frozenset(project.id for project in PROJECTS)
_ATOM = r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+"
_LABEL = r"[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?"
_USERNAME = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|xn--[0-9A-Za-z-]{{1,59}})")
_ADDRESS = re.compile(rf"(?:{_USERNAME.pattern})@(?:{_HOST.pattern})")
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

    def matching(self, name: str, pattern: re.Pattern[str], sentence: str, *, required: bool = True) -> str | None:
        """A CharField whose whole text matches; `sentence` is what is said of another. None: absent or wrong."""
        text = self.text(name, required=required)
        if text is not None and pattern.fullmatch(text) is None:
            self.fail(name, sentence)
            return None
        return text

    def related(self, name: str, known: Container[int], *, required: bool = True) -> int | None:
        """The ID of something that exists: an integer, or a text of digits. None where it is absent or wrong."""
        value = self._value(name, required=required)
        if value is None:
            return None
        match = None if isinstance(value, bool) else _INTEGER.fullmatch(str(value).strip())
        if match is None:
            self.fail(name, "A valid integer is required.")
            return None
        pk = int(match[1])
        if pk not in known:
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

    def __init__(self, body: object) -> None:
        """Check every field against what the account holds."""
        super().__init__(body)
        username = self._checked_username()
        domain = self._checked_domain()
        self.address = f"{username}@{domain.name}" if username and domain else None
        """Whom the create is for; None where that cannot be said."""
        password = self.text("password", required=False, trim=False)
        self._values: dict[str, Any] = {
            "username": username,
            "domain": domain and domain.id,
            "domain_name": domain and domain.name,
            "relay_server": self.related("relay_server", _RELAY_SERVER_IDS),
            "password": password,
            "project": self.related("project", _PROJECT_IDS, required=False),
            "reply_to": self.matching("reply_to", _ADDRESS, "Enter a valid email address.", required=False),
        }
        if password is not None and (faults := password_faults(password)):
            self.fail("password", *faults)
        if self.address is not None and len(self.address) > LONGEST:
            self.fail("email", f"Ensure this field has no more than {LONGEST} characters.")

    def wanted(self) -> Wanted:
        """What is wanted.

        Raises:
            Refusal: a field is wrong; the answer names all that are.
        """
        self.refuse_errors()
        return Wanted(**self._values)

    def _checked_username(self) -> str | None:
        username = self.text("email")
        if username is None or _USERNAME.fullmatch(username) is not None:
            return username
        is_address = "@" in username
        alone = "Enter the username alone, without @ and the domain."
        self.fail("email", alone if is_address else "Enter a valid email address.")
        return None

    def _checked_domain(self) -> Domain | None:
        pk = self.related("domain", _DOMAINS)
        if pk is None:
            return None
        if not _DOMAINS[pk].verified:
            self.fail("domain", f"Domain {_DOMAINS[pk].name} is not verified.")
        return _DOMAINS[pk]
