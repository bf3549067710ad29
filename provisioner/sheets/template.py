"""An empty sheet to begin with, as a CSV file or a workbook: the headers, and one row that shows how to fill them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import xlsxwriter

from provisioner.errors import SheetError, os_errors_as
from provisioner.sheets import replace_file, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from provisioner.schema import MailboxSchema

_WIDTH: Final = 24
_NOTE_SIZE: Final = {"x_scale": 2.5, "y_scale": 1.5}


def template(path: Path, schema: MailboxSchema) -> None:
    """Write an empty sheet with the schema's columns, and an example row that is known when it is read, and skipped.

    In a workbook all cells are formatted as text, so that none loses its leading zeros, and every header has a note
    with the rules of its column.

    Raises:
        SheetError: There is a file already, its folder is missing, or it is to be neither .csv nor .xlsx.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".xlsx"):
        raise SheetError(f"{path} is neither a .csv nor an .xlsx file.", remedy="End its name with .csv or .xlsx.")
    if path.exists():
        raise SheetError(f"There is a file {path} already.", remedy="Choose another name, or delete the file.")
    header = [column.title for column in schema.columns.values()]
    example = [column.example for column in schema.columns.values()]
    with os_errors_as(SheetError, f"{path} cannot be written", remedy="Choose a folder that you may write to."):
        if kind == ".csv":
            write_table(path, header, [example])
        else:
            replace_file(path, _workbook(header, example, [column.description for column in schema.columns.values()]))


def _workbook(header: list[str], example: list[str], notes: list[str]) -> bytes:
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        text = book.add_format({"num_format": "@"})
        title = book.add_format({"num_format": "@", "bold": True, "bottom": 1})
        grey = book.add_format({"num_format": "@", "italic": True, "font_color": "#808080"})
        sheet = book.add_worksheet("Mailboxes")
        sheet.set_column(0, len(header) - 1, _WIDTH, text)
        sheet.freeze_panes(1, 0)
        for position, (name, shown, note) in enumerate(zip(header, example, notes, strict=True)):
            sheet.write_string(0, position, name, title)
            sheet.write_string(1, position, shown, grey)
            sheet.write_comment(0, position, note, _NOTE_SIZE)
    return content.getvalue()
