"""Logs in to a mailbox over IMAPS and SMTPS, once, and returns the outcome. Sole owner of imaplib and smtplib.

Both are asked for PLAIN by hand: the libraries' own `login` fails on a password beyond ASCII, and smtplib's tries a
wrong password twice, which can lock the account.
"""

from __future__ import annotations

import base64
import imaplib
import re
import smtplib
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

from provisioner.messages import UNTRUSTED, shorten
from provisioner.redaction import Secrets
from provisioner.resources import LoginAnswer, LoginState, MailServer

if TYPE_CHECKING:
    from provisioner.secret import Secret

TIMEOUT = 15.0
"""Seconds to wait for each of a mail server's answers."""
SENTENCE_LENGTH = 200
NOT_SHOWN = "its answer repeats the password, so it is not shown"
ACCEPTED, BAD_FOR_GOOD = 235, 500

# https://www.rfc-editor.org/rfc/rfc5530: the server is at fault, or it will be better later.
NOT_NOW = re.compile(r"\[(?:UNAVAILABLE|INUSE|LIMIT|SERVERBUG)\]", re.IGNORECASE)


def imap_login(server: MailServer, address: str, password: Secret, context: ssl.SSLContext) -> LoginAnswer:
    """One attempt over IMAPS. Blocks; never raises what a server or the network can do."""
    try:
        imap = imaplib.IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=TIMEOUT)
    except (OSError, imaplib.IMAP4.error) as error:
        return _unreachable(server, error, password)
    try:
        imap.authenticate("PLAIN", lambda _: _plain(address, password))
    except (imaplib.IMAP4.abort, OSError) as error:
        return _unreachable(server, error, password)
    except imaplib.IMAP4.error as error:
        return _not_accepted(server, error, password, for_now=NOT_NOW.search(str(error)) is not None)
    finally:
        with suppress(OSError, imaplib.IMAP4.error):
            imap.logout()
        # Where the server does not answer that, the library leaves the connection open.
        with suppress(OSError):
            imap.shutdown()
    return LoginAnswer(LoginState.OK)


def smtp_login(server: MailServer, address: str, password: Secret, context: ssl.SSLContext) -> LoginAnswer:
    """One attempt over SMTPS. Blocks; never raises what a server or the network can do."""
    try:
        # A name of its own spares a reverse look-up, which can take half a minute.
        smtp = smtplib.SMTP_SSL(server.host, server.port, local_hostname="localhost", timeout=TIMEOUT, context=context)
    except (OSError, smtplib.SMTPException) as error:
        return _unreachable(server, error, password)
    try:
        smtp.ehlo_or_helo_if_needed()
        code, answer = smtp.docmd("AUTH", "PLAIN " + base64.b64encode(_plain(address, password)).decode())
    except (OSError, smtplib.SMTPException) as error:
        return _unreachable(server, error, password)
    finally:
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        smtp.close()
    if code == ACCEPTED:
        return LoginAnswer(LoginState.OK)
    said = f"{code} {answer.decode('utf-8', 'replace')}"
    return _not_accepted(server, said, password, for_now=code < BAD_FOR_GOOD)


def _plain(address: str, password: Secret) -> bytes:
    """The message of https://www.rfc-editor.org/rfc/rfc4616."""
    return f"\0{address}\0{password.reveal()}".encode()


def _not_accepted(server: MailServer, said: object, password: Secret, *, for_now: bool) -> LoginAnswer:
    """The server's own no; `for_now`: it does not judge the password."""
    sentence = _sentence(said, password)
    if for_now:
        return LoginAnswer(LoginState.UNREACHABLE, f"{server.host} cannot say at present: {sentence}")
    return LoginAnswer(LoginState.REFUSED, f"{server.host} refused the log-in: {sentence}")


def _unreachable(server: MailServer, error: Exception, password: Secret) -> LoginAnswer:
    where = f"{server.host} port {server.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return LoginAnswer(LoginState.UNREACHABLE, f"{where} {UNTRUSTED}: {error.verify_message}")
    said = _sentence(error.strerror if isinstance(error, OSError) and error.strerror else error, password)
    return LoginAnswer(LoginState.UNREACHABLE, f"{where} cannot be reached: {said or type(error).__name__}")


def _sentence(said: object, password: Secret) -> str:
    """What a server says. One that repeats the log-in, which holds the password in base64, is not quoted."""
    text = " ".join(str(said).split())
    printable = "".join(char if char.isprintable() else "\ufffd" for char in text)
    return shorten(Secrets(password).safe(printable, NOT_SHOWN), SENTENCE_LENGTH)
