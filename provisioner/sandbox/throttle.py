"""The request throttle, counting as Django REST framework's SimpleRateThrottle does.

Each rate keeps the times of the requests it let through within its window; a refused one is not added. With several
rates every one is asked, so a request refused by one may be counted by another.
"""

from __future__ import annotations

import math
import re
from collections import deque

PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"([1-9][0-9]*)/(s|sec|second|m|min|minute|h|hour|d|day)")


def parse_rates(text: str | None) -> list[tuple[int, int]]:
    """`5/s,200/min` as pairs of (requests, seconds of the window); none for None.

    Raises:
        ValueError: a rate is not written as NUMBER/PERIOD.
    """
    rates = []
    for part in text.split(",") if text is not None else ():
        match = _RATE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{part.strip()!r} is not a rate: write NUMBER/PERIOD such as 20/s or 200/min.")
        rates.append((int(match[1]), PERIODS[match[2][0]]))
    return rates


class Throttle:
    """All rates of one sandbox together."""

    def __init__(self, text: str | None) -> None:
        """Take `text` as `parse_rates` does."""
        self._rates = [(requests, window, deque[float]()) for requests, window in parse_rates(text)]
        """With the times of the requests that each let through within its window."""

    def refusal(self, now: float) -> int | None:
        """Whole seconds to wait, as `Retry-After` says them, or None where the request at `now` (seconds) passes."""
        waits = []
        for requests, window, passed in self._rates:
            while passed and passed[0] <= now - window:
                passed.popleft()
            if len(passed) >= requests:
                waits.append(window - (now - passed[0]))
            else:
                passed.append(now)
        return math.ceil(max(waits)) if waits else None
