"""What happened to each row, as it happens: every SQL statement of the program.

The journal always says what would be true if the process died at this instant. A create's intent is stored as
`unknown` before it is sent and its task as `unfinished` when it is accepted, so nothing needs repair after a crash.
"""

from provisioner.journal.changes import (
    Change,
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
from provisioner.journal.store import (
    CHOSEN_TAB_FACT,
    COLUMNS_FACT,
    CONTENT_FACT,
    DELIMITER_FACT,
    OF_FAILURES_FACT,
    SERVICE_FACT,
    SHEET_FACT,
    TAB_FACT,
    Journal,
    Overview,
    overview,
)

__all__ = [
    "CHOSEN_TAB_FACT",
    "COLUMNS_FACT",
    "CONTENT_FACT",
    "DELIMITER_FACT",
    "OF_FAILURES_FACT",
    "SERVICE_FACT",
    "SHEET_FACT",
    "TAB_FACT",
    "Change",
    "Dropped",
    "Event",
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
