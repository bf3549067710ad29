"""What the service was asked for, on stdout: as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.console.terminal import is_terminal, print_out, shown, size
from provisioner.messages import shorten
from provisioner.sheets import escape_formula

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.resources import Account

NARROWEST, NARROWEST_HEADER = 8, 4
"""Characters that the cells and the header of a column keep, however narrow the terminal."""


class Table:
    """Entries of a list as they come, in columns as wide as the first page needs.

    On a terminal headers, then the widest give way, so that no line wraps; elsewhere every cell is whole.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._widths: list[int] = []
        self._cuts = False

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        rows = [[shown(entry[column]) for column in self._columns] for entry in entries]
        if not self._widths:
            headers = [len(column) for column in self._columns]
            cells = [max(map(len, column)) for column in zip(*rows, strict=True)] or [0] * len(headers)
            needed = list(map(max, headers, cells))
            self._widths = _fitted(headers, cells, size(sys.stdout)[0]) if is_terminal(sys.stdout) else needed
            self._cuts = self._widths != needed
            rows = [list(self._columns), *rows]
        print_out(*map(self._line, rows))

    def _line(self, row: Sequence[str]) -> str:
        cells = zip(row, self._widths, strict=True)
        shown_cells = ((shorten(cell, width) if self._cuts else cell).ljust(width) for cell, width in cells)
        return "  ".join(shown_cells).rstrip()

    def close(self) -> None:
        """Print what stands at the end."""


def _fitted(headers: Sequence[int], cells: Sequence[int], room: int) -> list[int]:
    """The widths of columns, two blanks apart. Where a line would not fit, headers give way first, then the widest."""
    fitted = list(map(max, headers, cells))
    for floors in ([max(NARROWEST_HEADER, width) for width in cells], [NARROWEST] * len(cells)):
        while sum(fitted) + 2 * (len(fitted) - 1) > room:
            wide = [place for place, width in enumerate(fitted) if width > floors[place]]
            if not wide:
                break
            fitted[max(wide, key=fitted.__getitem__)] -= 1
    return fitted


class CsvTable(Table):
    """Entries of a list as CSV, in which no spreadsheet program runs a cell."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(columns)
        self._print([[escape_formula(column) for column in columns]])

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        self._print([[escape_formula(shown(entry[column])) for column in self._columns] for entry in entries])

    def _print(self, rows: Sequence[Sequence[str]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
        print_out(*text.getvalue().splitlines())


class JsonTable(Table):
    """Entries of a list as one JSON array, in ASCII: exact whatever the terminal or the next program can read."""

    _last = ""

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        lines = []
        for entry in entries:
            lines.append(f"{self._last}," if self._last else "[")
            self._last = _json(entry)
        print_out(*lines)

    def close(self) -> None:
        print_out(*([self._last, "]"] if self._last else ["[]"]))


def _json(value: object) -> str:
    # The one control character that JSON may hold as it is.
    return json.dumps(value).replace("\x7f", "\\u007f")


def show_account(account: Account) -> None:
    """Print who the key belongs to, and the settings for mail programs."""
    # The mail servers are shown below, as settings.
    facts = {name: value for name, value in account.facts.items() if not name.startswith("ibx_")}
    facts = {shown(name).replace("_", " "): shown(value) for name, value in facts.items()}
    servers = {
        name: f"{shown(server.host)}, port {server.port}, SSL/TLS" if server else "not known"
        for name, server in (("SMTP server", account.smtp), ("IMAP server", account.imap))
    }
    settings = {**servers, "user name": "the full address, such as ann@example.com", "password": "the mailbox's"}
    width = max(map(len, [*facts, *settings]))
    print_out("Your account:", *(f"  {name:<{width}}  {value}" for name, value in facts.items()))
    print_out("", "Settings for mail programs:", *(f"  {name:<{width}}  {value}" for name, value in settings.items()))


def print_account_json(account: Account) -> None:
    """Print the same as one JSON object."""
    servers = {
        name: asdict(server) if server else None for name, server in (("smtp", account.smtp), ("imap", account.imap))
    }
    print_out(_json({"account": dict(account.facts), **servers}))
