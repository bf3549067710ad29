"""Default values, in a module of their own, so that --help loads nothing else."""

from __future__ import annotations

from typing import Final

API_URL: Final = "https://api-v2.missioninbox.com"
CREATE_PATH: Final = "/api/mailboxes/"
"""As the service's guide has it."""
RATE: Final = "auto"
WORKERS: Final = 20
MOST_WORKERS: Final = 200
"""More requests under way than this make no run faster."""
STOP_AFTER: Final = 20
TASK_TIMEOUT: Final = 15 * 60.0
VERIFY_TIMEOUT: Final = 60.0
"""Seconds, both of them."""
