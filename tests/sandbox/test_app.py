"""Paths, gates and answers, over real HTTP."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest

from provisioner.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import Practice

    Start = Callable[..., Practice]

PATHS = [
    "/api/mailboxes/",
    "/api/userinfo/",
    "/api/domains/",
    "/api/relay-servers/",
    "/api/projects/",
    "/mailbox/download/smartlead/",
    "/api/tasks/some-id/",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [None, "Api-Key wrong", "Bearer sandbox-key", "sandbox-key", "Api-Key"])
def test_every_path_wants_the_key(sandbox: Practice, path: str, header: str | None) -> None:
    """Without the right key, said the right way, every path answers 403 with a detail."""
    url = sandbox.client.base_url
    answer = httpx.get(url.join(path), headers={"Authorization": header} if header else {})
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Authentication credentials were not provided."}


def test_create_then_task_then_listing(practice: Start) -> None:
    """A create answers a task alone; the task ends in success and the mailbox stands in the listing as asked for."""
    sandbox = practice()
    fields = {"password": "SecurePassword123!", "project": 789, "reply_to": "boss@acme.example"}
    answer = sandbox.create("john.doe", **fields)
    assert answer.status_code == 202
    assert list(answer.json()) == ["task_id"]
    task = sandbox.task(answer)
    mailbox = sandbox.client.get("/api/mailboxes/").json()[-1]
    assert task == {
        "task_id": answer.json()["task_id"],
        "status": "success",
        "result": {"id": mailbox["id"], "email": "john.doe@acme-mail.example"},
    }
    created_at = mailbox.pop("created_at")
    assert created_at.endswith("Z")
    assert mailbox == {
        "id": 1003,
        "email": "john.doe@acme-mail.example",
        "domain": 101,
        "domain_name": "acme-mail.example",
        "relay_server": 201,
        "status": "active",
        **fields,
    }


def test_a_mailbox_is_not_listed_before_its_task_has_succeeded(practice: Start) -> None:
    """While its task is pending a mailbox is in no list."""
    sandbox = practice(latency=3600.0)
    assert sandbox.task(sandbox.create())["status"] == "pending"
    names = [mailbox["email"] for mailbox in sandbox.client.get("/api/mailboxes/").json()]
    assert names == ["info@acme-mail.example", "sales@acme-mail.example"]


def test_the_service_makes_up_a_password(practice: Start) -> None:
    """A create without a password gets one that the rules accept."""
    sandbox = practice()
    sandbox.create("one")
    password = sandbox.client.get("/api/mailboxes/").json()[-1]["password"]
    assert sandbox.create("two", password=password).status_code == 202


@pytest.mark.parametrize("taken", ["info", "INFO", "under.way", "Under.Way"])
def test_a_taken_address_is_refused_whatever_its_case(practice: Start, taken: str) -> None:
    """A create is refused by field where the mailbox exists or is being created."""
    sandbox = practice(latency=3600.0)
    sandbox.create("under.way")
    answer = sandbox.create(taken)
    assert answer.status_code == 400
    assert answer.json() == {"email": ["Mailbox with this email already exists."]}
    assert sandbox.create(taken, domain=102).status_code == 202


def test_a_taken_address_can_fail_in_its_task(practice: Start) -> None:
    """With duplicates="task" a second create is accepted, its task fails, and the first mailbox stays."""
    sandbox = practice(duplicates="task")
    first, second = sandbox.create(), sandbox.create()
    assert (first.status_code, second.status_code) == (202, 202)
    assert sandbox.task(first)["status"] == "success"
    task = sandbox.task(second)
    assert (task["status"], task["error"]) == ("failure", "Mailbox with this email already exists.")
    assert sandbox.task(sandbox.create())["status"] == "failure"
    assert len(sandbox.client.get("/api/mailboxes/").json()) == 3
    received = sandbox.state.creates["john.doe@acme-mail.example"]
    assert (received.received, received.carried_out, received.duplicate) == (3, 1, 2)


def test_reference_form_answers_the_mailbox_at_once(practice: Start) -> None:
    """In the reference's form POST /mailbox/ answers the mailbox itself, and the guide's create is not there."""
    sandbox = practice(create_form="reference", latency=3600.0)
    body = {"email": "john", "domain": 101, "relay_server": 201}
    answer = sandbox.client.post("/mailbox/", json=body)
    assert answer.status_code == 201
    assert answer.json() == sandbox.client.get("/api/mailboxes/").json()[-1]
    assert "task_id" not in answer.json()
    assert answer.json()["password"]
    assert sandbox.create().status_code == 405
    assert sandbox.client.post("/mailbox/", json=body).json() == {"email": ["Mailbox with this email already exists."]}


def test_guide_form_has_no_reference_path(sandbox: Practice) -> None:
    """In the guide's form POST /mailbox/ is an unknown path."""
    assert sandbox.client.post("/mailbox/", json={}).status_code == 404


