"""What the service is asked for, on stdout: as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.console.terminal import is_terminal, shown, size
from provisioner.sheets import escape_formula

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.records import Account

NARROWEST = 8
"""Characters that a column of a table keeps, however narrow the terminal."""

USER_NAME, OWN_PASSWORD = "the full address, such as john.doe@example.com", "the mailbox's own"
"""What a mail program is to be told."""


class Table:
    """Entries of a list on stdout as they come, in columns as wide as the first page needs.

    On a terminal the widest give way, so that no line wraps; elsewhere every cell is whole.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._widths: list[int] = []
        self._cuts = False

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        rows = [[shown(entry[column]) for column in self._columns] for entry in entries]
        if not self._widths:
            headed = [list(self._columns), *rows]
            needed = [max(len(row[place]) for row in headed) for place in range(len(self._columns))]
            self._widths = _fitted(needed, size(sys.stdout)[0]) if is_terminal(sys.stdout) else needed
            self._cuts = self._widths != needed
            rows = headed
        for row in rows:
            cells = zip(row, self._widths, strict=True)
            print("  ".join(_cut(cell, width) if self._cuts else cell.ljust(width) for cell, width in cells).rstrip())

    def close(self) -> None:
        """A table has no end of its own."""


def _fitted(widths: Sequence[int], room: int) -> list[int]:
    """The widths of columns, two blanks apart, with the widest made narrower where a line would not fit."""
    fitted = list(widths)
    while sum(fitted) + 2 * (len(fitted) - 1) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _cut(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else f"{cell[: width - 1]}…"


class CsvTable:
    """Entries of a list on stdout as CSV, such that no spreadsheet program runs a cell."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._writer = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._writer.writerow(map(escape_formula, columns))

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        self._writer.writerows([escape_formula(shown(entry[column])) for column in self._columns] for entry in entries)

    def close(self) -> None:
        """A CSV file has no end of its own."""


class JsonTable:
    """Entries of a list on stdout as one JSON array."""

    def __init__(self) -> None:
        self._before = "[\n"

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        for entry in entries:
            print(self._before + json.dumps(entry, ensure_ascii=False), end="")
            self._before = ",\n"

    def close(self) -> None:
        print("[]" if self._before == "[\n" else "\n]")


def show_account(account: Account) -> None:
    """Who the key belongs to, and what a mail program has to be told, on stdout."""
    for name, value in account.facts.items():
        print(f"{shown(name):<12}  {shown(value)}")
    print("\nSettings for mail programs:")
    for name, server in (("SMTP", account.smtp), ("IMAP", account.imap)):
        where = f"{shown(server.host)}, port {server.port}, TLS from the start (SSL/TLS)" if server else "not told"
        print(f"  {name:<10}  {where}")
    print(f"  {'user name':<10}  {USER_NAME}")
    print(f"  {'password':<10}  {OWN_PASSWORD}")


def print_account_json(account: Account) -> None:
    """The same as one JSON object."""
    servers = {
        name: asdict(server) if server else None for name, server in (("smtp", account.smtp), ("imap", account.imap))
    }
    print(json.dumps({"account": dict(account.facts), **servers}, ensure_ascii=False))
