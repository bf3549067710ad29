"""Everything of a run that needs the service: ask what the account has, send, poll, settle, and log in."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from provisioner.errors import DeclinedError, FilesError, InterruptedRunError, SameFailureError, StoppedError
from provisioner.halt import Halt
from provisioner.journal import Ended, Journal
from provisioner.pace import Lane, LaneClosedError, Pace
from provisioner.records import (
    Account,
    Doubt,
    Holdings,
    Job,
    LoginCounts,
    LoginState,
    OpenTask,
    Prospect,
    RequestCounts,
    Status,
)
from provisioner.service import Service
from provisioner.settings import PRACTICE, Connection, RunOptions, service_name
from provisioner.stages.poll import Poller
from provisioner.stages.resolve import Resolver
from provisioner.stages.settle import settle
from provisioner.stages.stock import take_stock
from provisioner.stages.submit import Submitter
from provisioner.stages.verify import gather, passwords, servers, verify
from provisioner.wording import HELD_BACK, count, duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provisioner.preparation import Loaded
    from provisioner.progress import Listener
    from provisioner.stages.plan import Plan

WRITE_SHARE = 20
"""Refreshing the files takes at most one part in so many of the time, however long the sheet."""

LONG_WAIT = 30.0
"""Seconds without anything to send after which is said what is waited for."""


class Delivery:
    """One run while it is under way: what its stages share, and when each begins and ends."""

    def __init__(
        self,
        loaded: Loaded,
        journal: Journal,
        *,
        how: RunOptions,
        connection: Connection,
        pace: Pace,
        listener: Listener,
        refresh: Callable[[], None],
        wall_clock: Callable[[], float],
    ) -> None:
        """`refresh` brings the files up to date, on a thread of its own. Raises FilesError and JournalError."""
        self._loaded = loaded
        self._journal = journal
        self._how = how
        self._connection = connection
        self._pace = pace
        self._listener = listener
        self._refresh = refresh
        self._wall_clock = wall_clock
        self.halt_reason: StoppedError | None = None
        self._account: Account | None = None
        # It outlasts the event loop of one call, and its counts are those of the whole run.
        self._service = Service(connection, pace, listener)

    @property
    def requests(self) -> RequestCounts:
        return self._service.counts

    async def ask(self) -> Holdings | None:
        """What the account has; None where it could not be asked, which halts the run before it begins.

        Raises SettingsError where its mailboxes are to be verified and it names no mail servers.
        """
        try:
            async with self._service as service:
                self._account = await service.account()
                if self._how.verify is not None:
                    servers(self._account, self._how.verify)
                return await take_stock(service, self._listener)
        except StoppedError as error:
            self.halt_reason = error
            return None

    def begin(self, todo: Plan, agree: Callable[[Prospect], bool]) -> None:
        """Do what the plan says, unless the service could not be asked, or what it costs is not agreed to."""
        if todo.idle:
            # Nothing is lost by a service that cannot be reached.
            self.halt_reason = None
        if self.halt_reason is None and not agree(self._prospect(todo)):
            self.halt_reason = DeclinedError(
                "Nothing was sent.", remedy="Run again when the mailboxes are to be created."
            )
        if self.halt_reason is None:
            anyio.run(self._go, todo)

    def verify(self) -> LoginCounts | None:
        """Log in to every created mailbox that was not logged in to yet; None where the servers cannot be asked for."""
        assert self._how.verify is not None
        if self._account is None and anyio.run(self.ask) is None:
            return None
        both = servers(self._account, self._how.verify)
        lines = (line for line in self._journal.record_lines() if {line.imap, line.smtp} != {LoginState.OK})
        resolver = Resolver(None)
        known = passwords(self._loaded.sheet, lambda email, domain: resolver.identity(email, domain).key)
        mailboxes = gather(lines, known, self._wall_clock())
        patience = self._how.verify.patience
        return anyio.run(lambda: verify(mailboxes, both, self._journal, self._listener, patience=patience))

    def _limited(self, todo: Plan) -> tuple[list[Job], list[Doubt]]:
        """What may be sent: rows in doubt, and then the first that are ready, together within the limit."""
        left = len(todo.to_send) + len(todo.doubts) if self._how.limit is None else self._how.limit
        doubts = []
        for doubt in todo.doubts:
            resend = doubt.resend and left > 0
            left -= resend
            doubts.append(replace(doubt, resend=resend))
        return todo.to_send[:left], doubts

    def _prospect(self, todo: Plan) -> Prospect:
        jobs, doubts = self._limited(todo)
        to_send, to_look_up = len(jobs), sum(doubt.resend for doubt in doubts)
        most = to_send + to_look_up
        return Prospect(
            to_send=to_send,
            to_poll=len(todo.open_tasks) + len(doubts) - to_look_up,
            to_look_up=to_look_up,
            done=todo.done,
            invalid=todo.invalid,
            held_back=len(todo.to_send) - to_send,
            service=self._connection.api_url,
            practice=service_name(self._connection.api_url) == PRACTICE,
            # A create and a question each.
            seconds=max(2 * most * rate.seconds / rate.count for rate in self._connection.rates),
            results=str(self._loaded.folder.results),
            failures=str(self._loaded.folder.failures),
        )

    async def _go(self, todo: Plan) -> None:
        """Do what the plan says, until it is done or the run is halted; never raises what can be told at the end."""
        self._halt = Halt()
        self._halt.on_call(self._stop_sending)
        async with self._service as service, anyio.create_task_group() as group:
            self._group = group
            group.start_soon(self._heed_signals)
            group.start_soon(self._refresh_files)
            try:
                await self._work(todo, service)
            except LaneClosedError:
                pass
            except StoppedError as error:
                self._halt.call(error)
            group.cancel_scope.cancel()
        self.halt_reason = self._halt.reason

    async def _work(self, todo: Plan, service: Service) -> None:
        began = self._wall_clock()
        jobs, doubts = self._limited(todo)
        held_back = todo.to_send[len(jobs) :]
        await self._journal.record(*(Ended(job.line, Status.UNSENT, began, HELD_BACK) for job in held_back))
        self._listener.planned(
            to_send=len(jobs), to_poll=len(todo.open_tasks) + len(doubts), done=todo.done, invalid=todo.invalid
        )
        if not (jobs or todo.open_tasks or doubts):
            return
        if not service.met:
            await service.account()
        # What is not there yet is sent again at the end: by then it is known how long the service takes.
        missing = await self._settle(doubts, service)
        doubts = missing + await self._send_and_poll(jobs, todo.open_tasks, service)
        resend = await self._second_look(doubts, service, began)
        doubts = await self._send_and_poll(resend, [], service)
        await self._settle([replace(doubt, resend=False) for doubt in doubts], service)

    async def _send_and_poll(self, jobs: Sequence[Job], tasks: Sequence[OpenTask], service: Service) -> list[Doubt]:
        """Send the jobs while the tasks, and those that come of the jobs, are polled; answers what is in doubt."""
        shared = (service, self._pace, self._journal, self._halt, self._listener)
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
        return [*submitter.doubts, *poller.doubts]

    async def _tell_of_waiting(self, poller: Poller) -> None:
        """Say once what is waited for, where nothing is left to send and it takes long."""
        await anyio.sleep(LONG_WAIT)
        left = duration(max(0.0, self._how.task_timeout - LONG_WAIT))
        self._listener.note(
            f"Everything is sent; {count(poller.open, 'mailbox is', 'mailboxes are')} not done yet, and asked about "
            f"for up to {left} more. Ctrl-C is safe: the next run asks again."
        )

    async def _second_look(self, doubts: Sequence[Doubt], service: Service, began: float) -> list[Job]:
        """Look up what this run left in doubt, waiting until a row that is not there is old enough to be sent again."""
        missing = await self._settle(doubts, service)
        if not missing:
            return []
        slowest = await anyio.to_thread.run_sync(self._journal.slowest, began)
        old_enough = max(self._how.settle_after, min(3 * slowest, self._how.task_timeout))
        wait = max(doubt.since for doubt in missing) + old_enough - anyio.current_time()
        if wait > 0:
            self._listener.held(wait, f"{len(missing)} rows without a clear answer are looked up once more")
            with anyio.move_on_after(wait):
                await self._halt.wait()
            missing = await self._settle(missing, service)
        return [doubt.job for doubt in missing]

    async def _settle(self, doubts: Sequence[Doubt], service: Service) -> list[Doubt]:
        """Look up rows in doubt; a run that was halted sends none of them again."""
        if self._halt.reason is not None and not isinstance(self._halt.reason, SameFailureError):
            doubts = []
        missing = await settle(doubts, service, self._journal, self._listener, wall_clock=self._wall_clock)
        return missing if self._halt.reason is None else []

    def _stop_sending(self, reason: StoppedError) -> None:
        """Halted: nothing new is sent; what is in flight is followed as long as that makes sense."""
        self._pace.close(Lane.CREATE)
        if isinstance(reason, InterruptedRunError):
            self._group.start_soon(self._stop_asking_later)
        elif not isinstance(reason, SameFailureError):
            self._pace.close(Lane.ASK)

    async def _stop_asking_later(self) -> None:
        self._listener.note(
            f"Stopping: nothing more is sent; tasks in flight are followed for {self._how.grace:g} seconds. "
            "Press Ctrl-C again to stop at once."
        )
        await anyio.sleep(self._how.grace)
        self._pace.close(Lane.ASK)

    async def _heed_signals(self) -> None:
        """The first interruption stops gently, the second at once, whatever else has halted the run before."""
        interrupted = False
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    if interrupted:
                        self._group.cancel_scope.cancel()
                    elif self._halt.reason is not None:
                        self._group.start_soon(self._stop_asking_later)
                    interrupted = True
                    self._halt.call(InterruptedRunError("The run was interrupted.", remedy="Run again to go on."))
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
                self._halt.call(error)
            pause = max(self._how.refresh, (anyio.current_time() - began) * WRITE_SHARE)
