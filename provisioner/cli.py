"""Arguments, environment and exit codes. Whatever takes time to import is imported by the command that needs it."""

from __future__ import annotations

import importlib
import os
import re
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner import __version__
from provisioner.errors import InterruptedRunError, ProvisionerError, SettingsError, StoppedError, UnusableError
from provisioner.records import Rate, Secret

if TYPE_CHECKING:
    # Loaded by the commands themselves: the help must not wait for it.
    from collections.abc import Callable, Iterator

    from provisioner.pipeline import Ending
    from provisioner.runfolder import RunFolder
    from provisioner.settings import Connection, SheetOptions

DONE, ROWS_LEFT, UNUSABLE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes."""

URL_VARIABLE, KEY_VARIABLE = "MISSION_INBOX_URL", "MISSION_INBOX_API_KEY"


class _Commands(click.Group):
    """A group that finds the sandbox's command only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "sandbox"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "sandbox":
            found: click.Command = importlib.import_module("provisioner.sandbox.command").sandbox
            return found
        return super().get_command(ctx, cmd_name)


def _rates(text: str) -> tuple[Rate, ...]:
    try:
        return tuple(Rate.parse(part) for part in text.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def _duration(text: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h)?", text.strip())
    if match is None:
        raise click.BadParameter(f"“{text}” is not a duration: write a number and a unit, such as 90s, 15m or 2h.")
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2] or "s"]


