"""What goes wrong when told to, over real HTTP, and how often."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from provisioner.sandbox.faults import Faults
from provisioner.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import Practice

    Start = Callable[..., Practice]

ADDRESS = "john.doe@acme-mail.example"


def _mailboxes(sandbox: Practice) -> list[str]:
    return [mailbox.address for mailbox in sandbox.state.mailboxes]


def test_a_failed_task_makes_nothing_and_frees_the_address(practice: Start) -> None:
    """A task that fails says why; there is no mailbox, and the address may be asked for again."""
    sandbox = practice(fail_share=1.0)
    task = sandbox.task(sandbox.create())
    assert task["status"] == "failure"
    assert task["error"].endswith(".")
    assert ADDRESS not in _mailboxes(sandbox)
    assert sandbox.create().status_code == 202


def test_a_stuck_task_holds_its_address(practice: Start) -> None:
    """A stuck task is pending, makes no mailbox and blocks its address."""
    sandbox = practice(stuck_share=1.0)
    assert sandbox.task(sandbox.create())["status"] == "pending"
    assert ADDRESS not in _mailboxes(sandbox)
    assert sandbox.create().status_code == 400


def test_a_lost_answer_is_of_work_that_was_done(practice: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is cut without a byte of answer, the mailbox exists, and the server goes on without complaint."""
    sandbox = practice(lost_share=1.0)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        sandbox.create()
    assert ADDRESS in _mailboxes(sandbox)
    assert [entry.status for entry in sandbox.state.requests] == [0]
    assert sandbox.create().status_code == 400
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_server_errors_come_before_and_after_the_work(practice: Start) -> None:
    """500, 502, 503 and 504 leave open whether the mailbox was made, 503 with Retry-After too."""
    sandbox = practice(error_share=1.0, seed=1)
    made: dict[int, set[bool]] = {}
    for number in range(80):
        answer = sandbox.create(f"user{number}")
        assert answer.headers["content-type"].startswith("text/html")
        assert ("retry-after" in answer.headers) == (answer.status_code == 503)
        received = sandbox.state.creates[f"user{number}@acme-mail.example"]
        assert (received.carried_out, received.error) in {(1, 0), (0, 1)}
        made.setdefault(answer.status_code, set()).add(bool(received.carried_out))
    assert made == {status: {True, False} for status in (500, 502, 503, 504)}
    assert 20 < len(_mailboxes(sandbox)) - 2 < 60


def test_pages_stand_in_for_answers_after_the_work(practice: Start) -> None:
    """An HTML page with status 200 or 502 takes the place of an answer; a create was carried out all the same."""
    sandbox = practice(html_share=1.0, seed=1)
    answers = [sandbox.create(f"user{number}") for number in range(20)]
    assert {answer.status_code for answer in answers} == {200, 502}
    assert all("<html" in answer.text for answer in answers)
    assert len(_mailboxes(sandbox)) == 22


def test_a_slow_answer_comes_after_the_work(practice: Start) -> None:
    """A client that gives up on a slow answer leaves a mailbox behind."""
    sandbox = practice(slow_share=1.0, slow_by=30.0)
    with pytest.raises(httpx.ReadTimeout):
        sandbox.client.post(
            "/api/mailboxes/", json={"email": "john.doe", "domain": 101, "relay_server": 201}, timeout=0.3
        )
    assert ADDRESS in _mailboxes(sandbox)


def test_only_creates_that_would_be_accepted_are_hit(practice: Start) -> None:
    """A refused create is refused, whatever the share of faults."""
    sandbox = practice(error_share=1.0)
    assert sandbox.create("info").json() == {"email": ["Mailbox with this email already exists."]}
    assert sandbox.create("a@b").status_code == 400
    assert sandbox.client.get("/api/mailboxes/").status_code == 200


def test_a_seed_repeats_faults_and_task_ids(practice: Start) -> None:
    """Two sandboxes with one seed answer the same creates alike, however much is asked in between."""
    options: dict[str, Any] = {"seed": 7, "error_share": 0.3, "fail_share": 0.3, "html_share": 0.0, "latency": 3600.0}
    runs = []
    for polls in (0, 3):
        sandbox = practice(**options)
        answers = []
        for number in range(30):
            answer = sandbox.create(f"user{number}")
            answers.append((answer.status_code, answer.text))
            for _ in range(polls):
                sandbox.client.get("/api/tasks/nobody/")
        runs.append(answers)
    assert runs[0] == runs[1]
    assert {status for status, _ in runs[0]} > {202}


def test_shares_are_kept() -> None:
    """Over many creates each fault has its share, and the median task takes the latency."""
    options = SandboxOptions(
        seed=3, latency=2.0, fail_share=0.1, stuck_share=0.05, error_share=0.2, lost_share=0.1, latency_spread=0.5
    )
    faults = Faults(options, life=1)
    fates = [faults.create() for _ in range(20_000)]
    shares = {
        "fail": sum(fate.failure is not None for fate in fates),
        "stuck": sum(fate.duration is None for fate in fates),
        "before": sum(fate.error_before is not None for fate in fates),
        "after": sum(fate.error_after is not None for fate in fates),
        "lost": sum(fate.lost for fate in fates),
    }
    expected = {"fail": 0.1, "stuck": 0.05, "before": 0.1, "after": 0.1, "lost": 0.1}
    assert {name: count / 20_000 for name, count in shares.items()} == pytest.approx(expected, abs=0.01)
    durations = sorted(fate.duration for fate in fates if fate.duration is not None)
    assert durations[len(durations) // 2] == pytest.approx(2.0, rel=0.05)
    assert Counter(fate.task_id for fate in fates).most_common(1)[0][1] == 1


def test_turning_one_fault_on_leaves_the_others_where_they_were() -> None:
    """Which tasks fail does not depend on whether answers are lost too."""
    alone = Faults(SandboxOptions(seed=5, fail_share=0.2), life=1)
    beside = Faults(SandboxOptions(seed=5, fail_share=0.2, error_share=0.5, slow_share=0.5), life=1)
    assert [alone.create().failure for _ in range(200)] == [beside.create().failure for _ in range(200)]


def test_no_task_id_comes_twice_over_restarts() -> None:
    """With one seed, the second start on a kept state draws other task IDs than the first."""
    lives = [Faults(SandboxOptions(seed=5), life=life) for life in (1, 2)]
    ids = [faults.create().task_id for faults in lives for _ in range(100)]
    assert len(set(ids)) == 200
