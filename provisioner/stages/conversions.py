"""Recognise what spreadsheet programs make of a text that looks like a number or a date.

They turn 007 into 7, 1E5 into 100000 and 4-Mar into a date when a CSV file is opened, and write that back when it is
saved (https://support.microsoft.com/en-us/office/keeping-leading-zeros-and-large-numbers-1bf7b935-36e1-4985-842f-5dfa51f85fe7).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final

_SEPARATORS: Final = str.maketrans("", "", " \u00a0\u202f'\u2019")
_NUMBER: Final = re.compile(r"[-+]?[0-9.,]+(?:[eE][-+]?[0-9]{1,3})?%?")
_ROUNDED: Final = re.compile(r"([-+]?[0-9](?:[.,][0-9]+)?)[eE]([-+]?[0-9]{1,3})")
LAST_DAY: Final = 31
_DAY_ZERO: Final = date(1899, 12, 30)
"""The date that spreadsheet programs store as 0."""
_SERIALS: Final = range(1, 2_958_466)
"""The numbers that they store dates as, to the end of the year 9999."""
_MONTHS: Final = (
    *(("jan", "ene", "gen"), ("feb", "fév", "fev"), ("mar", "mrz", "mär"), ("apr", "avr", "abr")),
    *(("may", "mai", "mag"), ("jun", "giu", "jui"), ("jul", "lug"), ("aug", "aoû", "ago")),
    *(("sep", "set"), ("oct", "okt", "ott"), ("nov",), ("dec", "dez", "dic", "déc")),
)
"""How the months begin in English, German, French, Spanish and Italian."""


def is_converted(old: str, new: str) -> bool:
    """Whether a spreadsheet program may have made `new` of `old`; False if they are the same."""
    if old == new:
        return False
    if old.strip() == new.strip():
        return True
    numbers, dates = _numbers(old) & _numbers(new), _days(old) & (_days(new) | _day_of_serial(new))
    return bool(numbers or dates) or _is_rounded(old, new)


def _numbers(text: str) -> set[Decimal]:
    """Every number that a text may be taken for: the comma and the dot mean different things in different countries."""
    plain = text.strip().translate(_SEPARATORS)
    if not _NUMBER.fullmatch(plain):
        return set()
    share = Decimal("0.01") if plain.endswith("%") else Decimal(1)
    plain = plain.removesuffix("%")
    readings = {plain.replace(",", ""), plain.replace(".", "").replace(",", ".")}
    found = set()
    for reading in readings:
        try:
            found.add(Decimal(reading) * share)
        except InvalidOperation:
            continue
    return found


def _is_rounded(old: str, new: str) -> bool:
    """Whether `new` is a long number as it is shown in a narrow cell, such as 1.23E+19."""
    shown = _ROUNDED.fullmatch(new.strip())
    if shown is None:
        return False
    digits = len(re.sub(r"[^0-9]", "", shown[1])) - 1
    value = Decimal(f"{shown[1].replace(',', '.')}E{shown[2]}")
    return any(f"{number:.{digits}E}" == f"{value:.{digits}E}" for number in _numbers(old))


def _days(text: str) -> set[tuple[int, int]]:
    """Every month and day that a text may be taken for: 3/4 is the third of April or the fourth of March."""
    parts = re.findall(r"[0-9]+|[^\W\d_]+", text.strip().lower())
    if not 2 <= len(parts) <= 3 or re.sub(r"[^\W_]|[-/.,\s]", "", text):  # noqa: PLR2004 - day and month, and perhaps a year
        return set()
    named = [month for part in parts for month, names in enumerate(_MONTHS, 1) if part.startswith(names)]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(named) + len(numbers) < len(parts):
        return set()
    if named:
        # Of a month and a year the program takes the first day.
        pairs = {(named[0], day) for day in numbers if day <= LAST_DAY} or {(named[0], 1)}
    else:
        pairs = {pair for one, other in pairwise(numbers) for pair in ((one, other), (other, one))}
    return {(month, day) for month, day in pairs if 1 <= month <= 12 and 1 <= day <= LAST_DAY}  # noqa: PLR2004 - a calendar's


def _day_of_serial(text: str) -> set[tuple[int, int]]:
    """The month and day of a date that is shown as the number by which it is stored."""
    number = text.strip()
    if not re.fullmatch(r"[0-9]{1,7}", number) or int(number) not in _SERIALS:
        return set()
    day = _DAY_ZERO + timedelta(days=int(number))
    return {(day.month, day.day)}
