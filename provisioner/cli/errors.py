"""Errors as sentences and exit codes, never as tracebacks."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import click

from provisioner.cli.exit_codes import DONE, INTERRUPTED, STOPPED, UNUSABLE, stop_code_of
from provisioner.cli.next_command import same_command
from provisioner.errors import ProvisionerError, StoppedError, UnusableError

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnusableCall(click.UsageError):
    """A call that cannot be understood: how to call it on one line, then the fault, broken between words."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it for people."""
        from provisioner import console

        if self.ctx is not None:
            click.echo(
                f"Usage: {self.ctx.command_path} {' '.join(self.ctx.command.collect_usage_pieces(self.ctx))}",
                file,
                err=True,
            )
        console.say_wrapped(self.format_message())


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Have the faults of a call told in this program's form."""
    try:
        yield
    except click.UsageError as error:
        said = error.format_message()
        if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option) and error.message:
            said = f"{max(error.param.opts, key=len)}: {error.message}"
        raise UnusableCall(said, error.ctx) from None


@contextmanager
def explained(*, verbose: bool = False) -> Iterator[None]:
    """Errors as sentences and exit codes, never as tracebacks."""
    from provisioner import console

    try:
        yield
    except BrokenPipeError:
        # Whoever read stdout has seen enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
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
        console.show_error(known, verbose=verbose)
        if isinstance(known, StoppedError):
            console.show_again(same_command())
        raise SystemExit(UNUSABLE if isinstance(known, UnusableError) else stop_code_of(known)) from None


def _known(error: BaseException) -> ProvisionerError | None:
    """The program's own error in what was raised, which may be a group of a task group's; None where there is none."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return error if isinstance(error, ProvisionerError) else None
