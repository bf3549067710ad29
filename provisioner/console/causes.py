"""The rows that are left, by cause, as far as a screen has room."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from provisioner.messages import TASKS, count, visible
from provisioner.records import Actor, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provisioner.console.terminal import Paint
    from provisioner.summary import Example, Group, Summary

SHOWN_GROUPS = 10
SHOWN_EXAMPLES = 2

NAME_LENGTH = 30


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said around the causes."""

    headings: Mapping[Actor, str]
    elsewhere: str
    """Where the causes are for which there is no room."""


def headings(groups: Sequence[Group], left: int) -> dict[Actor, str]:
    """What stands over the causes of which each must act; `left` is how many rows there are in all."""
    several = sum(group.rows for group in groups) > left
    more = " (a row with several faults stands under each)" if several else ""
    return {**TASKS, Actor.SHEET: TASKS[Actor.SHEET] + more}


def merged(run_results: Sequence[tuple[Summary, Sequence[Group]]]) -> list[Group]:
    """The groups of all sheets, those of one cause put together; of several sheets, each place with its sheet."""
    if len(run_results) == 1:
        return list(run_results[0][1])
    together: dict[tuple[Actor, Status, str], Group] = {}
    for summary, groups in run_results:
        for group in groups:
            key = (group.actor, group.status, group.cause)
            known = together.get(key)
            own = tuple(
                replace(example, place=f"{visible(summary.sheet)} {example.place}")
                for example in group.examples[:SHOWN_EXAMPLES]
            )
            together[key] = (
                replace(known, rows=known.rows + group.rows, examples=(*known.examples, *own))
                if known
                else replace(group, examples=own)
            )
    order = list(Actor)
    return sorted(together.values(), key=lambda group: (order.index(group.actor), -group.rows, group.cause))


def cause_lines(groups: Sequence[Group], said: Labels, width: int, room: int, paint: Paint) -> list[str]:
    """What is left by cause; where there is not room for all of it, the causes with the most rows."""
    lines: list[str] = []
    chosen: list[Group] = []
    for group in sorted(groups, key=lambda group: -group.rows)[:SHOWN_GROUPS]:
        more = [each for each in groups if each in (*chosen, group)]
        longer = _chosen(more, len(groups), said, width, paint)
        if lines and len(longer) > room:
            break
        lines, chosen = longer, more
    return lines


def _chosen(groups: Sequence[Group], number: int, said: Labels, width: int, paint: Paint) -> list[str]:
    lines = []
    for actor, own in groupby(groups, key=attrgetter("actor")):
        lines += ["", *map(paint.bold, textwrap.wrap(f"{said.headings[actor]}:", width))]
        lines += [line for group in own for line in _group(group, width)]
    if number > len(groups):
        lines.append(f"{'':11}and {count(number - len(groups), 'more cause', 'more causes')}, in {said.elsewhere}")
    return lines


def _group(group: Group, width: int) -> list[str]:
    named = "" if group.status in (Status.INVALID, Status.UNSENT) else f"{group.status}: "
    indent = " " * 11
    said = group.examples[0].sentence if group.rows == 1 else group.cause
    cause = textwrap.wrap(
        visible(named + said), width - len(indent), max_lines=3, placeholder=" …", break_on_hyphens=False
    )
    examples = ", ".join(_example(example) for example in group.examples[:SHOWN_EXAMPLES])
    more = group.rows - min(SHOWN_EXAMPLES, len(group.examples))
    where = f"in {examples}" + (f" and {more:,} more" if more > 0 else "")
    return [
        f"{group.rows:>9,}  {cause[0]}",
        *(indent + line for line in cause[1:]),
        *textwrap.wrap(where, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False),
    ]


def _example(example: Example) -> str:
    name = visible(example.email)
    name = name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
    return f"{example.place} ({name})" if name else example.place
