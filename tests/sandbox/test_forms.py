"""The rules of the bodies, each with the sentence that Django REST framework has for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from sandbox.conftest import Practice

REQUIRED = ["This field is required."]
BLANK = ["This field may not be blank."]
NULL = ["This field may not be null."]
INTEGER = ["A valid integer is required."]
TEXT = ["Not a valid string."]
ADDRESS = ["Enter a valid email address."]
LONG = ["Ensure this field has no more than 255 characters."]
SHORT = "This password is too short. It must contain at least 8 characters."
COMMON = "This password is too common."
NUMERIC = "This password is entirely numeric."

WRONG_FIELDS: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
    ({"email": ""}, {"email": BLANK}),
    ({"email": "   "}, {"email": BLANK}),
    ({"email": None}, {"email": NULL}),
    ({"email": True}, {"email": TEXT}),
    ({"email": ["john"]}, {"email": TEXT}),
    ({"email": "john@acme-mail.example"}, {"email": ["Enter the username alone, without @ and the domain."]}),
    ({"email": "john doe"}, {"email": ADDRESS}),
    ({"email": "john..doe"}, {"email": ADDRESS}),
    ({"email": ".john"}, {"email": ADDRESS}),
    ({"email": "jöhn"}, {"email": ADDRESS}),
    ({"email": "x" * 256}, {"email": LONG}),
    ({"email": "x" * 250}, {"email": LONG}),
    ({"email": "a\x00b"}, {"email": ["Null characters are not allowed."]}),
    ({"email": "a\ud800"}, {"email": ["Surrogate characters are not allowed: U+D800."]}),
    ({"domain": "acme"}, {"domain": INTEGER}),
    ({"domain": ""}, {"domain": INTEGER}),
    ({"domain": True}, {"domain": INTEGER}),
    ({"domain": 101.5}, {"domain": INTEGER}),
    ({"domain": "1_01"}, {"domain": INTEGER}),
    ({"domain": None}, {"domain": NULL}),
    ({"domain": 999}, {"domain": ['Invalid pk "999" - object does not exist.']}),
    ({"domain": 104}, {"domain": ["Domain acme-pending.example is not verified."]}),
    ({"relay_server": {}}, {"relay_server": INTEGER}),
    ({"relay_server": 101}, {"relay_server": ['Invalid pk "101" - object does not exist.']}),
    ({"project": 1}, {"project": ['Invalid pk "1" - object does not exist.']}),
    ({"project": None}, {"project": NULL}),
    ({"reply_to": "boss"}, {"reply_to": ADDRESS}),
    ({"reply_to": "boss@acme"}, {"reply_to": ADDRESS}),
    ({"reply_to": ""}, {"reply_to": BLANK}),
    ({"password": ""}, {"password": BLANK}),
    ({"password": "Ab3"}, {"password": [SHORT]}),
    ({"password": "12345"}, {"password": [SHORT, NUMERIC]}),
    ({"password": "Password"}, {"password": [COMMON]}),
    ({"password": "12345678"}, {"password": [COMMON, NUMERIC]}),
    ({"password": 99887766554}, {"password": [NUMERIC]}),
]


@pytest.mark.parametrize(("fields", "errors"), WRONG_FIELDS, ids=str)
def test_a_wrong_field_is_refused_by_name(
    sandbox: Practice, fields: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    """A field that breaks a rule answers 400 with that field's sentences, and nothing is created."""
    before = len(sandbox.state.mailboxes)
    answer = sandbox.client.post(
        "/api/mailboxes/",
        content=_json({"email": "john", "domain": 101, "relay_server": 201, **fields}),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()) == (400, errors)
    assert len(sandbox.state.mailboxes) == before


def test_all_wrong_fields_are_named_together(sandbox: Practice) -> None:
    """Every field is looked at before the answer goes out."""
    answer = sandbox.client.post("/api/mailboxes/", json={"password": "1", "reply_to": "x"})
    assert answer.json() == {
        "email": REQUIRED,
        "domain": REQUIRED,
        "relay_server": REQUIRED,
        "reply_to": ADDRESS,
        "password": [SHORT, NUMERIC],
    }


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ([], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
        ("x", {"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}),
        (7, {"non_field_errors": ["Invalid data. Expected a dictionary, but got int."]}),
        (None, {"non_field_errors": ["No data provided"]}),
    ],
    ids=str,
)
def test_a_body_that_is_no_object_is_refused_as_a_whole(
    sandbox: Practice, body: object, errors: dict[str, list[str]]
) -> None:
    """Any JSON but an object answers 400 under non_field_errors."""
    content, headers = _json(body), {"Content-Type": "application/json"}
    answer = sandbox.client.post("/api/mailboxes/", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (400, errors)


def test_no_body_at_all_lacks_every_field(sandbox: Practice) -> None:
    """An empty body counts as an empty object, as in Django REST framework."""
    answer = sandbox.client.post("/api/mailboxes/")
    assert answer.json() == {"email": REQUIRED, "domain": REQUIRED, "relay_server": REQUIRED}


@pytest.mark.parametrize("value", ["101", " 101 ", "101.0", 101.0])
def test_a_whole_number_may_be_written_as_text(sandbox: Practice, value: object) -> None:
    """An IntegerField takes the text of a whole number."""
    assert sandbox.create(uuid4().hex, domain=value).status_code == 202


def test_unknown_fields_are_ignored(sandbox: Practice) -> None:
    """A field that the service does not know changes nothing."""
    assert sandbox.create(uuid4().hex, nonsense=1).status_code == 202


def test_a_password_is_kept_as_it_was_sent(sandbox: Practice) -> None:
    """Blanks at either end of a password, and letters of any script, stay."""
    password = " pässwört 東京 "
    assert sandbox.create(uuid4().hex, password=password).status_code == 202
    assert sandbox.client.get("/api/mailboxes/").json()[-1]["password"] == password


def _json(value: object) -> bytes:
    # httpx would refuse a surrogate
    return json.dumps(value).encode()
