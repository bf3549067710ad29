"""The column that divides the rows of a sheet: found by its header, as people write it."""

from __future__ import annotations

import pytest

from provisioner.errors import SettingsError
from provisioner.stages.by_column import by_header, counted_by, find_column

HEADERS = by_header([("E-mail", "email"), (" Client ", "client"), ("Notes", "notes"), ("Client", "client (D)")])


def test_columns_are_named_in_the_order_of_the_sheet() -> None:
    """Somebody who mistyped a header looks for the right one as it stands there; of two alike, the first is meant."""
    assert list(HEADERS.items()) == [("E-mail", "email"), ("Client", "client"), ("Notes", "notes")]
    with pytest.raises(SettingsError) as refused:
        find_column(HEADERS, "Cleint")
    assert refused.value.remedy == "Name one of its columns: E-mail, Client, Notes."


@pytest.mark.parametrize(
    ("name", "found"), [(None, ("Client", "client")), ("notes", ("Notes", "notes")), ("Team", ("", ""))]
)
def test_rows_are_counted_by_the_column_of_a_header(name: str | None, found: tuple[str, str]) -> None:
    """By that of the client if none is named; by none if there is no such header, not even by one without a name."""
    assert counted_by(HEADERS | {"": "blank"}, name) == found
