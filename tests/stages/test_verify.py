"""Logging in to mailboxes, against a real Dovecot, and against ports where nothing or something else answers."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import dovecot
import pytest
import running
from scripted import reply

from provisioner import verification
from provisioner.certificates import trusted
from provisioner.errors import RunFolderError, SettingsError
from provisioner.journal import Journal, JournalRow, Written, password_check
from provisioner.mail import imap_login, smtp_login
from provisioner.records import RowId, Status
from provisioner.resources import Account, LoginState, MailServer
from provisioner.secret import Secret
from provisioner.settings import RunOptions, SheetOptions, VerifyOptions
from provisioner.stages import verify as stage
from provisioner.stages.verify import OTHER_PASSWORD, UNKNOWN_ADDRESS, UNKNOWN_PASSWORD, gather, mail_servers, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

PASSWORD = "Sheet-Pass-77!"
FAST = {"latency": 0.02, "latency_spread": 0.0}


@pytest.fixture(scope="session")
def unproved_mail(authority: trustme.CA) -> Iterator[dovecot.Dovecot]:
    """A Dovecot that shows a certificate of an authority that nobody trusts."""
    if not dovecot.is_installed():
        assert dovecot.REQUIRED not in os.environ, dovecot.ABSENT
        pytest.skip(dovecot.ABSENT)
    with dovecot.running(authority) as server:
        yield server


@pytest.fixture
def mail(unproved_mail: dovecot.Dovecot, trusted_authority: trustme.CA) -> dovecot.Dovecot:
    """A Dovecot that is trusted."""
    return unproved_mail


def journal_row(number: int, **known: Any) -> JournalRow:
    fields = {
        "address": f"user{number}@example.org",
        "status": Status.CREATED,
        "sends": 1,
        "finished_at": 1_000_000.0,
        "password_check": password_check(Secret(PASSWORD), RowId(number)),
    }
    return running.journal_row(number, **{**fields, **known})


@pytest.mark.parametrize(("name", "password"), [("right", PASSWORD), ("foreign", "Pässwörd 漢字 77!")])
def test_a_right_password_is_ok_over_both(mail: Any, name: str, password: str) -> None:
    """Also one beyond ASCII, and one with blanks."""
    address = f"{name}@example.org"
    context = trusted()
    assert imap_login(mail.imap, address, Secret(password), context).state is LoginState.OK
    assert smtp_login(mail.smtp, address, Secret(password), context).state is LoginState.OK


def test_a_wrong_password_is_refused_after_one_attempt_each(mail: Any) -> None:
    """The server counts one failed attempt for each protocol: nothing is tried in a second way."""
    before = mail.refusals()
    for attempt, server in ((imap_login, mail.imap), (smtp_login, mail.smtp)):
        answer = attempt(server, "right@example.org", Secret("Other-Pass-88!"), trusted())
        assert answer.state is LoginState.REFUSED
        assert "refused the log-in" in answer.sentence
        assert "Other-Pass-88!" not in answer.sentence
    deadline = time.monotonic() + 5
    while mail.refusals() < before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mail.refusals() == before + 2


def test_a_certificate_that_nobody_vouches_for_gets_no_password(unproved_mail: Any) -> None:
    """Without trust in its authority the server is as good as out of reach, and the reason says so."""
    for attempt, server in ((imap_login, unproved_mail.imap), (smtp_login, unproved_mail.smtp)):
        answer = attempt(server, "any@example.org", Secret(PASSWORD), trusted())
        assert answer.state is LoginState.UNREACHABLE
        assert "certificate that is not trusted" in answer.sentence


def test_only_the_password_of_the_creation_is_tried() -> None:
    """A password generated here comes first; of a sheet's, only one that fits; what is not created is left out."""
    rows = [
        journal_row(1),
        journal_row(2),
        journal_row(3),
        journal_row(4, address=""),
        journal_row(5, password=Secret("Made-Up-1!")),
        journal_row(6, status=Status.EXISTS),
        journal_row(7),
    ]
    given = {
        "user1@101": [Secret("Old-Pass-1!"), Secret(PASSWORD)],
        "user2@101": [Secret("Old-Pass-1!")],
        "user4@101": [Secret(PASSWORD)],
        "user7@example.org": [Secret(PASSWORD)],
    }
    gathered = gather(rows, given, now=1_000_100.0)
    assert [(login.row_id, login.password, login.fresh) for login in gathered.ready] == [
        (1, Secret(PASSWORD), True),
        (5, Secret("Made-Up-1!"), True),
        (7, Secret(PASSWORD), True),
    ]
    assert gathered.untried == {2: OTHER_PASSWORD, 3: UNKNOWN_PASSWORD, 4: UNKNOWN_ADDRESS}
    also = gather([journal_row(6, status=Status.EXISTS)], {"user6@101": [Secret(PASSWORD)]}, 1_000_100.0, existing=True)
    assert [(login.row_id, login.fresh) for login in also.ready] == [(6, False)], "tried once"


