"""The server as a whole: started, asked, stopped."""

from __future__ import annotations

import threading

import httpx
import pytest

from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.server import serve


@pytest.mark.smoke
def test_creates_a_mailbox_from_end_to_end() -> None:
    """A create is answered with a task, and its mailbox is listed once that has succeeded."""
    key = {"Authorization": "Api-Key sandbox-key"}
    with serve(SandboxOptions(latency=0.0)) as running, httpx.Client(base_url=running.url, headers=key) as client:
        answer = client.post("/api/mailboxes/", json={"email": "john.doe", "domain": 101, "relay_server": 201})
        task = client.get(f"/api/tasks/{answer.json()['task_id']}/").json()
        listed = client.get("/api/mailboxes/").json()
    assert (answer.status_code, task["status"]) == (202, "success")
    assert task["result"] == {"id": listed[-1]["id"], "email": "john.doe@acme-mail.example"}


def test_leaves_nothing_behind() -> None:
    """At the end of the block neither the thread nor the port is held."""
    before = threading.enumerate()
    with serve(SandboxOptions()) as running:
        assert httpx.get(running.url + "/sandbox/state/").status_code == 200
    assert threading.enumerate() == before
    with pytest.raises(httpx.ConnectError):
        httpx.get(running.url + "/sandbox/state/")
