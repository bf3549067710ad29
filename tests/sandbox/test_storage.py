"""What outlives the process."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import sys
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.server import serve
from provisioner.sandbox.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandbox.conftest import SandboxProcess

KEY = {"Authorization": "Api-Key sandbox-key"}


def test_a_killed_sandbox_forgets_nothing_it_answered(tmp_path: Path, sandbox_process: Callable[..., Any]) -> None:
    """Killed while creates pour in, it knows after a restart every task it answered, and each address once."""
    state = str(tmp_path / "state.sqlite3")
    answered: list[tuple[str, str]] = []
    enough = threading.Event()

    def pour(running: SandboxProcess) -> None:
        for number in range(100_000):
            body = {"email": f"user{number}", "domain": 101, "relay_server": 201}
            try:
                answer = running.client.post("/api/mailboxes/", json=body)
            except httpx.HTTPError:
                return
            answered.append((f"user{number}@acme-mail.example", answer.json()["task_id"]))
            if number == 50:
                enough.set()

    with sandbox_process("--state", state, "--latency", "0", "--seed", "1") as running:
        pouring = threading.Thread(target=pour, args=(running,))
        pouring.start()
        assert enough.wait(30)
        os.kill(running.process.pid, signal.SIGKILL)
        pouring.join()
    with sandbox_process("--state", state, "--latency", "0", "--seed", "1") as running:
        kept = running.client.get("/sandbox/state/").json()
        tasks = [running.client.get(f"/api/tasks/{task_id}/").json() for _, task_id in answered]
        again = running.client.post("/api/mailboxes/", json={"email": "USER0", "domain": 101, "relay_server": 201})
        new = running.client.post("/api/mailboxes/", json={"email": "new", "domain": 101, "relay_server": 201})
    assert len(answered) > 50
    assert [task["result"]["email"] for task in tasks] == [address for address, _ in answered]
    names = [mailbox["email"] for mailbox in kept["mailboxes"]]
    assert len(names) == len(set(names)) == len({mailbox["id"] for mailbox in kept["mailboxes"]})
    assert set(names) >= {address for address, _ in answered}
    assert all(counts["carried_out"] == 1 for counts in kept["creates"].values())
    assert again.status_code == 400
    assert new.json()["task_id"] not in {task_id for _, task_id in answered}


def test_a_restart_keeps_passwords_and_what_was_refused(tmp_path: Path) -> None:
    """A second sandbox on the file answers the same listing and counts as the first."""
    state = tmp_path / "state.sqlite3"
    seen: list[list[Any]] = []
    for _ in range(2):
        options = SandboxOptions(api_key="sandbox-key", keep_passwords=True, state=state, latency=0.0)
        with serve(options) as running, httpx.Client(base_url=running.url, headers=KEY) as client:
            if not seen:
                for email in ("one", "two", "ONE", "b d"):
                    client.post("/api/mailboxes/", json={"email": email, "domain": 101, "relay_server": 201})
                client.post("/api/mailboxes/", json={"email": "weak", "domain": 101, "relay_server": 1})
            seen.append([client.get("/api/mailboxes/").json(), running.state.creates])
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 4
    assert sorted(seen[0][1]) == ["one@acme-mail.example", "two@acme-mail.example", "weak@acme-mail.example"]


def test_a_task_goes_on_over_a_restart(tmp_path: Path) -> None:
    """A task that was under way is still under way, and its address still taken."""
    options = SandboxOptions(
        api_key="sandbox-key", keep_passwords=True, state=tmp_path / "state.sqlite3", latency=3600.0
    )
    for status in (202, 400):
        with serve(options) as running:
            answer = httpx.post(
                running.url + "/api/mailboxes/",
                json={"email": "one", "domain": 101, "relay_server": 201},
                headers=KEY,
            )
            assert answer.status_code == status
            assert list(running.state.tasks.values()) == ["pending"]


def test_one_file_serves_one_sandbox(tmp_path: Path) -> None:
    """A second sandbox on a file in use is refused, and the first goes on."""
    options = SandboxOptions(api_key="sandbox-key", keep_passwords=True, state=tmp_path / "state.sqlite3")
    with serve(options) as running:
        with pytest.raises(ValueError, match="is in use by another sandbox"), serve(options):
            pass
        assert httpx.get(running.url + "/sandbox/state/", headers=KEY).status_code == 200


def test_a_file_in_which_nothing_is_kept_does_not_stay(tmp_path: Path) -> None:
    """One that was there before does, and one that holds something."""
    path, earlier = tmp_path / "state.sqlite3", tmp_path / "earlier.sqlite3"
    earlier.touch()
    for each in (path, earlier):
        Storage(each).close()
    assert [*tmp_path.iterdir()] == [earlier]
    for keep in (True, False):
        storage = Storage(path)
        if keep:
            storage.add_create("ann@acme-mail.example", "invalid", None)
        storage.close()
    assert path.exists()


def test_another_kind_of_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file that is no state file is named as such and keeps its content."""
    path = tmp_path / "notes.txt"
    path.write_text("Not a database, and long enough to be taken for the head of one." * 4)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"notes\.txt is not a state file"):
        Storage(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A path that cannot be written is refused with the reason."""
    with pytest.raises(ValueError, match="cannot be written: No such file or directory"):
        Storage(tmp_path / "missing" / "state.sqlite3")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It holds passwords, so nobody else may read it."""
    path = tmp_path / "state.sqlite3"
    storage = Storage(path)
    storage.add_create("ann@acme-mail.example", "invalid", None)
    modes = [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()]
    storage.close()
    assert set(modes) == {0o600}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM creates").fetchone() == (1,)
    connection.close()


@pytest.mark.skipif(sys.platform == "win32", reason="only an administrator makes links there")
def test_no_link_is_followed(tmp_path: Path) -> None:
    """Another program's database keeps its content; and a state file that others could read is taken back."""
    other = tmp_path / "other.sqlite3"
    other.touch(mode=0o666)
    (tmp_path / "state.sqlite3").symlink_to(other)
    with pytest.raises(ValueError, match="a link to another place"):
        Storage(tmp_path / "state.sqlite3")
    assert other.stat().st_size == 0
    Storage(other).close()
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
