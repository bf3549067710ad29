"""Ctrl-C, SIGTERM and the closing of the terminal while a run is under way, or the page is served.

At any other time they do what they always do. Plain handlers, and not the event loop's: those do not exist on Windows.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Handler = Callable[[int, Any], Any]

T = TypeVar("T")

# A program that nohup started goes on; Windows has no such signal.
_HANG_UP = [
    number for number in (getattr(signal, "SIGHUP", None),) if number and signal.getsignal(number) != signal.SIG_IGN
]


def run_loop(work: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run `work` as anyio.run does, in an event loop of asyncio that every signal wakes.

    Python acts on a signal in the main thread. If it comes just before the loop begins to wait, or in another thread,
    nothing ends that wait: Ctrl-C would do nothing until the next thing happens.
    """
    import anyio

    async def woken() -> T:
        with _waking(asyncio.get_running_loop()):
            return await work(*args)

    return anyio.run(woken)


@contextmanager
def _waking(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    if sys.platform == "win32":
        # The loop does it itself there.
        yield
        return
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.settimeout(0)
        sender.settimeout(0)

        def empty() -> None:
            with suppress(BlockingIOError):
                receiver.recv(4096)

        loop.add_reader(receiver, empty)
        before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(receiver)


@contextmanager
def ending(stop: Callable[[], object]) -> Iterator[None]:
    """Have each signal call `stop` in asyncio's event loop. Call it there."""
    loop = asyncio.get_running_loop()
    with _handled(lambda *_: loop.call_soon_threadsafe(stop), signal.SIGINT, signal.SIGTERM, *_HANG_UP):
        yield


@contextmanager
def remembered() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, at the end of the context if what it raised before that was lost.

    Python drops what is raised at some moments of an import, and libraries take it for an error of their own.
    """
    came: list[int] = []
    tell = sys.unraisablehook

    def interrupt(number: int, frame: Any) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def tell_others(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is not KeyboardInterrupt:
            tell(lost)

    sys.unraisablehook = tell_others
    try:
        with _handled(interrupt, signal.SIGINT):
            yield
    finally:
        sys.unraisablehook = tell
        if came:
            raise KeyboardInterrupt


@contextmanager
def answerable() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt at once: a question blocks the event loop, which could not act on it."""
    with _handled(signal.default_int_handler, signal.SIGINT):
        yield


@contextmanager
def _handled(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
