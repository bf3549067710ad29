"""The record of one sheet: its journal and the files beside it, kept in step with what happens."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.to_thread import run_sync

from provisioner import run_folder
from provisioner.journal import Journal
from provisioner.report import write_report
from provisioner.stages.by_column import value_of
from provisioner.stages.write import set_aside_edited, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provisioner.events import Listener
    from provisioner.resources import Resources
    from provisioner.result import RunResult
    from provisioner.run_folder import RunFolder
    from provisioner.stages.prepare import PreparedSheet
    from provisioner.stages.reconcile import WorkPlan

    Clock = Callable[[], float]
    NextCommand = Callable[[RunResult], str]


def no_command(_: RunResult) -> str:
    """Name no command in the report."""
    return ""


@contextmanager
def open_journal(folder: RunFolder) -> Iterator[tuple[Journal, str | None]]:
    """The journal of a run folder that no other run works in, and the warning of `hold`. Raises RunFolderError."""
    with run_folder.hold(folder) as warning, closing(Journal(folder.journal)) as journal:
        yield journal, warning


class RunRecord:
    """Keeps the run folder in step with one sheet, and tells the listener what people should know of it."""

    def __init__(self, prepared: PreparedSheet, journal: Journal, listener: Listener) -> None:
        self.prepared = prepared
        self._journal = journal
        self._listener = listener

    async def begin(self, warning: str | None, service: str | None = None) -> None:
        """Claim the journal for a sheet, and keep corrections that were never run.

        Raises RunFolderError if the journal belongs to another sheet or to another service than this one.

        `warning` came with the journal.
        """

        def claim() -> list[str]:
            self._first_event = self._journal.latest_event()
            if service is not None:
                self._journal.refuse_other_service(service)
            self.prepared.remember(self._journal)
            prepared = self.prepared
            return set_aside_edited(self._journal, prepared.folder, prepared.options.sheet, prepared.seen)

        if warning is not None:
            self._listener.note(warning)
        self._tell(await run_sync(claim))

    async def reconcile(self, resources: Resources | None, wall_clock: Clock, *, checking: bool = False) -> WorkPlan:
        """Compare the sheet with the journal, and bring the journal in step. Raises JournalError."""
        now = anyio.current_time()

        def since(sent_at: float | None) -> float:
            # A clock that was set back must not make a row wait for longer than one that was sent just now.
            return now - max(0.0, wall_clock() - sent_at if sent_at is not None else 0.0)

        plan = await run_sync(partial(self.prepared.reconcile, self._journal, resources, since, checking=checking))
        self._tell(self.prepared.notes(plan))
        return plan

    def count_by(self, plan: WorkPlan) -> tuple[str, dict[str, int]]:
        """The header of the column that rows are counted by, and how many rows to be sent have each of its values.

        Both are empty if rows are not counted. Blocks; raises JournalError.
        """
        sent = {job.row_id for job in plan.to_send} | {row.job.row_id for row in plan.unconfirmed_rows if row.resend}
        header, column = self.prepared.by
        if not (column and sent):
            return "", {}
        return header, Counter(value_of(row, column) for row in self._journal.record_rows() if row.id in sent)

    async def write(self, *, final: bool = False) -> None:
        """Replace the files by what the journal says now, cancelled or not. Raises FilesError, JournalError.

        `final`: the run is over.
        """
        work = partial(write, self._journal, self.prepared.sheet, self.prepared.folder, final=final)
        with anyio.CancelScope(shield=True):
            self._tell(await run_sync(work))

    async def report(
        self,
        result: RunResult,
        next_command: NextCommand,
        *,
        finished_at: float,
        paused: Sequence[tuple[float, float, str]] = (),
    ) -> None:
        """Write the page. It shows only what the other files hold, so a run does not fail because of it."""
        path = Path(result.summary.report)

        def write_page() -> None:
            events, command = self._journal.events(self._first_event), next_command(result)
            write_report(path, result, events, command=command, paused=paused, finished_at=finished_at)

        try:
            await run_sync(write_page)
        except OSError as error:
            why = error.strerror or error
            self._tell([f"The page {path} could not be written ({why}); the other files are whole."])

    def _tell(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._listener.note(note)
