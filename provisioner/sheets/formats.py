"""Numbers as a spreadsheet program shows them, and what its number formats say of them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

SINCE_1900: Final = datetime(1899, 12, 30)  # noqa: DTZ001 - a cell's date has no zone.
SINCE_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
"""What a cell's date counts its days from, by the setting of its workbook."""

_LONGEST_FORMAT: Final = 255
_NO_PART_OF_THE_FORMAT: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]')
"""Quoted texts, escaped characters, blanks as wide as a character, fillers, colours and conditions."""

# Spreadsheet programs keep 15 digits of a number, whatever was typed.
_EXACT_BELOW: Final = 10**15


def number_text(value: float) -> str:
    """A number as a spreadsheet shows it without a format: 101 for 101.0."""
    if abs(value) >= _EXACT_BELOW:
        return f"{value:.15G}"
    return str(int(value)) if value == int(value) else repr(value)


def percent_text(value: float) -> str:
    """A number as a percentage: 100% for 1.0."""
    return f"{number_text(round(value * 100, 10))}%"


def is_percent(code: str) -> bool:
    """Whether a number format shows percentages."""
    return "%" in _essential(code)


def is_date(code: str) -> bool:
    """Whether a number format shows dates or times."""
    essential = _essential(code)
    return "general" not in essential and any(letter in essential for letter in "ymdhs")


def _essential(code: str) -> str:
    return _NO_PART_OF_THE_FORMAT.sub("", code[:_LONGEST_FORMAT]).lower()


def date_text(origin: datetime, value: float) -> str:
    """The date, the time, or both, that is `value` days after the origin of the workbook's dates."""
    try:
        moment = origin + timedelta(seconds=round(value * 86_400))
    except OverflowError:  # No spreadsheet program shows it as a date either.
        return number_text(value)
    if 0 <= value < 1:
        return str(moment.time())
    return str(moment.date()) if value == int(value) else str(moment)


def plain_text(text: str) -> str:
    """A text with LF for whatever breaks its lines."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
