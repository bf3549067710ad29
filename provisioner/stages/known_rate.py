"""The rate that the service allows, remembered with the run, so that the next one begins there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.records import Rate

if TYPE_CHECKING:
    from provisioner.journal import Journal
    from provisioner.service.rate_limiter import RateLimiter

_FACT = "rate"


def remember_rate(journal: Journal, limiter: RateLimiter) -> None:
    """Store what was found, if anything. Raises JournalError."""
    if (rate := limiter.to_remember) is not None:
        journal.set_fact(_FACT, str(rate))


def remembered_rate(journal: Journal) -> Rate | None:
    """What an earlier run found; None if none did. Raises JournalError."""
    fact = journal.fact(_FACT)
    return None if fact is None else Rate.parse(fact)
