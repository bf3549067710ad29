"""Whatever the service answers, no mailbox is created twice, every run ends, and nobody is blamed without ground."""

from __future__ import annotations

import csv
import json
import tempfile
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from running import run
from scripted import CUT, HANG, Scripted, reply

from provisioner.errors import KeyRefusedError
from provisioner.events import NullListener
from provisioner.records import Status
from provisioner.service import recovery
from provisioner.settings import RunOptions
from provisioner.stages import deliver, poll

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = ("ann", "bob", "cy")
KEEPS_TRYING = 6
"""Runs after the service is well again in which every row must be done."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.sampled_from(["", ".", "error", "Conflict.", "ann"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "task_id", "status", "error", "detail", "result", "success", "next", "count", "email"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
BODIES = JSON | st.sampled_from([b"", b"<html>Just a moment</html>", b"\xff\xfe", b"{", b"[" * 5000, b"Quota exceeded"])
RETRY_AFTER = st.sampled_from(
    [
        "0.02",
        "0",
        "-1",
        "1e3",
        "9" * 30,
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 21 Oct 2026 07:28:00 +" + "9" * 20,
        "soon",
    ]
)


@st.composite
def answers(draw: st.DrawFn, statuses: Sequence[int]) -> bytes:
    """An HTTP answer with any of the statuses, and any body and headers."""
    headers: dict[str, str] = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    if draw(st.booleans()):
        headers["Retry_After"] = draw(RETRY_AFTER)
    if draw(st.booleans()):
        headers["Content_Type"] = draw(st.sampled_from(["text/html", "application/json", "text/plain"]))
    if draw(st.booleans()):
        headers["Location"] = draw(st.sampled_from(["/login/", "http://10.0.0.5/api/tasks/1/", "", "http://["]))
    return reply(draw(st.sampled_from(statuses)), draw(BODIES), **headers)


NO_ANSWERS = st.sampled_from([CUT, CUT, HANG, b"NOT HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
OFTEN = st.sampled_from(
    [
        reply(503, b"", Retry_After="0.01"),
        reply(503, {"detail": "Try later."}, Retry_After="0.01"),
        reply(303, b"", Location="/api/tasks/task-0/"),
        reply(302, b"", Location="/login/"),
        reply(200, {"error": "relay server 201 is suspended"}),
        CUT,
    ]
)
UNCLEAR = OFTEN | NO_ANSWERS | answers([200, 201, 204, 300, 302, 303, 304, 408, 499, 500, 502, 503, 504, 599])
"""What may follow a create that was carried out as well as one that was not."""
REFUSALS = answers([301, 307, 308, 400, 401, 402, 403, 404, 405, 409, 413, 421, 422, 429])
"""What follows no create that was carried out."""
NONSENSE = NO_ANSWERS | answers([200, 204, 302, 400, 401, 403, 404, 500, 502, 503])

CREATES = st.one_of(
    st.just((True, None)),
    st.tuples(st.sampled_from([False]), REFUSALS),
    st.tuples(st.booleans(), UNCLEAR),
)
"""Whether a create is carried out, and what is answered in place of its task."""
LISTS = st.one_of(
    st.sampled_from(["whole", "pages", "twice", "miscounted", "endless", "circle", "unnamed", "linked"]),
    NONSENSE,
)


class Faulty(Scripted):
    """A service whose answers are drawn, until it is well. It remembers what it did, and what its list proved."""

    def __init__(self, plan: dict[str, list[Any]], *, unique: bool) -> None:
        self._plan = plan
        self._unique = unique
        self.is_well = False
        self.made: list[tuple[float, str]] = []
        self.tasks: dict[str, str] = {}
        self.proofs: list[tuple[float, frozenset[str]]] = []
        """When a list that was whole and stood still was given, and which mailboxes it had."""
        self.refused: set[str] = set()
        self.refused_keys = 0
        self._first: list[Any] = []
        self._rest: list[Any] = []
        super().__init__(self._answer)

    def _answer(self, said: str) -> bytes:
        method, path = said.split()[:2]
        if method == "POST":
            answer = self._create(json.loads(said.partition("\r\n\r\n")[2])["email"])
        elif path.startswith("/api/mailboxes/"):
            answer = self._list(path)
        elif path.startswith("/api/tasks/"):
            answer = self._drawn("tasks") or self._task(path.split("/")[3])
        else:
            answer = self._drawn("others") or self._other(path)
        is_page = (b"<html>" in answer or b"text/html" in answer) and not is_json(answer)
        self.refused_keys += answer[9:12] in (b"401", b"403") and not is_page
        return answer

    def _drawn(self, what: str) -> Any:
        return self._plan[what].pop(0) if self._plan[what] and not self.is_well else None

    def _other(self, path: str) -> bytes:
        if path.startswith("/api/domains/"):
            return reply(200, [{"id": 101, "name": "acme.example"}])
        if path.startswith("/api/relay-servers/"):
            return reply(200, [{"id": 201}])
        return reply(200, {"name": "Agency"}) if path == "/api/userinfo/" else reply(404, {"detail": "Not found."})

    def _create(self, name: str) -> bytes:
        if self._unique and name in self._there():
            return reply(400, {"email": ["already exists"]})
        is_carried_out, answer = self._drawn("creates") or (True, None)
        task = f"task-{len(self.tasks)}"
        if is_carried_out:
            self.made.append((time.monotonic(), name))
            self.tasks[task] = name
        if answer is None:
            return reply(202, {"task_id": task})
        if answer in (CUT, HANG) or answer[9:10] == b"4":
            self.refused.add(name)
        return bytes(answer)

    def _there(self) -> list[str]:
        return [name for _, name in self.made]

    def _task(self, task: str) -> bytes:
        is_known = task in self.tasks
        return reply(200, {"status": "success", "result": {"id": 7}}) if is_known else reply(404, {"detail": "No."})

    def _list(self, path: str) -> bytes:
        items: list[Any] = [
            {"id": number, "email": f"{name}@acme.example", "domain": 101} for number, name in enumerate(self._there())
        ]
        if "page=2" in path:
            return reply(200, {"results": self._rest, "next": None, "count": len(self._first) + len(self._rest)})
        kind = self._drawn("lists") or "whole"
        page = {"results": items[1:], "next": None, "count": len(items[1:])}
        faulty = {
            "twice": [*items[1:], {"id": 99, "email": "x@y.example"}, {"id": 99, "email": "x@y.example"}],
            "miscounted": {**page, "count": len(items) + 1},
            "endless": {**page, "results": [], "next": "/api/mailboxes/?page=1"},
            "circle": {**page, "next": path},
            "unnamed": [*items[1:], {"id": 98, "mailbox": "x"}],
            "linked": [
                {"id": item["id"], "email": item["email"].partition("@")[0], "domain": "/domains/101/"}
                for item in items
            ],
        }
        if isinstance(kind, bytes):
            return kind
        if kind in faulty and (items or kind != "linked"):
            return reply(200, faulty[kind])
        self.proofs.append((time.monotonic(), frozenset(self._there())))
        if kind != "pages":
            return reply(200, items)
        self._first, self._rest = items[:1], items[1:]
        return reply(200, {"results": self._first, "next": "/api/mailboxes/?page=2", "count": len(items)})

    def unproved_doubles(self) -> list[str]:
        """Mailboxes that were created twice though no list had said in between that they were not there."""
        found = []
        for name in set(self._there()):
            times = [at for at, made in self.made if made == name]
            for first, second in pairwise(times):
                if not any(first < at < second and name not in listed for at, listed in self.proofs):
                    found.append(name)
        return found


@pytest.fixture(scope="module", autouse=True)
def in_a_hurry() -> Any:
    """Everything that is waited for takes hundredths of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery, "FIRST_BACKOFF", 0.01)
        patch.setattr(recovery, "LONGEST_BACKOFF", 0.02)
        patch.setattr(recovery, "LONGEST_THROTTLE", 0.3)
        patch.setattr(deliver, "SETTLE_AFTER", 0.02)
        patch.setattr(poll, "YOUNGEST", 0.02)
        yield


