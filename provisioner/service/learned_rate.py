"""What a run learns about how fast the service lets it go. Knows no clock and waits for nothing.

The rule, in plain words:

1. Begin at 5 requests a second. Whenever a rate has been answered well for a moment, go a fifth faster, until a request
   is refused or the fastest rate that is allowed is reached.
2. A refusal tells the limit. Its Retry-After says whether the service counts by the second, the minute or the hour; the
   requests that were let through within that time are as many as it allows.
3. Keep to that number exactly. Ask for more only after a quiet time: a little at first, then in growing steps. If that
   is refused, go back to what was allowed before, and wait three times as long before asking again, up to 150 seconds.
4. What is found and kept for a while without an unexpected refusal is the whole: this program is alone. If the whole is
   refused later, others have come, or the limit was lowered: give up 15 %, and take it back in steps. If those are
   refused too, others took it: keep half of the whole from then on, and ask for more only after a minute.
5. A program that does not know the whole, as it came later, takes what is left: it gives up 15 % when a rate is refused
   that was allowed, takes that back, and asks for more often. It expects others for a minute (or four longer windows).
6. If a long window is full, all who share it wait until it ends. Each begins the next one with 30 % less than was let
   through, but at least half of the whole, and then all take the same steps up: so they come to have the same.
7. If answers take twice as long as they usually do, the service is at its limit though it refuses nothing: step back as
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
LARGEST_STEP: Final = 0.16
"""A part of the rate: asking for more begins with one request in the window, and doubles up to this."""
QUIET, LONGEST_QUIET, QUIET_GROWTH = 5.0, 150.0, 3.0
"""Seconds before asking for more: at first, at most (unless the window is longer), and the factor after a refusal."""
ALONE, ALONE_IF_MANY, MANY, ALONE_AGAIN = 70.0, 25.0, 7.5, 120.0
"""Seconds without an unexpected refusal until all that is allowed is the whole: after the first refusal, the same if
more requests than the third were let through, which others would hardly have left; and after an unexpected one."""
FORGOTTEN: Final = 0.95
"""While no more is allowed, the whole becomes this part of what it was: the limit may have been lowered."""
SHARED, SHARED_WINDOWS, SHARED_AT_FIRST = 60.0, 4, 45.0
"""Seconds, or windows if that is longer, for which others are expected after a sign of them; and seconds at first."""
GIVEN_UP, GIVEN_UP_TOGETHER, GIVEN_UP_LONG = 0.15, 0.05, 0.3
"""The part of the rate that is given up; the second with a rate that was given, the third when a long window ends."""
SHARED_TRIAL, SHARED_QUIET, SHARED_STEPS = 5.0, 15.0, 6
"""Seconds between steps while others are expected, and how long a rate is kept then before asking for more than that.
The last is the number of steps in a long window; each asks for as many requests more as it takes seconds."""
LEFT: Final = 60.0
"""Seconds for which half of the whole is left to others before asking whether they want it."""
TAKEN: Final = 0.9
"""If less than this part of what was allowed in a long window was let through, others took the rest."""
LEAST: Final = 0.8
"""Requests in a window: fewer in a second mean that the window is longer."""
YOUNG: Final = 20
"""Requests: a long window that lets through fewer in all was filled by others."""
LONG_WAIT: Final = 2.0
"""Seconds: a longer Retry-After tells when a long window began, and so precisely how many it let through."""
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
        self._top = 0.0
        """The count that was allowed before a part of it was given up."""
        self._whole = 0.0
        """The count that was allowed when no others were there; 0 if that is not known."""
        self._alone_at = math.inf
        """When this program is the only one, if nothing that was allowed is refused until then."""
        self._shared_until = -math.inf
        """When other programs are no longer expected."""
        self._quiet = QUIET
        self._step = 1.0
        self._ask_at = self._changed_at = self._lowered_at = -math.inf
        self._answered = self._refused_in_a_row = 0
        self.is_settled = False
        """Whether the rate is more than the one to begin with: it was found by now, or by an earlier run."""
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
        is_clear = self.is_found and self.is_known and (self._allowed > 0 or self._seconds > WINDOWS[0])
        told = self._told
        if not is_clear or (told is not None and abs(self.rate.spacing - told.spacing) < NEWS * told.spacing):
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
        return Rate(max(1, round(max(self._top, self._allowed or self._count))), self._seconds)

    def begin_at(self, rate: Rate, now: float) -> None:
        """Begin at what an earlier run found, and ask for more before long."""
        self._seconds = rate.seconds
        self._count = self._top = min(float(rate.count), self._fastest * rate.seconds)
        self.is_settled = True
        self._changed_at = now
        self._ask_at = now + QUIET * QUIET_GROWTH
        self._alone_at = now + ALONE

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
            if times.is_slower or (times.usual is None and not self.is_settled):
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
            most = max(START, self._let_through(sent, WINDOWS[0])) * self._seconds
            self._count = min(self._fastest * self._seconds, max(most, self._allowed)) + 1
        # Retry-After is in whole seconds, rounded up.
        window = max(self._seconds, next((window for window in WINDOWS if window >= wait - 1), WINDOWS[-1]))
        if window == WINDOWS[0]:
            let_through = self._let_through(sent, window + MARGIN)
        else:
            # For a sliding window, Retry-After ends when its oldest request leaves it, for a fixed one when it ends
            # itself: in both cases this is when it began, to half a second. The oldest may have come before that.
            let_through = max(0, self._let_through(sent, window + 0.5 - wait) - 1)
        self._learn(window, let_through, now, wait)
        if window == WINDOWS[0] or self._refused_in_a_row <= 2:
            return 0.0
        return min(LONGEST_BACKOFF, 2.0 ** (self._refused_in_a_row - 2))

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

    @property
    def _shared_step(self) -> float:
        """Requests more in a window, and in a long one the seconds until they are asked for."""
        return max(1.0, self._seconds / SHARED_STEPS)

    @property
    def _half(self) -> float:
        """Half of the whole, in whole requests; infinite if the whole is not known."""
        return math.ceil(self._whole / 2) or math.inf

    def _let_through(self, until: float, seconds: float) -> int:
        """The number of requests in the last `seconds` that were not refused."""
        since = until - seconds - 1e-6
        count = 0
        for sent in reversed(self._sent):
            if sent <= since:
                break
            count += sent < until
        return count

    def _go_on(self, now: float) -> None:
        """Note that the rate is allowed, and try a faster one when it is time for that."""
        age, is_shared = now - self._changed_at, now < self._shared_until
        trial = max(SHARED_TRIAL, self._shared_step) if is_shared else max(TRIAL, self._seconds / 12)
        if age < trial or self._answered < math.floor(self._pace * trial):
            return
        if is_shared or age >= max(TRIAL, self._seconds):
            self._allowed = self._count
        if self.finds and now >= max(self._alone_at, self._shared_until, self._changed_at + self._seconds):
            self._whole = max(self._whole, self._allowed)
        is_used = self._let_through(now, trial + 1) >= 0.8 * self._pace * trial
        if now >= self._ask_at and is_used:
            self._ask_for_more(now)

    def _ask_for_more(self, now: float) -> None:
        if not self.is_settled:
            self._count *= GROWTH
        elif now >= self._shared_until:
            self._count = float(math.floor(self._count + self._step))
            self._step = min(2 * self._step, max(self._count * LARGEST_STEP, self._seconds))
        elif self._count < self._top <= self._count + self._shared_step:
            self._count = self._top
            self._ask_at = now + max(SHARED_QUIET, self._seconds / 2)
        else:
            self._count = float(math.floor(self._count + self._shared_step))
        if self._count > self._fastest * self._seconds:
            self._count = math.inf
        self._changed_at, self._answered = now, 0

    def _learn(self, window: float, let_through: int, now: float, wait: float) -> None:
        """Learn from a refusal in a window that let `let_through` requests through."""
        is_first, is_long = not self.is_settled, window > WINDOWS[0]
        self.is_settled = self.is_found = True
        if window > self._seconds:
            self._seconds, self._allowed = window, 0.0
            if let_through < YOUNG:
                self._expect_others(now + wait)
            self._lower(max(let_through, START), now, wait, QUIET)
        elif let_through == 0 and not self._whole:
            # Others fill the window. To slow down would leave all of it to them.
            self._allowed = 0.0
            self._expect_others(now + wait)
            self._lower(self._count, now, wait, QUIET)
        elif self._allowed == 0:
            least = 0.0 if wait > LONG_WAIT else self._count / 2
            self._lower(max(min(self._count - 1, let_through), least), now, wait, QUIET)
        elif self._is_asking and now >= self._shared_until:
            self._go_back(let_through, now, wait)
        else:
            if not self._is_asking:
                self._alone_at = now + ALONE_AGAIN
            self._share_long(let_through, now, wait) if wait > LONG_WAIT else self._share(now, wait)
        if is_first:
            self._alone_at = now + (ALONE if let_through < MANY else ALONE_IF_MANY)
            if self.finds and not is_long and let_through < START:
                self._shared_until = now + wait + SHARED_AT_FIRST

    def _go_back(self, let_through: int, now: float, wait: float) -> None:
        """Asking for more was in vain."""
        if now >= self._alone_at:
            self._whole = max(self._allowed, FORGOTTEN * self._whole)
        count = self._allowed
        if self._seconds > WINDOWS[0]:
            count = min(self._count - 1, max(let_through, self._allowed))
        self._lower(count, now, wait, QUIET if self._allowed > self._top else self._quiet * QUIET_GROWTH)

    def _share_long(self, let_through: int, now: float, wait: float) -> None:
        """A long window is full: all who share it wait now, each with the part that it had."""
        if not self._is_asking or let_through < TAKEN * self._top:
            self._expect_others(now + wait)
        count = min(self._allowed if self._is_asking else self._count, max(let_through, self._top / 2))
        self._lower(min(count, max(self._whole / 2, count * (1 - GIVEN_UP_LONG))), now, wait, QUIET)

    def _share(self, now: float, wait: float) -> None:
        """Leave a part to others, or follow a limit that was lowered."""
        count = self._allowed if self._is_asking else self._count
        was_shared, was_whole = now < self._shared_until, count >= TAKEN * self._whole
        if count <= self._half < math.inf:
            self._lower(count, now, wait, max(self._quiet, LEFT))
        elif 0 < self._count <= self._whole and (was_shared or not (was_whole or self._is_asking)):
            self._shared_until = now
            self._lower(self._half, now, wait, LEFT)
        elif self._is_asking and self.finds and self._seconds == WINDOWS[0]:
            if self._count <= self._top:
                self._expect_others(now + wait)
            self._lower(count, now, wait, SHARED_QUIET)
        else:
            if not was_shared and START < count <= self._whole and self._seconds == WINDOWS[0]:
                # The network may have bunched what is just too much.
                self._whole = count = count - 1
            self._expect_others(now + wait)
            self._give_up(count, now, wait)

    def _give_up(self, count: float, now: float, wait: float) -> None:
        """Leave a part of what was allowed to others for a moment."""
        kept = count * (1 - (GIVEN_UP if self.finds else GIVEN_UP_TOGETHER))
        if kept < LEAST and self._seconds == WINDOWS[0]:
            self._seconds = WINDOWS[1]
            self._allowed, self._whole = 0.0, self._whole * WINDOWS[1]
            kept, count = kept * WINDOWS[1], count * WINDOWS[1]
        self._lower(kept, now, wait, QUIET)
        self._top = count

    def _expect_others(self, since: float) -> None:
        """Share fairly for a while; a rate that was given is no more than a fair share."""
        if self.finds and (self._seconds > WINDOWS[0] or since > self._shared_until):
            self._shared_until = since + max(SHARED, SHARED_WINDOWS * self._seconds)

    def _step_back(self, now: float) -> None:
        """The service answers slowly."""
        assert self._times is not None
        for times in self._times.values():
            times.forget_slowness()
        count = min(self._count, self._fastest * self._seconds)
        lowered = self._allowed if self._is_asking else count * (1 - GIVEN_UP)
        self.is_settled = self.is_found = True
        self._lower(max(lowered, min(count, START * self._seconds)), now, 0.0, self._quiet * QUIET_GROWTH)

    def _lower(self, count: float, now: float, wait: float, quiet: float) -> None:
        """Send less from now on, and do not ask for more during the `wait` and a quiet time after it."""
        self._count = self._top = max(LEAST, count)
        self._allowed = min(self._allowed, self._count)
        if self._seconds > WINDOWS[0]:
            quiet = max(quiet, self._seconds if now >= self._shared_until else self._seconds / 4)
        self._quiet = min(quiet, max(LONGEST_QUIET, self._seconds))
        self._step = 1.0
        self._changed_at = self._lowered_at = now
        self._answered = 0
        self._ask_at = now + wait + self._quiet
