"""The log of requests: twelve bytes each, since a run of 100,000 mailboxes makes a million of them."""

from __future__ import annotations

from array import array
from collections import Counter

from provisioner.sandbox.records import LoggedRequest


class RequestLog:
    """Written by the server's thread; may be read from any other."""

    def __init__(self) -> None:
        self._at = array("d")
        self._kinds = array("H")
        self._statuses = array("H")
        self._codes: dict[tuple[str, str], int] = {}

    def arrived(self, at: float, method: str, kind: str) -> int:
        """Log a request at its arrival, `at` in seconds of the monotonic clock; its place is what `answered` takes."""
        code = self._codes.setdefault((method, kind), len(self._codes))
        self._at.append(at)
        self._kinds.append(code)
        self._statuses.append(0)
        return len(self._statuses) - 1

    def answered(self, place: int, status: int) -> None:
        self._statuses[place] = status

    def __len__(self) -> int:
        return len(self._statuses)

    def requests(self) -> list[LoggedRequest]:
        """Every request in the order of arrival."""
        # The columns first: what arrives meanwhile may lengthen one before the other, or bring a new name.
        times, kinds, statuses = self._at.tolist(), self._kinds.tolist(), self._statuses.tolist()
        names = list(self._codes)
        columns = zip(times, kinds, statuses, strict=False)
        return [LoggedRequest(at, *names[code], status) for at, code, status in columns]

    def by_kind(self) -> dict[str, int]:
        """How many requests of each kind arrived."""
        codes = Counter(self._kinds.tolist())
        names = list(self._codes)
        counts: Counter[str] = Counter()
        for code, count in codes.items():
            counts[names[code][1]] += count
        return dict(counts)

    def count(self, status: int) -> int:
        """How many requests were answered with `status`."""
        return self._statuses.tolist().count(status)
