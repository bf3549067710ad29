"""Log in to every created mailbox over IMAP and SMTP, once each, and store what came of it.

A password that is tried too often locks its account, so only two things are tried again, and within a time: a mailbox
so new that the mail servers may not know it yet, and a server that cannot be reached.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from provisioner.certificates import trusted
from provisioner.errors import SettingsError, StoppedError
from provisioner.journal import Journal, JournalRow, LoginChecked
from provisioner.mail import imap_login, smtp_login
from provisioner.records import IMAPS_PORT, SMTPS_PORT, Account, LoginAnswer, LoginState, MailLogin, MailServer, Status
from provisioner.stages.find_passwords import find_password, given_passwords, passwords
from provisioner.stages.resolve import Resolver
from provisioner.summary import LoginCounts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provisioner.events import Listener
    from provisioner.mail import Attempt
    from provisioner.secret import Secret
    from provisioner.settings import VerifyOptions
    from provisioner.sheets import Sheet
    from provisioner.stages.context import RunContext

WORKERS = 8
"""Mailboxes that are logged in to at once: mail servers count connections from one address."""
FRESH = 15 * 60.0
"""Seconds after its creation in which a refused mailbox is tried again."""
FIRST_PAUSE = 5.0
"""Seconds before the second round; each further pause is twice as long."""
GIVE_UP = 3
"""After so many mailboxes in a row that found a server out of reach, it is left alone until the next round."""

UNKNOWN_ADDRESS = "not tried: the full address is not known; run the sheet again, then verify"
SEE_EXPORT = "the service's export may hold it (provisioner export)"
UNKNOWN_PASSWORD = f"not tried: its password is neither in the sheet nor made up by this program; {SEE_EXPORT}"
OTHER_PASSWORD = f"not tried: the sheet's password is not that of the mailbox's creation; {SEE_EXPORT}"


@dataclass(frozen=True, slots=True)
class Untried:
    """A mailbox that cannot be logged in to, and why."""

    row: JournalRow
    reason: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """The created mailboxes of a run."""

    ready: Sequence[MailLogin]
    untried: Sequence[Untried]


def gather(
    rows: Iterable[JournalRow], passwords: Mapping[str, Sequence[Secret]], now: float, *, existing: bool = False
) -> Gathered:
    """Which mailboxes can be logged in to, and which cannot.

    `passwords`: by a row's key or its full address in lower case, all that sheets give for it. Only one that the
    mailbox was created with is ever tried; with `existing`, also the sheet's one password of a mailbox that existed
    before. `now`: seconds since 1970.
    """
    ready, untried = [], []
    for row in rows:
        if row.status is not Status.CREATED and not (existing and row.status is Status.EXISTS):
            continue
        password, reason = _password(row, passwords)
        if not row.address:
            untried.append(Untried(row, UNKNOWN_ADDRESS))
        elif password is None:
            untried.append(Untried(row, reason))
        else:
            new = row.status is Status.CREATED and row.finished_at is not None
            fresh = new and abs(now - (row.finished_at or 0.0)) < FRESH
            ready.append(MailLogin(row.id, row.address, password, fresh))
    return Gathered(ready, untried)


def _password(row: JournalRow, passwords: Mapping[str, Sequence[Secret]]) -> tuple[Secret | None, str]:
    password = find_password(row, passwords)
    if password is not None:
        return password, ""
    return None, OTHER_PASSWORD if given_passwords(row, passwords) else UNKNOWN_PASSWORD


async def verify(
    mailboxes: Gathered,
    servers: tuple[MailServer, MailServer],
    journal: Journal,
    listener: Listener,
    *,
    patience: float,
    wall_clock: Callable[[], float] = time.time,
) -> LoginCounts:
    """Try all of them, and again what may be better a little later, for `patience` seconds. Raises JournalError.

    `servers`: IMAP's and SMTP's.
    """
    for each in mailboxes.untried:
        await journal.record(LoginChecked(each.row.id, wall_clock(), None, None, each.reason))
    context = await anyio.to_thread.run_sync(trusted)
    imap, smtp = servers
    both = (_Server(imap, imap_login, context), _Server(smtp, smtp_login, context))
    work = _Verifying(both, journal, wall_clock)
    deadline = anyio.current_time() + patience
    pause, waiting = FIRST_PAUSE, list(mailboxes.ready)
    while waiting:
        await work.round(waiting)
        waiting = [login for login in waiting if work.may_improve(login)]
        if not waiting or anyio.current_time() + pause > deadline:
            break
        listener.paused(pause, f"{len(waiting)} mailboxes are tried again")
        await anyio.sleep(pause)
        pause *= 2
    good = sum(work.is_good(login) for login in mailboxes.ready)
    return LoginCounts(ok=good, failed=len(mailboxes.ready) - good, untried=len(mailboxes.untried))


async def verify_created(context: RunContext, sheet: Sheet, account: Account | None) -> LoginCounts | None:
    """Log in to the created mailboxes that were not proved yet, if the run is to do so and was not stopped.

    `account` is None if it was not asked yet. An interruption ends it; returns None if it was not carried out whole.
    Raises SettingsError if a mail server is missing, and JournalError.
    """
    how, journal = context.options.verify, context.journal
    if how is None or context.stop_signal.reason is not None:
        return None
    with context.stop_signal.cancelling():
        try:
            both = servers(account or await context.service.account(), how)
        except StoppedError as error:
            context.stop_signal.set(error)
            return None
        mailboxes = await anyio.to_thread.run_sync(_created, journal, sheet, context.wall_clock())
        return await verify(mailboxes, both, journal, context.listener, patience=how.patience)
    return None


def _created(journal: Journal, sheet: Sheet, now: float) -> Gathered:
    rows = (row for row in journal.record_rows() if {row.imap, row.smtp} != {LoginState.OK})
    resolver = Resolver(None)
    known = passwords(sheet, lambda email, domain: resolver.identity(email, domain).key)
    return gather(rows, known, now)


class _Server:
    """One mail server, and how many mailboxes in a row found it out of reach."""

    def __init__(self, server: MailServer, attempt: Attempt, context: ssl.SSLContext) -> None:
        self._server = server
        self._attempt = attempt
        self._context = context
        self._misses: list[LoginAnswer] = []
        self.answers: dict[int, LoginAnswer] = {}
        """The latest, by row."""

    def begin_round(self) -> None:
        self._misses = []

    async def log_in(self, login: MailLogin) -> None:
        """One attempt, or none where the server is known to be out of reach."""
        if len(self._misses) >= GIVE_UP:
            self.answers[login.row_id] = self._misses[-1]
            return
        attempt = partial(self._attempt, self._server, login.address, login.password, self._context)
        answer = await anyio.to_thread.run_sync(attempt)
        self._misses = [*self._misses, answer] if answer.state is LoginState.UNREACHABLE else []
        self.answers[login.row_id] = answer


class _Verifying:
    """What the workers of one verification share."""

    def __init__(self, servers: Sequence[_Server], journal: Journal, wall_clock: Callable[[], float]) -> None:
        self._servers = servers
        self._journal = journal
        self._now = wall_clock

    async def round(self, logins: Sequence[MailLogin]) -> None:
        """Each of them once with each server that has not accepted it yet."""
        waiting = iter(logins)
        for server in self._servers:
            server.begin_round()

        async def work() -> None:
            for login in waiting:
                for server in self._servers:
                    if not _is(LoginState.OK, server, login):
                        await server.log_in(login)
                await self._journal.record(self._change(login))

        async with anyio.create_task_group() as group:
            for _ in range(WORKERS):
                group.start_soon(work)

    def is_good(self, login: MailLogin) -> bool:
        return all(_is(LoginState.OK, server, login) for server in self._servers)

    def may_improve(self, login: MailLogin) -> bool:
        """Whether another attempt makes sense, and can lock nothing that would not be locked anyway."""
        refused = any(_is(LoginState.REFUSED, server, login) for server in self._servers)
        return not self.is_good(login) and (login.fresh or not refused)

    def _change(self, login: MailLogin) -> LoginChecked:
        imap, smtp = (server.answers[login.row_id] for server in self._servers)
        named = zip(("IMAP", "SMTP"), (imap, smtp), strict=True)
        error = "; ".join(f"{name}: {answer.sentence}" for name, answer in named if answer.sentence)
        return LoginChecked(login.row_id, self._now(), imap.state, smtp.state, error or None)


def _is(state: LoginState, server: _Server, login: MailLogin) -> bool:
    answer = server.answers.get(login.row_id)
    return answer is not None and answer.state is state


def servers(account: Account | None, how: VerifyOptions) -> tuple[MailServer, MailServer]:
    """The IMAP and the SMTP server: the account's, but for what is given. Raises SettingsError where one is missing."""
    imap = _server("IMAP", account.imap if account else None, how.imap_host, how.imap_port, IMAPS_PORT)
    return imap, _server("SMTP", account.smtp if account else None, how.smtp_host, how.smtp_port, SMTPS_PORT)


def _server(name: str, known: MailServer | None, host: str | None, port: int | None, usual: int) -> MailServer:
    host = host or (known.host if known else None)
    if not host:
        raise SettingsError(
            f"The service does not say which {name} server the account has.",
            remedy=f"Name it with --{name.lower()}-host.",
        )
    return MailServer(host, port or (known.port if known else usual))
