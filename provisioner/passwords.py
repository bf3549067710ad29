"""Passwords for rows that have none: random, typeable, and accepted by the schema in force."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING

from provisioner.errors import SchemaError
from provisioner.records import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LETTERS_AND_DIGITS = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))
"""Without those that look alike when they are read aloud or typed from paper."""
SPECIALS = ("!#%*-_?", "!", "@$&", "-_.")
LENGTHS = (20, 16, 12, 24, 32, 10, 8)
TRIES = 40


def generator(accepts: Callable[[str], bool]) -> Callable[[], Secret]:
    """A function that makes up a new password at each call.

    `accepts` says whether the schema lets a password pass. Raises SchemaError where nothing that can be made up does.
    """
    recipe = next((recipe for recipe in _recipes() if _attempt(recipe, accepts) is not None), None)
    if recipe is None:
        raise SchemaError(
            "No password could be made up that the schema's own password rules accept.",
            remedy="Fill in the password column, or change the rules in the schema file.",
        )

    def make() -> Secret:
        while True:
            password = _attempt(recipe, accepts)
            if password is not None:
                return Secret(password)

    return make


def _recipes() -> Iterator[tuple[int, str]]:
    """Length and special characters, the strongest first."""
    for specials in (*SPECIALS, ""):
        for length in LENGTHS:
            yield length, specials


def _attempt(recipe: tuple[int, str], accepts: Callable[[str], bool]) -> str | None:
    """A password of the recipe; None where, in a fair number of tries, none was accepted."""
    length, specials = recipe
    # Repeated, so that special characters come up often enough to satisfy a rule that asks for one.
    alphabet = LETTERS_AND_DIGITS + specials * (12 // len(specials) if specials else 0)
    for _ in range(TRIES):
        # A letter first: a spreadsheet program takes nothing that begins so for a formula or a number.
        first = secrets.choice(string.ascii_letters)
        password = first + "".join(secrets.choice(alphabet) for _ in range(length - 1))
        if accepts(password):
            return password
    return None
