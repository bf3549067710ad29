"""One sheet's run at the page: it is begun, asked about, followed and stopped. It goes on when every tab is closed."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from anyio.to_thread import run_sync

from provisioner import pipeline
from provisioner.errors import DeclinedError, ProvisionerError
from provisioner.journal import Journal
from provisioner.messages import why
from provisioner.progress import Progress
from provisioner.records import Status
from provisioner.stages.stop_signal import StopSignal
from provisioner.summary import Example
from provisioner.web.live import Changes
from provisioner.web.phrases import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractContextManager

    from provisioner.result import RunResult
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, RunOptions, SheetOptions
    from provisioner.summary import RunPreview
    from provisioner.web.workspace import Connect, Workspace

ANSWER_WITHIN: Final = 600.0
"""Seconds for which a question waits; after that the answer is no."""
LATEST: Final = 20
"""How many failures are shown while a run goes on."""
NOTES: Final = 20
"""How many of the latest notes are kept."""


class Phase(Enum):
    """Where a run stands."""

    IDLE = "idle"
    """It was not begun, or ended before anything could be sent."""
    ASKING = "asking"
    """The sheet is read, and the service is asked what the account has."""
    CONFIRMING = "confirming"
    """The person is asked whether to go on."""
    SENDING = "sending"
    STOPPING = "stopping"
    ENDED = "ended"


class PageProgress(Progress):
    """What one run has done so far, as the page shows it. `changes` are told of everything."""

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.began_at = time.time()
        """On the wall clock."""
        self._changes = changes

    def changed(self) -> None:
        self._changes.tell()

    def note(self, sentence: str) -> None:
        self.notes = [*self.notes, sentence][-NOTES:]
        self.changed()

    @property
    def unsent(self) -> int:
        return self.to_send - self.sent_of_planned

    @property
    def failed(self) -> int:
        """Rows of which something has to be said."""
        return self.ended[Status.REJECTED] + self.ended[Status.FAILED]


class Run:
    """The runs of one sheet, one at a time."""

    def __init__(self, workspace: Workspace, *, practice: bool) -> None:
        self._workspace = workspace
        self._practice = practice
        self.changes = Changes()
        self.phase = Phase.IDLE
        self.progress: PageProgress | None = None
        """Of the latest run; None before the first."""
        self.preview: RunPreview | None = None
        """What it is about to do; None until that is known."""
        self.result: RunResult | None = None
        self.error: ProvisionerError | None = None
        """Why the latest run could not be begun or ended early; None if neither is so."""
        self.question = 0
        """Number of the latest question, so that an answer to an earlier one is known."""
        self.at_once = False
        """The run is stopping without waiting for what is in flight."""
        self._stop_signal, self._scope = StopSignal(), anyio.CancelScope()
        self._answer: bool | None = None
        self._answered = anyio.Event()
        self._folder: RunFolder | None = None
        self._failures: tuple[int, list[Example]] = (0, [])
        self._reading = anyio.Lock()

    @property
    def active(self) -> bool:
        return self.phase not in (Phase.IDLE, Phase.ENDED)

    @property
    def sending(self) -> bool:
        """Whether rows are sent, or followed to their end."""
        return self.phase in (Phase.SENDING, Phase.STOPPING)

    def begin(
        self, find: Callable[[], Awaitable[SheetOptions]], *, limit: int | None = None, agreed: bool = False
    ) -> None:
        """Start a run of what `find` returns, unless one is under way already. It raises ProvisionerError if it cannot.

        `limit` takes the place of the limit that the page was started with; `agreed`: the person was asked before.
        Raises SettingsError if there is no key.
        """
        if self.active:
            return
        connect = self._workspace.connect(self._practice)
        how = self._workspace.options.run
        # Gently means to the end here: nobody waits at a terminal for it.
        how = replace(how, grace=how.task_timeout, limit=limit or how.limit)
        self.preview = self.result = self.error = None
        self.at_once = False
        self.progress = PageProgress(self.changes)
        self._stop_signal = StopSignal(how="")
        self._failures = (0, [])
        self._scope = anyio.CancelScope()
        self._workspace.group.start_soon(partial(self._work, find, how, connect, agreed=agreed))
        self._enter(Phase.ASKING)

    def answer(self, question: int, *, agreed: bool) -> bool:
        """Answer the question of this number. Returns whether it still stands; only the first answer counts."""
        if self.phase is not Phase.CONFIRMING or question != self.question or self._answer is not None:
            return False
        self._answer = agreed
        self._answered.set()
        return True

    def stop(self, *, at_once: bool = False) -> None:
        """Send nothing more and follow what is in flight to its end; `at_once`: leave that to the next run.

        A run that has not sent anything yet just ends.
        """
        if self.phase is Phase.CONFIRMING:
            self.answer(self.question, agreed=False)
        elif self.phase is Phase.ASKING:
            self._scope.cancel()
        elif self.sending:
            if not self._stop_signal.interrupted.is_set():
                self._stop_signal.interrupt()
            if at_once and not self._stop_signal.interrupted_again.is_set():
                self._stop_signal.interrupt()
            self.at_once = self.at_once or at_once
            self._enter(Phase.STOPPING)

    async def until(self, *phases: Phase) -> None:
        """Return when the run is in one of these phases."""
        while self.phase not in phases:
            await self.changes.after(self.changes.number)

    async def failures(self) -> list[Example]:
        """The latest rows that were refused or failed in this run, latest first. Raises JournalError."""
        counted = self.progress
        if counted is None or self._folder is None:
            return []
        async with self._reading:
            if self._failures[0] != counted.failed:
                number = counted.failed
                self._failures = (number, await run_sync(_failures, self._folder, counted.began_at))
        return self._failures[1]

    async def _work(
        self, find: Callable[[], Awaitable[SheetOptions]], how: RunOptions, connect: Connect, *, agreed: bool
    ) -> None:
        assert self.progress is not None
        try:
            with self._scope:
                self.result = await pipeline.run(
                    await find(),
                    how,
                    partial(self._connected, connect),
                    self.progress,
                    confirm=partial(self._confirm, agreed=agreed),
                    stop_signal=self._stop_signal,
                    limiter=self._workspace.limiter(self._practice),
                )
                self.error = self.result.stopped
        except Exception as error:  # noqa: BLE001 - the page must go on
            self.error = told(error)
        finally:
            if self.phase in (Phase.ASKING, Phase.CONFIRMING):
                if isinstance(self.error, DeclinedError):
                    self.error = None
                self._enter(Phase.IDLE)
            else:
                self._enter(Phase.ENDED)

    def _connected(self, connect: Connect, folder: RunFolder) -> AbstractContextManager[Connection]:
        self._folder = folder
        return connect(folder)

    async def _confirm(self, preview: RunPreview, *, agreed: bool) -> bool:
        """Wait for the person's answer. Nothing is asked where no mailbox would be created."""
        self.preview = preview
        if not agreed and preview.mailboxes:
            self.question += 1
            self._answer, self._answered = None, anyio.Event()
            self._enter(Phase.CONFIRMING)
            with anyio.move_on_after(ANSWER_WITHIN):
                await self._answered.wait()
            if not self._answer:
                return False
        self._enter(Phase.SENDING)
        return True

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.changes.tell()


def _failures(folder: RunFolder, since: float) -> list[Example]:
    with closing(Journal(folder.journal)) as journal:
        rows = journal.failed_since(since, LATEST)
    return [Example(row.place, row.email, why(row.status, row.error)) for row in rows]
