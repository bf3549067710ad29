"""From a path to a source of rows: is it a file at all, and of which kind."""

from __future__ import annotations

import re
from dataclasses import replace
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final

from provisioner.errors import SheetError
from provisioner.messages import LONGEST_PATH, shorten
from provisioner.sheets.kinds import Kind, kind_of
from provisioner.sheets.limits import most_faulty_rows
from provisioner.sheets.source import text_source
from provisioner.sheets.workbook import tab_names, workbook_source

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from provisioner.schema import MailboxSchema
    from provisioner.sheets.source import Source

_SOMETHING: Final = re.compile(rb"[^\0 \t\r\n\xef\xbb\xbf\xfe\xff]")


def open_source(
    path: Path, schema: MailboxSchema, *, encoding: str | None, sheet_name: str | None, required: Collection[str]
) -> Source:
    """The table in a file, opened as far as its header.

    `required` are the columns that the header of the sheet that is meant should have; the rest is as for the stage
    `read`. Raises SheetError if the file cannot be read, has no header, or leaves open which table is meant.
    """
    data = _content(path)
    kind = kind_of(data, path)
    if kind is not Kind.TEXT:
        if encoding is not None:
            raise SheetError(f"{path} is a workbook, which has no encoding.", remedy="Leave out --encoding.")
        source = workbook_source(data, kind, sheet_name, schema, required)
    elif sheet_name is not None:
        raise SheetError(f"{path} is a text file, which has no sheets.", remedy="Leave out --sheet.")
    else:
        source = text_source(data, encoding, schema.column_for)
    return replace(source, most_faulty=most_faulty_rows(len(data)))


def tabs_of(path: Path, schema: MailboxSchema) -> list[str]:
    """The visible sheets of a workbook that have a header; none for a text file. Raises SheetError."""
    data = _content(path)
    kind = kind_of(data, path)
    return [] if kind is Kind.TEXT else tab_names(data, kind, schema.column_for)


def refuse_no_file(path: Path) -> None:
    """Raise SheetError if there is no such file. Nothing is read."""
    name = _name(path)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise SheetError(f"There is no file {name}.", remedy="Check its name and folder.") from error
    except (OSError, ValueError):
        # Why it cannot be read is told when it is.
        return
    if S_ISDIR(mode):
        raise SheetError(f"{name} is a folder, not a sheet.", remedy="Name the file in it.")
    if not S_ISREG(mode):
        raise SheetError(
            f"{name} is a device or a pipe, not a file.", remedy="Save the sheet as a file, and name that."
        )


def _content(path: Path) -> bytes:
    refuse_no_file(path)
    name = _name(path)
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SheetError(
            f"{name} cannot be read: {reason}.", remedy="Close it where it is open, or ask who may read it."
        ) from error
    if not _SOMETHING.search(data):
        raise SheetError(f"{name} is empty.", remedy="Save the sheet again, with its header and rows.")
    return data


def _name(path: Path) -> str:
    """The path for a message, shortened if it is endless. Raises SheetError if its name is no text."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        legible = name.encode(errors="replace").decode()
        raise SheetError(
            f"The name of the file {legible} is not text in UTF-8.", remedy="Rename the file, with plain letters."
        ) from error
    return shorten(name, LONGEST_PATH)
