"""Event streams, in virtual time: what is sent, how often, and that they end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import anyio

from provisioner.web.live import AT_MOST, HEARTBEAT, Changes, go, message, stream

Sent = list[tuple[float, str]]


class Stream:
    """A stream of a state that says how many changes there were, and what came of it and when."""

    def __init__(self) -> None:
        self.changes, self.closing = Changes(), anyio.Event()
        self.sent: Sent = []
        self.has_ended = False

    async def read(self) -> None:
        """Take whatever is sent, until the stream ends."""

        async def state() -> str:
            return message(f"<p>{self.changes.number}</p>")

        began = anyio.current_time()
        async for piece in stream(self.changes, self.closing, state).body_iterator:
            self.sent.append((anyio.current_time() - began, str(piece)))
        self.has_ended = True


def test_changes_are_sent_whole_and_at_most_twice_a_second(in_virtual_time: Any) -> None:
    """Of a hundred changes a second a browser sees two, the latest of each; the first state comes at once."""

    async def work() -> None:
        told = Stream()
        async with anyio.create_task_group() as group:
            group.start_soon(told.read)
            for _ in range(500):
                await anyio.sleep(0.01)
                told.changes.tell()
            await anyio.sleep(2 * AT_MOST)
            told.closing.set()
        states = [(at, piece) for at, piece in told.sent if piece.startswith("data:")]
        assert states[0] == (0.0, "data: <p>0</p>\n\n")
        assert 9 <= len(states) <= 2 + 5.0 / AT_MOST
        assert states[-1][1] == "data: <p>500</p>\n\n", "the last change is not lost"

    in_virtual_time(work)


def test_a_stream_without_changes_says_that_it_is_there(in_virtual_time: Any) -> None:
    """A comment every 15 seconds or so, so that a connection that is broken is noticed."""

    async def work() -> None:
        told = Stream()
        async with anyio.create_task_group() as group:
            group.start_soon(told.read)
            await anyio.sleep(4 * (HEARTBEAT + AT_MOST) + 1)
            told.closing.set()
        comments = [at for at, piece in told.sent if piece.startswith(":")]
        assert len(comments) == 5
        assert max(later - at for at, later in pairwise(comments)) <= HEARTBEAT + AT_MOST + 0.01

    in_virtual_time(work)


def test_a_stream_ends_at_once_when_the_program_closes(in_virtual_time: Any) -> None:
    """Whether it waits for a change or has just sent one."""

    async def work() -> None:
        for waited in (0.1, 5.0):
            told = Stream()
            async with anyio.create_task_group() as group:
                group.start_soon(told.read)
                await anyio.sleep(waited)
                told.closing.set()
                await anyio.sleep(0.01)
                assert told.has_ended

    in_virtual_time(work)


def test_events_are_written_as_browsers_read_them() -> None:
    """Each line of the HTML is a line of data; a blank line ends the event."""
    assert message("<p>\none\n</p>") == "data: <p>\ndata: one\ndata: </p>\n\n"
    assert go("/sheets/1/done") == "event: go\ndata: /sheets/1/done\n\n"