def test_the_accounts_servers_can_be_replaced() -> None:
    """What is given counts; what is missing is asked for by its option."""
    assert VerifyOptions(imap_host="imap.example", smtp_host="smtp.example").names_servers
    assert not VerifyOptions(imap_host="imap.example").names_servers
    assert not VerifyOptions(smtp_host="smtp.example").names_servers
    account = Account({}, smtp=MailServer("smtp.example", 465), imap=MailServer("imap.example", 993))
    assert mail_servers(account, VerifyOptions()) == (account.imap, account.smtp)
    assert mail_servers(account, VerifyOptions(imap_host="other.example", smtp_port=1465)) == (
        MailServer("other.example", 993),
        MailServer("smtp.example", 1465),
    )
    with pytest.raises(SettingsError, match="SMTP server") as refusal:
        mail_servers(Account({}, None, account.imap), VerifyOptions())
    assert "--smtp-host" in refusal.value.remedy


def test_a_server_out_of_reach_is_not_asked_for_every_mailbox(tmp_path: Path, listener: Any, monkeypatch: Any) -> None:
    """After a few misses in a row the rest of a round is spared; the next round tries again, in growing pauses."""
    asked: list[str] = []

    def attempt(server: MailServer, address: str, password: Secret, context: Any) -> Any:
        asked.append(address)
        return imap_login(MailServer("127.0.0.1", 9), address, password, context)

    monkeypatch.setattr(stage, "imap_login", attempt)
    monkeypatch.setattr(stage, "smtp_login", attempt)
    monkeypatch.setattr(stage, "FIRST_PAUSE", 1.5)
    monkeypatch.setattr(stage, "WORKERS", 1)
    rows = [journal_row(number) for number in range(1, 31)]
    mailboxes = gather(rows, {f"user{number}@101": [Secret(PASSWORD)] for number in range(1, 31)}, now=0.0)
    nobody = (MailServer("127.0.0.1", 9), MailServer("127.0.0.1", 9))
    with closing(Journal(tmp_path / "journal.sqlite3")) as journal:
        journal.apply_sheet(map(Written, rows))
        counts = anyio.run(lambda: verify(mailboxes, nobody, journal, listener, patience=4.0))
        assert (counts.ok, counts.failed) == (0, 30)
        assert {each.imap for each in journal.rows()} == {LoginState.UNREACHABLE}
    rounds = len(listener.all("paused")) + 1
    assert rounds > 1
    assert len(asked) == rounds * 2 * stage.GIVE_UP


@pytest.fixture
def run(connection: Any, listener: Any, mail: Any) -> Callable[..., Any]:
    def start(sheet: Path, service: Any, *, generate: bool = False, patience: float = 0.0) -> Any:
        how = VerifyOptions(patience=patience, imap_port=mail.imap.port, smtp_port=mail.smtp.port)
        options = SheetOptions(sheet=sheet, generate_passwords=generate)
        return running.run(options, connection(service), listener, RunOptions(verify=how))

    return start


