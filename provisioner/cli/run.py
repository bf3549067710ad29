"""The commands that work through sheets: run and check."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli.chosen_sheets import chosen_sheets
from provisioner.cli.connection import connector, read_verify_options
from provisioner.cli.errors import explained
from provisioner.cli.exit_codes import exit_code
from provisioner.cli.next_command import Left, left_of, next_command, next_command_for, verify_command
from provisioner.cli.options import (
    ENVIRONMENT,
    SENDING,
    STDIN,
    SheetCommand,
    WholeNumber,
    create_path_option,
    sending_options,
    service_options,
    sheet_options,
    subset,
    verify_options,
)
from provisioner.cli.signals import answerable, ending, remembered, run_loop
from provisioner.errors import FilesError, OutputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from provisioner.events import Listener
    from provisioner.records import AutoRate, Rate
    from provisioner.result import RunResult
    from provisioner.settings import RunOptions, SheetOptions
    from provisioner.summary import RunPreview


@click.command(cls=SheetCommand, epilog=ENVIRONMENT)
@sheet_options
@service_options
@create_path_option
@click.option(
    "--limit", type=WholeNumber(min=1), metavar="N", help="Send only the first N rows that are ready, as a trial."
)
@sending_options
@click.option("--verify", is_flag=True, help="Log in to the created mailboxes at the end, over IMAP and SMTP.")
@verify_options
@click.option("--yes", is_flag=True, help="Do not ask before anything is sent.")
def run(*, yes: bool, verify: bool, rate: tuple[Rate, ...] | AutoRate, **options: Any) -> None:
    """Create the mailboxes of each SHEET.

    Running again is always safe: rows that are done are skipped, and the rest continues where it stopped. Several
    sheets are run one after the other, each in its own run folder, all within one rate. Use - for a SHEET from standard
    input.
    """
    with explained(verbose=options["verbose"]):
        with remembered():
            from provisioner.settings import RunOptions
            from provisioner.sheets.opening import refuse_no_file

            for sheet in options["sheets"]:
                if sheet != STDIN:
                    refuse_no_file(sheet)
            logins = read_verify_options(options, instead="Leave out --verify") if verify else None
            how = RunOptions(**subset(options, "limit", *SENDING), verify=logins)
            yes = yes or options["sandbox"]
            work = _creating(options, how, rate, _question(yes=yes, quiet=options["quiet"]))
            if STDIN in options["sheets"] and not yes and sys.stderr.isatty():
                raise SettingsError(
                    "The sheet comes from standard input, so you cannot be asked before anything is sent.",
                    remedy="Check the sheet first and add --yes, or save it as a file and run that.",
                )
        _work_through(options, work)


def _creating(
    options: dict[str, Any], how: RunOptions, rate: tuple[Rate, ...] | AutoRate, ask: Callable[[RunPreview], bool]
) -> Callable[[SheetOptions, Any], Awaitable[RunResult]]:
    """A function that creates one sheet's mailboxes, all sheets within one rate, once `ask` agrees."""
    from provisioner import pipeline
    from provisioner.service.rate_limiter import RateLimiter
    from provisioner.stages.stop_signal import StopSignal

    connect, limiter = connector(options, rate), RateLimiter(rate)

    async def work(sheet: SheetOptions, listener: Listener) -> RunResult:
        stop_signal = StopSignal()
        with ExitStack() as stack:

            async def confirm(preview: RunPreview) -> bool:
                agreed = ask(preview)
                # Before this, Ctrl-C ends the program: there is nothing to end gently.
                stack.enter_context(ending(stop_signal.interrupt))
                return agreed

            return await pipeline.run(
                sheet,
                how,
                connect,
                listener,
                confirm=confirm,
                next_command=_command_for(options),
                stop_signal=stop_signal,
                limiter=limiter,
            )

    return work


@click.command(cls=SheetCommand, epilog=ENVIRONMENT)
@sheet_options
def check(**options: Any) -> None:
    """Validate each SHEET. Nothing is sent, and no key is needed. Use - for a SHEET from standard input."""
    with explained(verbose=options["verbose"]):
        from provisioner import checking

        def work(sheet: SheetOptions, listener: Listener) -> Awaitable[RunResult]:
            return checking.check(sheet, listener, next_command=_command_for(options, checking=True))

        _work_through(options, work, checking=True)


