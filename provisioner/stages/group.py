"""Group the rows that are left by cause: one mistake is often made in a hundred rows, and is fixed once."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from provisioner.messages import NOT_LOGGED_IN, why
from provisioner.records import GAP, Actor, Fault, Problem, Status
from provisioner.summary import Example, Group, LoginGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.journal import JournalRow
    from provisioner.resources import LoginState


_Key = tuple[Actor, Status, str]


def group(rows: Iterable[JournalRow], *, keep: int) -> tuple[Group, ...]:
    """The rows that are left, by who must act and by cause, the most frequent first.

    A row with several problems is in the group of each of them; problems that always come together make one group.
    Each group holds its first `keep` examples.
    """
    found: dict[_Key, _Found] = {}
    for row in rows:
        own = (row.actor, row.status)
        problems = {(*own, problem.cause): problem for problem in problems_of(row)}
        for key, problem in problems.items():
            if key not in found:
                found[key] = _Found(problem.fault)
            found[key].add(row, problem, keep)
    together: dict[object, Group] = {}
    for (who, status, _), each in found.items():
        known = together.get((who, status, each.same))
        new = Group(who, status, each.common.sentence, each.rows, tuple(each.examples))
        together[who, status, each.same] = _joined(known, new) if known else new
    order = {each: number for number, each in enumerate(Actor)}
    return tuple(sorted(together.values(), key=lambda group: (order[group.actor], -group.rows)))


def group_logins(rows: Iterable[JournalRow], *, keep: int) -> tuple[LoginGroup, ...]:
    """The mailboxes that were not logged in to over both protocols, by reason, the most frequent first.

    Those that existed before count only if a log-in was tried. Each group holds the addresses of its first `keep`
    mailboxes.
    """
    found: dict[tuple[LoginState | None, str], list[str]] = defaultdict(list)
    for row in rows:
        state = row.login_state
        tried = state is not None or row.login_error is not None
        wanted = row.status is Status.CREATED or (row.status is Status.EXISTS and tried)
        if wanted and not row.is_proven:
            found[state, (row.login_error or NOT_LOGGED_IN).replace(row.name, "…")].append(row.name)
    groups = (
        LoginGroup(state, reason, len(addresses), tuple(addresses[:keep]))
        for (state, reason), addresses in found.items()
    )
    return tuple(sorted(groups, key=lambda group: -group.mailboxes))


class _Found:
    """The rows with one cause."""

    def __init__(self, fault: Fault) -> None:
        self.rows = 0
        self.common = fault
        """What is said of all of them, with an ellipsis where it differs."""
        self.examples: list[Example] = []
        self.same = 0
        """Equal for causes that are found in exactly the same cells."""

    def add(self, row: JournalRow, problem: Problem, keep: int) -> None:
        self.rows += 1
        if self.common.details != problem.fault.details:
            self.common = _common(self.common, problem.fault)
        self.same = hash((self.same, row.id, problem.cell))
        if len(self.examples) < keep:
            self.examples.append(_example(row, problem))


def _common(known: Fault, other: Fault) -> Fault:
    """The details that two faults of one cause share; an ellipsis stands for one that differs, or that one lacks."""
    pairs = zip_longest(known.details, other.details)
    return Fault(known.cause, tuple(one if one == its else GAP for one, its in pairs))


def _joined(known: Group, new: Group) -> Group:
    """Two causes that are found in exactly the same cells, as one group."""
    examples = (
        replace(one, sentence=f"{one.sentence}; {other.sentence}")
        for one, other in zip(known.examples, new.examples, strict=True)
    )
    return replace(known, cause=f"{known.cause}; {new.cause}", examples=tuple(examples))


def problems_of(row: JournalRow) -> tuple[Problem, ...]:
    """What is wrong with a row; what the service said of it is one problem."""
    return row.problems or (Problem(None, _said(why(row.status, row.explanation), row)),)


def _said(text: str, row: JournalRow) -> Fault:
    """What was said about a row, with the row's own texts as details."""
    own = [each for each in (row.email, row.reply_to, GAP) if each and each in text]
    if not own:
        return Fault(text)
    found = re.compile("|".join(map(re.escape, own)))
    return Fault(found.sub(GAP, text), tuple(found.findall(text)))


def _example(row: JournalRow, problem: Problem) -> Example:
    return Example(place=problem.cell or row.place, email=row.email, sentence=problem.sentence, task_id=row.task_id)
