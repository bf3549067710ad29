"""The values that pass between the stages. They are frozen, compare by content, and know nothing of storage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NewType, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provisioner.errors import StoppedError
    from provisioner.secret import Secret

TaskId = NewType("TaskId", str)
"""The service's ID of a task; opaque."""
RowId = NewType("RowId", int)
"""The journal's ID of a row: the same in every run, whatever the order of the sheet."""


class Status(StrEnum):
    """Where a row stands. Every row of the sheet ends in exactly one of them."""

    CREATED = "created"
    """The service confirms it."""
    EXISTS = "exists"
    """It was there before this run asked."""
    VALID = "valid"
    """`check` found nothing wrong with it; nothing was sent."""
    INVALID = "invalid"
    """It breaks a rule of the schema and was never sent."""
    REJECTED = "rejected"
    """The service refused the request."""
    FAILED = "failed"
    """The service accepted the request and could not carry it out."""
    UNFINISHED = "unfinished"
    """Accepted, and not known to be done."""
    UNKNOWN = "unknown"
    """Sent, and no answer came."""
    UNSENT = "unsent"
    """Its turn has not come."""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do: such a row is not in failures.csv."""
        return self.has_mailbox or self is Status.VALID

    @property
    def has_mailbox(self) -> bool:
        """Whether its mailbox is known to be there."""
        return self in (Status.CREATED, Status.EXISTS)

    @property
    def to_fix(self) -> bool:
        """Whether the row must be changed before it can be created."""
        return self in (Status.INVALID, Status.REJECTED)

    @property
    def under_way(self) -> bool:
        """Whether it was sent and is not known to have ended: the mailbox may exist, as it was sent."""
        return self in (Status.UNFINISHED, Status.UNKNOWN)

    @property
    def ends(self) -> bool:
        """Whether the service's last word on the row is known."""
        return self.has_mailbox or self in (Status.REJECTED, Status.FAILED)


GAP: Final = "…"
"""In a cause, where each row has a text of its own."""


class Fault(NamedTuple):
    """What is wrong, in plain words: the fault, then what to write. Never the content of a secret cell."""

    cause: str
    """The same for every row with this fault, with an ellipsis where a row has a text of its own."""
    details: tuple[str, ...] = ()
    """Those texts, for the first ellipses of the cause; the others are meant as they stand."""
    of_account: bool = False
    """Whether only a run could find this, which asks what the account has."""

    @property
    def sentence(self) -> str:
        """The cause with the details in their places."""
        sentence, *pieces = self.cause.split(GAP, len(self.details))
        for detail, piece in zip(self.details, pieces, strict=True):
            sentence += detail + piece
        return sentence


class Problem(NamedTuple):
    """One reason why a row cannot be sent, or one thing worth a warning."""

    cell: str | None
    """Such as `D17`, as the spreadsheet program names it; None where the whole row is meant."""
    fault: Fault

    @property
    def cause(self) -> str:
        """The same for every row with this problem."""
        return self.fault.cause

    @property
    def sentence(self) -> str:
        """In the words for this row."""
        return self.fault.sentence

    def __str__(self) -> str:
        return f"{self.cell}: {self.sentence}" if self.cell else self.sentence


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a create call."""

    email: str
    domain: int
    relay_server: int
    password: Secret | None
    """None: the service generates one."""
    project: int | None
    reply_to: str | None

    def anonymous(self, text: str) -> str:
        """`text` without what belongs to this row alone, so that the same cause reads the same in every row."""
        for value in (self.reply_to, self.email):
            if value:
                text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text, flags=re.IGNORECASE)
        return text


SENT_COLUMNS: Final = ("email", "domain", "relay_server", "project", "reply_to")
"""The sheet's columns that are sent, except for the password. results.csv repeats them."""


def sent_columns(row: object) -> dict[str, Any]:
    """The cells of SENT_COLUMNS by column, of an Entry or of a row of the journal."""
    return {name: getattr(row, name) for name in SENT_COLUMNS}