def _command_for(options: dict[str, Any], *, checking: bool = False) -> Callable[[RunResult], str]:
    """The command that goes on with one sheet. It may be asked for in another thread, which has no click context."""
    context = click.get_current_context()

    def command(result: RunResult) -> str:
        with context.scope(cleanup=False):
            return next_command_for(result, options, checking=checking)

    return command


def _work_through(
    options: dict[str, Any], work: Callable[[SheetOptions, Any], Awaitable[RunResult]], *, checking: bool = False
) -> None:
    """Run or check one sheet after the other, show how they ended, and exit with the code that says so.

    None is started before all of them can be read, and none after one that was stopped.
    """
    from provisioner import console

    run_results: list[RunResult] = []
    with chosen_sheets(options) as chosen:

        async def work_through() -> None:
            for sheet in chosen:
                with closing(console.make_progress(quiet=options["quiet"])) as listener:
                    headed = _headed(listener, sheet, checking=checking) if len(chosen) > 1 else listener
                    run_results.append(await work(sheet, headed))
                if run_results[-1].stopped is not None:
                    break

        try:
            run_loop(work_through)
        finally:
            if run_results:
                _show(run_results, chosen[len(run_results) :], options, checking=checking)
    codes = [exit_code(result) for result in run_results]
    if options["as_json"]:
        _print_outcomes(run_results, codes, checking=checking)
    raise SystemExit(max(codes))


def _print_outcomes(run_results: Sequence[RunResult], codes: Sequence[int], *, checking: bool) -> None:
    from provisioner import console

    try:
        for result, code in zip(run_results, codes, strict=True):
            console.print_json(result.summary, code)
    except OutputError as error:
        if checking:
            raise
        # Exit code 2 would say that nothing was sent.
        raise FilesError(
            error.message, remedy="The run itself ended as shown above; results.csv is complete."
        ) from error


def _headed(listener: Listener, sheet: SheetOptions, *, checking: bool) -> Listener:
    """A listener that names the sheet, where there are several: at once for a run, with its first note for a check."""
    from provisioner.events import PrefixedListener

    if checking:
        return PrefixedListener(listener, f"{sheet.name}:")
    listener.note(f"{sheet.name}:")
    return listener


def _question(*, yes: bool, quiet: bool) -> Callable[[RunPreview], bool]:
    """A function that shows what a run is about to do and, at a terminal, asks once whether to go ahead."""
    from provisioner import console
    from provisioner.messages import count

    def ask(preview: RunPreview) -> bool:
        most = preview.to_send + preview.to_look_up
        asks = not yes and most > 0 and sys.stdin.isatty() and sys.stderr.isatty()
        if asks or not quiet:
            console.show_preview(preview)
        if not asks:
            return True
        up_to = "up to " if preview.to_look_up else ""
        with answerable():
            _forget_what_was_typed()
            return click.confirm(f"Create {up_to}{count(most, 'mailbox', 'mailboxes')} now?", err=True)

    return ask


def _forget_what_was_typed() -> None:
    """Discard what was typed before the question was asked: it is no answer to it."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _show(
    run_results: Sequence[RunResult], not_begun: Sequence[SheetOptions], options: dict[str, Any], *, checking: bool
) -> None:
    from provisioner import console

    left = left_of(run_results)
    rest = [Left(str(sheet.sheet), sheet.sheet_name or "") for sheet in not_begun]
    if options["quiet"] and not left:
        return
    stopped = run_results[-1].stopped
    above = console.show_error(stopped, verbose=options["verbose"]) if stopped is not None else 0
    console.show_summary(
        [(result.summary, result.groups) for result in run_results],
        next_command([*left, *rest], run_results, options, checking=checking),
        not_begun=[sheet.name for sheet in not_begun],
        above=above,
        checked=checking,
        generated=options["generate_passwords"] and not checking,
        logins=[group for result in run_results for group in result.logins],
        verify=verify_command([result.summary.run_folder for result in run_results if result.logins]),
        verbose=options["verbose"],
    )
