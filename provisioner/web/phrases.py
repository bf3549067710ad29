"""What the page calls rows, and how it counts them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from provisioner.errors import ProvisionerError
from provisioner.messages import WORDS, count
from provisioner.records import Status
from provisioner.resources import Listing
from provisioner.sheets import UNCERTAIN

if TYPE_CHECKING:
    from provisioner.fixing import Counts, OpenRow

_PLAIN: Final = {
    Status.CREATED: "created, confirmed by the service",
    Status.INVALID: "not sent: to be fixed first",
}
"""The meanings that would be unclear without the status's name."""
AT_THE_PAGE: Final = {
    "Leave out --sandbox to go on with that run, or name another folder with --out to practice": (
        "Start the page without --sandbox to go on with that run, or open a copy of the sheet to practice"
    ),
    "Name another folder with --out": "Give the sheet another name, so that it gets another folder",
    "name another folder with --out": "give the sheet another name, so that it gets another folder",
    "Name a folder that you may write to with --out": "Move the sheet to a folder that you may write to",
    ", or name it with --sheet": "",
    "run the failures.csv beside it with --out and a new folder": "open a copy of the failures.csv beside it",
    ", or have it generated with --generate-passwords": ", or have it generated",
    "save the sheet as “CSV UTF-8”, or name its encoding with --encoding": (
        "type it again here, or save the sheet as “CSV UTF-8” and open it again"
    ),
    ", or name its encoding with --encoding": ", and open it again",
    ", with a lower --rate if this happens often": "",
    ", with a lower --rate": "",
    " --stop-after 0 sends the rest whatever happens.": "",
    "if they are meant for these, add --out and the folder of its run": (
        "if they are meant for these, open that sheet and put the file back there"
    ),
    "Set MISSION_INBOX_API_KEY instead, or save the key in a file that only you can read and give it with "
    "--api-key-file.": "Leave the box empty: then the key is used until the page is closed.",
    "Name the spreadsheet itself": "Choose the spreadsheet itself",
    ", or clear its sheet_row and status if it is a further mailbox": "",
    "delete the rest": "leave the rest out",
    "delete the row": "leave the row out",
    f"show it, or delete the mark {UNCERTAIN} in the failures file": f"delete the mark {UNCERTAIN}",
    "format the column as text, and type": "type",
    "format the column as text and type": "type",
    **{
        f"provisioner list {what}{practice} shows all": "“What the account has” shows all"
        for what in Listing
        for practice in ("", " --sandbox")
    },
}
"""What to do there in place of giving an option of the command line, or of changing the file."""


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


def at_the_page(text: str) -> str:
    """What is wrong, or what to do, with what is done at the page in place of what is done elsewhere."""
    for elsewhere, here in AT_THE_PAGE.items():
        text = text.replace(elsewhere, here)
    return text


def plain(status: Status) -> str:
    """What a status means, without its name."""
    return _PLAIN.get(status, WORDS[status].meaning)


def counted(counts: Counts, under_way: bool = False) -> str:  # noqa: FBT001, FBT002 - a filter of the templates
    """Such as `412 rows: 400 ready, 12 to fix`. `under_way`: what was sent is being waited for."""
    parts = {
        "ready": counts.ready,
        "to fix": counts.to_fix,
        "done": counts.done,
        "under way" if under_way else "to run again": counts.other,
        "left out": counts.left_out,
    }
    return f"{count(counts.rows, 'row', 'rows')}: " + (
        ", ".join(f"{number:,} {what}" for what, number in parts.items() if number) or "none ready"
    )


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