@pytest.mark.parametrize("words", [reply(409, {"detail": "Conflict."}), reply(400, {"email": ["already exists"]})])
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_create_that_was_sent_twice_on_the_way_made_the_mailbox(
    connection: Any, tmp_path: Path, words: bytes, *, is_listed: bool
) -> None:
    """A proxy sends it twice, and the second is refused: the mailbox is ours, and was not there before.

    If the list cannot be read beforehand, who made it is not known, and nothing is claimed.
    """
    plan: dict[str, list[Any]] = {"creates": [(True, words)] * 3, "tasks": [], "others": [], "lists": []}
    plan["lists"] = [] if is_listed else [reply(404, {"detail": "No."})]
    with closing(Faulty(plan, unique=True)) as service:
        result = run(write(tmp_path), connection(service.url), NullListener(), RunOptions(look_up_after=0.05))
    assert result.statuses == {Status.CREATED if is_listed else Status.EXISTS: 3}
    assert sorted(name for _, name in service.made) == sorted(NAMES)


def is_json(answer: bytes) -> bool:
    """Whether the body is data, whatever its type is said to be."""
    try:
        json.loads(answer.partition(b"\r\n\r\n")[2])
    except (ValueError, RecursionError):
        return False
    return True


def write(folder: Path) -> Path:
    """A sheet of good rows."""
    sheet = folder / "acme.csv"
    rows = [[name, "101", "201", f"Sheet-Pass-{name}-1!"] for name in NAMES]
    with sheet.open("w", newline="") as file:
        csv.writer(file).writerows([["email", "domain", "relay_server", "password"], *rows])
    return sheet


