"""The rows that are left, by cause, as far as a screen has room."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from provisioner.console.terminal import NAME_LENGTH, Line, beside, bold, wrap
from provisioner.messages import count, listed, shorten
from provisioner.records import Actor, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.summary import Example, Group, Summary

SHOWN_GROUPS = 10
SHOWN_EXAMPLES = 2


def merged(run_results: Sequence[tuple[Summary, Sequence[Group]]]) -> list[Group]:
    """The groups of all sheets, equal causes combined; of several sheets, each place names its own."""
    if len(run_results) == 1:
        return list(run_results[0][1])
    together: dict[tuple[Actor, Status, str], Group] = {}
    for summary, groups in run_results:
        for group in groups:
            key = (group.actor, group.status, group.cause)
            known = together.get(key)
            own = tuple(
                replace(example, place=f"{summary.name} {example.place}") for example in group.examples[:SHOWN_EXAMPLES]
            )
            together[key] = (
                replace(known, rows=known.rows + group.rows, examples=(*known.examples, *own))
                if known
                else replace(group, examples=own)
            )
    order = list(Actor)
    return sorted(together.values(), key=lambda group: (order.index(group.actor), -group.rows, group.cause))


def cause_lines(
    groups: Sequence[Group], headings: Mapping[Actor, str], width: int, room: int, elsewhere: str
) -> list[Line]:
    """The rows left by cause; where `room` lines do not hold all, the causes with the most rows.

    Causes that running again settles give way to those that somebody must act on. `elsewhere` says where to find the
    causes that are not shown.
    """
    lines: list[Line] = []
    chosen: list[Group] = []
    for group in sorted(groups, key=lambda group: (group.actor is Actor.NEXT_RUN, -group.rows))[:SHOWN_GROUPS]:
        more = [each for each in groups if each in (*chosen, group)]
        longer = _chosen(more, headings, width)
        if unshown := len(groups) - len(more):
            longer.append(f"  and {count(unshown, 'more cause', 'more causes')}, in {elsewhere}")
        if lines and len(longer) > room:
            break
        lines, chosen = longer, more
    return lines


def _chosen(groups: Sequence[Group], headings: Mapping[Actor, str], width: int) -> list[Line]:
    lines: list[Line] = []
    for actor, own in groupby(groups, key=attrgetter("actor")):
        lines += ["", *map(bold, wrap(f"{headings[actor]}:", width))]
        lines += [line for group in own for line in _group(group, width)]
    return lines


def _group(group: Group, width: int) -> list[Line]:
    status = "" if group.status in (Status.INVALID, Status.UNSENT) else f"{group.status}: "
    cause = group.examples[0].sentence if group.rows == 1 else group.cause
    where = listed([_example(example) for example in group.examples[:SHOWN_EXAMPLES]], SHOWN_EXAMPLES, group.rows)
    return [*beside(f"{group.rows:>9,}  ", status + cause, width), *beside(" " * 11, f"in {where}", width)]


def _example(example: Example) -> str:
    name = shorten(example.email, NAME_LENGTH)
    return f"{example.place} ({name})" if name else example.place