def test_a_run_proves_its_mailboxes(
    sandbox: Any, run: Any, mail: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """results.csv says of each created mailbox whether it can be logged in to; the next run tries only the others."""
    sheet = write_sheet([(name, "101", "201", PASSWORD, "", "") for name in ("ann", "bob", "cid", "info", "b d")])
    service = sandbox(**FAST)
    counts = run(sheet, service).summary.logins
    assert (counts.ok, counts.failed, counts.untried) == (2, 1, 0)
    results = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [(row["imap"], row["smtp"]) for row in results] == [
        ("ok", "ok"),
        ("ok", "ok"),
        ("refused", "refused"),
        ("", ""),
        ("", ""),
    ]
    assert "IMAP: 127.0.0.1 refused the log-in" in results[2]["login_error"]
    mail.add("cid@acme-mail.example", PASSWORD)
    counts = run(sheet, service, patience=8.0).summary.logins
    assert (counts.ok, counts.failed, counts.untried) == (1, 0, 0)


def test_a_mailbox_that_comes_a_little_later_is_waited_for(
    sandbox: Any, run: Any, mail: Any, write_sheet: Any, listener: Any, monkeypatch: Any
) -> None:
    """A new mailbox that the mail server does not know yet is tried again until it does."""
    monkeypatch.setattr(stage, "FIRST_PAUSE", 1.0)
    told = listener.paused

    def paused(seconds: float, reason: str) -> None:
        told(seconds, reason)
        threading.Thread(target=mail.add_unseen, args=("late@acme-mail.example", PASSWORD)).start()

    monkeypatch.setattr(listener, "paused", paused)
    sheet = write_sheet([("late", "101", "201", PASSWORD, "", "")])
    counts = run(sheet, sandbox(**FAST), patience=20.0).summary.logins
    assert counts.ok == 1
    assert len(listener.all("paused")) >= 1


def test_a_run_is_verified_later_from_its_folder(
    sandbox: Any, connection: Any, mail: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """The folder alone is enough: the journal has the sheet and the passwords, the service names the servers."""
    service = sandbox(**FAST)
    sheet = write_sheet([("dan", "101", "201", PASSWORD, "", ""), ("eve", "acme-mail.example", "201", "", "", "")])
    connect = lambda _: nullcontext(connection(service))  # noqa: E731 - one line
    options = SheetOptions(sheet=sheet, generate_passwords=True)
    running.run(options, connection(service), listener)
    results = sheet.parent / "acme-run" / "results.csv"
    generated = read_csv(results)[1]["password"]
    mail.add("eve@acme-mail.example", generated)
    how = VerifyOptions(patience=8.0, imap_port=mail.imap.port, smtp_port=mail.smtp.port)
    verified = anyio.run(verification.verify_run, results.parent, (), how, connect, listener)
    assert (verified.counts.ok, verified.bad) == (2, ())
    assert [(row["imap"], row["smtp"]) for row in read_csv(results)] == [("ok", "ok")] * 2


def test_another_service_names_no_servers_for_a_run(
    sandbox: Any, connection: Any, write_sheet: Any, listener: Any, server: Any
) -> None:
    """Its mail servers would be sent the passwords of mailboxes that are not there; it is not even asked."""
    sheet, other = write_sheet(1), server(reply(200, {"ibx_imap": "imap.other.example"}))
    running.run(sheet, connection(sandbox(**FAST)), listener)
    connect = lambda _: nullcontext(connection(other.url))  # noqa: E731 - one line
    with pytest.raises(RunFolderError, match="was used for practice"):
        anyio.run(verification.verify_run, sheet, (), VerifyOptions(), connect, listener)
    assert other.requests == []


def test_a_changed_sheet_locks_no_account(
    sandbox: Any, connection: Any, mail: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """A password that the mailbox was not created with is not tried; the sheet that has the right one can be named."""
    service = sandbox(**FAST)
    sheet = write_sheet([("flo", "101", "201", PASSWORD, "", "")])
    running.run(sheet, connection(service), listener)
    write_sheet([("flo", "101", "201", "Other-Pass-88!", "", "")])
    before = mail.refusals()
    how = VerifyOptions(
        patience=8.0, imap_host="127.0.0.1", imap_port=mail.imap.port, smtp_host="127.0.0.1", smtp_port=mail.smtp.port
    )
    verified = anyio.run(verification.verify_run, sheet, (), how, None, listener)
    assert (verified.counts.untried, verified.bad[0].reason) == (1, OTHER_PASSWORD)
    assert mail.refusals() == before
    right = write_sheet([("flo", "101", "201", PASSWORD, "", "")], name="right.csv")
    again = anyio.run(verification.verify_run, sheet.parent / "acme-run", (right,), how, None, listener)
    assert again.counts.ok == 1


def test_what_existed_before_is_proved(
    sandbox: Any, connection: Any, mail: Any, write_sheet: Any, read_csv: Any, listener: Any
) -> None:
    """Nobody knows the password of a mailbox that was there already; logging in tells whether it is the sheet's."""
    service = sandbox(**FAST)
    sheet = write_sheet([("info", "101", "201", PASSWORD, "", ""), ("sales", "101", "201", PASSWORD, "", "")])
    assert running.run(sheet, connection(service), listener).summary.statuses == {Status.EXISTS: 2}
    mail.add("info@acme-mail.example", PASSWORD)
    how = VerifyOptions(
        patience=8.0, imap_host="127.0.0.1", imap_port=mail.imap.port, smtp_host="127.0.0.1", smtp_port=mail.smtp.port
    )
    verified = anyio.run(verification.verify_run, sheet, (), how, None, listener)
    assert (verified.counts.ok, verified.counts.failed) == (1, 1)
    assert [group.examples for group in verified.bad] == [("sales@acme-mail.example",)]
    results = read_csv(sheet.parent / "acme-run" / "results.csv")
    assert [(row["status"], row["imap"]) for row in results] == [("exists", "ok"), ("exists", "refused")]
