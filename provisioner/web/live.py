"""Server-sent events: the state of something, sent whole whenever it changed.

The whole state, not what changed: a browser that connects again has missed nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HEARTBEAT: Final = 15.0
"""Seconds after which something is sent even if nothing changed, so that a broken connection is noticed."""
AT_MOST: Final = 0.5
"""Seconds between two messages."""


class Changes:
    """Lets any number of tasks wait for the next change."""

    def __init__(self) -> None:
        self.number = 0
        """Of changes so far."""
        self._next = anyio.Event()

    def tell(self) -> None:
        """Something changed."""
        self.number += 1
        self._next.set()
        self._next = anyio.Event()

    async def after(self, number: int) -> None:
        """Return when there were more changes than this."""
        if self.number == number:
            await self._next.wait()


def message(html: str) -> str:
    """An event whose HTML the script puts in its place."""
    return "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"


def go(path: str) -> str:
    """An event that lets the script open another page."""
    return f"event: go\ndata: {path}\n\n"


def stream(changes: Changes, closing: anyio.Event, state: Callable[[], Awaitable[str]]) -> StreamingResponse:
    """An event stream of the `state`, an event itself, until the browser leaves or the program closes."""
    return StreamingResponse(_events(changes, closing, state), media_type="text/event-stream")


async def _events(changes: Changes, closing: anyio.Event, state: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    yield ": the state follows\n\n"
    number = -1
    while not closing.is_set():
        if number == changes.number:
            yield ": nothing changed\n\n"
        else:
            number = changes.number
            yield await state()
        with anyio.move_on_after(AT_MOST):
            await closing.wait()
        with anyio.move_on_after(HEARTBEAT):
            await first(closing.wait, lambda: changes.after(number))  # noqa: B023 - it is awaited here


async def first(*waits: Callable[[], Awaitable[object]]) -> None:
    """Return when one of these has returned."""
    async with anyio.create_task_group() as group:

        async def wait(one: Callable[[], Awaitable[object]]) -> None:
            await one()
            group.cancel_scope.cancel()

        for one in waits:
            group.start_soon(wait, one)
