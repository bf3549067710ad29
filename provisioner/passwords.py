"""Passwords for rows that have none: random, typeable, and accepted by the schema in force."""

from __future__ import annotations

import secrets
import string
from itertools import product
from typing import TYPE_CHECKING

from provisioner.errors import SchemaError
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

LOOKALIKES = frozenset("0O1lI")
"""Left out, since passwords are read aloud and typed from paper."""
LOWER, UPPER, DIGITS = (
    "".join(character for character in characters if character not in LOOKALIKES)
    for characters in (string.ascii_lowercase, string.ascii_uppercase, string.digits)
)
SPECIALS = ("!#%*-_?", "!", "@$&", "-_.")
LENGTHS = (20, 16, 12, 24, 32, 10, 8)
TRIES = 40


def generator(accepts: Callable[[str], bool]) -> Callable[[], Secret]:
    """A function that generates a new password at each call.

    `accepts` says whether the schema lets a password pass. Raises SchemaError if none can be generated.
    """
    # The strongest first.
    recipes = product((*SPECIALS, ""), LENGTHS)
    recipe = next((recipe for recipe in recipes if _attempt(*recipe, accepts) is not None), None)
    if recipe is None:
        raise SchemaError(
            "No password could be generated that the schema's own password rules accept.",
            remedy="Fill in the password column, or change the rules in the schema file.",
        )

    def make() -> Secret:
        while True:
            password = _attempt(*recipe, accepts)
            if password is not None:
                return Secret(password)

    return make


def _attempt(specials: str, length: int, accepts: Callable[[str], bool]) -> str | None:
    """A password with these special characters; None if none was accepted in a fair number of tries."""
    # One of each kind, since most password rules ask for that, published or not; the rest at random.
    kinds = [kind for kind in (LOWER, UPPER, DIGITS, specials) if kind]
    for _ in range(TRIES):
        # A letter first, so that no spreadsheet program takes it for a formula or a number.
        first = secrets.choice(LOWER + UPPER)
        rest = [secrets.choice(kind) for kind in kinds]
        rest += [secrets.choice("".join(kinds)) for _ in range(length - 1 - len(kinds))]
        secrets.SystemRandom().shuffle(rest)
        password = first + "".join(rest)
        if accepts(password):
            return password
    return None
