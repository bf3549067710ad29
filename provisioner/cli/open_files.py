"""How many files and connections the program may have open at once."""

from __future__ import annotations

from provisioner.errors import SettingsError

ENOUGH = 1024
"""For any number of workers, and for the sandbox beside them."""
LEAST = 64
"""For a run with the usual number of workers."""


def allow_enough() -> None:
    """Raise this process's own limit as far as the system lets it. Raises SettingsError if that is not far enough."""
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= ENOUGH:
        return
    allowed = ENOUGH if hard == resource.RLIM_INFINITY else min(ENOUGH, hard)
    if allowed < LEAST:
        raise SettingsError(
            f"This computer lets the program open only {allowed} files at once; it needs {LEAST}.",
            remedy=f"Type “ulimit -n {ENOUGH}” and run again. If that is refused, ask the administrator of this "
            "computer.",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
