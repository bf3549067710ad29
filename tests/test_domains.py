"""Domain names are compared in one form, whatever script and capitals they are written in."""

from __future__ import annotations

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.domains import DOMAIN_NAME, ascii_domain, is_same_domain


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("acme.example", "ACME.Example.", True),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("BÜCHER.example", "XN--BCHER-KVA.EXAMPLE", True),
        ("straße.example", "xn--strae-oqa.example", True),
        ("straße.example", "strasse.example", False),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah", True),
        ("acme.example", "acme.test", False),
        ("_mail.acme.example", "_MAIL.acme.example", True),
        ("a☃..example", "acme.example", None),
        ("", "acme.example", False),
    ],
)
def test_names_of_one_domain_are_the_same(one: str, other: str, *, same: bool | None) -> None:
    """As the network's own rules of today have it; what is no domain name is not taken for another one."""
    assert is_same_domain(one, other) is same
    assert is_same_domain(other, one) is same


@given(st.text(max_size=80))
def test_whatever_is_written_has_one_form(text: str) -> None:
    """No text raises, and a form is its own form."""
    assert ascii_domain(ascii_domain(text)) == ascii_domain(text)


@given(st.from_regex(r"[ -~]{0,70}|(?:[A-Za-z0-9-]{1,8}\.){1,3}[A-Za-z]{2,5}", fullmatch=True))
def test_a_name_in_plain_letters_is_what_the_rules_make_of_it(text: str) -> None:
    """Only capitals change, so the rules for other scripts need not be asked."""
    name = text.strip().rstrip(".")
    try:
        assert ascii_domain(text) == idna.encode(name, uts46=True).decode()
    except UnicodeError:
        assert ascii_domain(text) == name.lower()


@pytest.mark.parametrize("text", ["https://api.example/domains/101/", "101", "", "user@acme.example", "a b.example"])
def test_a_link_or_a_number_is_no_domain_name(text: str) -> None:
    """Only a name counts as one."""
    assert not DOMAIN_NAME.fullmatch(text)
