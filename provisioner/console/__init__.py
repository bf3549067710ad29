"""How progress, summaries and errors look. Everything for people goes to stderr; `--json` goes to stdout."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
import traceback
from collections import Counter
from dataclasses import asdict, astuple, dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from provisioner.events import NullListener
from provisioner.messages import LOGGED_IN, LOGINS, MINUTE, TASKS, WORDS, count, duration, login_remedy, visible
from provisioner.records import Account, Actor, LoginState, Status
from provisioner.sheets import escape_formula
from provisioner.summary import Group, LoginCounts, LoginGroup, RunPreview, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provisioner.errors import ProvisionerError
    from provisioner.records import Exchange
    from provisioner.summary import Example

PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where nobody watches a terminal; more, the longer the run has lasted."""
PLAIN_SHARE = 10
"""One line each time that the run has become longer by one part in so many."""
STATUS_INTERVAL = 0.2
"""Seconds between two changes of the line below the bars."""
TELLING = 5
"""So many rows have to be finished before the time that is left is told."""
WIDEST = 100
"""Lines are easier to read when they are not endlessly long."""
SHOWN_GROUPS = 10
SHOWN_EXAMPLES = 2
SHOWN_LOGINS = 3
NAME_LENGTH = 30
NARROWEST = 8
"""Characters that a column of a table keeps, however narrow the terminal."""
USER_NAME, OWN_PASSWORD = "the full address, such as john.doe@example.com", "the mailbox's own"
"""What a mail program is to be told."""
WORKED = frozenset({Status.CREATED, Status.EXISTS})


TELL_TIME = 10.0
"""Seconds from which on it is worth saying how long it takes."""


