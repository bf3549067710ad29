"""What happened to each row, as it happens: every SQL statement of the program.

The journal always says what would be true if the process died at this instant. A create's intent is stored as
`unknown` before it is sent and its task as `unfinished` when it is accepted, so nothing needs repair after a crash.
"""

from provisioner.journal.changes import (
    Dropped,
    Event,
    Finished,
    LoginChecked,
    Moved,
    SendCancelled,
    Sending,
    SheetChange,
    Superseded,
    TaskAccepted,
    Written,
)
from provisioner.journal.rows import JournalRow, address_key, password_check, sent_cells
from provisioner.journal.store import Fact, Journal, Overview, overview

__all__ = [
    "Dropped",
    "Event",
    "Fact",
    "Finished",
    "Journal",
    "JournalRow",
    "LoginChecked",
    "Moved",
    "Overview",
    "SendCancelled",
    "Sending",
    "SheetChange",
    "Superseded",
    "TaskAccepted",
    "Written",
    "address_key",
    "overview",
    "password_check",
    "sent_cells",
]
