"""A page with one sheet, as the tests of its run use it over HTTP."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from provisioner.journal import Journal
from provisioner.run_folder import RunFolder
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx
    from running_page import RunningPage

    from provisioner.records import Status
    from provisioner.web.runs import Run
    from provisioner.web.work import Work

SHEET = f"/sheets/{id_of('acme.csv')}"


class Site:
    """The page with one sheet."""

    def __init__(self, running: RunningPage, name: str = "acme.csv") -> None:
        self.running = running
        self.client = running.enter(timeout=30.0)
        self.folder = RunFolder(running.folder / f"{name.partition('.')[0]}-run")
        self.id = id_of(name)
        self.path = f"/sheets/{self.id}"

    def post(self, action: str, **given: str) -> httpx.Response:
        return self.client.post(f"{self.path}/{action}", json=given)

    def get(self, screen: str) -> httpx.Response:
        return self.client.get(f"{self.path}/{screen}" if screen else self.path)

    def ask(self) -> str:
        """Press Create, and return the number of the question."""
        return question_in(self.asked())

    def asked(self) -> str:
        """Press Create, and return the question as it is shown."""
        response = self.post("begin")
        assert response.status_code == 200, response.text
        return response.text

    def refused(self) -> str:
        """Press Create, and return why that cannot be."""
        response = self.post("begin")
        assert response.status_code == 409, response.text
        return response.text

    def create(self, what: str = "all") -> None:
        """Press Create, and answer the question."""
        response = self.post("answer", create=what, question=self.ask())
        assert response.json() == {"location": f"{self.path}/run"}

    def wait(self, *phases: str) -> None:
        """Return when the run is in one of these phases."""
        until(lambda: self.run.phase.value in phases)

    @property
    def work(self) -> Work:
        return self.running.workspace.works[self.id]

    @property
    def run(self) -> Run:
        return self.work.run

    def statuses(self) -> dict[Status, int]:
        with closing(Journal(self.folder.journal)) as journal:
            return journal.statuses()

    def events(self, path: str = "events") -> Generator[str]:
        """What the event stream says, message by message."""
        with self.client.stream("GET", f"{self.path}/{path}") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            text = ""
            for piece in response.iter_text():
                text += piece
                *messages, text = text.split("\n\n")
                yield from messages


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Return when something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.01)


def allowed(seconds: float) -> float:
    """How long may take what takes `seconds` at most: longer by as much as the machine has more to do than it can."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def question_in(html: str) -> str:
    """The number of the question that a dialog asks."""
    found = re.search(r'"question": "(\d+)"', html)
    assert found is not None, html
    return found[1]
