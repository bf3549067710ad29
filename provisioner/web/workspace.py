"""The folder that the page works in: its sheets, the work on each, and what all runs share."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.to_thread import run_sync
from starlette.exceptions import HTTPException

from provisioner.keys import NoKeyError
from provisioner.records import AutoRate
from provisioner.service.rate_limiter import RateLimiter
from provisioner.settings import RunOptions, VerifyOptions
from provisioner.web import folder
from provisioner.web.account_state import AccountState
from provisioner.web.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from anyio.abc import TaskGroup, TaskStatus
    from starlette.requests import Request

    from provisioner.records import Rate
    from provisioner.resources import Account
    from provisioner.run_folder import RunFolder
    from provisioner.secret import Secret
    from provisioner.settings import Connection

    Connect = Callable[[RunFolder | None], AbstractContextManager[Connection]]

MOST_OPEN: Final = 8
"""How many sheets are kept in memory: those that were looked at last."""


@dataclass(frozen=True, kw_only=True)
class PageOptions:
    """What the page was started with."""

    folder: Path
    practise: Connect
    """Connects to a sandbox of its own for one run folder."""
    connect: Connect | None = None
    """Connects to the service, or to a sandbox if all is practice; None: there is no key yet."""
    connection_with: Callable[[Secret], Connection] | None = None
    """The connection for a key that is typed at the page. None: no key can be typed, since all is practice."""
    keep_key: Callable[[Connection], None] = lambda _: None
    """Saves the connection's key in the keyring. Blocks; raises SettingsError."""
    sandbox: bool = False
    """Everything is practice."""
    sheet: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Keywords of SheetOptions that every sheet gets."""
    run: RunOptions = field(default_factory=RunOptions)
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    rates: tuple[Rate, ...] | AutoRate = field(default_factory=AutoRate)


class Workspace:
    """One folder, open at the page. For one event loop."""

    def __init__(self, options: PageOptions) -> None:
        self.options = options
        self.works: dict[str, Work] = {}
        self.group: TaskGroup
        """The runs' tasks live in it; it is there as long as `stay_open` runs."""
        self.closing = anyio.Event()
        """Set when the program ends: whatever waits for something else must end then."""
        self.account = AccountState()
        self._connect = options.connect
        self._limiters: dict[bool, RateLimiter] = {}

    async def stay_open(self, *, task_status: TaskStatus[None]) -> None:
        """Keep the runs' task group until the program closes, which interrupts them; their files are written."""
        async with anyio.create_task_group() as self.group:
            self.ask_account()
            task_status.started()
            await self.closing.wait()
            self.group.cancel_scope.cancel()

    def close(self) -> None:
        """Let everything that is under way end."""
        self.closing.set()

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way."""
        return any(work.is_busy for work in self.works.values())

    @property
    def has_key(self) -> bool:
        return self._connect is not None

    def connect(self, practice: bool) -> Connect:  # noqa: FBT001 - it is what is asked
        """How a run reaches its service. Raises NoKeyError if there is none yet."""
        if practice and not self.options.sandbox:
            return self.options.practise
        if self._connect is None:
            raise NoKeyError("There is no API key yet.", remedy="Type it on the first screen, then try again.")
        return self._connect

    def limiter(self, practice: bool) -> RateLimiter:  # noqa: FBT001 - it is what is asked
        """A limiter for one run or question; all real ones keep the rates together, all of practice too."""
        return self._limiters.setdefault(practice, RateLimiter(self.options.rates)).share()

    def sign_in(self, connection: Connection, account: Account) -> None:
        """Use another key from now on, whose account is known; runs that are under way keep theirs."""
        self._connect = lambda _: nullcontext(connection)
        self.account = AccountState.of(connection, account)

    def ask_account(self) -> None:
        """Ask in the background whose the key is, unless that is known, being asked, or all is practice."""
        known = self.account.account is not None or self.account.asking
        if self._connect is not None and not self.options.sandbox and not known:
            self.account = AccountState(asking=True)
            self.group.start_soon(self.account.ask, self._connect, self.limiter(practice=False))

    async def find(self, sheet_id: str) -> Work:
        """The work on one sheet of the folder. Raises HTTPException if there is no such sheet."""
        if sheet_id not in self.works:
            found = await run_sync(partial(folder.find, self.options.folder, sheet_id, self.options.sheet))
            if found is None:
                raise HTTPException(404)
            options, practice = found
            self.works.setdefault(sheet_id, Work(sheet_id, options, self, practice=practice or self.options.sandbox))
        # The one that was looked at last is last.
        work = self.works[sheet_id] = self.works.pop(sheet_id)
        for earlier in list(self.works.values())[:-MOST_OPEN]:
            earlier.let_go()
        return work


def workspace_of(request: Request) -> Workspace:
    """The one workspace of the application that a request came to."""
    workspace: Workspace = request.app.state.workspace
    return workspace


async def work_of(request: Request) -> Work:
    """The work on the sheet that a request names. Raises HTTPException if there is no such sheet."""
    return await workspace_of(request).find(request.path_params["id"])
