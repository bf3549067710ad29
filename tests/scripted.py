"""A server on loopback that answers one request after another as a test tells it."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from http.server import ThreadingHTTPServer
    from socketserver import ThreadingTCPServer

CUT = b"cut"
"""In place of a reply: the connection is closed once the request was read."""
HANG = b"hang"
"""In place of a reply: nothing is ever said."""


class Dripping(bytes):
    """A reply of which a letter comes every twentieth of a second."""


class Last(bytes):
    """A reply after which the connection is closed, without a word that it will be."""


def reply(status: int, body: object = b"", **headers: str) -> bytes:
    """An HTTP reply; anything but bytes becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class Scripted:
    """A server that answers one request after another as it was told, and the last answer ever after."""

    def __init__(
        self,
        *replies: bytes | Callable[[str], bytes],
        context: ssl.SSLContext | None = None,
        shake: threading.Event | None = None,
    ) -> None:
        """With `context` it speaks TLS, once `shake` is set if that is given."""
        self._replies = list(replies)
        self._context = context
        self._shake = shake
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self.requests: list[str] = []
        self.arrived: list[float] = []
        self.connections = 0
        self.closed = threading.Event()
        """A connection was closed from this side."""
        host, port = self._listener.getsockname()
        self.url = f"{'https' if context else 'http'}://{'localhost' if context else host}:{port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        """Each thread closes the socket that it waits at: its number may be another server's from then on."""
        for waited_at in (self._listener, *self._open):
            with suppress(OSError):
                waited_at.shutdown(socket.SHUT_RDWR)
        self._accepting.join(1)

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with ExitStack() as opened, suppress(OSError):
            opened.callback(self.closed.set)
            opened.enter_context(connection)
            if self._context:
                if self._shake:
                    self._shake.wait(20)
                connection = opened.enter_context(self._context.wrap_socket(connection, server_side=True))
                self._open.append(connection)
            while (said := self._read(connection)) is not None:
                with self._lock:
                    self.requests.append(said)
                    self.arrived.append(time.monotonic())
                    answer = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
                if callable(answer):
                    answer = answer(said)
                if answer == CUT:
                    break
                if isinstance(answer, Dripping):
                    for letter in answer:
                        connection.sendall(bytes([letter]))
                        time.sleep(0.05)
                elif answer != HANG:
                    connection.sendall(answer)
                if isinstance(answer, Last):
                    break

    def _read(self, connection: socket.socket) -> str | None:
        """A whole request; None at the end of the connection."""
        said = b""
        while b"\r\n\r\n" not in said:
            more = connection.recv(65536)
            if not more:
                return None
            said += more
        head, _, body = said.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        return (head + b"\r\n\r\n" + body).decode()


@contextmanager
def threaded(server: ThreadingTCPServer | ThreadingHTTPServer) -> Iterator[int]:
    """Serve on a thread for as long as the context lasts, which is the port."""
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
