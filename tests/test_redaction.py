"""What may be shown of a text from outside: nothing in which a secret stands, however it is spelled."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.redaction import Secrets
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

PASSWORD = "Se\"cu/re  <Pass>&wörd'123+!"
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Cf")), max_size=12)

ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "HTML": html.escape,
    "HTML in numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(letter):X};" for letter in text),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with letters": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON with slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "Python": lambda text: repr(text)[1:-1],
    "URL": quote,
    "URL whole": lambda text: quote(text, safe=""),
    "URL small": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3C", "%3c"),
    "URL partly": lambda text: quote(text, safe="/<>&\"' +ö"),
    "URL form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex().upper(),
    "AUTH PLAIN": lambda text: base64.b64encode(f"\0ann@acme.example\0{text}".encode()).decode(),
    "collapsed blanks": lambda text: " ".join(text.split()),
    "capitals": str.upper,
}


@pytest.mark.parametrize("outer", ["plain", "HTML", "JSON", "URL whole", "base64", "URL form"])
@pytest.mark.parametrize("inner", ENCODINGS)
def test_a_secret_is_found_in_every_spelling(inner: str, outer: str) -> None:
    """However a service writes what it was sent, and that within another notation, the text is not shown."""
    said = ENCODINGS[outer](f"AUTH refused: {ENCODINGS[inner](PASSWORD)} is weak")
    assert Secrets(Secret("another"), Secret(PASSWORD)).safe(said, "no words") == "no words"


@given(
    before=TEXTS,
    secret=TEXTS.filter(lambda text: len(text) > 2),
    after=TEXTS,
    ways=st.lists(st.sampled_from([way for way in ENCODINGS if way != "capitals"]), max_size=3),
)
def test_a_secret_is_found_wherever_it_stands(before: str, secret: str, after: str, ways: list[str]) -> None:
    """Up to three encodings one in another, with any letters around it."""
    said = secret
    for way in ways:
        said = ENCODINGS[way](said)
    assert Secrets(Secret(secret)).are_in(f"{before} {said} {after}")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "The password is too weak.",
        "Request was throttled. Expected available in 7 seconds.",
        "Domain 101 is not verified; see https://api.example/help?a=b%20c&d=e+f",
        "dGhpcyBpcyBub3QgdGhlIHNlY3JldA==",
        '{"detail": "n\\u00e9ant"}',
    ],
)
def test_a_sentence_without_a_secret_is_shown_as_it_is(said: str) -> None:
    """Whatever is safe stays to the letter."""
    assert Secrets(Secret(PASSWORD), Secret("a-key-of-the-tests")).safe(said, "no words") == said


def test_no_secret_hides_nothing() -> None:
    """Neither no secret at all nor a blank one makes a text unfit to be shown."""
    assert Secrets(None, Secret(""), Secret("  ")).safe("as it was", "") == "as it was"


def test_thousands_of_secrets_are_looked_for_at_once() -> None:
    """Each row's password is looked for in every sentence, also another row's."""
    secrets = Secrets(*(Secret(f"Sheet-Pass-{number}!") for number in range(10_000)))
    assert secrets.are_in("“Sheet-Pass-4711!” was used before")
    assert not secrets.are_in("“Sheet-Pass-x” was used before" * 20)


def test_a_long_text_is_looked_at_in_bounded_time() -> None:
    """A text of megabytes, or of nothing but encodings, does not keep anybody waiting."""
    secrets = Secrets(Secret("a-key-of-the-tests"))
    for text in (
        "%25" * 1_000_000,
        "&amp;" * 100_000,
        "QUJD" * 100_000,
        "\\" * 1_000_000,
        "0123456789abcdef " * 50_000,
    ):
        assert not secrets.are_in(text)
