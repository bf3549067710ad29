"""The real program, killed in the middle of a run and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sites import allowed, question_in, until

from provisioner.journal import Journal
from provisioner.records import Status
from provisioner.run_folder import RunFolder
from provisioner.web.folder import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")

SHEET = f"/sheets/{id_of('acme.csv')}"
SAID_WITHIN = 5.0
"""Seconds from the start of the program until its page says where the sheet stands."""


class Program:
    """`provisioner web --sandbox`, as a process."""

    def __init__(self, folder: Path) -> None:
        self.began = time.monotonic()
        words = [sys.executable, "-m", "provisioner", "web", str(folder), "--sandbox", "--no-browser", "--rate", "20/s"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        origin = address.partition("/enter")[0]
        headers = {"origin": origin, "x-provisioner": "1"}
        self.client = httpx.Client(base_url=origin, headers=headers, trust_env=False, timeout=20.0)
        assert self.client.get(address).status_code == 303

    def create(self) -> None:
        """Press Create until there is a question, and agree."""
        asked = "Getting ready"
        while "Getting ready" in asked:
            asked = self.client.post(f"{SHEET}/begin").text
        question = {"create": "all", "question": question_in(asked)}
        assert self.client.post(f"{SHEET}/answer", json=question).json() == {"location": f"{SHEET}/run"}

    def kill(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


@contextmanager
def program(folder: Path) -> Iterator[Program]:
    running = Program(folder)
    try:
        yield running
    finally:
        running.kill()


def statuses(folder: RunFolder) -> dict[Status, int]:
    with closing(Journal(folder.journal)) as journal:
        return journal.statuses()


@pytest.mark.slow
def test_killed_in_the_middle_the_page_goes_on_where_it_stood(
    write_sheet: Any, tmp_path: Path, read_csv: Any, check_outputs: Any
) -> None:
    """SIGKILL loses nothing: the page started again says what was created, and “Continue” creates the rest, none twice.

    The sandbox remembers its mailboxes beside the journal, as the service would.
    """
    write_sheet(60)
    folder = RunFolder(tmp_path / "acme-run")
    with program(tmp_path) as first:
        first.create()
        until(lambda: statuses(folder).get(Status.CREATED, 0) >= 3)
    killed = statuses(folder)
    assert sum(killed.values()) == 60
    assert killed[Status.CREATED] < 60
    unclear = killed.get(Status.UNKNOWN, 0)
    with program(tmp_path) as second:
        standing = second.client.get(SHEET)
        done = second.client.get(standing.headers["location"]).text
        assert time.monotonic() - second.began < allowed(SAID_WITHIN)
        assert standing.headers["location"] == f"{SHEET}/done"
        assert f"<h1>{killed[Status.CREATED]} created</h1>" in done
        assert ">Continue</button>" in done
        second.create()
        # A create whose answer nobody saw is sent again only when it is a minute old.
        until(lambda: statuses(folder).get(Status.CREATED, 0) >= 60 - unclear, seconds=40.0)
        second.process.terminate()
        second.process.wait(20)
    ended = statuses(folder)
    assert sum(ended.values()) == 60
    assert set(ended) <= {Status.CREATED, Status.UNKNOWN}
    check_outputs(folder.path)
    mailboxes = [line["mailbox_id"] for line in read_csv(folder.results) if line["mailbox_id"]]
    assert len(set(mailboxes)) == ended[Status.CREATED]
