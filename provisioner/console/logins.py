"""The outcome of logging in to the created mailboxes."""

from __future__ import annotations

import sys
from dataclasses import astuple
from typing import TYPE_CHECKING

from provisioner.console.terminal import Line, beside, bold, say, size
from provisioner.messages import LOGGED_IN, LOGINS, count, listed, login_remedy
from provisioner.summary import LoginCounts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioner.resources import LoginState
    from provisioner.summary import LoginGroup, Summary

SHOWN_EXAMPLES = 2
SHOWN_REASONS = 3


def show_logins(counts: LoginCounts, groups: Sequence[LoginGroup], again: str) -> None:
    """Print what a verification found; `again` is the command that tries the failed ones once more."""
    if counts.ok or groups:
        say(*login_lines(counts, groups, again, size(sys.stderr)[0]))
    else:
        say("No mailbox of this run has been created yet, so there are none to log in to.")


def login_counts(summaries: Sequence[Summary]) -> LoginCounts | None:
    """The log-ins of all sheets together; None if there were none."""
    counts = [summary.logins for summary in summaries if summary.logins is not None]
    return LoginCounts(*(sum(each) for each in zip(*map(astuple, counts), strict=True))) if counts else None


def login_lines(counts: LoginCounts, groups: Sequence[LoginGroup], again: str, width: int) -> list[Line]:
    """How many mailboxes accept a log-in, why the others do not by reason, and what to do about it."""
    words: dict[LoginState | None, int] = dict.fromkeys(LOGINS, 0)
    for group in groups:
        words[group.state] += group.mailboxes
    lines: list[Line] = ["", bold("Log-ins:")]
    lines += [f"{counts.ok:>9,}  {'ok':<11}  {LOGGED_IN}"] if counts.ok else []
    for state, number in words.items():
        if number:
            lines += beside(f"{number:>9,}  {state or 'not tried':<11}  ", LOGINS[state].meaning, width, 24)
    for place, group in enumerate(groups[:SHOWN_REASONS]):
        lines += ["", *([] if place else [bold("Why, and what to do:")]), *_reason(group, width)]
    if len(groups) > SHOWN_REASONS:
        more = count(len(groups) - SHOWN_REASONS, "more reason", "more reasons")
        lines += ["", f"{'':11}and {more}"]
    if groups and again:
        lines += ["", "Log in again with:", ("  ", bold(again))]
    return lines


def _reason(group: LoginGroup, width: int) -> list[Line]:
    return [
        *beside(f"{group.mailboxes:>9,}  ", listed(group.examples, SHOWN_EXAMPLES, group.mailboxes), width),
        *beside(" " * 11, group.reason, width),
        *beside(" " * 11, f"{login_remedy(group.state, group.reason)}.", width),
    ]