def unclear(answer: bytes, *lists: object) -> dict[str, list[Any]]:
    """Every first create is carried out and answered so; then the list of mailboxes is as drawn."""
    return {"creates": [(True, answer)] * len(NAMES), "tasks": [], "lists": ["whole", *lists], "others": []}


@pytest.mark.slow
@example(plan=unclear(reply(503, b"", Retry_After="0.01")), unique=False)
@example(plan=unclear(reply(303, b"", Location="/api/tasks/task-0/")), unique=False)
@example(plan=unclear(reply(302, b"")), unique=False)
@example(plan=unclear(CUT, *["miscounted"] * 4), unique=False)
@example(plan=unclear(CUT, *["unnamed"] * 4), unique=False)
@example(plan=unclear(CUT, *["linked"] * 4), unique=False)
@example(plan=unclear(CUT, *["twice"] * 4), unique=False)
@settings(suppress_health_check=list(HealthCheck))
@given(
    plan=st.fixed_dictionaries(
        {
            "creates": st.lists(CREATES, max_size=6),
            "tasks": st.lists(NONSENSE | st.none(), max_size=4),
            "lists": st.lists(LISTS, max_size=6),
            "others": st.lists(st.none() | NONSENSE, max_size=6),
        }
    ),
    unique=st.booleans(),
)
def test_whatever_the_service_answers(connection: Any, plan: dict[str, list[Any]], *, unique: bool) -> None:
    """Drawn answers to everything; then the service is well, and running again is all it takes."""
    how = RunOptions(look_up_after=0.05, task_timeout=0.3, refresh=60.0)
    with tempfile.TemporaryDirectory() as folder, closing(Faulty(plan, unique=unique)) as service:
        sheet = write(Path(folder))
        to = connection(service.url, answer_timeout=0.15, patience=0.1)
        first = run(sheet, to, NullListener(), how)
        assert service.unproved_doubles() == []
        if isinstance(first.stopped, KeyRefusedError):
            assert service.refused_keys
        with (sheet.parent / "acme-run" / "results.csv").open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                assert row["status"] != Status.INVALID
                assert row["status"] != Status.REJECTED or row["email"] in service.refused
                assert "Sheet-Pass" not in str(row)
        service.is_well = True
        for _ in range(KEEPS_TRYING):
            if (last := run(sheet, to, NullListener(), how)).statuses.keys() <= {Status.CREATED, Status.EXISTS}:
                break
        assert last.statuses.keys() <= {Status.CREATED, Status.EXISTS}, last.statuses
        assert service.unproved_doubles() == []
        assert set(service._there()) == set(NAMES)
