"""Tells time that grows with the size of what is read from time that grows with its square."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 2.5
"""Times as long for twice as much: 2 if time grows with the size, 4 if it grows with its square."""
NOTHING = 0.003
"""Seconds within which growth does not matter."""
TRIES = 4


def assert_linear(seconds: Callable[[int], float], size: int) -> None:
    """Four times the size takes at most `MOST` times as long as twice the size, in the best of some tries.

    A busy computer makes single measurements longer, so one good try is enough: if time grows with the square, there
    is none.
    """
    with _without_garbage_collection():
        for _ in range(TRIES):
            more = seconds(4 * size)
            if more < NOTHING:
                return
            if more < MOST * seconds(2 * size) or min(more, seconds(4 * size)) < MOST * seconds(2 * size):
                return
        pytest.fail(f"time at {size}, {2 * size} and {4 * size}: {[seconds(size * times) for times in (1, 2, 4)]}")


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """It comes when it likes, and takes longer the more the tests before have left."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
