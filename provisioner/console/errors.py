"""How errors and interruptions look."""

from __future__ import annotations

import sys
import textwrap
import traceback
from typing import TYPE_CHECKING

from provisioner.console.terminal import Paint, size
from provisioner.messages import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.errors import ProvisionerError


def show_error(error: ProvisionerError, *, verbose: bool = False) -> int:
    """The fault, then what to do; the technical cause where that is asked for. Answers how many lines that took."""
    stream = sys.stderr
    width, _ = size(stream)
    paint = Paint(stream)
    lines = [paint.bad(line) for line in textwrap.wrap(visible(error.message), width, break_on_hyphens=False)]
    lines += textwrap.wrap(visible(error.remedy), width, break_on_hyphens=False)
    if verbose:
        causes = filter(None, [visible(error.technical), *_causes(error)])
        lines += [line for cause in causes for line in textwrap.wrap(f"Technical cause: {cause}", width)]
    print("\n".join(["", *lines]), file=stream)
    return len(lines) + 1


def show_unexpected(error: BaseException, *, verbose: bool = False) -> None:
    """What to say of a fault of the program's own. Its text is not shown, since nobody knows what it holds."""
    width, _ = size(sys.stderr)
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


def _causes(error: BaseException) -> Iterator[str]:
    """The chain below an error by type; with the text of those that come from the system and hold no cell."""
    cause = error.__cause__
    while cause is not None:
        name = f"{type(cause).__module__}.{type(cause).__qualname__}".removeprefix("builtins.")
        yield f"{name}: {visible(str(cause))}" if isinstance(cause, OSError) else name
        cause = cause.__cause__
