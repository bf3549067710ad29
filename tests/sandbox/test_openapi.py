"""The sandbox held to a description of the API that was written from the service's published pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, given, settings

if TYPE_CHECKING:
    from sandbox.conftest import Practice

CHECKS = {
    # A domain ID may be well formed and not there.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404"]},
    # Django REST framework takes a number for a text, and the text of a number for a number.
    "negative_data_rejection": {"enabled": False},
    # It wants 401 for a missing key; the service's stack answers 403, which test_app holds.
    "missing_required_header": {"enabled": False},
}

schema = schemathesis.openapi.from_path(
    Path(__file__).with_name("openapi.yaml"), config=schemathesis.Config.from_dict({"checks": CHECKS})
)


KEY = {"Authorization": "Api-Key sandbox-key"}


@schema.parametrize()
@settings(suppress_health_check=list(HealthCheck))
def test_answers_as_described(case: schemathesis.Case[Any], sandbox: Practice) -> None:
    """Whatever is sent, right or wrong, status, headers and body of the answer are ones that the description has."""
    case.call_and_validate(base_url=str(sandbox.client.base_url), headers=KEY)


@given(create=schema["/api/mailboxes/"]["POST"].as_strategy())
@settings(suppress_health_check=list(HealthCheck))
def test_tasks_of_creates_answer_as_described(create: schemathesis.Case[Any], sandbox: Practice) -> None:
    """A create as described is accepted, or taken already, and its task answers as described."""
    url = str(sandbox.client.base_url)
    answer = create.call_and_validate(base_url=url, headers=KEY)
    if answer.status_code == 202:
        task = schema["/api/tasks/{task_id}/"]["GET"].Case(path_parameters=answer.json())
        assert task.call_and_validate(base_url=url, headers=KEY).json()["status"] == "success"
    else:
        assert answer.json().keys() <= {"email", "reply_to"}
