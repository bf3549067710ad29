"""What the page calls rows."""

from __future__ import annotations

import pytest

from provisioner.fixing import OpenRow
from provisioner.records import Status
from provisioner.web.phrases import told_of


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (Status.VALID, "Row 3 is ready"),
        (Status.CREATED, "Row 3 is done"),
        (Status.EXISTS, "Row 3 is done"),
        (
            Status.FAILED,
            "Row 3 is to be run again (accepted, but the service could not create it)",
        ),
        (Status.UNKNOWN, "Row 3 is to be run again (sent, but no clear answer came)"),
    ],
)
def test_a_row_without_a_fault_is_called_what_it_is(status: Status, told: str) -> None:
    """Only one that a check found nothing wrong with is ready."""
    assert told_of(OpenRow("3", 3, "v", status, {}, (), {})) == told
