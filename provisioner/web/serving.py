"""The page as a whole: the folder, the gate before it, and the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from provisioner.web.access import Gate
from provisioner.web.app import build
from provisioner.web.server import PageServer, origin_of
from provisioner.web.workspace import PageOptions, Workspace

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


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

    def new_address(self) -> str:
        """An address that lets one browser in, within a minute."""
        return self.gate.new_address()

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
        self._server.stop()
