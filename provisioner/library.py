"""The program as a library: what `import provisioner` offers. It prints nothing, asks nothing, handles no signals."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import anyio

from provisioner import checking, pipeline
from provisioner.concurrency import in_threads
from provisioner.errors import SettingsError
from provisioner.events import NullListener
from provisioner.records import AutoRate, Rate, parse_rates
from provisioner.settings import Connection, RunOptions, SheetOptions, VerifyOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from os import PathLike

    from provisioner.events import Listener
    from provisioner.result import RunResult
    from provisioner.stages.stop_signal import StopSignal
    from provisioner.summary import RunPreview


class SheetKeywords(TypedDict, total=False):
    """How a sheet is read. Each means what the command line's option of that name does."""

    out: str | PathLike[str] | None
    """The run folder; None puts it beside the sheet."""
    schema: str | PathLike[str] | None
    """A schema file in place of the built-in one."""
    fill: Mapping[str, str]
    """Column to value, for columns that are missing or blank: the command line's `--set`."""
    generate_passwords: bool
    encoding: str | None
    """Of a text file, such as `cp1250`; None finds it."""
    sheet: str | None
    """Which sheet of a workbook; None takes the only one there is."""
    columns: Mapping[str, str]
    """What headers mean that say it unclearly, each a column, or empty for none: the command line's `--column`."""
    by: str | None
    """The column by whose values rows are counted, such as the client; None takes a column Client if there is one."""


class RunKeywords(SheetKeywords, total=False):
    """How a run is carried out. Durations are in seconds."""

    limit: int | None
    """Send only the first rows, this many; None sends all."""
    rate: str
    """Requests at most, such as `5/s`, `200/min` or `5/s,200/min`; in place of the connection's own."""
    workers: int
    """Requests under way at most."""
    task_timeout: float
    """How long the service may take for one mailbox."""
    stop_after: int
    """Stop after this many failures in a row with one cause; 0 never stops."""
    verify: bool | VerifyOptions
    """Log in to the created mailboxes at the end."""


_KINDS: Final[Mapping[str, tuple[Any, str]]] = {
    "fill": (Mapping, 'texts by column, such as fill=dict(project="789")'),
    "columns": (Mapping, 'columns by header, such as columns=dict(Mail="email")'),
    "limit": (Integral, "a whole number, such as 3"),
    "rate": (str, 'a text, such as rate="5/s"'),
    "workers": (Integral, "a whole number, such as 20"),
    "task_timeout": (Real, "a number of seconds, such as 900"),
    "stop_after": (Integral, "a whole number, such as 20"),
}
"""What options must be that are easily given as something else."""


def check(
    sheet: str | PathLike[str], /, *, listener: Listener | None = None, **options: Unpack[SheetKeywords]
) -> RunResult:
    """Read and validate a sheet and write the files of its run folder. Nothing is sent, and no key is needed.

    The options are the command line's: out, schema, fill (there --set), columns (there --column), generate_passwords,
    encoding, sheet and by.

    It may be called anywhere, in a notebook too; it returns when it is done. Raises UnusableError and StoppedError.
    """
    _refuse_other_types(options)
    work = partial(checking.check, _sheet_options(sheet, options), listener or NullListener())
    if not _in_event_loop():
        return anyio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, work).result()


def run(
    sheet: str | PathLike[str],
    connection: Connection,
    /,
    *,
    listener: Listener | None = None,
    **options: Unpack[RunKeywords],
) -> RunResult:
    """Create the sheet's mailboxes, without asking first, and return when all is done. For scripts.

    The options are those of `check`, and limit, rate, workers, task_timeout (in seconds), stop_after and verify.

    Ctrl-C raises KeyboardInterrupt after the files are written. Raises as `run_async` does, and SettingsError inside a
    running event loop.
    """
    if _in_event_loop():
        raise SettingsError(
            "A running event loop, such as that of a notebook, cannot wait for run().",
            remedy="Write await provisioner.run_async(…) instead.",
        )
    return anyio.run(partial(run_async, sheet, connection, listener=listener, **options))


