"""The sandbox held to a description of the API that was written from the service's published pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

if TYPE_CHECKING:
    from conftest import Practice

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
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_as_described(case: schemathesis.Case, sandbox: Practice) -> None:
    """Whatever is sent, right or wrong, status, headers and body of the answer are ones that the description has."""
    case.call_and_validate(base_url=str(sandbox.client.base_url), headers=KEY)


def test_tasks_of_creates_answer_as_described(sandbox: Practice) -> None:
    """Creates followed by a look at the task they were answered are as described, in any order and number."""

    class Workflow(schema.as_state_machine()):  # type: ignore[misc] # made at run time
        def get_call_kwargs(self, _case: schemathesis.Case) -> dict[str, Any]:
            return {"base_url": str(sandbox.client.base_url), "headers": KEY}

    before = len(sandbox.state.tasks)
    chosen = settings(max_examples=15, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Workflow, settings=chosen)
    polled = [entry for entry in sandbox.state.requests if (entry.kind, entry.status) == ("task", 200)]
    assert len(sandbox.state.tasks) > before
    assert polled