def test_an_unknown_task_answers_404_or_pending(practice: Start) -> None:
    """A task ID nobody knows is 404, or pending for ever where it is to answer as plain Celery does."""
    assert practice().client.get("/api/tasks/nobody/").json() == {"detail": "Not found."}
    answer = practice(unknown_task="pending", celery_states=True).client.get("/api/tasks/nobody/")
    assert (answer.status_code, answer.json()) == (200, {"task_id": "nobody", "status": "PENDING"})


@pytest.mark.parametrize(
    ("options", "state"), [({"latency": 3600.0}, "PENDING"), ({}, "SUCCESS"), ({"fail_share": 1.0}, "FAILURE")]
)
def test_task_states_in_celerys_words(practice: Start, options: dict[str, float], state: str) -> None:
    """With celery_states a task answers in Celery's words, not in the guide's."""
    sandbox = practice(celery_states=True, **options)
    assert sandbox.task(sandbox.create())["status"] == state


def test_lists_are_bare_arrays(sandbox: Practice) -> None:
    """Unless told otherwise every list is a JSON array of the fixed account's objects."""
    client = sandbox.client
    domains = client.get("/api/domains/").json()
    assert [(one["id"], one["name"], one["verified"]) for one in domains] == [
        (101, "acme-mail.example", True),
        (102, "acme-outreach.example", True),
        (103, "acme-news.example", True),
        (104, "acme-pending.example", False),
    ]
    assert client.get("/api/relay-servers/").json() == [
        {"id": 201, "name": "MissionInbox", "provider": "MissionInbox", "status": "active"},
        {"id": 202, "name": "Mailgun", "provider": "Mailgun", "status": "active"},
        {"id": 203, "name": "SendGrid", "provider": "SendGrid", "status": "active"},
    ]
    assert client.get("/api/projects/").json() == [
        {"id": 789, "name": "Spring campaign"},
        {"id": 790, "name": "Autumn campaign"},
    ]


def test_pages_link_to_each_other_and_hold_everything_once(practice: Start) -> None:
    """Followed from the first page, `next` leads through every mailbox once, under the host that was asked."""
    sandbox = practice(paginated=True, page_size=2)
    for number in range(5):
        sandbox.create(f"user{number}")
    seen, url, previous = [], "/api/mailboxes/?status=active", None
    while url is not None:
        page = sandbox.client.get(url).json()
        assert page["count"] == 7
        assert page["previous"] == previous
        seen += [mailbox["email"].partition("@")[0] for mailbox in page["results"]]
        previous, url = str(sandbox.client.base_url.join(url)), page["next"]
        assert url is None or url.startswith(str(sandbox.client.base_url))
    assert seen == ["info", "sales", "user0", "user1", "user2", "user3", "user4"]


@pytest.mark.parametrize("page", ["0", "-1", "3", "x", "", "1e3", "9" * 5000])
def test_a_page_that_is_not_there_is_404(practice: Start, page: str) -> None:
    """Any page number but those there are answers 404."""
    answer = practice(paginated=True, page_size=1).client.get("/api/mailboxes/", params={"page": page})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


