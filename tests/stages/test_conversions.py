"""What spreadsheet programs make of texts, told from what a person writes in their place."""

import pytest

from provisioner.stages.conversions import is_converted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("007", "7"), ("1E5", "100000"), ("1e5", "1,00E+05"), ("0123.50", "123.5"), ("+49171", "49171")),
        *(("1,5", "1.5"), ("789.000", "789"), ("789.000", "789000"), ("50%", "0.5"), ("1'000", "1000")),
        *(("12345678901234567890", "1.23457E+19"), ("12345678901234567890", "1,23457E+19")),
        *(("4-Mar", "45720"), ("4-Mar", "04-Mar"), ("4-Mar", "2025-03-04"), ("03-Sep", "3. Sep"), ("1-Mar", "1. Mrz")),
        *(("3/1/2026", "46025"), ("01.03.2026", "2026-03-01"), ("1/3", "01. Mrz")),
        *(("abc ", "abc"), (" abc", "abc")),
    ],
)
def test_a_conversion_is_recognised(old: str, new: str) -> None:
    """Leading zeros, exponents, rounding, dates as text or number, and blanks that were cut off."""
    assert is_converted(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("007", "007"), ("007", "8"), ("007", "bob"), ("b..b", "b.b"), ("101", "102"), ("789.000", "790")),
        *(("4-Mar", "45721"), ("4-Mar", "5-Mar"), ("march", "march.b"), ("ann", "anna"), ("", "7"), ("7", "")),
        *(("john.doe", "jon.doe"), ("12345678901234567890", "2.2E+19"), ("1E5", "15"), ("jan", "january")),
    ],
)
def test_what_a_person_writes_is_none(old: str, new: str) -> None:
    """Another text, another number or another day is what somebody meant."""
    assert not is_converted(old, new)
