"""What goes wrong, drawn from generators that a seed makes repeat.

In this order, for a create that passed the key, the throttle and every rule of its fields:

1. `error_share`, before: answered 500, 502, 503 or 504, and nothing was done. 503 carries `Retry-After`.
2. The work is done. Its task will succeed, fail (`fail_share`) or never end (`stuck_share`).
3. `error_share`, after: answered 500, 502, 503 or 504 all the same, as by a gateway that lost patience.
4. `lost_share`: the connection is cut in place of an answer.

And for every answer, a create's or not: `html_share` replaces it, `slow_share` holds it back. Creates and answers are
drawn from two generators, and a fixed number of times each, so that polling more often or turning one fault on does not
change which creates the others hit.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioner.sandbox.options import SandboxOptions

ERRORS = (500, 502, 503, 504)
FAILURES = (
    "The mail server did not accept the mailbox. Please try again.",
    "The relay server timed out while the mailbox was being created.",
)


@dataclass(frozen=True, slots=True)
class CreateFate:
    """The fate of one create."""

    task_id: str
    password: str
    """What the service generates if the create has none."""
    duration: float | None
    """Seconds that its task takes; None: for ever."""
    failure: str | None
    """The sentence with which its task fails; None: it does not."""
    error_before: int | None
    error_after: int | None
    lost: bool


@dataclass(frozen=True, slots=True)
class AnswerFate:
    """The fate of one answer."""

    delay: float
    html: int | None
    """Status of the HTML page that replaces the answer."""


class Faults:
    """Draws fates. `life` tells one start on a kept state from the next, so that no task ID comes twice."""

    def __init__(self, options: SandboxOptions, life: int) -> None:
        """Draw from `options.seed` and `life`; without a seed, from the system's entropy."""
        self._options = options
        seeded = options.seed is not None
        self._creates = Random(f"{options.seed}/{life}/creates" if seeded else None)  # noqa: S311 - faults, no secrets
        self._answers = Random(f"{options.seed}/{life}/answers" if seeded else None)  # noqa: S311 - the same

    def create(self) -> CreateFate:
        draw, options = self._creates, self._options
        task_id = str(uuid.UUID(int=draw.getrandbits(128), version=4))
        password = f"Sandbox-{draw.getrandbits(64):016x}"
        duration = options.latency * math.exp(draw.gauss(0.0, 1.0) * options.latency_spread)
        ending, connection = draw.random(), draw.random()
        before = draw.random() < 0.5  # noqa: PLR2004 - half of the errors come before the work
        pick = draw.random()
        fails = ending < options.fail_share
        stuck = not fails and ending < options.fail_share + options.stuck_share
        error = connection < options.error_share
        return CreateFate(
            task_id=task_id,
            password=password,
            duration=None if stuck else duration,
            failure=FAILURES[int(pick * len(FAILURES))] if fails else None,
            error_before=ERRORS[int(pick * len(ERRORS))] if error and before else None,
            error_after=ERRORS[int(pick * len(ERRORS))] if error and not before else None,
            lost=not error and connection < options.error_share + options.lost_share,
        )

    def answer(self) -> AnswerFate:
        draw, options = self._answers, self._options
        slow, html, pick = draw.random(), draw.random(), draw.random()
        return AnswerFate(
            delay=options.slow_by if slow < options.slow_share else 0.0,
            html=(200, 502)[int(pick * 2)] if html < options.html_share else None,
        )
