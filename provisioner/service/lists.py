"""Reads a list of the service page by page, and checks that it is whole and did not change meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from provisioner.service.transport import Reply

    Item = Mapping[str, Any]

UNKNOWN_FORM = "the service's list has a form that this program does not know"
CHANGED = "the service's list changed while it was read"
ENDLESS = "the service's list goes round in a circle, or has no end"
MOST_PAGES = 10_000
READINGS = 2
"""How often a list is read that changed meanwhile."""


class ListingUnavailableError(Exception):
    """The service does not give this list, or not whole; the message says why in plain words."""


class ListChangedError(ListingUnavailableError):
    """The list changed while it was read, or is not whole: reading it again may help."""


async def read_pages(
    path: str, ask: Callable[[str], Awaitable[Reply]], at_origin: Callable[[str, str], str | None]
) -> AsyncGenerator[list[Item], None]:
    """The pages of a list as the service gives them; a bare array is one page.

    `ask` requests a path. `at_origin` turns the link that a page names into the path of the next one, or None if it
    leads elsewhere. Raises ListingUnavailableError, at the end too if the list proves nothing about what is not in it.
    """
    proof = _Proof()
    asked: set[str] = set()
    following: str | None = path
    while following is not None:
        asked.add(following)
        reply = await ask(following)
        page = reply.body if isinstance(reply.body, dict) else {"results": reply.body, "next": None}
        items = page.get("results")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ListingUnavailableError(UNKNOWN_FORM)
        yield items
        is_new = proof.add(items, page.get("count"))
        if reply.links_on or not ("next" in page or proof.is_counted):
            raise ListingUnavailableError(UNKNOWN_FORM)
        link = page.get("next")
        following = at_origin(following, link) if isinstance(link, str) and link else None
        if link and following is None:
            raise ListingUnavailableError("the service's list goes on at another address, which is not followed")
        if following in asked or (link and not is_new) or len(asked) == MOST_PAGES:
            raise ListChangedError(ENDLESS)
    proof.check()


class _Proof:
    """The evidence against a list: entries that are missing or listed twice, or a count that differs between pages."""

    def __init__(self) -> None:
        self._entries: set[str] = set()
        self._given = 0
        self._counts: set[int] = set()

    @property
    def is_counted(self) -> bool:
        return bool(self._counts)

    def add(self, items: list[Item], count: object) -> bool:
        """Take one page. Returns whether it had anything that no earlier page had."""
        before = len(self._entries)
        self._entries.update(map(_identity, items))
        self._given += len(items)
        if isinstance(count, int) and not isinstance(count, bool):
            self._counts.add(count)
        return len(self._entries) > before

    def check(self) -> None:
        """Raise ListingUnavailableError unless the list is whole and did not change."""
        if len(self._entries) < self._given or len(self._counts) > 1:
            raise ListChangedError(CHANGED)
        for count in self._counts - {self._given}:
            raise ListChangedError(f"the service's list is not whole: {self._given} of {count}")


def _identity(item: Item) -> str:
    number = item.get("id")
    return json.dumps(number if number is not None else item, sort_keys=True, default=str)