class _Tally:
    """What both kinds of progress count."""

    def __init__(self, *, to_send: int = 0, to_end: int = 0) -> None:
        self.to_send = to_send
        self.to_end = to_end
        self.sent_rows = 0
        self.worked = 0
        self.failed = 0
        self._creates = 0
        self._questions = 0
        self._began = time.monotonic()

    @property
    def ended_rows(self) -> int:
        return self.worked + self.failed

    def end(self, status: Status) -> None:
        if status in WORKED:
            self.worked += 1
        else:
            self.failed += 1

    def answer(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            self._creates += 1
        else:
            self._questions += 1

    def counts(self) -> str:
        """What became of the rows so far, and how it goes."""
        return f"{self.results()}{self._outlook()}"

    def results(self) -> str:
        """What became of the rows so far."""
        return f"{self.worked:,} created, {self.failed:,} not created"

    def _outlook(self) -> str:
        """How fast requests go, and what that leaves; empty while too few rows are finished to tell.

        Creates go first, so rows finish slowly at the beginning and fast at the end: what is left is reckoned in
        requests, by as many as a row took so far.
        """
        elapsed = time.monotonic() - self._began
        if self.ended_rows < TELLING or elapsed < 1.0:
            return ""
        rate = (self._creates + self._questions) / elapsed
        creates = max(0, self.to_send - self.sent_rows) * self._creates / max(1, self.sent_rows)
        questions = max(0, self.to_end - self.ended_rows) * self._questions / self.ended_rows
        if not rate:
            return ""
        return f"; {rate:.1f} requests a second, {_time_left((creates + questions) / rate)}"


class PlainProgress:
    """Lines at sensible intervals, for pipes, files and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = _Tally()
        self._began = time.monotonic()
        self._next = self._began + PLAIN_INTERVAL
        self._paused_until = 0.0

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:  # noqa: ARG002 - told already
        self._tally = _Tally(to_send=to_send, to_end=to_send + to_poll)

    def sent(self) -> None:
        self._tally.sent_rows += 1

    def finished(self, status: Status) -> None:
        self._tally.end(status)

    def answered(self, exchange: Exchange) -> None:
        self._tally.answer(exchange)
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + max(PLAIN_INTERVAL, (now - self._began) / PLAIN_SHARE)
        tally = self._tally
        sent = f"{tally.sent_rows:,} of {tally.to_send:,} sent; " if tally.to_send else ""
        self.note(
            f"{time.strftime('%H:%M:%S')} {sent}{tally.ended_rows:,} of {tally.to_end:,} finished: {tally.counts()}."
        )

    def paused(self, seconds: float, reason: str) -> None:
        """Told once for a time of waiting, not again for each request that is refused in it."""
        now = time.monotonic()
        if now >= self._paused_until:
            self.note(f"{_paused(seconds, reason)}.")
        self._paused_until = max(self._paused_until, now + seconds + PLAIN_INTERVAL)

    def note(self, sentence: str) -> None:
        print(visible(sentence), file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing stays on the screen that would have to be taken back."""


class BarProgress:
    """Two bars on a terminal, what was sent and what is finished, and a line below them that says how it goes.

    Events only count; all three lines are drawn together, from the same numbers.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._tally = _Tally()
        self._sent: tqdm[Any] | None = None
        self._finished: tqdm[Any] | None = None
        self._below: tqdm[Any] | None = None
        self._told_at = 0.0
        self._paused_until = 0.0
        self._paused = ""

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:  # noqa: ARG002 - told already
        self.close()
        self._tally = _Tally(to_send=to_send, to_end=to_send + to_poll)
        if to_send:
            self._sent = self._bar("Sent", to_send)
        if to_send + to_poll:
            self._finished = self._bar("Finished", to_send + to_poll)
            self._below = tqdm(total=0, bar_format="{desc}", file=self._stream, dynamic_ncols=True, leave=False)

    def sent(self) -> None:
        self._tally.sent_rows += 1
        self._draw_when_due(at_once=self._tally.sent_rows == self._tally.to_send)

    def finished(self, status: Status) -> None:
        self._tally.end(status)
        self._draw_when_due(at_once=self._tally.ended_rows >= self._tally.to_end)

    def paused(self, seconds: float, reason: str) -> None:
        until = time.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until, self._paused = until, _paused(seconds, reason)
        self._draw()

    def answered(self, exchange: Exchange) -> None:
        self._tally.answer(exchange)
        self._draw_when_due()

    def note(self, sentence: str) -> None:
        self._draw()
        tqdm.write(textwrap.fill(visible(sentence), _size(self._stream)[0]), file=self._stream)

    def close(self) -> None:
        """Take the bars away, so that what follows begins where they stood."""
        for bar in (self._below, self._finished, self._sent):
            if bar is not None:
                bar.close()
        self._sent = self._finished = self._below = None

    def _draw_when_due(self, *, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._told_at >= STATUS_INTERVAL:
            self._draw()

    def _draw(self) -> None:
        """All that stands on the screen, as it is at this moment; the counts stay while requests are held back."""
        self._told_at = time.monotonic()
        tally = self._tally
        if self._below is not None:
            paused = self._told_at < self._paused_until
            told = f"{tally.results()}. {self._paused}" if paused else tally.counts()
            self._below.set_description_str(told, refresh=False)
        for bar, number in ((self._sent, tally.sent_rows), (self._finished, tally.ended_rows)):
            if bar is not None:
                bar.n = min(number, bar.total or 0)
        for drawn in (self._below, self._finished, self._sent):  # a bar last: it leaves the cursor within its line
            if drawn is not None:
                drawn.refresh()

    def _bar(self, name: str, total: int) -> tqdm[Any]:
        width = len(f"{total:,}")
        numbers = f"{{n:{width},}} of {{total:,}}"
        return tqdm(
            total=total,
            file=self._stream,
            # The cursor is left within the line: the ^C that a terminal writes there must not begin another.
            bar_format=f"{name:<9}{{bar}} {numbers}   \x1b[3D",
            dynamic_ncols=True,
            leave=False,
            colour=None,
        )


class QuietProgress(NullListener):
    """Shows nothing."""

    def close(self) -> None:
        """There is nothing to be taken away."""


Progress = PlainProgress | BarProgress | QuietProgress


def progress(*, quiet: bool = False, stream: TextIO | None = None) -> Progress:
    """Bars on a terminal, plain lines elsewhere, nothing where that is asked for."""
    stream = stream or sys.stderr
    if quiet:
        return QuietProgress()
    return BarProgress(stream) if _is_terminal(stream) else PlainProgress(stream)


def show_preview(preview: RunPreview) -> None:
    """What a run is about to do, before anything is sent."""
    width, _ = _size(sys.stderr)
    for line in _preview_lines(preview):
        print(textwrap.fill(visible(line), width, break_long_words=False, break_on_hyphens=False), file=sys.stderr)


def _preview_lines(preview: RunPreview) -> Iterator[str]:
    if preview.to_send:
        takes = f"; that takes {duration(round(preview.seconds))} or more" if preview.seconds >= TELL_TIME else ""
        where = "for practice" if preview.practice else f"at {preview.service}"
        yield f"{count(preview.to_send, 'mailbox', 'mailboxes')} to create {where}{takes}."
    else:
        yield "No mailbox is to be created."
    if preview.held_back:
        yield f"{count(preview.held_back, 'further row is', 'further rows are')} ready, and held back by --limit."
    if preview.to_look_up:
        rows = count(preview.to_look_up, "row was sent earlier and has", "rows were sent earlier and have")
        yield f"{rows} no clear answer: looked up first, and sent again only if not there."
    if preview.to_poll:
        rows = count(preview.to_poll, "row was", "rows were")
        yield f"{rows} sent earlier and will be followed up, not sent again."
    if preview.done:
        yield f"{count(preview.done, 'row is', 'rows are')} done already and will be left alone."
    if preview.invalid:
        yield f"{count(preview.invalid, 'row is', 'rows are')} invalid and will not be sent: see {preview.failures}"
    if preview.to_send or preview.to_poll or preview.to_look_up:
        yield f"What becomes of each row is written to {preview.results}"


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
    width, height = _size(stream)
    paint = _Paint(stream)
    summaries = [summary for summary, _ in run_results]
    statuses = _added(summaries)
    left = sum(number for status, number in statuses.items() if not status.done)
    groups = _merged(run_results)
    first = [*_heading(summaries, paint), *_counts(statuses, width, paint)]
    if (counts := _login_counts(summaries)) is not None:
        first += _logins(counts, logins, verify, width, paint)
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
    room = max(height - above - len(first) - len(last) - 2, 0) if _is_terminal(stream) else sys.maxsize
    elsewhere = "report.html" if len(summaries) == 1 else "the report.html of each sheet"
    said = _Said(_headings(groups, left), elsewhere)
    print("\n".join([*first, *_groups(groups, said, width, room, paint), *last]), file=stream)


def _heading(summaries: Sequence[Summary], paint: _Paint) -> list[str]:
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


def _counts(statuses: dict[Status, int], width: int, paint: _Paint) -> list[str]:
    room = max(1, width - 23)
    return [
        f"{number:>9,}  {paint.status(status, f'{status:<10}')}  "
        f"{textwrap.shorten(WORDS[status].meaning, room, placeholder='…')}"
        for status, number in statuses.items()
    ]


def _login_counts(summaries: Sequence[Summary]) -> LoginCounts | None:
    """What came of logging in, of all sheets together; None where nobody logged in."""
    counts = [summary.logins for summary in summaries if summary.logins is not None]
    return LoginCounts(*(sum(each) for each in zip(*map(astuple, counts), strict=True))) if counts else None


def _logins(counts: LoginCounts, groups: Sequence[LoginGroup], again: str, width: int, paint: _Paint) -> list[str]:
    """How many mailboxes can be logged in to, why the others cannot by reason, and what to do about it."""
    words: dict[LoginState | None, int] = dict.fromkeys(LOGINS, 0)
    for group in groups:
        words[group.state] += group.mailboxes
    lines = ["", *([f"{counts.ok:>9,}  {'ok':<11}  {LOGGED_IN}"] if counts.ok else [])]
    lines += [
        f"{number:>9,}  {state or '':<11}  {textwrap.shorten(LOGINS[state].meaning, width - 24, placeholder='…')}"
        for state, number in words.items()
        if number
    ]
    for group in groups[:SHOWN_LOGINS]:
        more = group.mailboxes - len(group.examples[:SHOWN_EXAMPLES])
        where = ", ".join(group.examples[:SHOWN_EXAMPLES]) + (f" and {more:,} more" if more > 0 else "")
        lines += ["", *_indented(f"{group.mailboxes:>9,}  {visible(group.reason)}", width)]
        lines += [*_indented(f"{login_remedy(group.state, group.reason)}.", width), *_indented(visible(where), width)]
    if len(groups) > SHOWN_LOGINS:
        lines += ["", *_indented(f"and {count(len(groups) - SHOWN_LOGINS, 'more reason', 'more reasons')}", width)]
    return [*lines, *(["", "Log in again with:", f"  {paint.bold(again)}"] if groups and again else [])]


def _groups(groups: Sequence[Group], said: _Said, width: int, room: int, paint: _Paint) -> list[str]:
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


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said around the causes."""

    headings: Mapping[Actor, str]
    elsewhere: str
    """Where the causes are for which there is no room."""


def _headings(groups: Sequence[Group], left: int) -> dict[Actor, str]:
    """What stands over the causes of which each must act; `left` is how many rows there are in all."""
    several = sum(group.rows for group in groups) > left
    more = " (a row with several faults stands under each)" if several else ""
    return {**TASKS, Actor.SHEET: TASKS[Actor.SHEET] + more}


def _chosen(groups: Sequence[Group], number: int, said: _Said, width: int, paint: _Paint) -> list[str]:
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


def _way_on(
    groups: Sequence[Group],
    left: int,
    summaries: Sequence[Summary],
    command: str,
    paint: _Paint,
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


def _merged(run_results: Sequence[tuple[Summary, Sequence[Group]]]) -> list[Group]:
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


def show_error(error: ProvisionerError, *, verbose: bool = False) -> int:
    """The fault, then what to do; the technical cause where that is asked for. Answers how many lines that took."""
    stream = sys.stderr
    width, _ = _size(stream)
    paint = _Paint(stream)
    lines = [paint.bad(line) for line in textwrap.wrap(visible(error.message), width, break_on_hyphens=False)]
    lines += textwrap.wrap(visible(error.remedy), width, break_on_hyphens=False)
    if verbose:
        causes = filter(None, [visible(error.technical), *_causes(error)])
        lines += [line for cause in causes for line in textwrap.wrap(f"Technical cause: {cause}", width)]
    print("\n".join(["", *lines]), file=stream)
    return len(lines) + 1


def show_unexpected(error: BaseException, *, verbose: bool = False) -> None:
    """What to say of a fault of the program's own. Its text is not shown, since nobody knows what it holds."""
    width, _ = _size(sys.stderr)
    fault = f"The program met something that it did not expect ({type(error).__name__}) and stopped."
    remedy = (
        "What was sent and what came of it is in the journal: run the same command again to go on. If it happens "
        "again, send run.log from the run folder to whoever looks after this program."
    )
    print("\n".join(["", *textwrap.wrap(fault, width), *textwrap.wrap(remedy, width)]), file=sys.stderr)
    if verbose:
        print("".join(_places(error)), file=sys.stderr, end="")


def _places(error: BaseException) -> Iterator[str]:
    """Where it happened, of a group of errors each; without their texts."""
    yield f"{type(error).__name__}\n"
    yield from traceback.format_tb(error.__traceback__)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _places(each)


def show_interrupted(command: str, *, before: bool) -> None:
    """An interruption at a time when nothing had begun that had to be ended gently; `before`: while it was asked."""
    print("\nInterrupted before anything was sent." if before else "\nInterrupted.", file=sys.stderr)
    show_again(command)


def show_again(command: str) -> None:
    """The command that goes on, where no summary could be shown that says it."""
    print(f"Go on with:\n  {command}", file=sys.stderr)


class Table:
    """Entries of a list on stdout as they come, in columns as wide as the first page needs.

    On a terminal the widest give way, so that no line wraps; elsewhere every cell is whole.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._widths: list[int] = []
        self._cuts = False

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        rows = [[_shown(entry[column]) for column in self._columns] for entry in entries]
        if not self._widths:
            headed = [list(self._columns), *rows]
            needed = [max(len(row[place]) for row in headed) for place in range(len(self._columns))]
            self._widths = _fitted(needed, _size(sys.stdout)[0]) if _is_terminal(sys.stdout) else needed
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
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(columns)

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        self._writer.writerows([escape_formula(_shown(entry[column])) for column in self._columns] for entry in entries)

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
        print(f"{_shown(name):<12}  {_shown(value)}")
    print("\nSettings for mail programs:")
    for name, server in (("SMTP", account.smtp), ("IMAP", account.imap)):
        where = f"{_shown(server.host)}, port {server.port}, TLS from the start (SSL/TLS)" if server else "not told"
        print(f"  {name:<10}  {where}")
    print(f"  {'user name':<10}  {USER_NAME}")
    print(f"  {'password':<10}  {OWN_PASSWORD}")


def print_account_json(account: Account) -> None:
    """The same as one JSON object."""
    servers = {
        name: asdict(server) if server else None for name, server in (("smtp", account.smtp), ("imap", account.imap))
    }
    print(json.dumps({"account": dict(account.facts), **servers}, ensure_ascii=False))


def show_logins(counts: LoginCounts, groups: Sequence[LoginGroup], again: str) -> None:
    """What a verification came to; `again` is the command that tries the others once more."""
    width, _ = _size(sys.stderr)
    if not (counts.ok or groups):
        print("No mailbox of this run is created yet, so there is none to log in to.", file=sys.stderr)
        return
    print("\n".join(_logins(counts, groups, again, width, _Paint(sys.stderr))), file=sys.stderr)


def _indented(text: str, width: int) -> list[str]:
    """`text` under the column of numbers, which it may itself begin with."""
    indent = " " * 11
    first = "" if text.startswith(" ") else indent
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)


def say_wrapped(text: str) -> None:
    """Text for people that may be long, broken between words."""
    width, _ = _size(sys.stderr)
    print(textwrap.fill(visible(text), width, break_long_words=False, break_on_hyphens=False), file=sys.stderr)


def say(sentence: str) -> None:
    """A line for people."""
    print(sentence, file=sys.stderr)


def _shown(value: object) -> str:
    """A value from outside on one line, without what acts on a terminal."""
    if value is None:
        return ""
    return visible(("no", "yes")[value] if isinstance(value, bool) else str(value))


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


def command_line(*words: str, windows: bool = os.name == "nt") -> str:
    """Words as they are pasted into a shell: on Windows into PowerShell or the command prompt, else into any."""
    return " ".join(map(_windows_word if windows else shlex.quote, words))


def _windows_word(word: str) -> str:
    if re.fullmatch(r"[\w.:\\/+-][\w.:\\/+=-]*", word):
        return word
    if re.search(r"[$`]", word) and "'" not in word:
        return f"'{word}'"  # PowerShell would fill these in between double quotes
    quoted = subprocess.list2cmdline([word])
    if quoted.startswith('"'):
        return quoted
    return f'"{quoted}\\"' if quoted.endswith("\\") else f'"{quoted}"'


def _causes(error: BaseException) -> Iterator[str]:
    """The chain below an error by type; with the text of those that come from the system and hold no cell."""
    cause = error.__cause__
    while cause is not None:
        name = f"{type(cause).__module__}.{type(cause).__qualname__}".removeprefix("builtins.")
        yield f"{name}: {visible(str(cause))}" if isinstance(cause, OSError) else name
        cause = cause.__cause__


class _Paint:
    """Weight and colour where a terminal shows them; they repeat what the words say."""

    def __init__(self, stream: TextIO) -> None:
        self._on = _is_terminal(stream) and not os.environ.get("NO_COLOR")

    def bold(self, text: str) -> str:
        return self._in("1", text)

    def bad(self, text: str) -> str:
        return self._in("1;31", text)

    def status(self, status: Status, text: str) -> str:
        return self._in("32" if status.done else "33", text)

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._on else text


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns that a line may fill, and lines that a screen has; the usual ones where a terminal does not know."""
    usual = shutil.get_terminal_size()
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, lines = usual
    return max(20, min((columns or usual.columns) - 1, WIDEST)), lines or usual.lines


def _paused(seconds: float, reason: str) -> str:
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
    return f"Held back until {until}: {reason}"


def _time_left(seconds: float) -> str:
    if seconds < MINUTE:
        return "less than a minute left"
    minutes = math.ceil(seconds / MINUTE)
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min left" if hours else f"about {minutes} min left"
