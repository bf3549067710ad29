"""What the tests of the client share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[Callable[..., Scripted]]:
    with ExitStack() as running:

        def start(*replies: Any, **options: Any) -> Scripted:
            scripted = Scripted(*replies, **options)
            running.callback(scripted.close)
            return scripted

        yield start
