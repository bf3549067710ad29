"""How a command ended, as a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.errors import InterruptedRunError, ProvisionerError

if TYPE_CHECKING:
    from provisioner.result import RunResult

DONE, ROWS_LEFT, UNUSABLE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; of several sheets the greatest counts."""


def exit_code(result: RunResult) -> int:
    if result.stopped is not None:
        return stop_code(result.stopped)
    logins = result.summary.logins
    unproved = logins is not None and logins.unproved
    return ROWS_LEFT if unproved or result.summary.left else DONE


def stop_code(error: ProvisionerError) -> int:
    return INTERRUPTED if isinstance(error, InterruptedRunError) else STOPPED
