"""One run's life at the page, over HTTP, against the real sandbox."""

from __future__ import annotations

import re
import time
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from provisioner.journal import Journal
from provisioner.records import Status
from provisioner.run_folder import RunFolder
from provisioner.settings import RunOptions
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from running_page import RunningPage

    from provisioner.settings import Connection

SHEET = f"/sheets/{id_of('acme.csv')}"
FAST = {"latency": 0.02, "latency_spread": 0.0}


class Site:
    """The page with the sheet acme.csv, before a stand-in for the service."""

    def __init__(self, running: RunningPage) -> None:
        self.running = running
        self.client = running.enter()
        self.folder = RunFolder(running.folder / "acme-run")

    def post(self, action: str, **given: str) -> httpx.Response:
        return self.client.post(f"{SHEET}/{action}", json=given)

    def get(self, screen: str, **options: Any) -> httpx.Response:
        return self.client.get(f"{SHEET}/{screen}", **options)

    def ask(self) -> str:
        """Press Create, and return the number of the question."""
        response = self.post("begin")
        assert response.status_code == 200, response.text
        return question_in(response.text)

    def create(self, what: str = "all") -> None:
        """Press Create, and answer the question."""
        response = self.post("answer", create=what, question=self.ask())
        assert response.json() == {"location": f"{SHEET}/run"}

    def wait(self, *phases: str) -> None:
        """Return when the run is in one of these phases."""
        until(lambda: self.phase in phases)

    @property
    def phase(self) -> str:
        return str(self.running.workspace.works[id_of("acme.csv")].run.phase.value)

    def statuses(self) -> dict[Status, int]:
        with closing(Journal(self.folder.journal)) as journal:
            return journal.statuses()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return when something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.01)


def question_in(html: str) -> str:
    found = re.search(r"&#34;question&#34;: &#34;(\d+)&#34;|\"question\": \"(\d+)\"", html)
    assert found is not None, html
    return found[1] or found[2]


@pytest.fixture
def site(page_server: Callable[..., RunningPage], write_sheet: Any, connection: Any) -> Callable[..., Site]:
    """Start the page over a sheet of so many rows, before a stand-in or an address."""

    def start(service: Any, rows: Any = 10, *, how: dict[str, Any] | None = None, **options: Any) -> Site:
        if rows is not None:
            write_sheet(rows)
        to: Connection = connection(service, **options)
        return Site(
            page_server(
                sandbox=False,
                connect=lambda _: nullcontext(to),
                rates=to.rates,
                run=RunOptions(**{"look_up_after": 0.2, "task_timeout": 20.0, **(how or {})}),
            )
        )

    return start


def test_a_sheet_is_created_from_the_question_to_the_result(sandbox: Any, site: Any, read_csv: Any) -> None:
    """The question names everything that is at stake; agreeing creates each mailbox once, and the result says so."""
    service = sandbox(**FAST)
    page = site(service, 10)
    asked = page.post("begin").text
    assert "Create 10 mailboxes" in asked
    assert "Create 3 first" in asked
    assert "Sandbox Agency" in asked
    assert service.state.creates == {}
    response = page.post("answer", create="all", question=question_in(asked))
    assert response.json() == {"location": f"{SHEET}/run"}
    page.wait("ended")
    done = page.get("done").text
    assert "<h1>10 created</h1>" in done
    assert len(service.state.mailboxes) == 12
    assert page.statuses() == {Status.CREATED: 10}
    assert len(read_csv(page.folder.results)) == 10
    assert page.get("run").headers["location"] == f"{SHEET}/done"
