"""The log of requests."""

from __future__ import annotations

import threading

from provisioner.sandbox.records import LoggedRequest
from provisioner.sandbox.request_log import RequestLog


def test_a_request_stands_where_it_arrived() -> None:
    """Answers may come in another order than requests; a request without an answer has status 0."""
    log = RequestLog()
    first, second = log.arrived(1.0, "POST", "create"), log.arrived(2.0, "GET", "task")
    log.arrived(3.0, "POST", "create")
    log.answered(second, 200)
    log.answered(first, 202)
    assert log.requests() == [
        LoggedRequest(1.0, "POST", "create", 202),
        LoggedRequest(2.0, "GET", "task", 200),
        LoggedRequest(3.0, "POST", "create", 0),
    ]
    assert log.by_kind() == {"create": 2, "task": 1}
    assert log.count(202) == 1


def test_it_may_be_read_while_it_is_written() -> None:
    """A reader on another thread sees whole requests only, new names among them."""
    log = RequestLog()
    done = threading.Event()

    def write() -> None:
        for number in range(20_000):
            log.answered(log.arrived(float(number), f"METHOD{number % 500}", "other"), 405)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert all(entry.method == f"METHOD{int(entry.at) % 500}" for entry in log.requests())
        log.by_kind()
    writer.join()
    assert len(log) == len(log.requests()) == 20_000
