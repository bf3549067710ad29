"""What a run learns about how fast the service lets it go. Knows no clock and waits for nothing.

The rule, in plain words:

1. Begin at 5 requests a second. Whenever a rate has been answered well for a moment, go a fifth faster, until a request
   is refused or the fastest rate that is allowed is reached.
2. A refusal tells the limit. Its Retry-After says whether the service counts by the second, the minute or the hour; the
   requests that were let through within that time are as many as it allows.
3. Keep to that number exactly. Ask for more only after a quiet time: a little at first, then in growing steps. If that
   is refused, go back to what was allowed before, and wait three times as long before asking again, up to 150 seconds.
4. If a rate that was allowed for long is refused, somebody else uses the account. Give away a tenth, and climb back
   later; who meets others again and again gives away more, so that both end up with about the same.
5. If much less is let through than before, the limit was lowered: continue with what is let through.
6. If answers take twice as long as they usually do, the service is at its limit though it refuses nothing: step back as
   after a refusal.

The limit is a whole number of requests in a window, so it is learned as one. What is sent evenly arrives unevenly, so
the window is taken a little longer than the service's: by 45 milliseconds for a second, by 1.5 % for longer ones.
`tests/benchmarks/rate.py` plays it against simulated services.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from provisioner.records import Rate
from provisioner.service.answer_times import AnswerTimes

if TYPE_CHECKING:
    from collections.abc import Hashable

START: Final = 5.0
"""Requests a second to begin with."""
WINDOWS: Final = (1.0, 60.0, 3600.0)
"""Seconds: the windows that services count requests in."""
MARGIN, LONG_MARGIN = 0.045, 0.015
"""How much longer a window is taken: seconds at least, and a part of a long one."""
GROWTH: Final = 1.2
"""The factor from one rate to the next at the beginning."""
TRIAL: Final = 1.5
"""Seconds for which a rate is tried before a faster one; for a long window a twelfth of it, if that is longer."""
FIRST_STEP, LARGEST_STEP = 0.02, 0.16
"""Parts of the rate: asking for more begins with the first, and doubles up to the second."""
QUIET, LONGEST_QUIET, QUIET_GROWTH = 5.0, 150.0, 3.0
"""Seconds before asking for more: at first, at most (unless the window is longer), and the factor after a refusal."""
FULL: Final = 0.9
"""The part of the allowed number from which a refusal says no more than that the window was full."""
LOWERED: Final = 0.7
"""Less than this part let through at once is a lowered limit; between this and `FULL` others used the account."""
GIVEN_AWAY, GIVEN_AWAY_TO_OTHERS = 0.1, 0.15
"""The part that is given away if an allowed rate is refused: the first time, and while others use the account."""
SHARED, SHARED_QUIET = 120.0, 10.0
"""Seconds for which others are expected after a sign of them, and the quiet time meanwhile."""
PROVEN: Final = 30.0
"""Seconds: a refusal of a rate that was allowed for less time says that the rate is wrong, not that others came."""
NEWS: Final = 0.2
"""A rate that differs by this part from what was told before is worth telling."""
LONGEST_BACKOFF: Final = 16.0
"""Seconds of pause after refusals in a row, while a long window that is too full runs empty."""


class LearnedRate:
    """How many requests may be sent in which window. Times are seconds on any clock that only goes forward."""

    def __init__(self, fastest: float, *, find: bool) -> None:
        """`fastest` is in requests a second.

        `find` begins at START and judges the answers' times; otherwise the fastest rate is used until it is refused.
        """
        self._fastest = fastest
        self._seconds = WINDOWS[0]
        self._count = min(START, fastest) if find else math.inf
        self._allowed = 0.0
        """The largest count that a whole window was answered at; 0 if none was yet."""
        self._allowed_since = -math.inf
        self._climb_to = 0.0
        """The count that was allowed before some of it was given away; 0 if none was."""
        self._quiet = QUIET
        self._step = 1.0
        self._ask_at = self._changed_at = self._lowered_at = self._shared_until = -math.inf
        self._answered = self._refused_in_a_row = 0
        self._is_settled = self._met_others = False
        self._sent: deque[float] = deque()
        self._times: dict[Hashable, AnswerTimes] | None = {} if find else None
        self._told: Rate | None = None
        self.is_found = False
        """Whether the service has shown a limit."""

    @property
    def finds(self) -> bool:
        """Whether a rate is to be found, and not just a given one to be kept below what is refused."""
        return self._times is not None

    @property
    def spacing(self) -> float:
        """Seconds from one request to the next."""
        return 1.0 / self._pace

    @property
    def is_known(self) -> bool:
        """Whether the rate is the service's, and not just the fastest that is allowed."""
        return self._count != math.inf

    @property
    def to_remember(self) -> Rate | None:
        """Where another run should begin. An hour's limit is none: an hour later all of it is there again."""
        if not self.finds or self._seconds > WINDOWS[1] or not (self.is_found or not self.is_known):
            return None
        return self.rate

    def news(self) -> Rate | None:
        """What the service allows, if it is found and clearly differs from what was returned before."""
        is_settled = self.is_found and self.is_known and (self._allowed > 0 or self._seconds > WINDOWS[0])
        told = self._told
        if not is_settled or (told is not None and abs(self.rate.spacing - told.spacing) < NEWS * told.spacing):
            return None
        self._told = self.rate
        return self.rate

    def free_at(self) -> float:
        """When the window next has room for a request; refused ones took none."""
        if not self.is_known:
            return -math.inf
        count = math.ceil(self._count)
        return self._sent[-count] + count * self.spacing if len(self._sent) >= count else -math.inf

    @property
    def rate(self) -> Rate:
        """What the service allows, as far as it is known."""
        if not self.is_known:
            return Rate(max(1, round(self._fastest)), WINDOWS[0])
        return Rate(max(1, round(self._allowed or self._count)), self._seconds)

    def begin_at(self, rate: Rate, now: float) -> None:
        """Begin at what an earlier run found, and ask for more before long."""
        self._seconds = rate.seconds
        self._count = min(float(rate.count), self._fastest * rate.seconds)
        self._is_settled = True
        self._changed_at = now
        self._ask_at = now + QUIET * QUIET_GROWTH

    def sent(self, now: float) -> None:
        """A request leaves."""
        self._sent.append(now)
        while self._sent[0] < now - self._seconds - WINDOWS[1]:
            self._sent.popleft()

    def withdrawn(self, sent: float) -> None:
        """A request did not leave at `sent` after all, or took no room in the service's window."""
        if sent in self._sent:
            self._sent.remove(sent)

    def answered(self, sent: float, seconds: float, now: float, *, kind: Hashable = None) -> None:
        """A request that left at `sent` was carried out, `seconds` later. Answers are compared within their `kind`."""
        self._refused_in_a_row = 0
        if sent < self._lowered_at:
            return
        if self._times is not None:
            times = self._times.setdefault(kind, AnswerTimes())
            times.add(seconds, now, at_rest=self._pace <= START)
            if times.slow_blocks >= 2:
                self._step_back(now)
                return
            if times.is_slower or (times.usual is None and not self._is_settled):
                return
        if self.is_known and sent >= self._changed_at:
            self._answered += 1
            self._go_on(now)

    def refused(self, sent: float, retry_after: float | None, now: float) -> float:
        """A request that left at `sent` came too fast. Returns for how many seconds nothing should be sent, at least.

        What left before the rate was last lowered says nothing new.
        """
        self.withdrawn(sent)
        if sent < self._lowered_at:
            return 0.0
        self._refused_in_a_row += 1
        wait = 1.0 if retry_after is None else retry_after
        if not self.is_known:
            # One more than is known to be allowed.
            self._count = min(self._fastest, max(START, self._let_through(sent, WINDOWS[0]))) * self._seconds + 1
        # Retry-After is in whole seconds, rounded up.
        window = max(self._seconds, next((window for window in WINDOWS if window >= wait - 1), WINDOWS[-1]))
        # For a sliding window, Retry-After ends when its oldest request leaves it, for a fixed one when it ends itself:
        # in both cases this is when it began.
        let_through = self._let_through(sent, window if window == WINDOWS[0] else window + 1 - wait)
        self._is_settled = self.is_found = True
        if let_through == 0:
            # Others fill the window. To slow down would leave all of it to them.
            self._allowed, self._shared_until = 0.0, now + SHARED
            self._lower(self._count, now, wait, SHARED_QUIET)
        elif window == WINDOWS[0]:
            self._lower_within_seconds(let_through, now, wait)
        else:
            self._lower_within_longer(window, let_through, now, wait)
        if window == WINDOWS[0] or self._refused_in_a_row == 1:
            return 0.0
        return min(LONGEST_BACKOFF, 2.0 ** (self._refused_in_a_row - 1))

    @property
    def _pace(self) -> float:
        """Requests a second."""
        if not self.is_known:
            return self._fastest
        return self._count / (self._seconds + max(MARGIN, LONG_MARGIN * self._seconds))

    @property
    def _is_asking(self) -> bool:
        """Whether more is tried than was allowed before."""
        return 0 < self._allowed < self._count

    def _let_through(self, until: float, seconds: float) -> int:
        """The number of requests in the last `seconds`, and the margin, that were not refused."""
        since = until - seconds - (MARGIN if seconds == WINDOWS[0] else 0.0) - 1e-6
        count = 0
        for sent in reversed(self._sent):
            if sent <= since:
                break
            count += sent < until
        return count

    def _go_on(self, now: float) -> None:
        """Note that the rate is allowed, and try a faster one when it is time for that."""
        age = now - self._changed_at
        trial = max(TRIAL, self._seconds / 12)
        if age < trial or self._answered < self._pace * trial:
            return
        if age >= max(TRIAL, self._seconds) and self._allowed != self._count:
            self._allowed, self._allowed_since = self._count, now
        is_used = self._let_through(now, trial + 1) >= 0.8 * self._pace * trial
        if now >= self._ask_at and is_used:
            self._ask_for_more(now)

    def _ask_for_more(self, now: float) -> None:
        if not self._is_settled:
            self._count *= GROWTH
        else:
            more: float = math.floor(self._count + self._step)
            self._step = min(2 * self._step, max(1.0, self._count * LARGEST_STEP, self._seconds / 10))
            if self._count < self._climb_to <= more:
                # It was allowed before: stay here for a while.
                more = self._climb_to
                self._ask_at = now + self._quiet
                self._step = max(1.0, more * FIRST_STEP)
            self._count = more
        if self._count > self._fastest * self._seconds:
            self._count = math.inf
        self._changed_at, self._answered = now, 0

    def _lower_within_seconds(self, let_through: int, now: float, wait: float) -> None:
        """A window of a second was full."""
        count, was_asking = self._count, self._is_asking
        allowed = self._allowed if was_asking else count
        is_tried_only = self._allowed < count
        if is_tried_only and not was_asking:
            self._lower(min(count - 1, let_through), now, wait, QUIET)
        elif let_through < FULL * allowed - 1:
            if let_through < LOWERED * allowed:
                self._shared_until = -math.inf
            elif now - max(self._allowed_since, self._lowered_at) > PROVEN:
                self._shared_until = now + SHARED
            self._allowed = 0.0
            self._lower(max(let_through, allowed / 2), now, wait, QUIET)
        elif now < self._shared_until:
            if not is_tried_only:
                self._shared_until = now + SHARED
            self._lower(allowed * (1 - GIVEN_AWAY_TO_OTHERS), now, wait, SHARED_QUIET)
        elif was_asking:
            self._lower(allowed, now, wait, self._quiet * QUIET_GROWTH)
        elif now - self._allowed_since < PROVEN:
            self._allowed = 0.0
            self._lower(max(count - 1, count * 0.95), now, wait, self._quiet)
        else:
            self._give_away(now, wait)

    def _give_away(self, now: float, wait: float) -> None:
        """A part of a rate that was allowed for long: others came, or the network jitters more than usual."""
        if self._met_others:
            self._shared_until = now + SHARED
        self._met_others = True
        count = self._count
        left = max(1.0, count * (1 - GIVEN_AWAY))
        climb_to = count if count >= self._climb_to else (count + left) / 2
        self._lower(left, now, wait, self._quiet)
        self._climb_to = climb_to
        self._ask_at = now + wait + QUIET

    def _lower_within_longer(self, window: float, let_through: int, now: float, wait: float) -> None:
        """A window of a minute or an hour was full: what was let through is counted precisely."""
        if window > self._seconds:
            self._seconds, self._allowed = window, 0.0
            self._lower(let_through, now, wait, QUIET)
            return
        allowed = self._allowed if self._is_asking else self._count
        count = min(self._count - 1, let_through)
        if self._is_asking and let_through >= FULL * allowed:
            count = min(self._count - 1, max(count, allowed))
        growth = QUIET_GROWTH if self._allowed < self._count else 1.0
        self._lower(max(count, allowed / 2), now, wait, self._quiet * growth)

    def _step_back(self, now: float) -> None:
        """The service answers slowly."""
        assert self._times is not None
        for times in self._times.values():
            times.forget_slowness()
        count = min(self._count, self._fastest * self._seconds)
        lowered = self._allowed if self._is_asking else count * (1 - GIVEN_AWAY)
        self._is_settled = self.is_found = True
        self._lower(max(lowered, min(count, START * self._seconds)), now, 0.0, self._quiet * QUIET_GROWTH)

    def _lower(self, count: float, now: float, wait: float, quiet: float) -> None:
        """Send less from now on, and do not ask for more during the `wait` and a quiet time after it."""
        self._count = max(1.0, count)
        self._allowed = min(self._allowed, self._count)
        self._climb_to = 0.0
        long_window = self._seconds if self._seconds > WINDOWS[0] else 0.0
        self._quiet = min(max(quiet, long_window), max(LONGEST_QUIET, long_window))
        self._step = max(1.0, self._count * FIRST_STEP)
        self._changed_at = self._lowered_at = now
        self._answered = 0
        self._ask_at = now + wait + self._quiet
