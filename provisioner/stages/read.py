"""The first stage: from a file to a sheet of text cells, each known by its row and column.

Nothing is guessed. A row that cannot be read with certainty is kept and marked, a sheet that cannot is refused whole.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import SheetError
from provisioner.journal import Fact
from provisioner.sheets.builder import SheetBuilder
from provisioner.sheets.cleaning import Padding, cleaned
from provisioner.sheets.delimited import Record
from provisioner.sheets.files import escape_formula
from provisioner.sheets.headers import lay_out, refuse_missing_columns, refuse_unclear
from provisioner.sheets.opening import open_source
from provisioner.sheets.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provisioner.journal import Journal
    from provisioner.schema import MailboxSchema
    from provisioner.sheets import Sheet


def read(
    path: Path,
    schema: MailboxSchema,
    *,
    encoding: str | None = None,
    sheet_name: str | None = None,
    fill: Mapping[str, str] | None = None,
    blank_password_ok: bool = False,
) -> Sheet:
    """The sheet in a file, every row of it accounted for.

    Args:
        path: A text file whose cells are separated by commas, semicolons, tabs or pipes, or a workbook.
        schema: Says which columns there are, and by which headers they go.
        encoding: The name of a text file's encoding; None finds it.
        sheet_name: Which sheet of a workbook; None takes the only one that can be meant.
        fill: By column, in any of its names, what to write into its blank cells, and into all where it is missing.
        blank_password_ok: Whether the column of passwords may be missing, since they will be generated.

    Raises:
        SheetError: The file cannot be read, or lacks what every sheet must have.
    """
    filled = _fill(fill or {}, schema)
    required = [name for name, column in schema.columns.items() if column.required and name not in filled]
    if blank_password_ok and "password" in required:
        required.remove("password")
    source = open_source(path, schema, encoding=encoding, sheet_name=sheet_name, required=required)
    layout = lay_out(source.header, schema.column_for)
    missing = [name for name in required if name not in layout.keys]
    # Full addresses say their domain themselves.
    addresses_may_do = missing == ["domain"] and "email" in layout.keys
    refuse_unclear(source, layout, schema, [] if addresses_may_do else missing)
    sheet = SheetBuilder(source, layout, schema, filled).sheet(path)
    refuse_missing_columns(layout, schema, [name for name in missing if name not in sheet.columns])
    return sheet


def read_rows(
    header: Sequence[str],
    rows: Iterable[tuple[int, Sequence[str]]],
    schema: MailboxSchema,
    *,
    delimiter: str,
    fill: Mapping[str, str] | None = None,
) -> Sheet:
    """Some rows of a failures file that is about to be written, as they will be read from it.

    `header` and the rows, each with the number that it is to have, hold the file's cells before they are escaped.
    """
    record = Record(1, [escape_formula(cell) for cell in header])
    records = (Record(number, [escape_formula(cell) for cell in cells]) for number, cells in rows)
    source = Source(record, records, delimiter, certain=True, padding=Padding.of(record.cells))
    return SheetBuilder(source, lay_out(record, schema.column_for), schema, _fill(fill or {}, schema)).sheet(Path())


def chosen_columns(journal: Journal) -> dict[str, str]:
    """What was chosen for the unclear headers of a run's sheet, for `MailboxSchema.headers`."""
    columns: dict[str, str] = json.loads(journal.fact(Fact.COLUMNS) or "{}")
    return columns


def _fill(fill: Mapping[str, str], schema: MailboxSchema) -> dict[str, str]:
    """What to fill blank cells with, by the schema's names of the columns."""
    filled: dict[str, str] = {}
    names: dict[str, str] = {}
    for name, value in fill.items():
        column = schema.column_for(name)
        if column is None:
            raise SheetError(
                f"There is no column “{name}” to be set.", remedy=f"The columns are {', '.join(schema.columns)}."
            )
        if schema.columns[column].secret:
            raise SheetError(
                f"The column {column} cannot be set for all rows: its cells are secret.",
                remedy="Write it into the sheet.",
            )
        if names.setdefault(column, name) != name:
            raise SheetError(
                f"“{names[column]}” and “{name}” both set the column {column}.", remedy="Leave one of them out."
            )
        (filled[column],) = cleaned([value], schema.columns[column])
    return filled
