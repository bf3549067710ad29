"""What a run is about to do, and how a run or a check ended, for one sheet or several, on one screen."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.console.causes import cause_lines, merged
from provisioner.console.logins import login_counts, login_lines
from provisioner.console.terminal import (
    NAME_LENGTH,
    Line,
    beside,
    bold,
    coloured,
    is_terminal,
    print_out,
    say,
    size,
    wrap,
)
from provisioner.messages import (
    SHEET_DONE,
    WORDS,
    count,
    duration,
    found_rate,
    headings,
    listed,
    preview_lines,
    shorten,
    visible,
)
from provisioner.records import Actor, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from provisioner.summary import Group, LoginGroup, RunPreview, Summary

SHOWN_EXISTING = 3
SHOWN_VALUES = 5
NOT_CHECKED = "Whether your account has these domains, relay servers and projects is checked when you run it."


def show_preview(preview: RunPreview) -> None:
    """Print what a run is about to do, before anything is sent."""
    results = [f"Results: {preview.results}"] if preview.mailboxes or preview.to_poll else []
    for text in (*preview_lines(preview), *results):
        say(*wrap(text))


def show_summary(
    run_results: Sequence[tuple[Summary, Sequence[Group]]],
    command: str,
    *,
    not_begun: Sequence[str] = (),
    above: int = 0,
    checked: bool = False,
    generated: bool = False,
    logins: Sequence[LoginGroup] = (),
    verify: str = "",
    verbose: bool = False,
) -> None:
    """Print how all sheets of a command ended: counts, the rows left by cause, and how to continue.

    `command` continues with the rows left, or creates the mailboxes of sheets that were checked. `above`: lines of the
    screen that are taken by what must stay in sight. `generated`: passwords were asked to be generated. `logins`: the
    mailboxes that do not accept a log-in, which the command `verify` tries again.
    """
    width, height = size(sys.stderr)
    summaries = [summary for summary, _ in run_results]
    statuses = _added(summaries)
    left = sum(summary.left for summary in summaries)
    groups = merged(run_results)
    first = [*_heading(summaries, width), *_counts(statuses, width), *_existing(summaries, width)]
    first += _counts_by(summaries, width)
    if (counts := login_counts(summaries)) is not None and (counts.ok or logins):
        first += login_lines(counts, logins, verify, width)
    unchecked = [NOT_CHECKED] if checked and Status.VALID in statuses else []
    rates = [found_rate(summary.rate) for summary in summaries if summary.rate is not None]
    waiting = [f"Not started: {', '.join(not_begun)}"] if not_begun else []
    first += _paragraphs([*unchecked, *rates[-1:], *waiting], width)
    what = _what_next(groups, statuses, summaries, checked=checked)
    commands = (("  ", bold(line.strip())) for line in command.splitlines())
    last: list[Line] = ["", *wrap(what, width), *commands] if what else []
    fix = any(group.actor is Actor.SHEET for group in groups)
    last += _files(summaries, width, generated=generated, retry="to fix or run again" if fix else "to run again")
    if verbose:
        last += _paragraphs(_requests(summaries), width)
    room = max(height - above - len(first) - len(last) - 2, 0) if is_terminal(sys.stderr) else sys.maxsize
    elsewhere = "report.html" if len(summaries) == 1 else "the report.html of each sheet"
    say(*first, *cause_lines(groups, headings(groups, left), width, room, elsewhere), *last)


def _paragraphs(texts: Iterable[str], width: int) -> list[Line]:
    return [line for text in texts for line in ["", *wrap(text, width)]]


def _heading(summaries: Sequence[Summary], width: int) -> list[Line]:
    rows, seconds = sum(summary.read for summary in summaries), sum(summary.seconds for summary in summaries)
    took = f"{count(rows, 'row', 'rows')} in {duration(seconds)}"
    if len(summaries) == 1:
        whole = summaries[0].rows
        record = [] if whole == rows else [f"All {count(whole, 'row', 'rows')} of the sheet so far:"]
        return ["", *map(bold, wrap(f"{summaries[0].name}: {took}", width)), *record]
    lines: list[Line] = ["", bold(f"{count(len(summaries), 'sheet', 'sheets')}, {took}")]
    longest = max(len(visible(summary.name)) for summary in summaries)
    for summary in summaries:
        own = ", ".join(f"{number:,} {status}" for status, number in summary.statuses.items())
        lines.append(f"  {visible(summary.name):<{longest}}  {own}")
    return lines


def _counts(statuses: dict[Status, int], width: int) -> list[Line]:
    return [
        line
        for status, number in statuses.items()
        for line in beside(
            (f"{number:>9,}  ", coloured(status, f"{status:<10}"), "  "), WORDS[status].meaning, width, column=23
        )
    ]


def _existing(summaries: Sequence[Summary], width: int) -> list[Line]:
    """The addresses behind the status `exists`: nobody has proved their passwords."""
    addresses = [address for summary in summaries for address in summary.existing]
    number = sum(summary.statuses.get(Status.EXISTS, 0) for summary in summaries)
    if not addresses:
        return []
    practice = all(summary.practice for summary in summaries)
    hint = "" if practice else " (provisioner verify tries the passwords)"
    return ["", *wrap(f"Already existed: {listed(addresses, SHOWN_EXISTING, number)}{hint}", width)]


def _counts_by(summaries: Sequence[Summary], width: int) -> list[Line]:
    """The statuses for each value of a column, of all sheets that have it together."""
    together: defaultdict[str, defaultdict[str, Counter[Status]]] = defaultdict(lambda: defaultdict(Counter))
    for summary in summaries:
        for value, counts in summary.counts_by.items():
            together[summary.by][value].update(counts)
    return [line for by, values in together.items() for line in _values(by, values, width)]


def _values(by: str, values: Mapping[str, Counter[Status]], width: int) -> list[Line]:
    """The values of a column with the most rows."""
    most = sorted(values.items(), key=lambda item: -item[1].total())
    shown = {shorten(visible(value) or "(blank)", NAME_LENGTH): counts for value, counts in most[:SHOWN_VALUES]}
    longest = max(map(len, shown))
    lines: list[Line] = ["", bold(f"By {by}:")]
    for value, counts in shown.items():
        text = ", ".join(f"{counts[status]:,} {status}" for status in Status if status in counts)
        lines += beside(f"  {value:<{longest}}  ", text, width, longest + 4)
    if len(most) > SHOWN_VALUES:
        lines.append(f"  and {count(len(most) - SHOWN_VALUES, 'more value', 'more values')}, in results.csv")
    return lines


def _what_next(
    groups: Sequence[Group], statuses: dict[Status, int], summaries: Sequence[Summary], *, checked: bool
) -> str:
    """What to do with the command below it; empty if there is nothing to do."""
    if not any(summary.left for summary in summaries):
        return "Create them with:" if checked and Status.VALID in statuses else ""
    actors = {group.actor for group in groups}
    if not any(summary.to_retry for summary in summaries):
        return _not_held(actors, summaries)
    them = "it" if sum(summary.to_retry for summary in summaries) == 1 else "them"
    failures = ", ".join(summary.to_fix for summary in summaries if summary.left)
    if Actor.SHEET in actors:
        sheets = ", ".join(summary.name for summary in summaries if summary.left)
        return f"Fix {them} in {sheets} and check again:" if checked else f"Fix {them} in {failures} and run:"
    if actors == {Actor.SUPPORT}:
        return f"Send Mission Inbox support the task IDs in {failures}. After that, run:"
    return "Run again with:"


def _not_held(actors: set[Actor], summaries: Sequence[Summary]) -> str:
    """What to do about rows that are left and that the file which was read does not hold."""
    if any(summary.kept for summary in summaries):
        return "These rows were not in the file you ran. Run the file in which they were fixed:"
    if all(summary.is_sheet_done for summary in summaries):
        return f"{SHEET_DONE}, and run it again:"
    do = "Fix them in your own sheet, and run it" if Actor.SHEET in actors else "Run your own sheet for them"
    return f"These rows were not in the file you ran. {do}:"


def _files(summaries: Sequence[Summary], width: int, *, generated: bool, retry: str) -> list[Line]:
    every = "every row, with the generated passwords" if generated else "every row"
    if len(summaries) > 1:
        text = f"The run folder beside each sheet holds results.csv ({every}), failures.csv and report.html."
        return ["", *wrap(text, width)]
    (summary,) = summaries
    files = [(summary.results, every)]
    if summary.report:
        files.append((summary.report, "the same as a page"))
    if summary.to_retry:
        ready = "ready to run" if not summary.left else retry
        files.insert(1, (summary.to_fix, f"the {count(summary.to_retry, 'row', 'rows')} {ready}"))
    longest = max(len(visible(path)) for path, _ in files)
    if longest + 2 + max(len(what) for _, what in files) <= width:
        return ["", *(f"{visible(path):<{longest}}  {what}" for path, what in files)]
    # Not even a long path is cut: it is there to be copied.
    return ["", *(line for path, what in files for line in (path, f"  {what}"))]


def _requests(summaries: Sequence[Summary]) -> Iterator[str]:
    for summary in summaries:
        sent = summary.requests
        total = sent.create + sent.poll + sent.other
        if total:
            yield (
                f"{count(total, 'request', 'requests')}: {sent.create:,} to create, {sent.poll:,} to ask about tasks,"
                f" {count(sent.other, 'other', 'others')}; {sent.throttled:,} refused for speed,"
                f" {sent.retried:,} sent again. Each is listed in run.log in {summary.run_folder}."
            )


def _added(summaries: Sequence[Summary]) -> dict[Status, int]:
    total: Counter[Status] = Counter()
    for summary in summaries:
        total.update(summary.statuses)
    return {status: total[status] for status in Status if total[status]}


def print_json(summary: Summary, exit_code: int) -> None:
    """Print the one object that `--json` promises for a sheet, on a line of stdout. Raises OutputError."""
    outcome = {
        "run_folder": summary.run_folder,
        "results": summary.results,
        "failures": summary.failures,
        "rows": summary.rows,
        "statuses": {str(status): number for status, number in summary.statuses.items()},
        "requests": asdict(summary.requests),
        "seconds": round(summary.seconds, 3),
        **({"logins": asdict(summary.logins)} if summary.logins is not None else {}),
        "exit": exit_code,
    }
    print_out(json.dumps(outcome))
