"""Errors as sentences and exit codes, never as tracebacks."""

from __future__ import annotations

import os
import sys
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from provisioner.cli.exit_codes import DONE, INTERRUPTED, STOPPED, UNUSABLE, stop_code
from provisioner.cli.next_command import same_command
from provisioner.errors import ProvisionerError, StoppedError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.events import Listener


class UnusableCall(click.UsageError):
    """A command line that is wrong: shown as its usage on one line, then the mistake, broken between words."""

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - it always goes to stderr
        from provisioner import console

        if self.ctx is not None:
            usage = " ".join(self.ctx.command.collect_usage_pieces(self.ctx))
            console.say(f"Usage: {self.ctx.command_path} {usage}")
        console.say_wrapped(self.format_message())


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn click's errors about the command line into this program's form, and Ctrl-C before anything is begun."""
    try:
        yield
    except KeyboardInterrupt:
        from provisioner import console

        console.say("Interrupted.")
        raise SystemExit(INTERRUPTED) from None
    except click.exceptions.NoArgsIsHelpError:
        raise
    except click.UsageError as error:
        said = error.format_message()
        if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option) and error.message:
            said = f"{max(error.param.opts, key=len)}: {error.message}"
        if (
            isinstance(error, click.BadParameter)
            and isinstance(error.param, click.Argument)
            and isinstance(error.param.type, click.Choice)
        ):
            *others, last = map(str, error.param.type.choices)
            said = f"Say what to {error.ctx.info_name if error.ctx else 'do'}: {', '.join(others)} or {last}."
        raise UnusableCall(said, error.ctx) from None


@contextmanager
def explained(*, verbose: bool = False, only_asks: bool = False) -> Iterator[Listener]:
    """Turn errors into sentences and exit codes, never tracebacks. `only_asks`: the command has nothing to continue.

    Gives a listener that shows progress on the screen, which is left tidy however the command ends.
    """
    from provisioner import console

    try:
        with closing(console.make_progress()) as listener:
            yield listener
    except BrokenPipeError:
        # The reader of stdout has seen enough.
        _discard_stdout()
        raise SystemExit(DONE) from None
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort) as error:
        console.show_interrupted(same_command(), before=isinstance(error, click.Abort))
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - the last place where a fault can become a sentence
        known = _known(error)
        if known is None:
            console.show_unexpected(error, verbose=verbose)
            raise SystemExit(STOPPED) from None
        _settle_stdout()
        console.show_error(known, verbose=verbose)
        if isinstance(known, StoppedError) and not only_asks:
            console.show_again(same_command())
        raise SystemExit(UNUSABLE if isinstance(known, UnusableError) else stop_code(known)) from None


@contextmanager
def output_of_help() -> Iterator[None]:
    """Turn the failure to print a help text or the version into a sentence; commands handle their own output."""
    try:
        yield
    except OSError as error:
        from provisioner import console

        _settle_stdout()
        console.show_error(console.output_error(error))
        raise SystemExit(UNUSABLE) from None


def _settle_stdout() -> None:
    """See that Python has nothing left to write, over which it would fail once more when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard_stdout()


def _discard_stdout() -> None:
    """Drop what is still in the buffer of stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _known(error: BaseException) -> ProvisionerError | None:
    """The program's own error in what was raised, which may be the group of a task group; None if there is none."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return error if isinstance(error, ProvisionerError) else None
