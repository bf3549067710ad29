"""What came of logging in to the created mailboxes."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import astuple
from typing import TYPE_CHECKING

from provisioner.console.terminal import Paint, size
from provisioner.messages import LOGGED_IN, LOGINS, count, login_remedy, visible
from provisioner.summary import LoginCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.records import LoginState
    from provisioner.summary import LoginGroup, Summary

SHOWN_EXAMPLES = 2

SHOWN_LOGINS = 3


def show_logins(counts: LoginCounts, groups: Sequence[LoginGroup], again: str) -> None:
    """What a verification came to; `again` is the command that tries the others once more."""
    width, _ = size(sys.stderr)
    if not (counts.ok or groups):
        print("No mailbox of this run is created yet, so there is none to log in to.", file=sys.stderr)
        return
    print("\n".join(login_lines(counts, groups, again, width, Paint(sys.stderr))), file=sys.stderr)


def login_counts(summaries: Sequence[Summary]) -> LoginCounts | None:
    """What came of logging in, of all sheets together; None where nobody logged in."""
    counts = [summary.logins for summary in summaries if summary.logins is not None]
    return LoginCounts(*(sum(each) for each in zip(*map(astuple, counts), strict=True))) if counts else None


def login_lines(counts: LoginCounts, groups: Sequence[LoginGroup], again: str, width: int, paint: Paint) -> list[str]:
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


def _indented(text: str, width: int) -> list[str]:
    """`text` under the column of numbers, which it may itself begin with."""
    indent = " " * 11
    first = "" if text.startswith(" ") else indent
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
