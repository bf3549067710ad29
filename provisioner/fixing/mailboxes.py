"""Which rows of an open sheet are for one mailbox, kept up to date as rows change."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING

from provisioner.stages.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from provisioner.sheets import Sheet


class Mailboxes:
    """The positions of the rows for each mailbox, in the file's order. A row that is not certain is for none."""

    def __init__(self, sheet: Sheet, left_out: Collection[int]) -> None:
        """`sheet` is the one whose cells change; the positions in `left_out` are not listed."""
        self._sheet = sheet
        self._resolver = Resolver(None)
        self._rows: dict[str, list[int]] = {}
        for position in range(len(sheet.rows)):
            key = self._key(position)
            if key is not None and position not in left_out:
                self._rows.setdefault(key, []).append(position)

    def of(self, position: int) -> list[int]:
        """The rows for the same mailbox as that of a row, which is one of them if it is listed."""
        key = self._key(position)
        return self._rows.get(key, []) if key is not None else []

    def add(self, position: int) -> None:
        key = self._key(position)
        if key is not None and position not in self._rows.get(key, ()):
            insort(self._rows.setdefault(key, []), position)

    def remove(self, position: int) -> None:
        """To be called before the row's cells change."""
        rows = self.of(position)
        if position in rows:
            rows.remove(position)

    def shared(self) -> set[int]:
        """Every row that is not the only one for its mailbox."""
        return {position for rows in self._rows.values() if len(rows) > 1 for position in rows}

    def duplicates(self, positions: Iterable[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """The rows for the same mailbox as each of these: those that write it alike, and all; by their numbers."""
        alike, same = {}, {}
        numbers = self._sheet.rows
        for position in positions:
            together = self.of(position)
            if len(together) > 1:
                same[numbers[position]] = [numbers[each] for each in together]
                own = self._written(position)
                exactly = [numbers[each] for each in together if self._written(each) == own]
                if len(exactly) > 1:
                    alike[numbers[position]] = exactly
        return alike, same

    def _written(self, position: int) -> tuple[str, str]:
        return self._sheet.columns["email"][position].casefold(), self._sheet.columns["domain"][position]

    def _key(self, position: int) -> str | None:
        """Which mailbox the row is for; None if it is not certain, or says none."""
        columns = self._sheet.columns
        if "email" not in columns or "domain" not in columns or self._sheet.rows[position] in self._sheet.unreadable:
            return None
        email, domain = columns["email"][position], columns["domain"][position]
        return self._resolver.identity(email, domain).key if email and domain else None
