"""Which rows of an open sheet are for one mailbox, kept up to date as rows change."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from provisioner.stages.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from provisioner.sheets import Sheet


class Mailboxes:
    """The positions of the rows for each mailbox. A row that is not certain is for none."""

    def __init__(self, sheet: Sheet, left_out: Collection[int]) -> None:
        """`sheet` is the one whose cells change; the positions in `left_out` are not listed."""
        self._sheet = sheet
        self._resolver = Resolver(None)
        self._rows = defaultdict[str | None, set[int]](set)
        for position in range(len(sheet.rows)):
            if position not in left_out:
                self.add(position)

    def of(self, positions: Iterable[int]) -> set[int]:
        """The rows for the same mailboxes as these, which are among them if they are listed."""
        return set[int]().union(*(self._rows[key] for key in set(map(self._key, positions)) & self._rows.keys()))

    def add(self, position: int) -> None:
        key = self._key(position)
        if key is not None:
            self._rows[key].add(position)

    def remove(self, position: int) -> None:
        """To be called before the row's cells change."""
        self._rows[self._key(position)].discard(position)

    def duplicates(self, positions: Collection[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """The rows for the same mailbox as each of these: those that write it alike, and all; by their numbers."""
        alike, same = defaultdict[tuple[str, str], list[int]](list), defaultdict[str | None, list[int]](list)
        for position in sorted(self.of(positions)):
            same[self._key(position)].append(self._sheet.rows[position])
            alike[self._written(position)].append(self._sheet.rows[position])
        wanted = {self._sheet.rows[position] for position in positions}
        return _several(alike.values(), wanted), _several(same.values(), wanted)

    def _written(self, position: int) -> tuple[str, str]:
        return self._sheet.columns["email"][position].casefold(), self._sheet.columns["domain"][position]

    def _key(self, position: int) -> str | None:
        """Which mailbox the row is for; None if it is not certain, or says none."""
        columns = self._sheet.columns
        if "email" not in columns or "domain" not in columns or self._sheet.rows[position] in self._sheet.unreadable:
            return None
        email, domain = columns["email"][position], columns["domain"][position]
        return self._resolver.identity(email, domain).key if email and domain else None


def _several(groups: Iterable[list[int]], wanted: Collection[int]) -> dict[int, list[int]]:
    """Of each wanted row that is in a group of several, the group."""
    return {row: group for group in groups if len(group) > 1 for row in group if row in wanted}
