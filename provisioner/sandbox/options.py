"""What a sandbox can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Literal

from provisioner.sandbox.throttle import parse_rates

if TYPE_CHECKING:
    from pathlib import Path

CreateForm = Literal["guide", "reference"]
Duplicates = Literal["refuse", "conflict", "task"]
UnknownTask = Literal["404", "pending"]


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """How the stand-in behaves. Shares are fractions from 0 to 1; durations are seconds.

    Faults are drawn for each create that would otherwise be accepted (`error_share`, `lost_share`, `fail_share`,
    `stuck_share`) and, independently, for each answer (`slow_share`, `html_share`): see `faults`.

    Raises:
        ValueError: an option is out of range; the message says which.
    """

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    api_key: str = field(default_factory=lambda: f"sandbox-{token_urlsafe(24)}")
    """Unless it is given, one that nobody can guess, so that no other user of the computer can read what is sent."""

    latency: float = 1.0
    """The median time that a task takes."""
    latency_spread: float = 0.3
    """Sigma of the log-normal distribution round that median; 0 makes every task take the same time."""
    throttle: str | None = None
    """Such as `20/s` or `5/s,200/min`: sliding windows over all requests. None: unthrottled."""

    fail_share: float = 0.0
    """Tasks that end in failure: no mailbox, and the address is free again."""
    stuck_share: float = 0.0
    """Tasks that stay pending for ever and keep their address."""
    error_share: float = 0.0
    """Creates answered 500, 502, 503 or 504: half before the work is done, half after it. 503 has Retry-After."""
    lost_share: float = 0.0
    """Creates that are carried out, and whose connection is then cut without an answer."""
    slow_share: float = 0.0
    """Answers held back by `slow_by`, the work being done already."""
    slow_by: float = 5.0
    html_share: float = 0.0
    """Answers replaced by an HTML page with status 200 or 502, the work being done already."""

    create_form: CreateForm = "guide"
    """`guide`: POST /api/mailboxes/ returns a task. `reference`: POST /mailbox/ returns the mailbox at once."""
    duplicates: Duplicates = "refuse"
    """An address that is taken: refused with 400, or with 409 in few words, or accepted with a task that fails."""
    unknown_task: UnknownTask = "404"
    """A task ID nobody knows: 404, or pending for ever as plain Celery answers."""
    celery_states: bool = False
    """Task states as Celery writes them (PENDING, STARTED, SUCCESS, FAILURE) in place of the guide's words."""
    paginated: bool = False
    """Lists as pages `{"count", "next", "previous", "results"}` in place of bare arrays."""
    page_size: int = 100
    no_listing: bool = False
    """GET /api/mailboxes/ answers 404."""
    no_projects: bool = False
    """GET /api/projects/ answers 404; it is in no published page."""
    smtp_host: str = "127.0.0.1"
    imap_host: str = "127.0.0.1"

    state: Path | None = None
    """SQLite file that outlives the process, a killed one too. None: everything is forgotten at the end."""
    keep_passwords: bool = False
    """Whether mailboxes keep their passwords, in clear, for exports and in the state file; else they are blank."""
    seed: int | None = None
    """Makes faults, durations and task IDs repeat for the same order of requests. None: different each time."""

    def __post_init__(self) -> None:
        for name in ("fail", "stuck", "error", "lost", "slow", "html"):
            if not 0.0 <= getattr(self, f"{name}_share") <= 1.0:
                raise ValueError(f"The share of {name} must lie between 0% and 100%.")
        for one, other in (("fail", "stuck"), ("error", "lost")):
            if getattr(self, f"{one}_share") + getattr(self, f"{other}_share") > 1.0:
                raise ValueError(f"The shares of {one} and {other} together must not exceed 100%.")
        for name in ("latency", "latency_spread", "slow_by"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number of 0 or more.")
        if self.page_size < 1:
            raise ValueError("page_size must be at least 1.")
        parse_rates(self.throttle)
