"""What mail servers answer is told apart, and nothing of the log-in comes out that they repeat, however spelled."""

from __future__ import annotations

import base64
import html
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from provisioner.mail import imap_login, smtp_login
from provisioner.resources import LoginState, MailServer
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import SocketIO

    import trustme

    from provisioner.resources import LoginAnswer

    Converse = Callable[[SocketIO, Callable[[str], str]], None]

ADDRESS, PASSWORD = "ann@acme.example", 'Zx "4711"/pw!'
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it was sent": str,
    "decoded": lambda sent: base64.b64decode(sent).decode().replace("\0", " "),
    "HTML": lambda sent: html.escape(base64.b64decode(sent).decode()),
    "URL": lambda sent: quote(base64.b64decode(sent), safe="/"),
    "hexadecimal": lambda sent: base64.b64decode(sent).hex(),
    "base64 of base64": lambda sent: base64.b64encode(sent.encode()).decode(),
}


def _imap(file: SocketIO, refusal: Callable[[str], str]) -> None:
    file.write(b"* OK ready\r\n")
    while line := file.readline().decode():
        tag, command, *_ = line.split()
        if command == "AUTHENTICATE":
            file.write(b"+ \r\n")
            answer = refusal(file.readline().decode().strip()).replace("TAG", tag)
            file.write(answer.encode())
            if answer.startswith("* BYE"):
                return
        else:
            known = "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" if command == "CAPABILITY" else ""
            file.write(f"{known}{tag} OK done\r\n".encode())


def _smtp(file: SocketIO, refusal: Callable[[str], str]) -> None:
    file.write(b"220 mail.example ESMTP\r\n")
    while line := file.readline().decode().strip():
        if line.startswith("AUTH PLAIN "):
            file.write(refusal(line.removeprefix("AUTH PLAIN ")).encode(errors="surrogateescape"))
        else:
            file.write(b"250 AUTH PLAIN\r\n")


@pytest.fixture
def log_in(
    authority: trustme.CA, certified: Callable[[str], ssl.SSLContext]
) -> Callable[[Converse, Callable[[str], str]], LoginAnswer]:
    """Log in to a server that converses like this, and says what `refusal` makes of the log-in."""
    context = certified("localhost")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def log_in(converse: Converse, refusal: Callable[[str], str]) -> LoginAnswer:
        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as wrapped, wrapped.makefile("rwb", 0) as file:
                    converse(file, refusal)

        attempt = imap_login if converse is _imap else smtp_login
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            answer = attempt(MailServer("localhost", listener.getsockname()[1]), ADDRESS, Secret(PASSWORD), trusting)
        thread.join(5)
        return answer

    return log_in


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("try_over", "answer", "state"),
    [
        (_imap, "TAG NO you said {}\r\n", LoginState.REFUSED),
        (_imap, "TAG NO [UNAVAILABLE] {}\r\n", LoginState.UNREACHABLE),
        (_imap, "TAG BAD AUTHENTICATE PLAIN {}\r\n", LoginState.REFUSED),
        (_imap, "{}\r\n", LoginState.UNREACHABLE),
        (_smtp, "535 5.7.8 AUTH PLAIN {}\r\n", LoginState.REFUSED),
        (_smtp, "535-5.7.8 no\r\n535 {}\r\n", LoginState.REFUSED),
        (_smtp, "454 4.7.0 {}\r\n", LoginState.UNREACHABLE),
    ],
)
def test_nothing_that_a_mail_server_repeats_comes_out(
    log_in: Any, spelling: str, try_over: Any, answer: str, state: LoginState
) -> None:
    """A refusal in one line or several, an error or nonsense with the log-in in it: only the state is told."""
    came = log_in(try_over, lambda sent: answer.format(SPELLINGS[spelling](sent)))
    assert came.state is state
    assert "so it is not shown" in came.sentence
    assert "4711" not in came.sentence


def test_what_a_mail_server_says_itself_is_shown(log_in: Any) -> None:
    """A sentence without the password is the reason, cleaned of what acts on a terminal."""
    came = log_in(_smtp, lambda _: "535 5.7.8 Too many \x1b[31mlog-ins\r\n")
    assert came.sentence == "localhost refused the log-in: 535 5.7.8 Too many \ufffd[31mlog-ins"


@pytest.mark.parametrize("attempt", [imap_login, smtp_login])
def test_a_port_where_nothing_answers_is_unreachable(attempt: Any) -> None:
    """The sentence names host and port."""
    answer = attempt(MailServer("127.0.0.1", 9), ADDRESS, Secret(PASSWORD), ssl.create_default_context())
    assert answer.state is LoginState.UNREACHABLE
    assert "127.0.0.1 port 9" in answer.sentence


@pytest.mark.parametrize(
    ("converse", "said", "state"),
    [
        (_smtp, "454 4.7.0 Temporary authentication failure", LoginState.UNREACHABLE),
        (_smtp, "421 4.3.2 Service not available", LoginState.UNREACHABLE),
        (_smtp, "535 5.7.8 Authentication credentials invalid", LoginState.REFUSED),
        (_smtp, "235 2.7.0 Accepted", LoginState.OK),
        (_smtp, "\x00\udcff\x1b[31m", LoginState.UNREACHABLE),
        (_imap, "TAG NO [UNAVAILABLE] Temporary authentication failure", LoginState.UNREACHABLE),
        (_imap, "TAG NO [AUTHENTICATIONFAILED] Authentication failed.", LoginState.REFUSED),
        (_imap, "* BYE overloaded", LoginState.UNREACHABLE),
        (_imap, "nonsense \x1b[31m", LoginState.UNREACHABLE),
    ],
)
def test_what_a_server_answers_is_told_apart(log_in: Any, converse: Converse, said: str, state: LoginState) -> None:
    """Trouble of the server is not taken for a wrong password."""
    answer = log_in(converse, lambda _: f"{said}\r\n")
    assert answer.state is state
    assert answer.sentence.isprintable()
