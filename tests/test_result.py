"""What a run or a check hands back about how it ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import running

from provisioner.errors import SettingsError
from provisioner.records import Status

FAST = {"latency": 0.02, "latency_spread": 0.0}
HEADER = "email,domain,relay_server,password,Client\n"
ROWS = [
    "ann,acme-mail.example,201,Sheet-Pass-77!,Hartwell\n",
    "bob,101,201,Sheet-Pass-77!,Hartwell\n",
    "c d,101,201,Sheet-Pass-77!,Brook\n",
]


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "acme.csv"
    path.write_text(HEADER + "".join(ROWS), "utf-8")
    return path


def test_rows_are_counted_by_client(sheet: Path, listener: Any) -> None:
    """A column called Client is taken by itself, another one if it is named, and one that is not there is refused."""
    counts = running.check(sheet, listener).summary.counts_by
    assert counts == {"Hartwell": {Status.VALID: 2}, "Brook": {Status.INVALID: 1}}
    for name in ("relay_server", "Relay server"):
        assert running.check(sheet, listener, by=name).summary.counts_by == {
            "201": {Status.VALID: 2, Status.INVALID: 1}
        }
    with pytest.raises(SettingsError, match="no column “Agency”"):
        running.check(sheet, listener, by="Agency")


def test_mailboxes_that_existed_before_are_named(
    sheet: Path, sandbox: Any, connection: Any, listener: Any, tmp_path: Path
) -> None:
    """What this run did not create is told by its address."""
    service = sandbox(**FAST)
    first = running.run(sheet, connection(service), listener)
    assert first.created == {"Hartwell": ["ann@acme-mail.example", "bob@acme-mail.example"]}
    assert "<pre>ann@acme-mail.example\nbob@acme-mail.example</pre>" in Path(first.summary.report).read_text("utf-8")
    again = tmp_path / "again.csv"
    again.write_text(HEADER + ROWS[0], "utf-8")
    summary = running.run(again, connection(service), listener).summary
    assert summary.statuses == {Status.EXISTS: 1}
    assert summary.existing == ("ann@acme-mail.example",)


def test_the_time_at_the_question_is_no_running_time(
    sheet: Path, sandbox: Any, connection: Any, listener: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who takes an hour to answer has no slow run."""
    hours, clock = [0.0], time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: clock() + hours[0] * 3600)

    def confirm(_: object) -> bool:
        hours[0] += 1
        return True

    result = running.run(sheet, connection(sandbox(**FAST)), listener, confirm=confirm)
    assert hours == [1]
    assert result.summary.seconds < 3600


def test_a_check_leaves_the_report_of_a_run(sheet: Path, sandbox: Any, connection: Any, listener: Any) -> None:
    """report.html tells of the last run; before the first one a check writes it too."""
    first = running.check(sheet, listener).summary
    report = sheet.parent / "acme-run" / "report.html"
    assert first.report == str(report)
    running.run(sheet, connection(sandbox(**FAST)), listener)
    content = report.read_bytes()
    assert running.check(sheet, listener).summary.report == ""
    assert report.read_bytes() == content
