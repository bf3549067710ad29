"""Blocking context managers off the event loop, and work that cancellation cannot tear apart."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from provisioner.checking import check
from provisioner.concurrency import in_own_task, in_threads
from provisioner.events import NullListener
from provisioner.settings import SheetOptions
from provisioner.stages.prepare import PreparedSheet
from provisioner.stages.reconcile import WorkPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_blocking_manager_is_entered_and_left_in_threads(anyio_backend: str) -> None:
    """It sees the exception, may swallow it, and is left even when the scope around it is cancelled."""
    threads: list[threading.Thread] = []

    @contextmanager
    def blocking() -> Iterator[int]:
        threads.append(threading.current_thread())
        try:
            yield 7
        except KeyError:
            pass
        finally:
            threads.append(threading.current_thread())

    async with in_threads(blocking()) as value:
        assert value == 7
    async with in_threads(blocking()):
        raise KeyError
    with pytest.raises(ValueError, match="mine"):
        async with in_threads(blocking()):
            raise ValueError("mine")
    with anyio.CancelScope() as scope:
        async with in_threads(blocking()):
            scope.cancel()
            await anyio.sleep_forever()
    assert len(threads) == 8
    assert threading.current_thread() not in threads


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_work_in_its_own_task_returns_and_raises_plainly(anyio_backend: str) -> None:
    """No exception group comes of it."""

    async def value() -> int:
        return 7

    async def fail() -> int:
        raise KeyError("plain")

    async def fail_in_a_group() -> int:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
        return 7

    assert await in_own_task(value)() == 7
    with pytest.raises(KeyError, match="plain"):
        await in_own_task(fail_in_a_group)()
    with pytest.raises(KeyError, match="plain"):
        await in_own_task(fail)()


def test_asyncios_cancellation_does_not_break_into_a_shielded_scope() -> None:
    """Cancelled twice from outside, what is shielded is done before the cancellation goes on."""
    done: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        leave.wait()

    async def work() -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(block)
            done.append("shielded")
        await anyio.sleep_forever()

    async def main() -> None:
        task = asyncio.create_task(in_own_task(work)())
        await asyncio.to_thread(entered.wait)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert done == ["shielded"]


def test_a_check_that_asyncio_cancels_keeps_its_folder_until_nothing_is_written_any_more(
    write_sheet: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other run comes in while a thread of the check is still at work."""
    entered, leave = threading.Event(), threading.Event()

    def block(*_: object, **__: object) -> WorkPlan:
        entered.set()
        leave.wait(10)
        return WorkPlan()

    async def main() -> None:
        task = asyncio.create_task(check(SheetOptions(sheet=sheet), NullListener()))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.2)
        assert not done
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    sheet = write_sheet(3)
    monkeypatch.setattr(PreparedSheet, "reconcile", block)
    asyncio.run(main())