def test_listings_can_be_missing(practice: Start) -> None:
    """no_listing and no_projects answer 404 on those lists and leave creating alone."""
    sandbox = practice(no_listing=True, no_projects=True)
    assert sandbox.client.get("/api/mailboxes/").status_code == 404
    assert sandbox.client.get("/api/projects/").status_code == 404
    assert sandbox.create().status_code == 202


def test_userinfo_names_the_mail_servers(practice: Start) -> None:
    """The account names its SMTP and IMAP hosts as configured."""
    info = practice(smtp_host="smtp.test", imap_host="imap.test").client.get("/api/userinfo/").json()
    assert (info["ibx_smtp"], info["ibx_imap"], info["name"]) == ("smtp.test", "imap.test", "Sandbox Agency")


def test_an_unknown_path_is_a_page(sandbox: Practice) -> None:
    """A path nobody knows answers 404 with an HTML page, key or not."""
    answer = sandbox.client.get("/api/nothing/")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "Not Found" in answer.text


def test_a_missing_slash_is_moved_even_for_a_post(practice: Start) -> None:
    """Where only the last slash is missing the answer is 301 and nothing is done."""
    sandbox = practice()
    answer = sandbox.client.post("/api/mailboxes?x=1", json={"email": "john", "domain": 101, "relay_server": 201})
    assert (answer.status_code, answer.headers["location"]) == (301, "/api/mailboxes/?x=1")
    assert sandbox.state.creates == {}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_not_allowed(sandbox: Practice, method: str) -> None:
    """A method that the path lacks answers 405, its own name and the methods there are."""
    answer = sandbox.client.request(method, "/api/mailboxes/")
    assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"


