"""What a sandbox can be told."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.sandbox.options import SandboxOptions


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fail_share": 1.1}, "share of fail must lie between"),
        ({"html_share": -0.1}, "share of html must lie between"),
        ({"error_share": 0.6, "lost_share": 0.6}, "error and lost together"),
        ({"latency": -1.0}, "latency must be a number of 0 or more"),
        ({"slow_by": float("nan")}, "slow_by must be"),
        ({"page_size": 0}, "page_size must be at least 1"),
        ({"throttle": "x"}, "is not a rate"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], sentence: str) -> None:
    """An option out of range raises with a sentence that names it."""
    with pytest.raises(ValueError, match=sentence):
        SandboxOptions(**options)
