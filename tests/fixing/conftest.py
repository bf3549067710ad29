"""A sheet that is open for fixing, as most tests of it begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from provisioner.fixing import OpenSheet
from provisioner.settings import SheetOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def opened(write_sheet: Callable[..., Path]) -> Callable[..., OpenSheet]:
    """A sheet of these rows, opened, with all that it writes."""

    def make(*rows: tuple[str, ...], **options: Any) -> OpenSheet:
        sheet = OpenSheet(SheetOptions(sheet=write_sheet(list(rows)), **options))
        assert sheet.working_file
        return sheet

    return make
