"""When requests left, as far back as a window of the service may reach. Times are seconds on the caller's clock."""

from __future__ import annotations

import math
from collections import deque


class SentRequests:
    """The requests that left and were not refused, in order."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """A request leaves."""
        self._times.append(now)

    def remove(self, sent: float) -> None:
        """The request that left then did not leave after all, or took no room in the service's window."""
        if sent in self._times:
            self._times.remove(sent)

    def forget(self, before: float) -> None:
        """Forget what left before this moment."""
        while self._times and self._times[0] < before:
            self._times.popleft()

    @property
    def first(self) -> float:
        """When the first of them left; infinity if there is none."""
        return self._times[0] if self._times else math.inf

    def count(self, until: float, seconds: float) -> int:
        """The number of requests in the `seconds` before `until`."""
        since = until - seconds - 1e-6
        count = 0
        for sent in reversed(self._times):
            if sent <= since:
                break
            count += sent < until
        return count

    def let_through(self, refused: float, seconds: float, wait: float) -> int:
        """How many a window of a minute or an hour let through until one was refused that left then.

        `wait` is the refusal's Retry-After, in seconds.
        """
        # For a sliding window, Retry-After ends when its oldest request leaves it, for a fixed one when it ends itself:
        # in both cases this is when it began, to half a second. The oldest may have come before that.
        return max(0, self.count(refused, seconds + 0.5 - wait) - 1)

    def latest(self, count: int) -> float:
        """When the latest request but `count` - 1 left; minus infinity if fewer did."""
        return self._times[-count] if len(self._times) >= count else -math.inf
