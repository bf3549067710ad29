"""What stands before the rules: quick, and never wrong about a cell that it lets pass."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provisioner import schema
from provisioner.schema import Rule

MAILBOX = schema.load()
COLUMNS = ("email", "domain", "relay_server", "password", "project", "reply_to")
GOOD = {
    "email": "john.doe-7@acme-mail.example",
    "domain": "101",
    "relay_server": "Relay two",
    "password": "Abc def1!",
    "project": "Spring 2026",
    "reply_to": "sales@client.com",
}
PATTERNS = (
    "ab",
    "é",
    "[a-c]",
    "[^x\\s]",
    "[\\x00-\\x1f]",
    r"\Aab",
    r"\A[^@]{3}",
    "a|bc",
    "(?:a|b)+c?",
    "(?P<named>a)",
    r"\Aa|b",
)
TEXTS = st.text(st.sampled_from("abcxé@ \n\t\x00"), min_size=1, max_size=6)
RULES = st.lists(
    st.one_of(
        st.builds(
            Rule,
            st.sampled_from(("fits", "fits_not", "has", "has_no")),
            st.just(""),
            st.sampled_from(PATTERNS).map(re.compile),
        ),
        st.builds(Rule, st.just("length"), st.just(""), shortest=st.integers(0, 3), longest=st.integers(3, 6)),
    ),
    max_size=4,
)


def objects(texts: list[str]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array([*texts, None], dtype=object)[:-1]


@given(RULES, st.lists(TEXTS, max_size=8))
@example([Rule("has_no", "", re.compile(r"\Aa|b"))], ["xb"])
@example([Rule("fits_not", "", re.compile("ab"))], ["xab", "ab"])
def test_what_passes_keeps_every_rule(rules: list[Rule], texts: list[str]) -> None:
    """Whatever the rules are, no cell that breaks one gets through, whichever cells stand beside it."""
    sieve = schema._sieve(rules)
    passed = sieve.passes(objects(texts)) if sieve else [False] * len(texts)
    for text, through in zip(texts, passed, strict=True):
        assert not (through and any(rule.broken_by(text) for rule in rules))


@given(st.sampled_from(COLUMNS), st.lists(st.text(min_size=1, max_size=12), max_size=6))
def test_the_shipped_rules_are_never_relaxed(column: str, texts: list[str]) -> None:
    """Among good cells and any others, those that break a rule are found, and only those."""
    cells = [GOOD[column], *(GOOD[column] + text for text in texts), *texts, GOOD[column]]
    broken = MAILBOX.broken(column, pd.Series(cells, dtype=object))
    assert list(broken) == [not MAILBOX.accepts(column, cell) for cell in cells]


@pytest.mark.parametrize("column", COLUMNS)
def test_good_cells_pass(column: str) -> None:
    """The shipped rules all fit into a sieve, and a good cell does not wait for the rules themselves."""
    sieve = schema._sieve(MAILBOX.columns[column].rules)
    assert sieve is not None
    assert list(sieve.passes(objects([GOOD[column]] * 3))) == [True] * 3


def test_no_cells_at_all_are_no_trouble() -> None:
    """A column without a cell passes as it is."""
    sieve = schema._sieve(MAILBOX.columns["password"].rules)
    assert sieve is not None
    assert list(sieve.passes(objects([]))) == []
