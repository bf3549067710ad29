"""What the stages of a run share while it talks to the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.events import Listener
    from provisioner.journal import Finished, Journal
    from provisioner.service import Service
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.settings import Connection, RunOptions
    from provisioner.stages.stop_signal import StopSignal


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The collaborators of one run."""

    connection: Connection
    service: Service
    limiter: RateLimiter
    journal: Journal
    stop_signal: StopSignal
    listener: Listener
    options: RunOptions
    wall_clock: Callable[[], float]
    """Seconds since 1970, for what is stored; everything that waits uses the event loop's clock."""

    async def finish(self, *rows: Finished) -> None:
        """Record the statuses that rows keep for this run, then announce them. Raises JournalError."""
        await self.journal.record(*rows)
        for row in rows:
            self.listener.finished(row.status)
