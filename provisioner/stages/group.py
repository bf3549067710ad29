"""Put the rows that are left together by cause: one mistake is made a hundred times, and is mended once."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from provisioner.records import Actor, Example, Group, Problem, Status
from provisioner.wording import why

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provisioner.journal import Line


def group(lines: Iterable[Line], *, keep: int) -> tuple[Group, ...]:
    """The lines that are left, by who must act and by cause, the most frequent first.

    A row with several problems is in the group of each of them. Each group holds its first `keep` examples.
    """
    rows: Counter[tuple[Actor, Status, str]] = Counter()
    examples: defaultdict[tuple[Actor, Status, str], list[Example]] = defaultdict(list)
    for line in lines:
        own = (actor(line), line.status)
        problems = {(*own, problem.cause or problem.sentence): problem for problem in _problems(line)}
        rows.update(problems.keys())
        for key, problem in problems.items():
            if len(examples[key]) < keep:
                examples[key].append(_example(line, problem))
    order = {each: number for number, each in enumerate(Actor)}
    return tuple(
        Group(*key, number, tuple(examples[key]))
        for key, number in sorted(rows.items(), key=lambda item: (order[item[0][0]], -item[1], item[0][1:]))
    )


def actor(line: Line) -> Actor:
    """Who must act before the row can be created."""
    if line.status in (Status.INVALID, Status.REJECTED):
        return Actor.SHEET
    if line.status is Status.FAILED and line.sends > 1:
        return Actor.SUPPORT
    return Actor.NEXT_RUN


def _problems(line: Line) -> tuple[Problem, ...]:
    """What is wrong with a row; what the service said of it is one problem."""
    said = why(line.status, line.error)
    return line.problems or (Problem(None, said, _without_the_row(said, line)),)


def _without_the_row(text: str, line: Line) -> str:
    for own in (line.email, line.reply_to):
        text = text.replace(own, "…") if own else text
    return text


def _example(line: Line, problem: Problem) -> Example:
    return Example(
        place=problem.cell or (f"row {line.sheet_row}" if line.sheet_row is not None else "a row added by hand"),
        email=line.email,
        sentence=problem.sentence,
        error=why(line.status, line.error),
        task_id=line.task_id,
    )
