"""The command to paste next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from provisioner.cli.exit_codes import DONE, exit_code
from provisioner.cli.options import STANDARD_INPUT, STDIN, SheetCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from provisioner.result import RunResult

PROGRAM = "provisioner"

ONCE = frozenset({"as_json", "quiet", "verbose"})
"""Options that the next command does not repeat."""

OF_THE_SHEET = frozenset({"out", "limit", "fill", "columns", "encoding", "sheet_names", "all_sheets"})
"""Options that a failures file does not need: it is in its run folder, and this program wrote it, filled in."""

OF_THE_LOGINS = frozenset(
    {"schema", "verify_timeout", "imap_host", "imap_port", "smtp_host", "smtp_port"}
    | {"api_url", "sandbox", "api_key_file", "profile"}
)
"""Options of a run that a verification of it takes too."""


class Left(NamedTuple):
    """A file with rows that are left."""

    path: str
    tab: str = ""
    """Which sheet of the workbook; empty if it does not have to be named."""


def left_of(run_results: Sequence[RunResult]) -> list[Left]:
    """The files with the rows that are left."""
    summaries = [result.summary for result in run_results if exit_code(result) != DONE]
    return [
        Left(summary.to_fix if summary.to_retry else summary.kept)
        if summary.to_retry or summary.kept
        else Left(_as_given(summary.original), summary.tab)
        for summary in summaries
    ]


def _as_given(sheet: str) -> str:
    """What is written for a sheet on the command line."""
    return str(STDIN) if sheet == STANDARD_INPUT else sheet


def next_command_for(result: RunResult, options: dict[str, Any], *, checking: bool = False) -> str:
    """The next command for one sheet of several; empty if nothing is left to do."""
    from provisioner.records import Status

    if not result.summary.left and not (checking and Status.VALID in result.summary.statuses):
        return ""
    sheet = {**options, "sheets": [_as_given(result.summary.sheet)]}
    return next_command(left_of([result]), [result], sheet, checking=checking)


def verify_command(folders: Sequence[str]) -> str:
    """The commands that log in again to the mailboxes of run folders, one a line."""
    from provisioner import console

    context = click.get_current_context()
    command = context.command
    assert isinstance(command, SheetCommand)
    typed = {*command.typed} & OF_THE_LOGINS
    options = list(command.again(without={*command.typed} - typed))
    return "\n  ".join(console.command_line(*program_words(), "verify", folder, *options) for folder in folders)


def next_command(
    left: Sequence[Left], run_results: Sequence[RunResult], options: dict[str, Any], *, checking: bool
) -> str:
    """The command that continues with what is left; after a check with nothing to fix, the run.

    It is one for the files and one for each workbook of which some sheets are left, one a line.
    """
    from provisioner import console
    from provisioner.records import Actor

    context = click.get_current_context()
    command = context.command
    assert isinstance(command, SheetCommand)
    name = context.info_name or ""
    to_fix = any(group.actor is Actor.SHEET for result in run_results for group in result.groups)
    practice = any(result.summary.practice for result in run_results)
    if checking and not to_fix:
        name = "run"
    elif checking and STDIN not in options["sheets"]:
        # Nothing was sent yet: the sheet itself is the file to fix.
        left = ()
    # A check knows no service; a sheet that was run in the sandbox before goes there again.
    last = ["--sandbox"] if checking and name == "run" and practice else []
    start = (*program_words(), name)
    if not left:
        given = [str(sheet) for sheet in options["sheets"]]
        return console.command_line(*start, *given, *command.again(without=ONCE), *last)
    return "\n  ".join(console.command_line(*start, *words, *last) for words in _words_of(left, command))


def _words_of(left: Sequence[Left], command: SheetCommand) -> Iterator[list[str]]:
    """Names and options: of all files in one command, and of each workbook with its sheets in one."""
    if files := [each.path for each in left if not each.tab]:
        yield [*files, *command.again(without=ONCE | OF_THE_SHEET)]
    for path in dict.fromkeys(each.path for each in left if each.tab):
        tabs = [word for each in left if each.path == path and each.tab for word in ("--sheet", each.tab)]
        yield [path, *tabs, *command.again(without=ONCE | {"sheet_names", "all_sheets"})]


def same_command() -> str:
    """The command as it was called."""
    from provisioner import console

    return console.command_line(*program_words(), *sys.argv[1:])


def program_words() -> list[str]:
    """How to call the program: by name, or by its path where the shell does not find the name."""
    import shutil

    called = Path(sys.argv[0])
    if called.stem != PROGRAM or not called.exists():
        return click.get_current_context().command_path.rpartition(" ")[0].split()
    found = shutil.which(PROGRAM)
    return [PROGRAM] if found is not None and called.samefile(found) else [sys.argv[0]]
