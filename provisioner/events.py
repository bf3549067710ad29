"""What a run announces while it is under way: the listener protocol, and ways to combine listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from provisioner.records import Exchange, Status


class Listener(Protocol):
    """Hears what happens, in the run's event loop. Its methods must return at once and never raise."""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        """What the run is about to do, in rows."""

    def sent(self) -> None:
        """A create was sent, and answered or given up."""

    def finished(self, status: Status) -> None:
        """A row reached the status that it keeps for this run."""

    def paused(self, seconds: float, reason: str) -> None:
        """Nothing is sent for this many seconds, for the reason given."""

    def answered(self, exchange: Exchange) -> None:
        """A request of any kind was answered or failed."""

    def note(self, sentence: str) -> None:
        """A sentence for the user."""


class NullListener:
    """A listener that does nothing."""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        pass

    def sent(self) -> None:
        pass

    def finished(self, status: Status) -> None:
        pass

    def paused(self, seconds: float, reason: str) -> None:
        pass

    def answered(self, exchange: Exchange) -> None:
        pass

    def note(self, sentence: str) -> None:
        pass


class PrefixedListener(NullListener):
    """Passes on only the notes, with a heading before the first of them."""

    def __init__(self, listener: Listener, heading: str) -> None:
        self._listener = listener
        self._heading = heading

    def note(self, sentence: str) -> None:
        if self._heading:
            self._listener.note(self._heading)
        self._heading = ""
        self._listener.note(sentence)


class CompositeListener:
    """Several listeners that hear the same."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        for listener in self._listeners:
            listener.planned(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid)

    def sent(self) -> None:
        for listener in self._listeners:
            listener.sent()

    def finished(self, status: Status) -> None:
        for listener in self._listeners:
            listener.finished(status)

    def paused(self, seconds: float, reason: str) -> None:
        for listener in self._listeners:
            listener.paused(seconds, reason)

    def answered(self, exchange: Exchange) -> None:
        for listener in self._listeners:
            listener.answered(exchange)

    def note(self, sentence: str) -> None:
        for listener in self._listeners:
            listener.note(sentence)
