"""Every sentence about a row, a status or a whole run, for the screen, the page and the files; counts and durations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.records import Actor, Status
from provisioner.resources import LoginState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.records import Rate
    from provisioner.summary import Group, RunPreview


MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Words:
    """The text for a status."""

    meaning: str
    """Shown beside the number of rows that have it."""
    why: str = ""
    """Why a row has it, if nothing more is known about the row."""
    remedy: str = ""
    """What to do about a row; empty if nothing is left to do."""


WORDS: Final[Mapping[Status, Words]] = {
    Status.CREATED: Words("confirmed by the service"),
    Status.EXISTS: Words(
        "already existed; its password may differ from your sheet",
        why="it already existed, so its password may not be the one in your sheet",
    ),
    Status.VALID: Words("ready to be created", why="checked, not sent yet", remedy="Run it"),
    Status.INVALID: Words("breaks a rule; not sent", remedy="Fix the row, here or in your sheet"),
    Status.REJECTED: Words("refused by the service", remedy="Fix the row, here or in your sheet"),
    Status.FAILED: Words(
        "accepted, but the service could not create it",
        remedy="Run again; if it fails again, contact Mission Inbox support",
    ),
    Status.UNFINISHED: Words(
        "accepted, not finished yet",
        why="accepted, but not finished when the run ended",
        remedy="Run again later: the task is followed up, not sent again",
    ),
    Status.UNKNOWN: Words(
        "sent, but no clear answer came", remedy="Run again: it is looked up before it is sent again"
    ),
    Status.UNSENT: Words("not sent yet", why="not sent: the run ended before its turn", remedy="Run again"),
}

TASKS: Final[Mapping[Actor, str]] = {
    Actor.SHEET: "To fix",
    Actor.SUPPORT: "Contact Mission Inbox support (running again did not help)",
    Actor.NEXT_RUN: "Run again (nothing to fix)",
}
"""The heading over the rows that each must act on."""


LOGGED_IN: Final = "log-in works, over IMAP and SMTP"
NOT_LOGGED_IN: Final = "log-in not tried yet"
UNTRUSTED: Final = "shows a certificate that is not trusted"
"""Said of a mail server that does not prove its identity."""
LOGINS: Final[Mapping[LoginState | None, Words]] = {
    LoginState.REFUSED: Words(
        "a mail server refused the log-in",
        remedy="Wait a few minutes and try again; if it is still refused, contact Mission Inbox support",
    ),
    LoginState.UNREACHABLE: Words(
        "a mail server could not be reached",
        remedy="Check that your network allows connections to ports 465 and 993, then try again",
    ),
    None: Words("no log-in was tried", remedy="Fix the reason, then try again"),
}
"""The text for created mailboxes whose log-in failed; None: was not tried."""


def login_remedy(state: LoginState | None, reason: str) -> str:
    """What to do about mailboxes whose log-in failed."""
    if UNTRUSTED in reason:
        return "Ask your network administrator if encrypted traffic is inspected; if not, contact Mission Inbox support"
    return LOGINS[state].remedy


HELD_BACK: Final = "not sent: left for a later run"
SUPPORT: Final = "Send the task ID to Mission Inbox support"


def remedy(status: Status, actor: Actor) -> str:
    """What to do about a row; empty if nothing is left to do."""
    return SUPPORT if actor is Actor.SUPPORT else WORDS[status].remedy


def why(status: Status, error: str) -> str:
    """Why a row has its status; empty if there is nothing to explain."""
    return error or WORDS[status].why


def found_rate(rate: Rate) -> str:
    """What was found out about how fast the service lets requests go."""
    units = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour"}
    often = units.get(rate.seconds, f"every {duration(rate.seconds)}")
    return f"The service takes about {count(rate.count, 'request', 'requests')} {often}."


_LONG: Final = 10.0
"""Seconds from which on it is worth saying how long a run takes."""
SHEET_DONE: Final = (
    "The rows that are left are not in the sheet any more, so they were not tried again. If they are still wanted, put "
    "them back"
)
NO_PRACTICE_LOGINS: Final = "Practice mailboxes cannot be logged in to: the sandbox has no mail servers."


def preview_lines(preview: RunPreview) -> Iterator[str]:
    """What a run is about to do: first the mailboxes to create, then every other row."""
    if preview.to_send:
        place = "in the sandbox, for practice" if preview.practice else f"at {preview.service}"
        takes = f"; this takes {span}" if (span := least_time(preview)) else ""
        yield f"{count(preview.to_send, 'mailbox', 'mailboxes')} to create {place}{takes}."
    else:
        yield "No new mailboxes to create."
    yield from other_rows(preview)
    if preview.invalid:
        yield f"{invalid_rows(preview)}: see {preview.failures}"


def invalid_rows(preview: RunPreview) -> str:
    """How many rows have errors."""
    return f"{count(preview.invalid, 'row has', 'rows have')} errors and will be skipped"


def least_time(preview: RunPreview) -> str:
    """How long the run takes, whatever the service does; empty if that is not long."""
    return f"at least {duration(round(preview.seconds))}" if preview.seconds >= _LONG else ""


def other_rows(preview: RunPreview) -> Iterator[str]:
    """What happens to the rows without errors for which no new mailbox is created."""
    if preview.beyond_limit:
        them = "it" if preview.beyond_limit == 1 else "them"
        rows = count(preview.beyond_limit, "more row is", "more rows are")
        yield f"{rows} ready; --limit leaves {them} for a later run."
    if preview.to_look_up:
        rows = count(preview.to_look_up, "row was", "rows were")
        yield f"{rows} sent earlier and got no clear answer: looked up first, and sent again only if not there."
    if preview.to_poll:
        rows = count(preview.to_poll, "row was sent earlier and is", "rows were sent earlier and are")
        yield f"{rows} not finished yet: followed up, not sent again."
    if preview.done:
        yield f"{count(preview.done, 'row is', 'rows are')} done already and will be skipped."


def headings(groups: Sequence[Group], left: int) -> dict[Actor, str]:
    """The heading over the causes that each must act on; `left` is the total number of rows left."""
    several = sum(group.rows for group in groups) > left
    more = " (a row with several errors is listed under each)" if several else ""
    return {**TASKS, Actor.SHEET: TASKS[Actor.SHEET] + more}


def paused_until(seconds: float, reason: str) -> str:
    """That nothing is sent for this many seconds, and why."""
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
    return f"Paused until {until}: {reason}"


def count(number: int, one: str, many: str) -> str:
    """A number with its noun in the singular or plural."""
    return f"{number:,} {one if number == 1 else many}"


def listed(names: Sequence[str], most: int, total: int | None = None) -> str:
    """The first `most` of several names, and how many more there are: of `total`, or of these names if that is None."""
    more = (len(names) if total is None else total) - len(names[:most])
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


LONGEST_PATH: Final = 200
"""Characters of a path in a sentence."""


def shorten(text: str, most: int = 80) -> str:
    """`text` with no more characters than there is room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def duration(seconds: float) -> str:
    """A time span with its unit, as exact as a reader needs."""
    if round(seconds, 1) < MINUTE:
        number = f"{seconds:.1f}".removesuffix(".0")
        return f"{number} second" + ("" if number == "1" else "s")
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def visible(text: str) -> str:
    """`text` with every character that acts on a terminal, or hides in a page, written as its number."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
