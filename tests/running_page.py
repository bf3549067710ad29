"""The real page on a thread of its own, for tests that look at it from outside."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import httpcore  # noqa: F401 - httpx imports it when it is first used, which would block the page's event loop
import httpx
from starlette.routing import Route

from provisioner.web.app import build
from provisioner.web.serving import Page, listen, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioner.web.workspace import PageOptions, Workspace

P = ParamSpec("P")
T = TypeVar("T")


def apart(function: Callable[P, T], /, *args: P.args, **more: P.kwargs) -> T:
    """Call something on another thread: with a browser open, a test's own counts as an event loop's (playwright)."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **more).result()


class RunningPage:
    """The page on a thread and an event loop of its own."""

    def __init__(self, options: PageOptions) -> None:
        self._listener = listen(0)
        self.folder = options.folder
        self.origin = origin_of(self._listener)
        self.announced: list[str] = []
        """The further addresses to open that were shown in the terminal."""
        self._clients: list[httpx.Client] = []
        self._thread = threading.Thread(target=self._serve, args=(options,), name="page")
        self._began = threading.Event()
        self._thread.start()
        assert self._began.wait(20)

    def _serve(self, options: PageOptions) -> None:
        self._page = Page(options, self._listener, self.announced.append)

        async def serve() -> None:
            self._token = anyio.lowlevel.current_token()
            self._began.set()
            await self._page.serve()

        anyio.run(serve)

    @property
    def routes(self) -> list[str]:
        """The paths of all routes, with the names of what is to be filled in between braces."""
        return [route.path for route in build(self.workspace).routes if isinstance(route, Route)]

    @property
    def workspace(self) -> Workspace:
        """To look into, from the test's thread."""
        return self._page.workspace

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call something in the page's event loop, and return what it returns."""
        return anyio.from_thread.run_sync(function, *args, token=self._token)

    def new_address(self) -> str:
        """An address that lets one browser in."""
        return str(self.call(self._page.gate.new_address))

    def enter(self, **options: Any) -> httpx.Client:
        """A client that has the cookie, and sends what the page's own script sends. It is closed with the page."""
        client = httpx.Client(
            base_url=self.origin, headers={"origin": self.origin, "x-provisioner": "1"}, trust_env=False, **options
        )
        self._clients.append(client)
        assert client.get(self.new_address()).status_code == 303
        return client

    def send(self, raw: bytes, *, cookie: bool = True) -> bytes:
        """Send a request byte by byte as it is, with the cookie as its last header, and return the whole answer.

        `{HOST}` stands for the page's host, `raw` ends before the blank line after the headers.
        """
        host = self.origin.removeprefix("http://")
        line = b""
        if cookie:
            pairs = "; ".join(f"{name}={value}" for name, value in (self._clients or [self.enter()])[0].cookies.items())
            line = f"\r\nCookie: {pairs}".encode()
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=10) as connection:
            connection.sendall(raw.replace(b"{HOST}", host.encode()) + line + b"\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def stop(self) -> None:
        """End the program, as Ctrl-C does."""
        for client in self._clients:
            client.close()
        if self._thread.is_alive():
            self.call(self._page.stop)
            self._thread.join(20)
        assert not self._thread.is_alive()