def _fill(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column.strip() or not value.strip():
        raise click.BadParameter(f"“{text}” is not of the form COLUMN=VALUE, such as project=789.")
    return column.strip(), value.strip()


def _options(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


_sheet_options = _options(
    click.argument("sheet", type=click.Path(path_type=Path)),
    click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder; default: beside SHEET."),
    click.option("--schema", type=click.Path(path_type=Path), help="Your own schema file, in place of the built-in."),
    click.option(
        "--set",
        "fill",
        type=_fill,
        metavar="COLUMN=VALUE",
        multiple=True,
        help="Fill a column that is missing or blank; may be repeated.",
    ),
    click.option("--encoding", metavar="NAME", help="Encoding of a text file, such as cp1250, if it is not found."),
    click.option("--sheet", "sheet_name", metavar="NAME", help="Which sheet of a workbook, if it has several."),
    click.option("--generate-passwords", is_flag=True, help="Make up a password for every row that has none."),
    click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object on stdout."),
)

_service_options = _options(
    click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service."),
    click.option("--sandbox", is_flag=True, help="Practise: start a stand-in for the service for this one command."),
    click.option(
        "--api-key-file", type=click.Path(path_type=Path), help=f"File with the API key, if not {KEY_VARIABLE}."
    ),
)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="provisioner")
def main() -> None:
    """Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing made twice."""
    for stream in (sys.stdout, sys.stderr):
        # A code page that lacks a character of a name must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@main.command()
@_sheet_options
@_service_options
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Send only the first N ready rows: a trial run.")
@click.option(
    "--rate",
    type=_rates,
    metavar="RATE",
    default="5/s",
    show_default=True,
    help="Requests at most: 5/s, 200/min or both.",
)
@click.option(
    "--workers", type=click.IntRange(1, 200), default=20, show_default=True, help="Requests under way at most."
)
@click.option(
    "--task-timeout",
    type=_duration,
    metavar="TIME",
    default="15m",
    show_default=True,
    help="How long the service may take for one mailbox.",
)
@click.option(
    "--stop-after",
    type=click.IntRange(min=0),
    metavar="N",
    default=20,
    show_default=True,
    help="Stop after N failures in a row with one cause; 0: never.",
)
def run(
    *,
    limit: int | None,
    rate: tuple[Rate, ...],
    workers: int,
    task_timeout: float,
    stop_after: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Create the mailboxes of SHEET.

    Running again is always safe: rows that are done are skipped, the rest goes on where it stood.
    """
    with _explained(), _progress() as listener:
        from provisioner import pipeline
        from provisioner.settings import RunOptions

        sheet_options = _read_sheet_options(options)
        how = RunOptions(limit=limit, workers=workers, task_timeout=task_timeout, stop_after=stop_after)
        connect = _connector(options, rate)
        ending = pipeline.run(sheet_options, how, connect, listener)
        listener.close()
        _finish(ending, as_json=as_json, command="run", options=options)


@main.command()
@_sheet_options
def check(*, as_json: bool, **options: Any) -> None:
    """Validate SHEET; nothing is sent, and no key is needed."""
    with _explained(), _progress() as listener:
        from provisioner import pipeline

        ending = pipeline.check(_read_sheet_options(options), listener)
        listener.close()
        _finish(ending, as_json=as_json, command="check", options=options)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--schema", type=click.Path(path_type=Path), help="Your own schema file, in place of the built-in.")
def template(path: Path, schema: Path | None) -> None:
    """Write an empty sheet to PATH (.csv or .xlsx)."""
    with _explained():
        from provisioner import pipeline

        pipeline.template(path, schema)
        click.echo(f"Fill in {path}, then: provisioner check {path}", err=True)


def _read_sheet_options(options: dict[str, Any]) -> SheetOptions:
    from provisioner.settings import SheetOptions

    return SheetOptions(
        sheet=options["sheet"],
        out=options["out"],
        schema=options["schema"],
        generate_passwords=options["generate_passwords"],
        encoding=options["encoding"],
        sheet_name=options["sheet_name"],
        fill=dict(options["fill"]),
    )


def _connector(
    options: dict[str, Any], rate: tuple[Rate, ...]
) -> Callable[[RunFolder], AbstractContextManager[Connection]]:
    """What tells a run where its service is: the given address and key, or a sandbox of its own."""
    from provisioner.settings import DEFAULT_API_URL, Connection

    if not options["sandbox"]:
        connection = Connection(
            api_url=options["api_url"] or DEFAULT_API_URL,
            api_key=_api_key(options["api_key_file"]),
            rates=rate,
            proxy=os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"),
        )
        return lambda _: nullcontext(connection)
    source = click.get_current_context().get_parameter_source("api_url")
    if options["api_url"] and source is click.core.ParameterSource.COMMANDLINE:
        raise SettingsError("--sandbox and --api-url cannot go together.", remedy="Leave out one of them.")

    @contextmanager
    def sandboxed(folder: RunFolder) -> Iterator[Connection]:
        from provisioner.sandbox.options import SandboxOptions
        from provisioner.sandbox.server import serve

        # It remembers its mailboxes beside the journal, as the service itself would, so that a second run can go on.
        with serve(SandboxOptions(state=folder.path / "sandbox.sqlite3", keep_passwords=False)) as sandbox:
            yield Connection(api_url=sandbox.url, api_key=Secret(sandbox.api_key), rates=rate)

    return sandboxed


def _api_key(file: Path | None) -> Secret:
    """The key from the environment, else from the file. Raises SettingsError."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key and file is not None:
        try:
            key = file.read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"The key file {file} cannot be read.",
                remedy="Name a text file that holds the API key and nothing else.",
            ) from None
    if not key:
        raise SettingsError(
            "There is no API key.",
            remedy=f"Set {KEY_VARIABLE}, or name a file that holds the key with --api-key-file. "
            "To practise without a key, add --sandbox.",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "The API key holds a blank or a character that no key has.", remedy="Copy the key once more, and all of it."
        )
    return Secret(key)


def _finish(ending: Ending, *, as_json: bool, command: str, options: dict[str, Any]) -> None:
    """Show how it ended, and exit with the code that says so."""
    from provisioner import console
    from provisioner.stages.write import REMEDIES, explanation

    summary = ending.summary
    if ending.stopped is not None:
        console.show_error(ending.stopped)
    left = [
        f"row {line.sheet_row or '?'}, {line.email or 'no username'}: {line.status}"
        f" ({explanation(line) or REMEDIES[line.status]})"
        for line in ending.left
    ]
    all_done = all(status.done for status in summary.statuses)
    code = _stop_code(ending.stopped) if ending.stopped else DONE if all_done else ROWS_LEFT
    console.show_summary(summary, left, _next_command(command, options, summary.failures))
    if as_json:
        console.print_json(summary, code)
    raise SystemExit(code)


def _next_command(command: str, options: dict[str, Any], failures: str) -> str:
    from provisioner import console

    words = ["provisioner", command, failures]
    if options["out"] is not None:
        words += ["--out", str(options["out"])]
    if options["schema"] is not None:
        words += ["--schema", str(options["schema"])]
    if options["generate_passwords"]:
        words.append("--generate-passwords")
    if options.get("sandbox"):
        words.append("--sandbox")
    return console.command_line(*words)


def _stop_code(stopped: StoppedError) -> int:
    return INTERRUPTED if isinstance(stopped, InterruptedRunError) else STOPPED


@contextmanager
def _progress() -> Iterator[Any]:
    """A listener for the screen, which is left tidy however the command ends."""
    from provisioner import console

    listener = console.progress()
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def _explained() -> Iterator[None]:
    """Errors as sentences and exit codes, never as tracebacks."""
    from provisioner import console

    try:
        yield
    except ProvisionerError as error:
        console.show_error(error)
        raise SystemExit(UNUSABLE if isinstance(error, UnusableError) else _stop_code_of(error)) from None
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _stop_code_of(error: ProvisionerError) -> int:
    return _stop_code(error) if isinstance(error, StoppedError) else STOPPED


if __name__ == "__main__":
    main()
