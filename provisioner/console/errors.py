"""How errors and interruptions look."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from provisioner.console.terminal import Line, bad, bold, say, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.errors import ProvisionerError


def show_error(error: ProvisionerError, *, verbose: bool = False) -> int:
    """Print what is wrong, then what to do, and with `verbose` the technical cause. Returns the number of lines."""
    lines: list[Line] = [*map(bad, wrap(error.message)), *wrap(error.remedy)]
    if verbose:
        lines += [line for cause in _causes(error) for line in wrap(f"Technical cause: {cause}")]
    say("", *lines)
    return len(lines) + 1


def show_unexpected(error: BaseException, *, verbose: bool = False) -> None:
    """Print that the program itself is at fault. The error's text stays out: it could hold a cell or a password."""
    say(
        "",
        *map(bad, wrap(f"Something unexpected happened inside the program ({type(error).__name__}), and it stopped.")),
        *wrap(
            "Everything sent so far is recorded: run the same command again to continue. If it happens again, send "
            "run.log from the run folder to the person who maintains this program."
        ),
    )
    if verbose:
        say(*_places(error))


def _places(error: BaseException) -> Iterator[str]:
    """Where it happened, for each error of a group; without their texts."""
    yield type(error).__name__
    yield from "".join(traceback.format_tb(error.__traceback__)).splitlines()
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _places(each)


def show_interrupted(command: str, *, before: bool) -> None:
    """Print that nothing was under way that had to be finished; `before`: the question was not answered yet."""
    say("", "Interrupted before anything was sent." if before else "Interrupted.")
    show_again(command)


def show_again(command: str) -> None:
    """Print the command that continues, where there is no summary to show it."""
    say("Continue with:", ("  ", bold(command)))


def _causes(error: ProvisionerError) -> Iterator[str]:
    """The technical cause, then the chain below it by type; with a text only where it comes from the system."""
    if error.technical:
        yield error.technical
    cause = error.__cause__
    while cause is not None:
        name = f"{type(cause).__module__}.{type(cause).__qualname__}".removeprefix("builtins.")
        yield f"{name}: {cause}" if isinstance(cause, OSError) else name
        cause = cause.__cause__
