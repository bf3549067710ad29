"""Both files are whole at every moment, and what they say is the journal's."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BIG_ENOUGH_TO_BEGIN = 96 * 1024


def run(sheet: Path, url: str, *, largest_file: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program, with a limit on the size of any file that it writes."""
    environment = {**os.environ, "MISSION_INBOX_API_KEY": "sandbox-key", "MISSION_INBOX_URL": url}

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    words = [sys.executable, "-m", "provisioner", "run", str(sheet), "--rate", "400/s"]
    return subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=50, check=False, preexec_fn=limit
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_loses_nothing(
    sandbox: Any, write_sheet: Any, read_csv: Any, tmp_path: Path
) -> None:
    """When nothing more can be written, nothing more is sent; with room again, the next run makes each row once."""
    service = sandbox(latency=0.02, latency_spread=0.0)
    sheet = write_sheet(600)
    done = run(sheet, service.url, largest_file=BIG_ENOUGH_TO_BEGIN)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert f"python -m provisioner run {sheet} --rate 400/s" in done.stderr, "the command that goes on is told"
    sent = sum(received.received for received in service.state.creates.values())
    assert sent < 600, "the run went on without its journal"
    again = run(sheet, service.url)
    lines = read_csv(tmp_path / "acme-run" / "results.csv")
    assert len(lines) == 600
    assert {line["status"] for line in lines} == {"created"}, again.stderr
    assert all(received.carried_out == 1 for received in service.state.creates.values())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_files_are_their_owners_alone(sandbox: Any, write_sheet: Any, invoke: Any, tmp_path: Path) -> None:
    """The folder is 0700 and everything in it 0600, whatever the umask."""
    before = os.umask(0)
    try:
        assert invoke("run", write_sheet(2), service=sandbox(latency=0.02)).exit_code == 0
    finally:
        os.umask(before)
    folder = tmp_path / "acme-run"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.iterdir()} == {
        path.name: "0o600" for path in folder.iterdir()
    }


@pytest.mark.slow
def test_a_run_folder_that_cannot_be_made_is_told(sandbox: Any, write_sheet: Any, tmp_path: Path) -> None:
    """A place where nothing can be written is exit 2, before anything is sent."""
    service = sandbox(latency=0.02)
    (tmp_path / "acme-run").write_text("a file in the folder's place")
    done = run(write_sheet(2), service.url)
    assert done.returncode == 2, done.stderr
    assert "acme-run" in done.stderr
    assert "Traceback" not in done.stderr
    assert not service.state.creates
