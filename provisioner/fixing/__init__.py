"""A sheet that is open for fixing, row by row: every change is judged as a run would, and stored in failures.csv."""

from provisioner.fixing.sheet import OpenSheet, is_current
from provisioner.fixing.views import (
    Cause,
    Changed,
    Counts,
    FixRefusedError,
    OpenRow,
    RowFault,
    SheetColumn,
    StaleRowError,
    UnknownRowError,
)

__all__ = [
    "Cause",
    "Changed",
    "Counts",
    "FixRefusedError",
    "OpenRow",
    "OpenSheet",
    "RowFault",
    "SheetColumn",
    "StaleRowError",
    "UnknownRowError",
    "is_current",
]
