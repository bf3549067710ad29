"""A sheet that is open for fixing, row by row: every change is judged as a run would, and stored in failures.csv."""

from provisioner.fixing.sheet import OpenSheet, is_current
from provisioner.fixing.views import (
    Cause,
    Changed,
    Column,
    Counts,
    Fault,
    FixRefusedError,
    OpenRow,
    StaleRowError,
    UnknownRowError,
)

__all__ = [
    "Cause",
    "Changed",
    "Column",
    "Counts",
    "Fault",
    "FixRefusedError",
    "OpenRow",
    "OpenSheet",
    "StaleRowError",
    "UnknownRowError",
    "is_current",
]
