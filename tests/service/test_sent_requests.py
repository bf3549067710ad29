"""The times of the requests that left."""

from __future__ import annotations

import math

import pytest

from provisioner.service.sent_requests import SentRequests


@pytest.fixture
def sent() -> SentRequests:
    """Requests that left at 1, 2, 3 and 4 seconds."""
    requests = SentRequests()
    for time in (1.0, 2.0, 3.0, 4.0):
        requests.add(time)
    return requests


def test_those_of_a_window_before_a_moment_are_counted(sent: SentRequests) -> None:
    """Neither the one that leaves at that moment nor one as old as the window is in it."""
    assert sent.count(4.0, 2.5) == 2
    assert sent.count(4.0, 2.0) == 2
    assert sent.count(5.0, 100.0) == 4


def test_what_a_long_window_let_through_is_counted_from_its_beginning(sent: SentRequests) -> None:
    """Its end and its length tell when it began, to half a second: the first one after that may be older."""
    assert sent.let_through(4.5, 60.0, 58.0) == 2
    assert sent.let_through(4.5, 60.0, 30.0) == 3
    assert sent.let_through(4.5, 60.0, 60.4) == 0


def test_the_first_is_known_until_it_is_forgotten(sent: SentRequests) -> None:
    assert sent.first == 1.0
    sent.forget(2.0)
    assert sent.first == 2.0
    assert SentRequests().first == math.inf


def test_the_latest_of_so_many_is_found(sent: SentRequests) -> None:
    assert sent.latest(1) == 4.0
    assert sent.latest(4) == 1.0
    assert sent.latest(5) == -math.inf


def test_what_was_removed_or_forgotten_is_not_counted(sent: SentRequests) -> None:
    """Removing a request that is not known, or forgetting all of them, is no error."""
    sent.remove(3.0)
    sent.remove(3.5)
    assert sent.count(5.0, 100.0) == 3
    sent.forget(2.0)
    assert sent.count(5.0, 100.0) == 2
    sent.forget(10.0)
    assert sent.latest(1) == -math.inf
