"""Cells in and out of spreadsheet files. What the cells mean is the schema's business, not this package's.

The way in: `opening` reads a file, and `kinds` tells what it is. Text goes through `decoding` and `delimited` to a
`source`; a `workbook` goes through `xlsx`, `ods` or `xls` and a `grid` to the same. `headers` finds what stands under
which header. `builder` gathers the rows into a `sheet`, without the `skipped_rows`, the others with what `certainty`
has to say of them, their cells as `cleaning` leaves them. The way out: `files`, `text_workbook` and `template`.
"""

from provisioner.sheets.files import (
    FAILURES_COLUMNS,
    RESULTS_COLUMNS,
    escape_controls,
    escape_formula,
    read_table,
    replace_file,
    replacing,
    table_lines,
    unescape_formula,
    write_table,
)
from provisioner.sheets.sheet import UNCERTAIN, Origin, Sheet, column_letters

__all__ = [
    "FAILURES_COLUMNS",
    "RESULTS_COLUMNS",
    "UNCERTAIN",
    "Origin",
    "Sheet",
    "column_letters",
    "escape_controls",
    "escape_formula",
    "read_table",
    "replace_file",
    "replacing",
    "table_lines",
    "unescape_formula",
    "write_table",
]
