"""Passwords that are generated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from provisioner.errors import SchemaError
from provisioner.passwords import LOOKALIKES, generator

if TYPE_CHECKING:
    from collections.abc import Callable

RULES: dict[str, Callable[[str], bool]] = {
    "anything": lambda _: True,
    "at least 12, a capital, a digit and a special": lambda text: (
        len(text) >= 12 and all(re.search(kind, text) for kind in ("[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    ),
    "no more than 10": lambda text: len(text) <= 10,
    "letters and digits alone": lambda text: text.isalnum(),
    "exactly 32": lambda text: len(text) == 32,
    "an exclamation mark is the only special": lambda text: bool(re.fullmatch("[A-Za-z0-9!]*!+[A-Za-z0-9!]*", text)),
    "no digit twice": lambda text: not re.search("([0-9]).*\\1", text),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_password_passes_the_rules_in_force(rule: str) -> None:
    """Whatever the schema asks for within reason, each generated password passes it, and no two are alike."""
    make = generator(RULES[rule])
    made = [make().reveal() for _ in range(200)]
    assert all(RULES[rule](password) for password in made)
    assert len(set(made)) == 200


def test_a_password_can_be_typed_and_pasted() -> None:
    """One of each kind, no lookalikes, a letter first, nothing that a CSV file would have to quote."""
    make = generator(lambda _: True)
    for _ in range(500):
        _check_form(make().reveal())


def _check_form(password: str) -> None:
    assert len(password) == 20
    assert all(re.search(kind, password) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    assert not LOOKALIKES & set(password)
    assert password[0].isalpha()
    assert not set(password) & set("\"',;\t \\")


def test_rules_that_nothing_passes_are_the_schemas_fault() -> None:
    """Where no password can be generated, the schema is named before anything is sent."""
    with pytest.raises(SchemaError, match="No password could be generated") as caught:
        generator(lambda text: text == "open sesame")
    assert "password column" in caught.value.remedy


def test_a_password_is_not_shown() -> None:
    """What is generated is a secret like one from the sheet."""
    assert generator(lambda _: True)().reveal() not in repr(generator(lambda _: True)())
    assert "•••" in repr(generator(lambda _: True)())
