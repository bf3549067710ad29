"""What a run learns about how fast the service lets it go. Knows no clock and waits for nothing.

The rule, in plain words:

1. Begin at 5 requests a second. Whenever a rate has been answered well for a moment, go a fifth faster, until a request
   is refused or the fastest rate that is allowed is reached.
2. A refusal tells the limit. Its Retry-After says whether the service counts by the second, the minute or the hour; the
   requests that were let through within that time are as many as it allows.
3. Keep to that number exactly, and ask for one more after a quiet time, then in growing steps. If that is refused, go
   back to what was allowed before. The quiet time grows whenever no more is there than before, up to 150 seconds.
4. A limit of a second: if less or clearly more is there than before, or a request is refused at a rate that was allowed
   for a while, others are there, or the limit was lowered. Give up three tenths if that was not for asking, and ask for
   more every ten seconds again. For a while after that, give up only a tenth with each refusal: none of five or fewer
   if it was for asking. Who has more gives up more, and all ask for the same, so they come to have about the same.
5. A longer limit: what is found and kept for a while without an unexpected refusal is the whole, as this program is
   alone. If it is refused later, give up 15 %, and take it back in steps. If those are refused too, others took it:
   keep half of the whole, and ask for more later. A program that came later takes what is left: it asks for more soon.
6. If a long window is full, all who share it wait until it ends. Each begins the next one with 30 % less than was let
   through, but at least half of the whole, and then all take the same steps up: so they come to have the same.
7. If answers take twice as long as they usually do, the service is at its limit though it refuses nothing: step back.

The limit is a whole number of requests in a window, so it is learned as one. What is sent evenly arrives unevenly, so
the window is taken a little longer than the service's: by some 45 milliseconds for a second, by 1.5 % for longer ones.
`tests/benchmarks/rate.py` plays it against simulated services.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from provisioner.records import Rate
from provisioner.service.answer_times import AnswerTimes
from provisioner.service.sent_requests import SentRequests

if TYPE_CHECKING:
    from collections.abc import Hashable

START: Final = 5.0
"""Requests a second to begin with."""
WINDOWS: Final = (1.0, 60.0, 3600.0)
"""Seconds: the windows that services count requests in."""
MARGIN, UNEVEN, LONG_MARGIN = 0.043, 0.011, 0.015
"""How much longer a window is taken: seconds, and more divided by the count, since the delays of a few requests even
out less; a part of it if it is long."""
GROWTH: Final = 1.2
"""The factor from one rate to the next at the beginning."""
TRIAL, LONGER_TRIAL = 1.5, 2.1
"""Seconds for which a rate is tried before a faster one, and once a limit is found; a twelfth of a window if longer."""
LARGEST_STEP, STEP_GROWTH, LONG_STEP_GROWTH = 0.16, 1.25, 2.0
"""Asking for more begins with one request in the window: the largest step, as a part of the rate, and the factors from
one step to the next in a second and in a long window."""
QUIET, LONGEST_QUIET, QUIET_GROWTH = 5.0, 150.0, 3.0
"""Seconds before asking for more: at first, at most (unless the window is longer), and the factor after a refusal."""
SHORTEST_QUIET, RESTLESS, SHORT_QUIET_GROWTH = 1.5, 10.0, 1.9
"""The same for a limit of a second that is to be found: at first, at most after a sign of others, and the factor."""
SIGN, UNEXPECTED, SHARED = 70.0, 0.3, 0.1
"""Seconds after a sign of others for which a limit of a second is taken to be shared; the part of it that is given up
when a request is refused though none was to ask for more, and whenever one is refused while the limit is shared."""
SAME, RAISED = 0.03, 1.5
"""What is less by no more than this part, or one more, is the same. What grew by this factor is a raised limit."""
BUNCHED, SOON = 8.0, 3.0
"""Seconds after the rate was lowered in which the network may have bunched what is refused: a tenth is given up, one
request at most; and in the first of these seconds less, as that is no sign of others."""
ALONE, FORGOTTEN = 70.0, 0.95
"""Seconds after the first refusal until what a long window allows is the whole; while no more is allowed, the whole
becomes this part of what it was, since the limit may have been lowered."""
SHARED_WINDOWS, SHARED_STEPS = 4, 6
"""Long windows for which others are expected after a sign of them, and steps in each, of a request more a second."""
GIVEN_UP, GIVEN_UP_TOGETHER, GIVEN_UP_LONG = 0.15, 0.05, 0.3
"""The part of the rate that is given up; the second with a rate that was given, the third when a long window ends."""
TAKEN: Final = 0.9
"""If less than this part of what was allowed in a long window is there, others took the rest."""
FEW, LITTLE = 20, 0.25
"""A long window that lets through fewer requests in all was filled by others. If it began before this program and lets
through less than this part of what it was sent at, others may have filled it."""
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
        """The count that was allowed before a part of it was given up: that is told, and not what is left of it."""
        self._most = 0.0
        """What asking for more showed to be allowed, when that last changed."""
        self._sign_at = -math.inf
        """When others were last noticed by what a second allows."""
        self._whole = 0.0
        """The count that a long window allowed when no others were there; 0 if that is not known."""
        self._alone_at = math.inf
        """When this program is the only one, if nothing that was allowed is refused until then."""
        self._shared_until = -math.inf
        """When other programs are no longer expected in a long window."""
        self._quiet = SHORTEST_QUIET
        self._step = 1.0
        self._ask_at = self._changed_at = self._lowered_at = -math.inf
        self._answered = self._refused_in_a_row = 0
        self.is_settled = False
        """Whether the rate is more than the one to begin with: it was found by now, or by an earlier run."""
        self._sent = SentRequests()
        self._times: dict[Hashable, AnswerTimes] | None = {} if find else None
        self._told: Rate | None = None
        self.is_found = False
        """Whether the service has shown a limit."""

    @property
    def finds(self) -> bool:
        """Whether a rate is to be found, and not just a given one to be kept below what is refused."""
        return self._times is not None

    @property
    def is_restless(self) -> bool:
        """Whether a rate is just being found: what leaves together would be refused though there is room."""
        return self.finds and self._quiet < RESTLESS

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
        return self._sent.latest(count) + count * self.spacing

    @property
    def rate(self) -> Rate:
        """What the service allows, as far as it is known."""
        if not self.is_known:
            return Rate(max(1, round(self._fastest)), WINDOWS[0])
        return Rate(max(1, round(max(self._top, self._allowed or self._count))), self._seconds)

    def begin_at(self, rate: Rate, now: float) -> None:
        """Begin at what an earlier run found, and ask for more before long."""
        self._seconds = rate.seconds
        self._count = self._top = self._most = min(float(rate.count), self._fastest * rate.seconds)
        self._quiet, self.is_settled = RESTLESS, True
        self._changed_at = now
        self._ask_at = now + QUIET * QUIET_GROWTH
        self._alone_at = now + ALONE

    def sent(self, now: float) -> None:
        """A request leaves."""
        self._sent.add(now)
        self._sent.forget(now - WINDOWS[-1] - WINDOWS[1])

    def withdrawn(self, sent: float) -> None:
        """A request did not leave at `sent` after all, or took no room in the service's window."""
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
            most = max(START, self._sent.count(sent, WINDOWS[0])) * self._seconds
            self._count = min(self._fastest * self._seconds, max(most, self._allowed)) + 1
        # Retry-After is in whole seconds, rounded up.
        window = max(self._seconds, next((window for window in WINDOWS if window >= wait - 1), WINDOWS[-1]))
        if window == WINDOWS[0]:
            let_through = self._sent.count(sent, self._count * self.spacing)
        else:
            let_through = self._sent.let_through(sent, window, wait)
        self._learn(window, let_through, now, wait)
        if window == WINDOWS[0] or self._refused_in_a_row <= 2:
            return 0.0
        return min(LONGEST_BACKOFF, 2.0 ** (self._refused_in_a_row - 2))

    @property
    def _pace(self) -> float:
        """Requests a second."""
        if not self.is_known:
            return self._fastest
        return self._count / (self._seconds + max(MARGIN + UNEVEN / self._count, LONG_MARGIN * self._seconds))

    @property
    def _is_asking(self) -> bool:
        """Whether more is tried than was allowed before."""
        return 0 < self._allowed < self._count

    @property
    def _is_by_the_second(self) -> bool:
        """Whether a limit of a second is to be found, or was."""
        return self.finds and self._seconds == WINDOWS[0]

    @property
    def _shared_step(self) -> float:
        """Requests more in a long window, and the seconds until they are asked for."""
        return self._seconds / SHARED_STEPS

    def _go_on(self, now: float) -> None:
        """Note that the rate is allowed, and try a faster one when it is time for that."""
        age, is_shared = now - self._changed_at, now < self._shared_until
        least = LONGER_TRIAL if self.is_settled else TRIAL
        trial = self._shared_step if is_shared else max(least, self._seconds / 12)
        if age < trial or self._answered < math.floor(self._pace * trial):
            return
        if is_shared or age >= max(TRIAL, self._seconds):
            self._allowed = self._count
        if self.finds and now >= max(self._alone_at, self._shared_until, self._changed_at + self._seconds):
            self._whole = max(self._whole, self._allowed)
        is_used = self._sent.count(now, trial + 1) >= 0.8 * self._pace * trial
        if now >= self._ask_at and is_used:
            self._ask_for_more(now)

    def _ask_for_more(self, now: float) -> None:
        if not self.is_settled:
            self._count *= GROWTH
        elif now >= self._shared_until:
            self._count = float(math.floor(self._count + self._step))
            growth = STEP_GROWTH if self._is_by_the_second else LONG_STEP_GROWTH
            self._step = min(growth * self._step, max(self._count * LARGEST_STEP, self._seconds))
        elif self._count < self._top <= self._count + self._shared_step:
            self._count = self._top
            self._ask_at = now + self._seconds / 2
        else:
            self._count = float(math.floor(self._count + self._shared_step))
        if self._count > self._fastest * self._seconds:
            self._count = math.inf
        self._changed_at, self._answered = now, 0

    def _learn(self, window: float, let_through: int, now: float, wait: float) -> None:
        """Learn from a refusal in a window that let `let_through` requests through."""
        if not self.is_settled:
            self._alone_at = now + ALONE
        if window > self._seconds:
            is_little = self._sent.first > now + wait - window + 1 and let_through < LITTLE * window * self._pace
            self._seconds, self._allowed = window, 0.0
            if let_through < FEW:
                self._expect_others(now + wait)
            self._lower(max(let_through, START), now, wait, QUIET)
            if is_little:
                self._ask_at = now + wait + window / 4
        elif self._is_by_the_second:
            self._learn_by_the_second(let_through, now, wait)
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
            self._share_long(let_through, now, wait) if wait > LONG_WAIT else self._share(now, wait)
        self.is_settled = self.is_found = True

    def _learn_by_the_second(self, let_through: int, now: float, wait: float) -> None:
        """Learn from a refusal of a limit of a second, which may be shared."""
        count, is_bunched = self._count, False
        if let_through == 0:  # Others fill the window: to slow down would leave all of it to them.
            self._notice_others(now)
        elif self._allowed == 0:
            count = max(min(math.ceil(count) - 1, let_through), math.ceil(count / 2))
        elif self._is_asking:
            count = self._count_after_asking(now)
        elif is_bunched := now < self._lowered_at + BUNCHED:
            count -= min(1.0, SHARED * count, (now - self._lowered_at) / SOON)
            if now > self._lowered_at + SOON:
                self._sign_at = now
        else:
            part = SHARED if now < self._sign_at + SIGN else UNEXPECTED
            count = round(count - max(1.0, part * count))
            self._notice_others(now)
        self._lower(count, now, wait, self._quiet)
        if self._allowed:
            self._top = max(self._top, self._most)
        if is_bunched:
            self._ask_at = min(self._ask_at, now + wait + RESTLESS)

    def _notice_others(self, now: float) -> None:
        """Others are there, or the limit was lowered: ask for more soon, and give up less when refused."""
        self._sign_at, self._quiet = now, min(self._quiet, RESTLESS)

    def _count_after_asking(self, now: float) -> float:
        """What is kept after asking for more was refused."""
        allowed, before = math.floor(self._allowed), self._most
        self._quiet *= SHORT_QUIET_GROWTH
        if not (1 - SAME) * before <= allowed <= before + 1:
            self._quiet = min(self._quiet, RESTLESS)
            self._most = allowed if self.is_settled else 0.0
            if allowed < RAISED * before:
                self._sign_at = now
        return allowed - round(SHARED * allowed) if now < self._sign_at + SIGN else allowed

    def _go_back(self, let_through: int, now: float, wait: float) -> None:
        """Asking for more was in vain."""
        if now >= self._alone_at:
            self._whole = max(self._allowed, FORGOTTEN * self._whole)
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
        is_less = not self._is_asking and count < TAKEN * self._whole
        if self._count <= self._whole and (now < self._shared_until or is_less):
            self._lower(min(count, math.ceil(self._whole / 2)), now, wait, QUIET)
        else:
            self._expect_others(now + wait)
            self._lower(count * (1 - (GIVEN_UP if self.finds else GIVEN_UP_TOGETHER)), now, wait, QUIET)
            self._top = count

    def _expect_others(self, since: float) -> None:
        """Share a long window for a while; a rate that was given is no more than a fair share."""
        if self.finds:
            self._shared_until = since + SHARED_WINDOWS * self._seconds

    def _step_back(self, now: float) -> None:
        """The service answers slowly."""
        assert self._times is not None
        for times in self._times.values():
            times.forget_slowness()
        count = min(self._count, self._fastest * self._seconds)
        self.is_settled = self.is_found = True
        kept = max(count * (1 - GIVEN_UP), min(count, START * self._seconds))
        self._lower(kept, now, 0.0, max(QUIET, self._quiet) * QUIET_GROWTH)

    def _lower(self, count: float, now: float, wait: float, quiet: float) -> None:
        """Send less from now on, and do not ask for more during the `wait` and a quiet time after it."""
        self._count = self._top = max(1.0, count)
        self._allowed = min(self._allowed, self._count)
        if self._seconds > WINDOWS[0]:
            quiet = max(quiet, self._seconds if now >= self._shared_until else self._seconds / 4)
        self._quiet = min(quiet, max(LONGEST_QUIET, self._seconds))
        self._step, self._answered = 1.0, 0
        self._changed_at = self._lowered_at = now
        self._ask_at = now + wait + self._quiet
