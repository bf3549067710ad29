"""What is said of each status, in one place: on the screen, in the files and in the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from provisioner.records import Actor, LoginState, Status

if TYPE_CHECKING:
    from collections.abc import Mapping


MINUTE: Final = 60


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a status."""

    meaning: str
    """Beside the number of rows that have it."""
    why: str = ""
    """Why a row has it, where nothing more is known of the row."""
    remedy: str = ""
    """What to do about a row; empty where nothing is left to do."""


WORDS: Final[Mapping[Status, Words]] = {
    Status.CREATED: Words("confirmed by the service"),
    Status.EXISTS: Words("there before this run asked"),
    Status.VALID: Words("ready to be created", why="checked, and not sent yet", remedy="Run it"),
    Status.INVALID: Words("against a rule of the sheet, never sent", remedy="Mend the row, here or in the sheet"),
    Status.REJECTED: Words("refused by the service", remedy="Mend the row, here or in the sheet"),
    Status.FAILED: Words(
        "accepted, but not created by the service",
        remedy="Run again; if it fails again, ask Mission Inbox's support",
    ),
    Status.UNFINISHED: Words(
        "accepted, not done yet",
        why="accepted, and not done when the run ended",
        remedy="Run again later: the task is asked about, not sent again",
    ),
    Status.UNKNOWN: Words(
        "sent, and no clear answer came", remedy="Run again: it is looked up before anything is sent"
    ),
    Status.UNSENT: Words("not created yet", why="not sent: the run ended before its turn", remedy="Run again"),
}

TASKS: Final[Mapping[Actor, str]] = {
    Actor.SHEET: "For you to mend in the sheet",
    Actor.SUPPORT: "For Mission Inbox's support, as it failed more than once",
    Actor.NEXT_RUN: "For the next run, with nothing to mend in these rows",
}
"""The heading over what one of them must do."""


LOGGED_IN: Final = "logged in to, over IMAP and SMTP"
NOT_LOGGED_IN: Final = "not logged in to yet"
UNTRUSTED: Final = "shows a certificate that is not trusted"
"""What is said of a mail server that does not prove who it is."""
LOGINS: Final[Mapping[LoginState | None, Words]] = {
    LoginState.REFUSED: Words(
        "cannot be logged in to: a mail server does not take the password",
        remedy="Wait some minutes and log in again; if they are still refused, ask Mission Inbox's support",
    ),
    LoginState.UNREACHABLE: Words(
        "cannot be logged in to: a mail server gives no answer to rely on",
        remedy="See that your network lets this computer reach ports 465 and 993, then log in again",
    ),
    None: Words("were not tried", remedy="See to the reason, then log in again"),
}
"""What is said of created mailboxes that cannot be logged in to; None: that were not tried."""


def login_remedy(state: LoginState | None, reason: str) -> str:
    """What to do about mailboxes that cannot be logged in to."""
    if UNTRUSTED in reason:
        return "Ask whoever keeps your network whether it reads encrypted traffic; if not, Mission Inbox's support"
    return LOGINS[state].remedy


HELD_BACK: Final = "not sent: held back by --limit"
SUPPORT: Final = "Give the task ID to Mission Inbox's support"


def remedy(status: Status, actor: Actor) -> str:
    """What to do about a row; empty where nothing is left to do."""
    return SUPPORT if actor is Actor.SUPPORT else WORDS[status].remedy


def why(status: Status, error: str) -> str:
    """Why a row has its status; empty where there is nothing to explain."""
    return error or WORDS[status].why


def count(number: int, one: str, many: str) -> str:
    """A number and what it is of."""
    return f"{number:,} {one if number == 1 else many}"


def duration(seconds: float) -> str:
    """A time span with its unit, as exact as a reader needs it."""
    if round(seconds, 1) < MINUTE:
        number = f"{seconds:.1f}".removesuffix(".0")
        return f"{number} second" + ("" if number == "1" else "s")
    minutes, rest = divmod(round(seconds), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def visible(text: str) -> str:
    """`text` without characters that act on a terminal or hide in a page."""
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
