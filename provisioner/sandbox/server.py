"""The sandbox as a server on a thread of its own."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from provisioner.sandbox.app import Sandbox
from provisioner.sandbox.faults import Faults
from provisioner.sandbox.state import State
from provisioner.sandbox.storage import Storage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from provisioner.sandbox.options import SandboxOptions

KEEP_ALIVE = 75
"""Seconds that an idle connection is kept: nginx's default. A short one would cut requests by chance."""
GRACE = 2
"""Seconds that requests under way get when the server stops."""


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    url: str
    """Such as `http://127.0.0.1:49152`, without a slash at its end."""
    api_key: str
    state: State
    """For tests in the same process; read it through its properties only."""
    thread: threading.Thread

    def wait(self) -> None:
        """Block until the server has stopped, or the caller is interrupted."""
        while self.thread.is_alive():
            self.thread.join(timeout=0.5)


@contextmanager
def serve(options: SandboxOptions) -> Iterator[RunningSandbox]:
    """Run the sandbox on its own thread and event loop; it accepts connections from the start of the block to its end.

    Installs no signal handler, and touches no event loop of the caller's.

    Raises:
        OSError: the port cannot be opened.
        ValueError: the state file cannot be used.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(options.host, options.port))
        storage = None
        if options.state is not None:
            storage = stack.enter_context(closing(Storage(options.state)))
        state = State(storage, passwords=options.keep_passwords)
        sandbox = Sandbox(options, state, Faults(options, life=storage.life if storage is not None else 1))
        server = _Server(sandbox)
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        try:
            yield RunningSandbox(_url(listener), options.api_key, state, thread)
        finally:
            server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    # Named as TCP outright, since asyncio switches Nagle's algorithm off (40 ms an answer) for such sockets alone.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Protocol(H11Protocol):
    """Tells the application how to cut its connection, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        super().connection_made(transport)
        self.app_state = {**self.app_state, "abort": transport.abort}

    def abandon_half_request(self) -> None:
        """Cut the connection of a client that has begun a request and not finished it."""
        if self.cycle is not None and self.cycle.more_body:
            self.transport.abort()


class _Server(uvicorn.Server):
    def __init__(self, sandbox: Sandbox) -> None:
        config = uvicorn.Config(
            cast("ASGIApp", sandbox),
            http=_Protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        super().__init__(config)
        self._sandbox = sandbox

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._sandbox.stopping.set()
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Protocol):
                connection.abandon_half_request()
        await super().shutdown(sockets)