def test_head_and_options_answer_as_in_django(sandbox: Practice) -> None:
    """HEAD answers as GET without a body, OPTIONS what the path takes."""
    client = sandbox.client
    head = client.head("/api/domains/")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len(client.get("/api/domains/").content)
    assert client.options("/api/domains/").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"'x'",
        b"\xff",
        b"[1,]",
        b'{"email": NaN}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"domain": ' + b"9" * 5000 + b"}",
    ],
    ids=["cut", "quotes", "latin", "comma", "nan", "bom", "deep", "long"],
)
def test_what_is_not_json_is_a_parse_error(sandbox: Practice, body: bytes) -> None:
    """A body that is no JSON answers 400 with the reason in one detail."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = sandbox.client.post("/api/mailboxes/", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("JSON parse error - ")


def test_only_json_is_read(sandbox: Practice) -> None:
    """A body of another type answers 415 with that type."""
    answer = sandbox.client.post("/api/mailboxes/", data={"email": "john"})
    assert answer.status_code == 415
    assert answer.json() == {"detail": 'Unsupported media type "application/x-www-form-urlencoded" in request.'}


def test_the_gates_stand_in_order(practice: Start) -> None:
    """Path before key, key before throttle, throttle before method, method before body."""
    sandbox = practice(throttle="1/h")
    anonymous = httpx.Client(base_url=sandbox.client.base_url)
    with anonymous:
        assert anonymous.put("/api/nothing/").status_code == 404
        assert [anonymous.put("/api/mailboxes/").status_code for _ in range(3)] == [403, 403, 403]
    assert sandbox.client.put("/api/mailboxes/").status_code == 405
    assert sandbox.client.put("/api/mailboxes/").status_code == 429


def test_too_fast_is_told_when_to_come_back(practice: Start) -> None:
    """A throttled request answers 429 with whole seconds, in the header and in the sentence, and counts as one."""
    sandbox = practice(throttle="2/s,3/h")
    statuses = [sandbox.create(f"user{number}").status_code for number in range(3)]
    assert statuses == [202, 202, 429]
    answer = sandbox.client.get("/api/domains/")
    wait = int(answer.headers["retry-after"])
    assert 3590 < wait <= 3600
    assert answer.json() == {"detail": f"Request was throttled. Expected available in {wait} seconds."}
    assert sandbox.state.throttled == 2


def test_another_process_can_watch(practice: Start) -> None:
    """The state is to be had with the key, unthrottled, and leaves no trace in the log."""
    sandbox = practice(throttle="4/h")
    sandbox.create("john", password="1234")
    sandbox.create("john")
    sandbox.create("John")
    sandbox.client.get("/api/mailboxes/")
    sandbox.client.get("/api/mailboxes/")
    state = sandbox.client.get("/sandbox/state/").json()
    assert state["counts"] == {
        "mailboxes": 3,
        "tasks": {"pending": 0, "started": 0, "success": 1, "failure": 0},
        "requests": {"create": 3, "mailboxes": 2},
        "throttled": 1,
    }
    assert [mailbox["email"] for mailbox in state["mailboxes"]][-1] == "john@acme-mail.example"
    assert state["creates"] == {
        "john@acme-mail.example": {"received": 3, "carried_out": 1, "duplicate": 1, "invalid": 1, "error": 0}
    }
    log = sandbox.state.requests
    assert [(entry.method, entry.kind, entry.status) for entry in log] == [
        ("POST", "create", 400),
        ("POST", "create", 202),
        ("POST", "create", 400),
        ("GET", "mailboxes", 200),
        ("GET", "mailboxes", 429),
    ]
    times = [entry.at for entry in log]
    assert times == sorted(times)
    assert times[-1] <= time.monotonic()


@pytest.mark.parametrize("path", ["/sandbox/state/", "/api/mailboxes/"])
def test_nobody_without_the_key_sees_anything(sandbox: Practice, path: str) -> None:
    """Other users of the computer can connect, and are told nothing; nor is a web page whose name leads here."""
    url = sandbox.client.base_url.join(path)
    for given in ({}, {"Authorization": "Api-Key another"}, {"Authorization": "sandbox-key"}):
        assert httpx.get(url, headers=given).status_code == 403
    for host in ("evil.example", f"evil.example:{url.port}", "127.evil.example", "2130706433"):
        assert sandbox.client.get(path, headers={"Host": host}).status_code == 400, host
    for host in ("localhost", "127.0.0.1:1", "[::1]:80"):
        assert sandbox.client.get(path, headers={"Host": host}).status_code == 200, host


def test_each_start_has_a_key_of_its_own() -> None:
    """No key is known beforehand, and none is short enough to be guessed."""
    keys = {SandboxOptions().api_key for _ in range(10)}
    assert len(keys) == 10
    assert all(len(key) > 32 for key in keys)


def test_passwords_are_forgotten_unless_they_are_asked_for(practice: Start) -> None:
    """What a create says is answered, and then the mailbox has none, neither in lists nor in exports."""
    sandbox = practice(keep_passwords=False, create_form="reference")
    body = {"email": "john", "domain": 101, "relay_server": 201, "password": "Zx-4711-pw!"}
    assert sandbox.client.post("/mailbox/", json=body).json()["password"] == "Zx-4711-pw!"
    for path in ("/api/mailboxes/", "/sandbox/state/", "/mailbox/download/smartlead/"):
        text = sandbox.client.get(path).text
        assert "john" in text
        assert "4711" not in text


@pytest.mark.parametrize(("duplicates", "status"), [("refuse", 400), ("conflict", 409), ("task", 202)])
def test_a_duplicate_is_answered_as_asked_for(practice: Start, duplicates: str, status: int) -> None:
    """In plain words, as a conflict, or with a task that fails."""
    assert practice(duplicates=duplicates).create("info").status_code == status


def test_answers_are_compact_json(sandbox: Practice) -> None:
    """What is answered as JSON parses, and says so in its content type."""
    answer = sandbox.client.get("/api/userinfo/")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content) == answer.json()
