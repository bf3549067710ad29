"""Ctrl-C, SIGTERM and the closing of the terminal while a run is under way, or the page is served.

At any other time they do what they always do. Plain handlers, and not the event loop's: those do not exist on Windows.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handler = Callable[[int, Any], Any]


# A program that nohup started goes on; Windows has no such signal.
_HANG_UP = [
    number for number in (getattr(signal, "SIGHUP", None),) if number and signal.getsignal(number) != signal.SIG_IGN
]


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
