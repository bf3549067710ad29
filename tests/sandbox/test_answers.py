"""The objects that the service answers."""

from __future__ import annotations

import pytest

from provisioner.sandbox import answers
from provisioner.sandbox.records import Creation

CREATION = Creation(
    id=7,
    task_id="t",
    username="john",
    domain=101,
    domain_name="acme-mail.example",
    relay_server=201,
    project=None,
    reply_to=None,
    password="SecurePassword123!",
    created=100.0,
    due=108.0,
)


@pytest.mark.parametrize(
    ("now", "guide", "celery"),
    [
        (100.0, "pending", "PENDING"),
        (101.9, "pending", "PENDING"),
        (102.0, "pending", "STARTED"),
        (107.9, "pending", "STARTED"),
        (108.0, "success", "SUCCESS"),
    ],
)
def test_a_task_is_told_in_either_language(now: float, guide: str, celery: str) -> None:
    """The guide knows three states; Celery tells a task that waits from one that has started."""
    assert answers.task("t", CREATION, now, celery_states=False)["status"] == guide
    assert answers.task("t", CREATION, now, celery_states=True)["status"] == celery


def test_only_an_ended_task_has_more_to_tell() -> None:
    """A result comes with success alone."""
    assert set(answers.task("t", CREATION, 107.9, celery_states=False)) == {"task_id", "status"}
    done = answers.task("t", CREATION, 108.0, celery_states=False)
    assert done["result"] == {"id": 7, "email": "john@acme-mail.example"}


def test_a_moment_is_iso_8601() -> None:
    """Times are UTC with microseconds and a Z, as Django REST framework writes them."""
    assert answers.mailbox(CREATION)["created_at"] == "1970-01-01T00:01:40.000000Z"
