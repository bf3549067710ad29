"""Cells in and out of spreadsheet files. What the cells mean is the schema's business, not this package's."""

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
from provisioner.sheets.questions import ColumnsError, SeveralTabsError
from provisioner.sheets.sheet import BLANKS, UNCERTAIN, Origin, Sheet, column_letters

__all__ = [
    "BLANKS",
    "FAILURES_COLUMNS",
    "RESULTS_COLUMNS",
    "UNCERTAIN",
    "ColumnsError",
    "Origin",
    "SeveralTabsError",
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
