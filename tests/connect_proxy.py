"""A proxy on loopback that opens tunnels, as offices have them. The names of hosts resolve behind it alone."""

from __future__ import annotations

import base64
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED = 'HTTP/1.1 {} Whatever\r\nProxy-Authenticate: Basic realm="Office"\r\nContent-Length: 0\r\n\r\n'


class ConnectProxy:
    """Takes CONNECT, and nothing else, to the hosts that it knows."""

    def __init__(self, hosts: Mapping[str, int], login: str = "", refuse: int | None = None) -> None:
        """`hosts`: the loopback port behind each host and port. `login`: user:password; empty wants none.

        `refuse`: the status that every request is answered with.
        """
        self._hosts = hosts
        self._wanted = f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""
        self._refuse = refuse
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = [self._listener]
        self.heads: list[str] = []
        """The head of each request."""
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            self.heads.append(head.decode())
            status = self._status(self.heads[-1])
            if status != 200:
                client.sendall(REFUSED.format(status).encode())
                return
            target = socket.create_connection(("127.0.0.1", self._hosts[self.heads[-1].split()[1]]))
            self._open.append(target)
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=_pump, args=(target, client), daemon=True).start()
            _pump(client, target)

    def _status(self, head: str) -> int:
        method, target, *_ = head.split()
        if self._refuse is not None:
            return self._refuse
        given = [line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("proxy-auth")]
        if self._wanted and given != [self._wanted]:
            return 407
        return 200 if method == "CONNECT" and target in self._hosts else 502


def _pump(source: socket.socket, into: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            into.sendall(piece)
        into.shutdown(socket.SHUT_WR)
