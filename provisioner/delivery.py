"""Everything of a run that needs the service: ask what the account has, send, poll, settle, and log in."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from provisioner.errors import DeclinedError, FilesError, InterruptedRunError, SameFailureError, StoppedError
from provisioner.journal import Finished, Journal
from provisioner.messages import HELD_BACK, count, duration
from provisioner.records import Account, Job, LoginState, OpenTask, RequestCounts, Resources, Status, Unconfirmed
from provisioner.service import Service
from provisioner.service.rate_limiter import LimiterClosedError, Priority, RateLimiter
from provisioner.settings import PRACTICE, Connection, RunOptions, service_name
from provisioner.stages.fetch_account import fetch_account
from provisioner.stages.look_up import look_up
from provisioner.stages.poll import Poller
from provisioner.stages.resolve import Resolver
from provisioner.stages.stop_signal import StopSignal
from provisioner.stages.submit import Submitter
from provisioner.stages.verify import gather, passwords, servers, verify
from provisioner.summary import LoginCounts, RunPreview

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.events import Listener
    from provisioner.preparation import PreparedSheet
    from provisioner.stages.reconcile import WorkPlan

WRITE_SHARE = 20
"""Refreshing the files takes at most one part in so many of the time, however long the sheet."""

LONG_WAIT = 30.0
"""Seconds without anything to send after which is said what is waited for."""


class Delivery:
    """One run while it is under way: what its stages share, and when each begins and ends."""

    def __init__(
        self,
        prepared: PreparedSheet,
        journal: Journal,
        *,
        how: RunOptions,
        connection: Connection,
        limiter: RateLimiter,
        listener: Listener,
        refresh: Callable[[], None],
        wall_clock: Callable[[], float],
    ) -> None:
        """`refresh` brings the files up to date, on a thread of its own. Raises FilesError and JournalError."""
        self._prepared = prepared
        self._journal = journal
        self._how = how
        self._connection = connection
        self._limiter = limiter
        self._listener = listener
        self._refresh = refresh
        self._wall_clock = wall_clock
        self.stop_reason: StoppedError | None = None
        self._account: Account | None = None
        # It outlasts the event loop of one call, and its counts are those of the whole run.
        self._service = Service(connection, limiter, listener)

    @property
    def requests(self) -> RequestCounts:
        return self._service.counts

    async def ask(self) -> Resources | None:
        """What the account has; None where it could not be asked, which halts the run before it begins.

        Raises SettingsError where its mailboxes are to be verified and it names no mail servers.
        """
        try:
            async with self._service as service:
                self._account = await service.account()
                if self._how.verify is not None:
                    servers(self._account, self._how.verify)
                return await fetch_account(service, self._listener)
        except StoppedError as error:
            self.stop_reason = error
            return None

    def begin(self, todo: WorkPlan, confirm: Callable[[RunPreview], bool]) -> None:
        """Do what the plan says, unless the service could not be asked, or what it costs is not agreed to."""
        if todo.idle:
            # Nothing is lost by a service that cannot be reached.
            self.stop_reason = None
        if self.stop_reason is None and not confirm(self._preview(todo)):
            self.stop_reason = DeclinedError(
                "Nothing was sent.", remedy="Run again when the mailboxes are to be created."
            )
        if self.stop_reason is None:
            anyio.run(self._go, todo)

    def verify(self) -> LoginCounts | None:
        """Log in to every created mailbox that was not logged in to yet; None where the servers cannot be asked for."""
        assert self._how.verify is not None
        if self._account is None and anyio.run(self.ask) is None:
            return None
        both = servers(self._account, self._how.verify)
        rows = (row for row in self._journal.record_rows() if {row.imap, row.smtp} != {LoginState.OK})
        resolver = Resolver(None)
        known = passwords(self._prepared.sheet, lambda email, domain: resolver.identity(email, domain).key)
        mailboxes = gather(rows, known, self._wall_clock())
        patience = self._how.verify.patience
        return anyio.run(lambda: verify(mailboxes, both, self._journal, self._listener, patience=patience))

    def _limited(self, todo: WorkPlan) -> tuple[list[Job], list[Unconfirmed]]:
        """What may be sent: rows in doubt, and then the first that are ready, together within the limit."""
        left = len(todo.to_send) + len(todo.unconfirmed_rows) if self._how.limit is None else self._how.limit
        unconfirmed_rows = []
        for unconfirmed in todo.unconfirmed_rows:
            resend = unconfirmed.resend and left > 0
            left -= resend
            unconfirmed_rows.append(replace(unconfirmed, resend=resend))
        return todo.to_send[:left], unconfirmed_rows

    def _preview(self, todo: WorkPlan) -> RunPreview:
        jobs, unconfirmed_rows = self._limited(todo)
        to_send, to_look_up = len(jobs), sum(unconfirmed.resend for unconfirmed in unconfirmed_rows)
        most = to_send + to_look_up
        return RunPreview(
            to_send=to_send,
            to_poll=len(todo.open_tasks) + len(unconfirmed_rows) - to_look_up,
            to_look_up=to_look_up,
            done=todo.done,
            invalid=todo.invalid,
            held_back=len(todo.to_send) - to_send,
            service=self._connection.api_url,
            practice=service_name(self._connection.api_url) == PRACTICE,
            # A create and a question each.
            seconds=max(2 * most * rate.seconds / rate.count for rate in self._connection.rates),
            results=str(self._prepared.folder.results),
            failures=str(self._prepared.folder.failures),
        )

    async def _go(self, todo: WorkPlan) -> None:
        """Do what the plan says, until it is done or the run is halted; never raises what can be told at the end."""
        self._stop_signal = StopSignal()
        self._stop_signal.on_set(self._stop_sending)
        async with self._service as service, anyio.create_task_group() as group:
            self._group = group
            group.start_soon(self._heed_signals)
            group.start_soon(self._refresh_files)
            try:
                await self._work(todo, service)
            except LimiterClosedError:
                pass
            except StoppedError as error:
                self._stop_signal.set(error)
            group.cancel_scope.cancel()
        self.stop_reason = self._stop_signal.reason

    async def _work(self, todo: WorkPlan, service: Service) -> None:
        began = self._wall_clock()
        jobs, unconfirmed_rows = self._limited(todo)
        held_back = todo.to_send[len(jobs) :]
        await self._journal.record(*(Finished(job.row_id, Status.UNSENT, began, HELD_BACK) for job in held_back))
        self._listener.planned(
            to_send=len(jobs),
            to_poll=len(todo.open_tasks) + len(unconfirmed_rows),
            done=todo.done,
            invalid=todo.invalid,
        )
        if not (jobs or todo.open_tasks or unconfirmed_rows):
            return
        if not service.met:
            await service.account()
        # What is not there yet is sent again at the end: by then it is known how long the service takes.
        missing = await self._look_up_rows(unconfirmed_rows, service)
        unconfirmed_rows = missing + await self._send_and_poll(jobs, todo.open_tasks, service)
        resend = await self._second_look(unconfirmed_rows, service, began)
        unconfirmed_rows = await self._send_and_poll(resend, [], service)
        await self._look_up_rows([replace(unconfirmed, resend=False) for unconfirmed in unconfirmed_rows], service)

    async def _send_and_poll(
        self, jobs: Sequence[Job], tasks: Sequence[OpenTask], service: Service
    ) -> list[Unconfirmed]:
        """Send the jobs while the tasks, and those that come of the jobs, are polled; answers what is in doubt."""
        shared = (service, self._limiter, self._journal, self._stop_signal, self._listener)
        clock, stop_after = self._wall_clock, self._how.stop_after
        poller = Poller(*shared, wall_clock=clock, stop_after=stop_after, task_timeout=self._how.task_timeout)
        submitter = Submitter(*shared, wall_clock=clock, stop_after=stop_after, accepted=poller.follow)
        for task in tasks:
            poller.resume(task)
        async with anyio.create_task_group() as watch:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: poller.poll(workers=self._how.workers))
                await submitter.submit(jobs, workers=self._how.workers)
                poller.no_more()
                watch.start_soon(self._tell_of_waiting, poller)
            watch.cancel_scope.cancel()
        return [*submitter.unconfirmed_rows, *poller.unconfirmed_rows]

    async def _tell_of_waiting(self, poller: Poller) -> None:
        """Say once what is waited for, where nothing is left to send and it takes long."""
        await anyio.sleep(LONG_WAIT)
        left = duration(max(0.0, self._how.task_timeout - LONG_WAIT))
        self._listener.note(
            f"Everything is sent; {count(poller.open, 'mailbox is', 'mailboxes are')} not done yet, and asked about "
            f"for up to {left} more. Ctrl-C is safe: the next run asks again."
        )

    async def _second_look(self, unconfirmed_rows: Sequence[Unconfirmed], service: Service, began: float) -> list[Job]:
        """Look up what this run left in doubt, waiting until a row that is not there is old enough to be sent again."""
        missing = await self._look_up_rows(unconfirmed_rows, service)
        if not missing:
            return []
        slowest = await anyio.to_thread.run_sync(self._journal.slowest, began)
        old_enough = max(self._how.look_up_after, min(3 * slowest, self._how.task_timeout))
        wait = max(unconfirmed.since for unconfirmed in missing) + old_enough - anyio.current_time()
        if wait > 0:
            self._listener.paused(wait, f"{len(missing)} rows without a clear answer are looked up once more")
            with anyio.move_on_after(wait):
                await self._stop_signal.wait()
            missing = await self._look_up_rows(missing, service)
        return [unconfirmed.job for unconfirmed in missing]

    async def _look_up_rows(self, unconfirmed_rows: Sequence[Unconfirmed], service: Service) -> list[Unconfirmed]:
        """Look up rows in doubt; a run that was halted sends none of them again."""
        if self._stop_signal.reason is not None and not isinstance(self._stop_signal.reason, SameFailureError):
            unconfirmed_rows = []
        missing = await look_up(unconfirmed_rows, service, self._journal, self._listener, wall_clock=self._wall_clock)
        return missing if self._stop_signal.reason is None else []

    def _stop_sending(self, reason: StoppedError) -> None:
        """Halted: nothing new is sent; what is in flight is followed as long as that makes sense."""
        self._limiter.close(Priority.CREATE)
        if isinstance(reason, InterruptedRunError):
            self._group.start_soon(self._stop_asking_later)
        elif not isinstance(reason, SameFailureError):
            self._limiter.close(Priority.QUERY)

    async def _stop_asking_later(self) -> None:
        self._listener.note(
            f"Stopping: nothing more is sent; tasks in flight are followed for {self._how.grace:g} seconds. "
            "Press Ctrl-C again to stop at once."
        )
        await anyio.sleep(self._how.grace)
        self._limiter.close(Priority.QUERY)

    async def _heed_signals(self) -> None:
        """The first interruption stops gently, the second at once, whatever else has halted the run before."""
        interrupted = False
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    if interrupted:
                        self._group.cancel_scope.cancel()
                    elif self._stop_signal.reason is not None:
                        self._group.start_soon(self._stop_asking_later)
                    interrupted = True
                    self._stop_signal.set(InterruptedRunError("The run was interrupted.", remedy="Run again to go on."))
        except NotImplementedError:
            # Windows' event loop knows no signals: there the first Ctrl-C already stops at once.
            return

    async def _refresh_files(self) -> None:
        """Replace the files every few seconds, less often where writing them takes long."""
        pause = self._how.refresh
        while True:
            await anyio.sleep(pause)
            began = anyio.current_time()
            try:
                await anyio.to_thread.run_sync(self._refresh)
            except FilesError as error:
                self._listener.note(f"{error.message} The run goes on and tries again.")
            except StoppedError as error:
                self._stop_signal.set(error)
            pause = max(self._how.refresh, (anyio.current_time() - began) * WRITE_SHARE)
