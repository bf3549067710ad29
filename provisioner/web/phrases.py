"""What the page calls rows, and how it counts them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from provisioner.errors import ProvisionerError
from provisioner.messages import WORDS, count
from provisioner.records import Status

if TYPE_CHECKING:
    from provisioner.fixing import Counts, OpenRow

LONGEST_CELL: Final = 80
"""Characters of a cell that is only shown."""
_PLAIN: Final = {
    Status.CREATED: "created, confirmed by the service",
    Status.INVALID: "not sent: to be fixed first",
}
"""The meanings that would be unclear without the status's name."""
_AT_THE_PAGE: Final = {
    "Name another folder with --out": "Give the sheet another name, so that it gets another folder",
    "name another folder with --out": "give the sheet another name, so that it gets another folder",
    "Name a folder that you may write to with --out": "Move the sheet to a folder that you may write to",
    ", or name it with --sheet": "",
}
"""What to do there in place of giving an option of the command line that it lacks."""


def name_of(key: str) -> str:
    """What the row with this key is called; one that was added to a failures file has no number in the sheet."""
    return f"added row {key[1:]}" if key.startswith("+") else f"row {key}"


def told_of(row: OpenRow) -> str:
    """What is said of a row in which nothing is to be fixed."""
    done, ready = row.status.has_mailbox, row.status is Status.VALID
    state = "done" if done else "ready" if ready else f"to be run again ({state_of(row)})"
    return f"{name_of(row.key).capitalize()} is {state}"


def state_of(row: OpenRow) -> str:
    """Where a row stands in which nothing is to be fixed."""
    return plain(row.status) if row.status is not Status.VALID else "ready"


def at_the_page(remedy: str) -> str:
    """What to do, as it is done at the page."""
    for option, instead in _AT_THE_PAGE.items():
        remedy = remedy.replace(option, instead)
    return remedy


def plain(status: Status) -> str:
    """What a status means, without its name."""
    return _PLAIN.get(status, WORDS[status].meaning)


def counted(counts: Counts) -> str:
    """Such as `412 rows: 400 ready, 12 to fix`."""
    parts = {
        "ready": counts.ready,
        "to fix": counts.to_fix,
        "done": counts.done,
        "to run again": counts.other,
        "left out": counts.left_out,
    }
    return f"{count(counts.rows, 'row', 'rows')}: " + (
        ", ".join(f"{number:,} {what}" for what, number in parts.items() if number) or "none ready"
    )


def shorten(text: str, most: int = LONGEST_CELL) -> str:
    """A text with no more characters than there is room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def short_hash(text: str) -> str:
    """Stands for a sentence in an address."""
    return sha256(text.encode()).hexdigest()[:12]


def told(
    error: Exception, remedy: str = "Try again: what was sent is looked up first, and nothing is created twice."
) -> ProvisionerError:
    """What is said of an error. Of a fault of the program its kind alone, since what it was may hold anything."""
    if isinstance(error, ProvisionerError):
        return error
    return ProvisionerError(f"Something unexpected happened in the program ({type(error).__name__}).", remedy=remedy)