@dataclass(frozen=True, slots=True)
class Entry:
    """A data row of the sheet after validation: ready to be sent, or with the reason why not."""

    file_row: int
    """Its number in the file that was read, as the spreadsheet program shows it."""
    sheet_row: int | None
    """Its number in the original sheet; differs where the file is a failures file. None: added there by hand."""
    key: str
    """What the row is known by: its username and domain, however the sheet writes them."""
    email: str
    """The cells are the sheet's own, from here to `reply_to`."""
    domain: str
    relay_server: str
    project: str
    reply_to: str
    request: Request | None
    """None where the row is invalid, or where only the service could tell what it means and was not asked."""
    problems: tuple[Problem, ...] = ()
    """Why the row is invalid; empty where it is not."""
    address: str = ""
    """The full address; empty where the domain's name is not known."""
    earlier_status: Status | None = None
    """What a failures file says of the row."""
    earlier_task: TaskId | None = None
    """The task that a failures file names."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """Every cell of the row but the secret ones, by column, in the sheet's order."""
    password: Secret | None = None
    """What stands in its cell; None if that is blank, or not certain."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request together with the row it is for."""

    row_id: RowId
    request: Request
    maybe_sent: bool = False
    """An earlier create of it may have been carried out without our seeing the answer."""
    was_absent: bool = False
    """The service's list said that it was not there before this run sent anything."""
    keeps_password: bool = False
    """The sheet does not hold the request's password, so the journal is to keep it."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A row whose mailbox may exist; only the service can tell."""

    job: Job
    since: float
    """When its latest create was sent, on the event loop's clock, which never jumps."""
    status: Status
    """Where it stands while that is not known."""
    resend: bool = False
    """Whether it may be sent again if it is not there."""
    if_absent: Status | None = None
    """Its status if it is not there even after a while; None: `status`."""
    reason: str = ""
    """What the service said about it; empty: nothing."""


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A creation that the service accepted and has not reported as ended."""

    job: Job
    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Accepted:
    """The create was accepted as a task."""

    task_id: TaskId


@dataclass(frozen=True, slots=True)
class Created:
    """The mailbox exists now, by this create."""

    mailbox_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The create was refused for good: nothing was made."""

    reason: str
    duplicate: bool = False
    """The service says that the address is taken already."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The create was sent and its answer does not tell whether it was carried out."""

    reason: str
    stop: StoppedError | None = None
    """Why nothing more can be sent now; None: it can."""


CreateAnswer = Accepted | Created | Refused | Lost


@dataclass(frozen=True, slots=True)
class Pending:
    """The task has not ended, as far as the service tells."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended without a mailbox."""

    reason: str
    duplicate: bool = False
    """The service says that the address is taken already."""
    contradictory: bool = False
    """The service says both that it succeeded and that it failed: only its list can tell."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The service does not know the task, or not yet."""


TaskAnswer = Pending | Created | Failed | Gone


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: float

    @property
    def spacing(self) -> float:
        """Seconds from one request to the next."""
        return self.seconds / self.count

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `5/s`, `200/min` or `1000/h`; raises ValueError with a sentence."""
        units = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
        match = re.fullmatch(r"\s*([1-9][0-9]{0,6})\s*/\s*([a-z]+)\s*", text)
        if match is None or match[2] not in units:
            raise ValueError(f"“{text}” is not a rate: write auto, or a number and a unit such as 5/s or 200/min")
        return cls(int(match[1]), units[match[2]])

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "min", 3600.0: "h"}.get(self.seconds, f"{self.seconds:g}s")
        return f"{self.count}/{unit}"


@dataclass(frozen=True, slots=True)
class AutoRate:
    """As fast as the service allows, which is found out while sending."""

    most: Rate = Rate(20, 1.0)
    """Never faster than this."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `auto` or `auto:50/s`; None for anything else. Raises ValueError if no rate follows the colon."""
        word, colon, most = text.partition(":")
        if word.strip() != "auto":
            return None
        return cls(Rate.parse(most)) if colon else cls()


def parse_rates(text: str) -> tuple[Rate, ...] | AutoRate:
    """Read `auto`, `auto:50/s`, or fixed rates such as `5/s,200/min`. Raises ValueError with a sentence."""
    return AutoRate.parse(text) or tuple(Rate.parse(part) for part in text.split(","))


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """How many HTTP requests were sent, by purpose; throttled and retried ones are among the first three."""

    create: int = 0
    poll: int = 0
    other: int = 0
    throttled: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its outcome, without headers and body, so that anybody may see it."""

    method: str
    path: str
    status: int | None
    """HTTP's; None where no whole answer came."""
    seconds: float
    fault: str = ""
    """Why no answer came."""


class Actor(Enum):
    """Who must act before a row that is left can be created. In the order in which they are shown."""

    SHEET = "sheet"
    """The person who keeps the sheet."""
    SUPPORT = "support"
    """The service's own people."""
    NEXT_RUN = "next run"
    """Nobody: running again is enough."""
