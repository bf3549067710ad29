"""A real mail server for the tests: Dovecot, unprivileged, on free ports of loopback."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import socketserver
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripted import threaded

from provisioner.resources import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import trustme

TEMPLATE = Path(__file__).with_name("dovecot.conf")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
ABSENT = "Dovecot is not installed: apt-get install dovecot-imapd dovecot-submissiond"
REQUIRED = "REQUIRE_DOVECOT"
"""Set where the tests must not be left out for want of it."""
MAILBOXES = {
    "right@example.org": "Sheet-Pass-77!",
    "foreign@example.org": "Pässwörd 漢字 77!",
    "ann@acme-mail.example": "Sheet-Pass-77!",
    "bob@acme-mail.example": "Sheet-Pass-77!",
    "dan@acme-mail.example": "Sheet-Pass-77!",
    "flo@acme-mail.example": "Sheet-Pass-77!",
}
"""Those that are there from the start."""
START_TIMEOUT = 20.0
ADD_TIMEOUT = 10.0


def is_installed() -> bool:
    return shutil.which("dovecot", path=PATH) is not None


@dataclass(frozen=True)
class Dovecot:
    folder: Path
    imap: MailServer
    smtp: MailServer

    def add(self, address: str, password: str) -> None:
        """Let a mailbox exist, and wait until the server knows it.

        Dovecot looks at its list at most once in a second, so a log-in just before would hide the new line from one
        just after.
        """
        self.add_unseen(address, password)
        configuration = str(self.folder / "dovecot.conf")
        words = [
            shutil.which("doveadm", path=PATH) or "doveadm",
            "-c",
            configuration,
            "auth",
            "test",
            address,
            password,
        ]
        deadline = time.monotonic() + ADD_TIMEOUT
        while (tried := subprocess.run(words, capture_output=True, text=True, check=False)).returncode:
            assert time.monotonic() < deadline, tried.stdout + tried.stderr
            time.sleep(0.05)

    def add_unseen(self, address: str, password: str) -> None:
        """Let a mailbox exist; the server sees it a second or two later."""
        with (self.folder / "users").open("a", encoding="utf-8") as users:
            users.write(f"{address}:{{PLAIN}}{password}\n")

    def refusals(self) -> int:
        """How many log-ins were refused so far."""
        return (self.folder / "dovecot.log").read_text("utf-8").count("auth failed")


class _Relay(socketserver.StreamRequestHandler):
    """What Dovecot's submission service wants behind it before it lets anybody in."""

    def handle(self) -> None:
        self.wfile.write(b"220 relay\r\n")
        for line in self.rfile:
            self.wfile.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n")


@contextmanager
def running(authority: trustme.CA) -> Iterator[Dovecot]:
    """A Dovecot without mailboxes, whose certificate for 127.0.0.1 is signed by `authority`."""
    with ExitStack() as stack:
        # Not below pytest's own folder: its path is too long for the sockets, and closed to other users.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dovecot-", dir="/tmp")))
        relay = stack.enter_context(threaded(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Relay)))
        imap, smtp = _free_port(), _free_port()
        _fill(folder, authority, {"RELAY_PORT": relay, "IMAP_PORT": imap, "SMTP_PORT": smtp})
        words = [shutil.which("dovecot", path=PATH) or "dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            words = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *words]
        with (folder / "start.log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(process, folder, imap, smtp)
            yield Dovecot(folder, MailServer("127.0.0.1", imap), MailServer("127.0.0.1", smtp))
        finally:
            process.terminate()
            process.wait(timeout=START_TIMEOUT)


def _fill(folder: Path, authority: trustme.CA, ports: dict[str, int]) -> None:
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    certificate = authority.issue_cert("127.0.0.1")
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    users = [f"{name}:{{PLAIN}}{password}\n" for name, password in MAILBOXES.items()]
    (folder / "users").write_text("".join(users), "utf-8")
    text = TEMPLATE.read_text("utf-8")
    for name, value in {
        "FOLDER": folder, "USER": user.pw_name, "GROUP": grp.getgrgid(user.pw_gid).gr_name, **ports
    }.items():  # fmt: skip
        text = text.replace(name, str(value))
    (folder / "dovecot.conf").write_text(text, "utf-8")
    for path in (folder, *folder.iterdir()):
        os.chown(path, user.pw_uid, user.pw_gid)


def _wait_for(process: subprocess.Popen[bytes], folder: Path, *ports: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                said = "".join(path.read_text("utf-8", "replace") for path in folder.glob("*.log"))
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
