"""run.log: what support is sent."""

from __future__ import annotations

import re
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest
import running

from provisioner import run_log
from provisioner.errors import RunFolderError
from provisioner.records import Exchange, Status
from provisioner.settings import SheetOptions

if TYPE_CHECKING:
    from pathlib import Path

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S.*")


def test_every_request_is_logged_with_its_status_and_time(
    sandbox: Any, connection: Any, write_sheet: Any, listener: Any
) -> None:
    """One line each, with method, path, status and seconds; and none holds the key, a password or a cell."""
    service = sandbox(latency=0.02, latency_spread=0.0, throttle="100/s")
    sheet = write_sheet([(f"user{n}", "101", "201", f"Sheet-Pass-{n}!", "", "") for n in range(30)])
    options = SheetOptions(sheet=sheet, fill={"reply_to": "reply@filled.example"})
    result = running.run(options, connection(service), listener)
    lines = (sheet.parent / "acme-run" / "run.log").read_text("utf-8").splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    requests = [line for line in lines if re.search(r" (GET|POST) /\S* \d{3} \d+\.\d{3} s$", line)]
    counts = result.summary.requests
    assert len(requests) == counts.create + counts.poll + counts.other
    assert sum(" 429 " in line for line in requests) == counts.throttled
    assert any("planned: 30 to send" in line for line in lines)
    assert lines[-1].endswith("30 created")
    text = "\n".join(lines)
    for secret in (service.api_key, "Sheet-Pass", "reply@filled", "user1"):
        assert secret not in text


def test_each_run_has_a_log_of_its_own(tmp_path: Path) -> None:
    """The latest is run.log, earlier ones are numbered, and no more than a few are kept."""
    path = tmp_path / "run.log"
    for number in range(run_log.KEPT + 3):
        with run_log.keep(path, "1.0") as log:
            log.note(f"run {number}")
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["run.log", *(f"run.log.{n}" for n in range(1, run_log.KEPT + 1))]
    for age, name in enumerate(names):
        assert path.with_name(name).read_text("utf-8").splitlines()[-1].endswith(f" run {run_log.KEPT + 2 - age}")
        assert stat.S_IMODE(path.with_name(name).stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """A folder in its place, say, is an unusable run folder."""
    (tmp_path / "run.log").mkdir()
    (tmp_path / "run.log" / "file").touch()
    with (
        pytest.raises(RunFolderError, match="cannot be written"),
        run_log.keep(tmp_path / "run.log" / "file" / "x", ""),
    ):
        pass


def test_a_text_cannot_forge_a_line(tmp_path: Path) -> None:
    """A line break or an escape in what is logged is shown as such."""
    path = tmp_path / "run.log"
    with run_log.keep(path, "1.0") as log:
        log.note("one\n2026-01-01T00:00:00.000Z forged \x1b[31m")
        log.answered(Exchange("GET", "/x\r\ny", None, 0.5, "cut\noff"))
        log.finished(Status.CREATED)
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("one\\u000a2026-01-01T00:00:00.000Z forged \\u001b[31m")
    assert lines[2].endswith("GET /x\\u000d\\u000ay cut\\u000aoff 0.500 s")


def test_an_end_by_a_fault_is_logged_without_its_text(tmp_path: Path) -> None:
    """Its kind is named; nobody knows what its text holds."""
    path = tmp_path / "run.log"
    with pytest.raises(KeyError), run_log.keep(path, "1.0"):
        raise KeyError("Sheet-Pass-77!")
    text = path.read_text("utf-8")
    assert "ended by KeyError" in text
    assert "Sheet-Pass" not in text


def test_times_of_waiting_are_remembered(tmp_path: Path) -> None:
    """From when until when, and why, for the page."""
    with run_log.keep(tmp_path / "run.log", "1.0") as log:
        before = time.time()
        log.paused(7.0, "slow")
    ((since, until, reason),) = log.pauses
    assert before <= since <= time.time()
    assert (round(until - since, 3), reason) == (7.0, "slow")
