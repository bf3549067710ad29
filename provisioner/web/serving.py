"""Serves the page on loopback: the folder, the gate before it, and a server that ends within two seconds."""

from __future__ import annotations

import logging
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import uvicorn

from provisioner.web.access import Gate
from provisioner.web.app import build
from provisioner.web.workspace import PageOptions, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

GRACE = 1
"""Seconds that requests under way get when the server stops."""


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1 that accepts connections; port 0 takes any that is free. Raises OSError."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def origin_of(listener: socket.socket) -> str:
    """Such as `http://127.0.0.1:49152`."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


class PageServer(uvicorn.Server):
    """A server in the caller's event loop that installs no signal handler."""

    def __init__(self, app: ASGIApp, closing_down: Callable[[], None]) -> None:
        """`closing_down` is called when it is told to stop: streams that never end by themselves must end then."""
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._closing_down = closing_down
        # What uvicorn would print where nothing is set up: tracebacks, which are not for people.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing_down()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle none: signals are the command line's."""
        yield


class Page:
    """One folder, served on a socket until `stop` is called."""

    def __init__(self, options: PageOptions, listener: socket.socket, announce: Callable[[str], None]) -> None:
        """`announce` is called with each further address to open. Blocks while it reads the templates."""
        self.workspace = Workspace(options)
        self.port: int = listener.getsockname()[1]
        self.interrupted = False
        """Whether a run was under way when the page was told to stop."""
        self._listener = listener
        self.gate = Gate(build(self.workspace), origin_of(listener), announce)
        self._server = PageServer(self.gate, self.workspace.close)

    async def serve(self) -> None:
        """Serve until told to stop; a run that is under way is interrupted then, and its files are written."""
        async with anyio.create_task_group() as group:
            await group.start(self.workspace.stay_open)
            try:
                await self._server.serve([self._listener])
            finally:
                self.workspace.close()

    def stop(self) -> None:
        """Let `serve` return within two seconds. Call it in its event loop."""
        self.interrupted = self.interrupted or self.workspace.is_busy
        self._server.should_exit = True
