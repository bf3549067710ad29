"""Arguments, environment and exit codes. Whatever takes time to import is imported by the command that needs it."""

from __future__ import annotations

import codecs
import importlib
import os
import re
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from provisioner import __version__
from provisioner.errors import InterruptedRunError, ProvisionerError, SettingsError, StoppedError, UnusableError
from provisioner.records import Rate, Secret

if TYPE_CHECKING:
    # Loaded by the commands themselves: the help must not wait for it.
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from provisioner.pipeline import Ending
    from provisioner.runfolder import RunFolder
    from provisioner.settings import Connection, SheetOptions

DONE, ROWS_LEFT, UNUSABLE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; of several sheets the greatest counts."""

URL_VARIABLE, KEY_VARIABLE = "MISSION_INBOX_URL", "MISSION_INBOX_API_KEY"


ENVIRONMENT = f"""
\b
Environment:
  {KEY_VARIABLE}  the API key
  {URL_VARIABLE}      address of the service, if not the usual one
  HTTPS_PROXY            proxy through which the service is reached
  NO_COLOR               set to anything: no colours
"""
COMPLETION = """
\b
To have options and file names completed by the Tab key, add to ~/.bashrc:
  eval "$(_PROVISIONER_COMPLETE=bash_source provisioner)"
or to ~/.zshrc, with zsh_source in place of bash_source.
"""
STDIN = Path("-")
ONCE = frozenset({"as_json", "quiet", "verbose"})
"""Options that the command to paste next does not repeat."""
OF_THE_SHEET = frozenset({"out", "limit", "fill", "encoding", "sheet_name"})
"""Options that a failures file does without: it lies in its run folder, and this program wrote it, filled in."""


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


class _SheetCommand(click.Command):
    """A command that remembers its options as they were typed, for the command that goes on."""

    typed: Mapping[str, Any] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        self.typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        return super().parse_args(ctx, args)

    def again(self, *, without: Collection[str]) -> Iterator[str]:
        """The options as words, but for some."""
        for option in self.params:
            if isinstance(option, click.Option) and option.name in self.typed and option.name not in without:
                value = self.typed[option.name]
                for each in value if isinstance(value, list) else [value]:
                    yield max(option.opts, key=len)
                    if not option.is_flag:
                        yield str(each)


_sheet_options = _options(
    click.argument("sheets", metavar="SHEET...", nargs=-1, required=True, type=click.Path(path_type=Path)),
    click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder; default: SHEET-run, beside it."
    ),
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
    click.option(
        "--json", "as_json", is_flag=True, help="Print the outcome as one JSON object on stdout, a line for each sheet."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing unless something is left to do."),
    click.option("-v", "--verbose", is_flag=True, help="Show technical causes and the number of requests too."),
)

_service_options = _options(
    click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service."),
    click.option("--sandbox", is_flag=True, help="Practise: start a stand-in for the service for this one command."),
    click.option(
        "--api-key-file", type=click.Path(path_type=Path), help=f"File with the API key, if not {KEY_VARIABLE}."
    ),
)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=ENVIRONMENT + COMPLETION,
)
@click.version_option(__version__, prog_name="provisioner")
def main() -> None:
    """Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing made twice."""
    codecs.register_error("provisioner", _spelt_out)
    for stream in (sys.stdout, sys.stderr):
        # A code page that lacks a character of a name must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="provisioner")


def _spelt_out(error: UnicodeError) -> tuple[str, int]:
    """What to write in place of characters that an output cannot show: their plain forms, else question marks."""
    assert isinstance(error, UnicodeEncodeError)
    plain = {"“": '"', "”": '"', "\u2019": "'", "…": "...", "•": "*", "·": "-"}
    return "".join(plain.get(char, "?") for char in error.object[error.start : error.end]), error.end


@main.command(cls=_SheetCommand, epilog=ENVIRONMENT)
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
    **options: Any,
) -> None:
    """Create the mailboxes of each SHEET.

    Running again is always safe: rows that are done are skipped, the rest goes on where it stood. Several sheets are
    worked through one after the other, each in its own run folder, all at one pace. A SHEET of - is read from standard
    input.
    """
    with _explained(verbose=options["verbose"]):
        from provisioner import pipeline
        from provisioner.pace import Pace
        from provisioner.settings import RunOptions

        how = RunOptions(limit=limit, workers=workers, task_timeout=task_timeout, stop_after=stop_after)
        connect = _connector(options, rate)
        pace = Pace(rate)
        _work_through(options, lambda sheet, listener: pipeline.run(sheet, how, connect, listener, pace=pace))


@main.command(cls=_SheetCommand, epilog=ENVIRONMENT)
@_sheet_options
def check(**options: Any) -> None:
    """Validate each SHEET; nothing is sent, and no key is needed. A SHEET of - is read from standard input."""
    with _explained(verbose=options["verbose"]):
        from provisioner import pipeline

        _work_through(options, pipeline.check, checking=True)


def _work_through(
    options: dict[str, Any], work: Callable[[SheetOptions, Any], Ending], *, checking: bool = False
) -> None:
    """Do one sheet after the other, show what all of them came to, and exit with the code that says so.

    None is begun before all of them can be read; none after one that had to be stopped.
    """
    endings: list[Ending] = []
    with _files(options["sheets"], options["out"]) as files:
        chosen = [_read_sheet_options(options, file) for file in files]
        _refuse_what_cannot_go_together(chosen)
        try:
            for sheet in chosen:
                with _progress(quiet=options["quiet"]) as listener:
                    if len(chosen) > 1:
                        listener.note(f"{sheet.sheet}:")
                    endings.append(work(sheet, listener))
                if endings[-1].stopped is not None:
                    break
        finally:
            if endings:
                not_begun = [str(sheet.sheet) for sheet in chosen[len(endings) :]]
                _show(endings, not_begun, options, checking=checking)
    codes = [_code(ending) for ending in endings]
    if options["as_json"]:
        from provisioner import console

        for ending, code in zip(endings, codes, strict=True):
            console.print_json(ending.summary, code)
    raise SystemExit(max(codes))


@contextmanager
def _files(sheets: Sequence[Path], out: Path | None) -> Iterator[list[Path]]:
    """The files to read; what comes from standard input is one for as long as the context lasts."""
    if STDIN not in sheets:
        yield list(sheets)
        return
    if out is None:
        raise SettingsError(
            "A sheet from standard input has no folder of its own.", remedy="Name its run folder with --out."
        )
    with TemporaryDirectory() as folder:
        content = Path(folder) / "standard input"
        content.write_bytes(sys.stdin.buffer.read())
        yield [content if sheet == STDIN else sheet for sheet in sheets]


def _refuse_what_cannot_go_together(chosen: Sequence[SheetOptions]) -> None:
    """Several sheets need a folder each, and all of them can be read before the first is begun."""
    from provisioner import pipeline, runfolder

    if len(chosen) == 1:
        return
    folders = [runfolder.locate(sheet.sheet, sheet.out).path.resolve() for sheet in chosen]
    if chosen[0].out is not None or len(set(folders)) < len(folders):
        raise SettingsError(
            "Several sheets cannot share one run folder.",
            remedy="Leave out --out, or run the sheets one after the other, each with a folder of its own.",
        )
    for sheet in chosen:
        pipeline.load(sheet)


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--schema", type=click.Path(path_type=Path), help="Your own schema file, in place of the built-in.")
def template(path: Path, schema: Path | None) -> None:
    """Write an empty sheet to PATH (.csv or .xlsx)."""
    with _explained():
        from provisioner import console, pipeline

        pipeline.template(path, schema)
        program = click.get_current_context().command_path.rpartition(" ")[0]
        click.echo(f"Fill in {path}, then check it with:", err=True)
        click.echo(f"  {console.command_line(*program.split(), 'check', str(path))}", err=True)


def _read_sheet_options(options: dict[str, Any], sheet: Path) -> SheetOptions:
    from provisioner.settings import SheetOptions

    return SheetOptions(
        sheet=sheet,
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


def _show(endings: Sequence[Ending], not_begun: Sequence[str], options: dict[str, Any], *, checking: bool) -> None:
    from provisioner import console

    left = [ending.summary.failures for ending in endings if _code(ending) != DONE]
    if options["quiet"] and not left:
        return
    stopped = endings[-1].stopped
    above = console.show_error(stopped, verbose=options["verbose"]) if stopped is not None else 0
    console.show_summary(
        [(ending.summary, ending.groups) for ending in endings],
        _next_command([*left, *not_begun], options, checking=checking),
        not_begun=not_begun,
        above=above,
        checked=checking,
        verbose=options["verbose"],
    )


def _next_command(sheets: Sequence[str], options: dict[str, Any], *, checking: bool) -> str:
    """What to paste to go on with what is left; after a check that found nothing wrong, what creates the mailboxes."""
    from provisioner import console

    context = click.get_current_context()
    command = context.command
    assert isinstance(command, _SheetCommand)
    program = context.command_path.rpartition(" ")[0].split()
    if checking and not sheets:
        given = [*map(str, options["sheets"]), *command.again(without=ONCE)]
        return console.command_line(*program, "run", *given)
    again = command.again(without=ONCE | OF_THE_SHEET)
    return console.command_line(*program, context.info_name or "", *sheets, *again)


def _code(ending: Ending) -> int:
    if ending.stopped is not None:
        return _stop_code(ending.stopped)
    return DONE if all(status.done for status in ending.summary.statuses) else ROWS_LEFT


def _stop_code(stopped: StoppedError) -> int:
    return INTERRUPTED if isinstance(stopped, InterruptedRunError) else STOPPED


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Any]:
    """A listener for the screen, which is left tidy however the command ends."""
    from provisioner import console

    listener = console.progress(quiet=quiet)
    try:
        yield listener
    finally:
        listener.close()


@contextmanager
def _explained(*, verbose: bool = False) -> Iterator[None]:
    """Errors as sentences and exit codes, never as tracebacks."""
    from provisioner import console

    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except KeyboardInterrupt:
        console.show_interrupted()
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - the last place where a fault can become a sentence
        known = _known(error)
        if known is None:
            console.show_unexpected(error, verbose=verbose)
            raise SystemExit(STOPPED) from None
        console.show_error(known, verbose=verbose)
        raise SystemExit(UNUSABLE if isinstance(known, UnusableError) else _stop_code_of(known)) from None


def _known(error: BaseException) -> ProvisionerError | None:
    """The program's own error in what was raised, which may be a group of a task group's; None where there is none."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return error if isinstance(error, ProvisionerError) else None


def _stop_code_of(error: ProvisionerError) -> int:
    return _stop_code(error) if isinstance(error, StoppedError) else STOPPED


if __name__ == "__main__":
    main()
