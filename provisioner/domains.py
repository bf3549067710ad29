"""Full addresses, and domain names in one form, so that they can be compared."""

from __future__ import annotations

import re
from functools import lru_cache

import idna

ADDRESS = re.compile(r"([^@\s<>]+)@([^@\s<>]+)")
"""A full address: the username and the domain."""
DOMAIN_NAME = re.compile(r"[^\s/:@?#,]+\.[^\s/:@?#,]+")
"""What may be a domain's name, in any script; a link is none."""


@lru_cache(maxsize=4096)
def ascii_domain(name: str) -> str:
    """A domain name as the network writes it, whatever its capitals and script (https://www.rfc-editor.org/rfc/rfc5891).

    A name that has no such form is only put in lower case.
    """
    name = name.strip().rstrip(".")
    try:
        # An ASCII name has that form already, apart from its capitals.
        return name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()
    except UnicodeError:
        return name.casefold()


def is_same_domain(one: str, other: str) -> bool | None:
    """Whether two names mean one domain; None if that cannot be told, since one of them is not a domain name."""
    first, second = ascii_domain(one), ascii_domain(other)
    if first == second:
        return True
    return False if first.isascii() and second.isascii() else None