async def run_async(
    sheet: str | PathLike[str],
    connection: Connection,
    /,
    *,
    listener: Listener | None = None,
    confirm: Callable[[RunPreview], Awaitable[bool]] | None = None,
    stop_signal: StopSignal | None = None,
    **options: Unpack[RunKeywords],
) -> RunResult:
    """Create the sheet's mailboxes in the running event loop, asyncio's or Trio's, in any thread.

    The options are those of `run`. `listener` hears what happens, in the event loop. `confirm` is awaited before
    anything is sent; unless it returns True, nothing is. `stop_signal` stops the run when its `interrupt` is called.
    Cancelling the call is an interruption too: both files are written before it ends, and the next run goes on from
    there.

    Trouble with the service ends the run early and is told in the result's `stopped`. Raises UnusableError if the run
    cannot begin, and FilesError or JournalError if its outcome cannot be recorded.
    """
    if not isinstance(connection, Connection):
        raise SettingsError("The connection is not a Connection.", remedy="Give provisioner.Connection(api_key=…).")
    _refuse_other_types(options)
    given: dict[str, Any] = {**options}
    rate, verify = given.pop("rate", None), given.pop("verify", False)
    names = ("limit", "workers", "task_timeout", "stop_after")
    how: dict[str, Any] = {name: given.pop(name) for name in names if name in given}
    if verify:
        how["verify"] = verify if isinstance(verify, VerifyOptions) else VerifyOptions()
    if rate is not None:
        connection = replace(connection, rates=_rates(rate))
    return await pipeline.run(
        _sheet_options(sheet, given),
        RunOptions(**how),
        lambda _: nullcontext(connection),
        listener or NullListener(),
        confirm=confirm,
        stop_signal=stop_signal,
    )


class sandbox:  # noqa: N801 - used like a function
    """A stand-in for the service on this computer, for practice and tests: nothing costs money.

    Use it with `with`, or with `async with` in an event loop; either gives its Connection.
    """

    def __init__(self, *, state: str | PathLike[str] | None = None) -> None:
        """`state` is a file in which it remembers its mailboxes; with None it forgets them at the end."""
        self._state = Path(state) if state is not None else None
        self._stack, self._async_stack = ExitStack(), AsyncExitStack()

    def __enter__(self) -> Connection:
        return self._stack.enter_context(_serving(self._state))

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    async def __aenter__(self) -> Connection:
        return await self._async_stack.enter_async_context(in_threads(_serving(self._state)))

    async def __aexit__(self, *exc_info: object) -> None:
        await self._async_stack.aclose()


@contextmanager
def _serving(state: Path | None) -> Iterator[Connection]:
    from provisioner.sandbox.options import SandboxOptions  # noqa: PLC0415 - a server is loaded only to practise
    from provisioner.sandbox.server import serve  # noqa: PLC0415

    with serve(SandboxOptions(state=state, keep_passwords=False)) as running:
        yield Connection(api_url=running.url, api_key=running.api_key, practice=True)


def _refuse_other_types(given: Mapping[str, object]) -> None:
    """Raise SettingsError for what would fail somewhere within the run. No value is shown: it may be a password."""
    for name, value in given.items():
        kind, wanted = _KINDS.get(name, (object, ""))
        texts = [text for pair in value.items() for text in pair] if isinstance(value, Mapping) else []
        if not (value is None or isinstance(value, kind)) or not all(isinstance(text, str) for text in texts):
            raise SettingsError(f"The option {name} has the wrong type.", remedy=f"Give it {wanted}.")


def _sheet_options(path: str | PathLike[str], keywords: Mapping[str, Any]) -> SheetOptions:
    given = dict(keywords)
    for name in {"out", "schema"} & given.keys():
        given[name] = Path(given[name]) if given[name] is not None else None
    return SheetOptions(sheet=Path(path), sheet_name=given.pop("sheet", None), **given)


def _rates(text: str) -> tuple[Rate, ...] | AutoRate:
    try:
        return parse_rates(text)
    except ValueError as error:
        raise SettingsError(
            f"The rate {text} cannot be understood.", remedy="Write it like 5/s, 200/min or 5/s,200/min."
        ) from error


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except RuntimeError:
        return False
    return True
