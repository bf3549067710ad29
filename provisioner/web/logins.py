"""Logging in to each mailbox of a sheet, as the page follows it."""

from __future__ import annotations

from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio.to_thread import run_sync

from provisioner import verification
from provisioner.errors import ProvisionerError
from provisioner.events import NullListener
from provisioner.journal import Journal
from provisioner.messages import paused_until
from provisioner.web.live import Changes
from provisioner.web.phrases import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from provisioner.run_folder import RunFolder
    from provisioner.verification import Verified
    from provisioner.web.workspace import Workspace

LOOKED_EVERY: Final = 1.0
"""Seconds between two looks at how many were tried."""


class Logins(NullListener):
    """The log-ins of one sheet's mailboxes, one round of them at a time."""

    def __init__(self, workspace: Workspace, *, practice: bool) -> None:
        self._workspace = workspace
        self._practice = practice
        self.changes = Changes()
        self.running = False
        self.tried = 0
        """How many mailboxes were tried, those again that were tried again."""
        self.waiting = ""
        """What is being waited for; empty if nothing is."""
        self.verified: Verified | None = None
        """The outcome of the latest; None if there is none yet."""
        self.error: ProvisionerError | None = None

    @property
    def possible(self) -> bool:
        """Whether there is any server to log in to: the sandbox has none."""
        return not self._practice or self._workspace.options.verify.names_servers

    def begin(self, folder: RunFolder, schema: Path | None) -> None:
        """Log in to every mailbox, unless that is under way. Raises SettingsError if there is no key."""
        if self.running:
            return
        how = self._workspace.options.verify
        connect = None if how.names_servers else self._workspace.connect(self._practice)
        self.running, self.verified, self.error, self.tried, self.waiting = True, None, None, 0, ""
        limiter = self._workspace.limiter(self._practice)
        work = partial(
            verification.verify_run, folder.path, (), how, connect, self, schema_file=schema, limiter=limiter
        )
        self._workspace.group.start_soon(self._log_in, folder, work)
        self.changes.tell()

    def paused(self, seconds: float, reason: str) -> None:
        self.waiting = f"{paused_until(seconds, reason)}."
        self.changes.tell()

    async def _log_in(self, folder: RunFolder, work: Callable[[], Awaitable[Verified]]) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._look, folder)
                try:
                    self.verified = await work()
                except Exception as error:  # noqa: BLE001 - the page must go on
                    self.error = told(error)
                group.cancel_scope.cancel()
        finally:
            self.running = False
            self.changes.tell()

    async def _look(self, folder: RunFolder) -> None:
        """Count in the journal: each log-in is an event, and nothing else writes to it meanwhile."""
        with suppress(ProvisionerError):
            before = await run_sync(_events, folder)
            while True:
                await anyio.sleep(LOOKED_EVERY)
                tried = await run_sync(_events, folder) - before
                if tried != self.tried:
                    self.tried, self.waiting = tried, ""
                    self.changes.tell()


def _events(folder: RunFolder) -> int:
    with closing(Journal(folder.journal)) as journal:
        return journal.latest_event()
