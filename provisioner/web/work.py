"""One sheet at the page: the sheet as it is fixed, its run, and its log-ins."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.to_thread import run_sync

from provisioner import run_folder
from provisioner.errors import ProvisionerError, RunFolderError
from provisioner.fixing import OpenSheet
from provisioner.journal import Journal, overview
from provisioner.records import Status
from provisioner.result import recall
from provisioner.stages.failures_files import has_changed, look_of
from provisioner.web.logins import Logins
from provisioner.web.runs import Phase, Run

if TYPE_CHECKING:
    from provisioner.result import RunResult
    from provisioner.run_folder import RunFolder
    from provisioner.settings import SheetOptions
    from provisioner.web.workspace import Workspace

_NEVER_SENT: Final = frozenset({Status.VALID, Status.INVALID, Status.UNSENT})


class Work:
    """One sheet at the page."""

    def __init__(self, id: str, options: SheetOptions, workspace: Workspace, *, practice: bool) -> None:  # noqa: A002 - it is one
        self.id = id
        self.options = options
        self.practice = practice
        self.workspace = workspace
        self.run = Run(workspace, practice=practice)
        self.logins = Logins(workspace, practice=practice)
        self._opened: OpenSheet | None = None
        self._opening = anyio.Lock()
        self._outcome: tuple[object, RunResult] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something works in its run folder."""
        return self.run.active or self.logins.running

    @property
    def path(self) -> str:
        """Where its screens begin."""
        return f"/sheets/{self.id}"

    @property
    def name(self) -> str:
        """What people call it."""
        shown = self.options.shown or self.options.sheet.name
        return f"{shown}, sheet {self.options.sheet_name}" if self.options.sheet_name else shown

    async def sheet(self) -> OpenSheet:
        """The sheet as it is now, opened if it was not. Raises UnusableError."""
        async with self._opening:
            if self._opened is None:
                self._opened = await run_sync(OpenSheet, self.options, abandon_on_cancel=True)
            else:
                await run_sync(self._opened.refresh, abandon_on_cancel=True)
            return self._opened

    def let_go(self) -> None:
        """Take no more memory, unless something is under way. What was changed can no longer be undone then."""
        is_changing = self._opened is not None and self._opened.is_changing
        if not (self.is_busy or is_changing or self._opening.locked()):
            self._opened = self._outcome = None

    async def settle(self) -> None:
        """Wait for the files that are written after the sheet was opened. Raises UnusableError, StoppedError."""
        if (sheet := self._opened) is not None:
            await run_sync(lambda: sheet.working_file, abandon_on_cancel=True)

    async def reopen(self, **changed: Any) -> None:
        """Use other SheetOptions from now on. Raises RunFolderError while the sheet is being run."""
        self.refuse_if_busy()
        with suppress(ProvisionerError):
            await self.settle()
        async with self._opening:
            self.options = replace(self.options, **changed)
            self._opened = None

    def refuse_if_busy(self) -> None:
        """Raise RunFolderError while the sheet is being run.

        A run may have read it and not be in its folder yet: what is changed then would not be what is run.
        """
        if self.is_busy:
            raise RunFolderError(
                "A run is under way: until it has ended, nothing can be changed here.",
                remedy="Wait until it has ended. If it still asks whether to create mailboxes, answer that first.",
            )

    async def to_run(self) -> SheetOptions:
        """The sheet, or its fixed rows. Raises UnusableError, and StoppedError if a fix could not be stored."""
        sheet = await self.sheet()
        return await run_sync(lambda: sheet.working_file, abandon_on_cancel=True)

    async def is_known(self) -> bool:
        """Whether its run folder has a journal, as far as that can be told without opening the sheet."""
        return await run_sync((await self._likely_folder()).journal.exists)

    async def folder(self) -> RunFolder:
        """Its run folder, which need not exist. Raises UnusableError."""
        folder = await self._likely_folder()
        if self._opened is not None or await run_sync(folder.journal.exists):
            return folder
        return (await self.sheet()).folder

    async def standing(self) -> str:
        """The path of the screen where it stands."""
        if self.run.sending:
            return f"{self.path}/run"
        if self.run.phase in (Phase.ASKING, Phase.CONFIRMING):
            return f"{self.path}/check"
        sheet, folder = self.options.sheet, await self._likely_folder()
        known = await run_sync(overview, folder.journal)
        if known is None or not set(known.statuses) - _NEVER_SENT:
            return f"{self.path}/check"
        # Rows may have been added to the sheet.
        is_other = sheet not in folder.failures_files and await run_sync(has_changed, sheet, known.content)
        return f"{self.path}/check" if is_other else f"{self.path}/done"

    async def _likely_folder(self) -> RunFolder:
        """Its run folder, as far as that is known before the sheet is opened."""
        if self._opened is not None:
            return self._opened.folder
        options = self.options
        return await run_sync(partial(run_folder.locate, options.sheet, options.out, options.sheet_name))

    async def outcome(self) -> RunResult:
        """How its latest run or check ended, as the journal has it now. Raises RunFolderError, JournalError."""
        folder = await self.folder()
        state = await run_sync(_state, folder)
        if self._outcome is None or self._outcome[0] != state:
            self._outcome = state, await run_sync(partial(recall, folder, by=self.options.by))
        return self._outcome[1]


def _state(folder: RunFolder) -> object:
    """What differs if the journal holds something else than before."""
    with closing(Journal(folder.journal)) as journal:
        return journal.latest_event(), look_of(folder.results)
