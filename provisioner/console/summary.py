"""What a run, a check or several of them came to, on one screen."""

from __future__ import annotations

import json
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from provisioner.console.causes import Labels, cause_lines, headings, merged
from provisioner.console.logins import login_counts, login_lines
from provisioner.console.terminal import Paint, is_terminal, size
from provisioner.messages import WORDS, count, duration, visible
from provisioner.records import Actor, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provisioner.summary import Group, LoginGroup, Summary


def show_summary(
    run_results: Sequence[tuple[Summary, Sequence[Group]]],
    command: str,
    *,
    not_begun: Sequence[str] = (),
    above: int = 0,
    checked: bool = False,
    logins: Sequence[LoginGroup] = (),
    verify: str = "",
    verbose: bool = False,
) -> None:
    """What all the sheets of a call came to, on one screen: counts, what is left by cause, and how to go on.

    `command` is what goes on with the rows that are left, or creates the mailboxes of sheets that were checked.
    `above` is how many lines of the screen are taken already by what must stay in sight. `logins`: the mailboxes that
    cannot be logged in to, which the command `verify` tries again.
    """
    stream = sys.stderr
    width, height = size(stream)
    paint = Paint(stream)
    summaries = [summary for summary, _ in run_results]
    statuses = _added(summaries)
    left = sum(number for status, number in statuses.items() if not status.done)
    groups = merged(run_results)
    first = [*_heading(summaries, paint), *_counts(statuses, width, paint)]
    if (counts := login_counts(summaries)) is not None:
        first += login_lines(counts, logins, verify, width, paint)
    last = [
        *_way_on(groups, left, summaries, command, paint, width=width, checked=checked),
        *_files(summaries, width),
    ]
    if verbose:
        last += [line for text in _requests(summaries) for line in ["", *textwrap.wrap(text, width)]]
    if checked:
        asked = "Whether the account has these domains, relay servers and projects is looked up by run."
        first += ["", *textwrap.wrap(asked, width)]
    if not_begun:
        first += ["", f"Not begun: {', '.join(map(visible, not_begun))}"]
    room = max(height - above - len(first) - len(last) - 2, 0) if is_terminal(stream) else sys.maxsize
    elsewhere = "report.html" if len(summaries) == 1 else "the report.html of each sheet"
    said = Labels(headings(groups, left), elsewhere)
    print("\n".join([*first, *cause_lines(groups, said, width, room, paint), *last]), file=stream)


def _heading(summaries: Sequence[Summary], paint: Paint) -> list[str]:
    rows, seconds = sum(summary.read for summary in summaries), sum(summary.seconds for summary in summaries)
    took = f"{count(rows, 'row', 'rows')} in {duration(seconds)}"
    if len(summaries) == 1:
        whole = summaries[0].rows
        record = [] if whole == rows else [f"Of the whole sheet's {count(whole, 'row', 'rows')}:"]
        return ["", paint.bold(f"{visible(summaries[0].sheet)}: {took}"), *record]
    names = [visible(summary.sheet) for summary in summaries]
    longest = max(map(len, names))
    own = (", ".join(f"{number:,} {status}" for status, number in summary.statuses.items()) for summary in summaries)
    return [
        "",
        paint.bold(f"{count(len(summaries), 'sheet', 'sheets')}, {took}"),
        *(f"  {name:<{longest}}  {counts}" for name, counts in zip(names, own, strict=True)),
    ]


def _counts(statuses: dict[Status, int], width: int, paint: Paint) -> list[str]:
    room = max(1, width - 23)
    return [
        f"{number:>9,}  {paint.status(status, f'{status:<10}')}  "
        f"{textwrap.shorten(WORDS[status].meaning, room, placeholder='…')}"
        for status, number in statuses.items()
    ]


def _way_on(
    groups: Sequence[Group],
    left: int,
    summaries: Sequence[Summary],
    command: str,
    paint: Paint,
    *,
    width: int,
    checked: bool,
) -> list[str]:
    """What to do next, with the command to paste; nothing where all is done."""
    if not left:
        return ["", "Create them with:", f"  {paint.bold(command)}"] if checked else []
    files = ", ".join(visible(summary.failures) for summary in summaries if not _is_done(summary))
    actors = {group.actor for group in groups}
    if not any(summary.to_retry for summary in summaries):
        told = textwrap.wrap("They were not in the file of this run; see to them in your own sheet, and run it:", width)
        return ["", *told, f"  {paint.bold(command)}"]
    if Actor.SHEET in actors:
        them = "it" if left == 1 else "them"
        what = f"Mend {them} in {files} (its column sheet_row has the row's number), save, and go on with:"
    elif actors == {Actor.SUPPORT}:
        what = f"Give support the task IDs in {files}; afterwards go on with:"
    else:
        what = "Go on with:"
    return ["", *textwrap.wrap(what, width, break_on_hyphens=False), f"  {paint.bold(command)}"]


def _files(summaries: Sequence[Summary], width: int) -> list[str]:
    if len(summaries) > 1:
        return [
            "",
            *textwrap.wrap("Beside each sheet its folder holds results.csv, failures.csv and report.html.", width),
        ]
    (summary,) = summaries
    told = [(summary.results, "every row"), (summary.report, "all of this as a page")]
    if summary.to_retry:
        ready = "ready to run" if _is_done(summary) else "to mend or to run again"
        told.insert(1, (summary.failures, f"the {count(summary.to_retry, 'row', 'rows')} {ready}"))
    longest = max(len(visible(path)) for path, _ in told)
    if longest + 2 + max(len(what) for _, what in told) <= width:
        return ["", *(f"{visible(path):<{longest}}  {what}" for path, what in told)]
    # Not even a long path is cut: it is there to be copied.
    return ["", *(line for path, what in told for line in (visible(path), f"  {what}"))]


def _requests(summaries: Sequence[Summary]) -> Iterator[str]:
    for summary in summaries:
        sent = summary.requests
        total = sent.create + sent.poll + sent.other
        if total:
            yield (
                f"{count(total, 'request', 'requests')}: {sent.create:,} to create, {sent.poll:,} to ask about tasks,"
                f" {count(sent.other, 'other', 'others')};"
                f" {sent.throttled:,} refused for speed, {sent.retried:,} sent again."
                f" Each of them is in run.log in {visible(summary.run_folder)}."
            )


def _is_done(summary: Summary) -> bool:
    return all(status.done for status in summary.statuses)


def _added(summaries: Sequence[Summary]) -> dict[Status, int]:
    total: Counter[Status] = Counter()
    for summary in summaries:
        total.update(summary.statuses)
    return {status: total[status] for status in Status if total[status]}


def print_json(summary: Summary, exit_code: int) -> None:
    """The one object that `--json` promises for a sheet, on a line of stdout."""
    print(
        json.dumps(
            {
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
        )
    )
