"""Helpers around anyio: blocking context managers off the event loop, and work that cancellation cannot tear apart."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from contextlib import AbstractContextManager

T = TypeVar("T")
P = ParamSpec("P")


@asynccontextmanager
async def in_threads(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and leave a context manager that blocks, each in a worker thread. Leaving it is never cancelled."""
    value = await anyio.to_thread.run_sync(manager.__enter__)
    try:
        yield value
    except BaseException:
        with anyio.CancelScope(shield=True):
            suppressed = await anyio.to_thread.run_sync(manager.__exit__, *sys.exc_info())
        if not suppressed:
            raise
    else:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(manager.__exit__, None, None, None)


def in_own_task(work: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Have each call of a function run in a task of its own. It returns and raises the same; the first of a group.

    asyncio's own cancellation (`task.cancel()`, `asyncio.timeout`, Ctrl-C) knows no shielded scopes and would break
    into them. The task that it hits only waits here; the work is then cancelled by anyio, which respects them.
    """

    @wraps(work)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        results: list[T] = []
        errors: list[Exception] = []

        async def keep() -> None:
            try:
                results.append(await work(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - raised below, without the task group's wrapping
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(keep)
        if errors:
            error = errors[0]
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            raise error
        return results[0]

    return call
