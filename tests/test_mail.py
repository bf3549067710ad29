"""Mail servers that repeat what they were sent: nothing of the log-in comes out, in whatever spelling."""

from __future__ import annotations

import base64
import html
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import trustme

from provisioner.mail import imap_login, smtp_login
from provisioner.resources import LoginState, MailServer
from provisioner.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import SocketIO

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
            file.write(refusal(file.readline().decode().strip()).replace("TAG", tag).encode())
        else:
            known = "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n" if command == "CAPABILITY" else ""
            file.write(f"{known}{tag} OK done\r\n".encode())


def _smtp(file: SocketIO, refusal: Callable[[str], str]) -> None:
    file.write(b"220 mail.example ESMTP\r\n")
    while line := file.readline().decode().strip():
        if line.startswith("AUTH PLAIN "):
            file.write(refusal(line.removeprefix("AUTH PLAIN ")).encode())
        else:
            file.write(b"250 AUTH PLAIN\r\n")


@contextmanager
def serving(converse: Converse, refusal: Callable[[str], str]) -> Iterator[tuple[MailServer, ssl.SSLContext]]:
    """A server for one log-in, and the context that trusts it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as wrapped, wrapped.makefile("rwb", 0) as file:
                converse(file, refusal)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield MailServer("localhost", listener.getsockname()[1]), trusting
    thread.join(5)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("TAG NO you said {}\r\n", LoginState.REFUSED),
        ("TAG NO [UNAVAILABLE] {}\r\n", LoginState.UNREACHABLE),
        ("TAG BAD AUTHENTICATE PLAIN {}\r\n", LoginState.REFUSED),
        ("{}\r\n", LoginState.UNREACHABLE),
    ],
)
def test_nothing_that_an_imap_server_repeats_comes_out(spelling: str, answer: str, state: LoginState) -> None:
    """A refusal, an error or nonsense with the log-in in it: the state is told, and not the words."""
    with serving(_imap, lambda sent: answer.format(SPELLINGS[spelling](sent))) as (server, context):
        came = imap_login(server, ADDRESS, Secret(PASSWORD), context)
    assert came.state is state
    assert "so it is not shown" in came.sentence
    assert "4711" not in came.sentence


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("535 5.7.8 AUTH PLAIN {}\r\n", LoginState.REFUSED),
        ("535-5.7.8 no\r\n535 {}\r\n", LoginState.REFUSED),
        ("454 4.7.0 {}\r\n", LoginState.UNREACHABLE),
    ],
)
def test_nothing_that_an_smtp_server_repeats_comes_out(spelling: str, answer: str, state: LoginState) -> None:
    """The same over SMTP, in one line or several."""
    with serving(_smtp, lambda sent: answer.format(SPELLINGS[spelling](sent))) as (server, context):
        came = smtp_login(server, ADDRESS, Secret(PASSWORD), context)
    assert came.state is state
    assert "so it is not shown" in came.sentence
    assert "4711" not in came.sentence


def test_what_a_mail_server_says_itself_is_shown() -> None:
    """A sentence without the password is the reason, cleaned of what acts on a terminal."""
    with serving(_smtp, lambda _: "535 5.7.8 Too many \x1b[31mlog-ins\r\n") as (server, context):
        came = smtp_login(server, ADDRESS, Secret(PASSWORD), context)
    assert came.sentence == "localhost refused the log-in: 535 5.7.8 Too many \ufffd[31mlog-ins"
