"""Arguments, environment and exit codes. Whatever takes time to import is imported by the command that needs it."""

from __future__ import annotations

import codecs
import gc
import importlib
import os
import re
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner import __version__
from provisioner.defaults import API_URL, CREATE_PATH, RATE, STOP_AFTER, WORKERS
from provisioner.errors import InterruptedRunError, ProvisionerError, SettingsError, StoppedError, UnusableError

if TYPE_CHECKING:
    # PreparedSheet by the commands themselves: the help must not wait for it.
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import IO

    from provisioner.events import Listener
    from provisioner.keys import Login
    from provisioner.pipeline import RunResult
    from provisioner.records import Rate
    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection, SheetOptions, VerifyOptions
    from provisioner.summary import RunPreview

PROGRAM = "provisioner"
DONE, ROWS_LEFT, UNUSABLE, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; of several sheets the greatest counts."""

URL_VARIABLE, KEY_VARIABLE = "MISSION_INBOX_URL", "MISSION_INBOX_API_KEY"


ENVIRONMENT = f"""
\b
Environment:
  {KEY_VARIABLE}      the API key
  {URL_VARIABLE}          address of the service, if not the usual one
  MISSION_INBOX_CREATE_PATH  where mailboxes are made, if not {CREATE_PATH}
  HTTPS_PROXY                proxy through which the service is reached
  NO_COLOR                   set to anything: no colours
"""
COMPLETION = """
\b
To have options and file names completed by the Tab key, add to ~/.bashrc:
  eval "$(_PROVISIONER_COMPLETE=bash_source provisioner)"
or to ~/.zshrc, with zsh_source in place of bash_source.
"""
STDIN, STANDARD_INPUT = Path("-"), "standard input"
SANDBOX_STATE = "sandbox.sqlite3"
"""In a run folder, what --sandbox remembers of it."""
LISTINGS = ("mailboxes", "domains", "relay-servers", "projects")
"""The values of `records.Listing`, for a help that does not wait for it."""
ONCE = frozenset({"as_json", "quiet", "verbose"})
"""Options that the command to paste next does not repeat."""
OF_THE_SHEET = frozenset({"out", "limit", "fill", "encoding", "sheet_name"})
"""Options that a failures file does without: it lies in its run folder, and this program wrote it, filled in."""
OF_THE_LOGINS = frozenset(
    {"schema", "verify_timeout", "imap_host", "imap_port", "smtp_host", "smtp_port"}
    | {"api_url", "sandbox", "api_key_file", "profile"}
)
"""Options of a run that a verification of it takes too."""


class _UnusableCall(click.UsageError):
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
def _in_plain_words() -> Iterator[None]:
    """Have the faults of a call told in this program's form."""
    try:
        yield
    except click.UsageError as error:
        said = error.format_message()
        if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option) and error.message:
            said = f"{max(error.param.opts, key=len)}: {error.message}"
        raise _UnusableCall(said, error.ctx) from None


class _Whole(click.IntRange):
    """A whole number; what is none is named in plain words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            limits = f"of {self.min} or more" if self.max is None else f"from {self.min} to {self.max}"
            raise click.BadParameter(f"“{value}” is not a whole number {limits}.", ctx, param) from None


class _Commands(click.Group):
    """A group that finds the sandbox's command only when it is asked for."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """As every group does. Raises _UnusableCall."""
        with _in_plain_words():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As every group does. Raises _UnusableCall."""
        with _in_plain_words():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "sandbox"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "sandbox":
            found: click.Command = importlib.import_module("provisioner.sandbox.command").sandbox
            return found
        return super().get_command(ctx, cmd_name)


def _rates(text: str) -> tuple[Rate, ...]:
    from provisioner.records import Rate

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
        "--json",
        "as_json",
        is_flag=True,
        help="Print the outcome on standard output: a line for each sheet, a JSON object in each.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Show nothing unless something is left to do."),
    click.option("-v", "--verbose", is_flag=True, help="Show technical causes and the number of requests too."),
)
_verbose = click.option("-v", "--verbose", is_flag=True, help="Show technical causes too.")

_service_options = _options(
    click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service."),
    click.option("--sandbox", is_flag=True, help="Practise: start a stand-in for the service for this one command."),
    click.option(
        "--api-key-file", type=click.Path(path_type=Path), help=f"File with the API key, if not {KEY_VARIABLE}."
    ),
    click.option("--profile", metavar="NAME", help="Use the key and the address kept by login under this name."),
)

_verify_options = _options(
    click.option(
        "--verify-timeout",
        type=_duration,
        metavar="TIME",
        default="1m",
        show_default=True,
        help="How long a new mailbox or a mail server out of reach is tried again.",
    ),
    click.option("--imap-host", metavar="HOST", help="IMAP server, if not the account's."),
    click.option("--imap-port", type=_Whole(1, 65535), metavar="PORT", help="If not 993."),
    click.option("--smtp-host", metavar="HOST", help="SMTP server, if not the account's."),
    click.option("--smtp-port", type=_Whole(1, 65535), metavar="PORT", help="If not 465."),
)

_create_path = click.option(
    "--create-path",
    envvar="MISSION_INBOX_CREATE_PATH",
    show_envvar=True,
    metavar="PATH",
    default=CREATE_PATH,
    show_default=True,
    help="Where mailboxes are created; /mailbox/ is the form of the service's API reference.",
)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=ENVIRONMENT + COMPLETION,
)
@click.version_option(__version__, prog_name="provisioner")
def main() -> None:
    """Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing made twice."""
    collect_seldom()
    click.get_current_context().call_on_close(gc.freeze)
    codecs.register_error("provisioner", _spelt_out)
    for stream in (sys.stdout, sys.stderr):
        # A code page that lacks a character of a name must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="provisioner")


def collect_seldom() -> None:
    """Have what cannot be reached any more looked for less often: what a command loads and reads stays to its end.

    Else it takes a tenth of the time to start, and a quarter of a second at the end.
    """
    gc.set_threshold(200_000)


def _spelt_out(error: UnicodeError) -> tuple[str, int]:
    """What to write in place of characters that an output cannot show: their plain forms, else their numbers."""
    assert isinstance(error, UnicodeEncodeError)
    plain = {"“": '"', "”": '"', "\u2019": "'", "…": "...", "•": "*", "·": "-"}
    lacking = error.object[error.start : error.end]
    return "".join(plain.get(char) or f"U+{ord(char):04X}" for char in lacking), error.end


@main.command(cls=_SheetCommand, epilog=ENVIRONMENT)
@_sheet_options
@_service_options
@_create_path
@click.option("--limit", type=_Whole(min=1), metavar="N", help="Send only the first N ready rows: a trial run.")
@click.option(
    "--rate",
    type=_rates,
    metavar="RATE",
    default=RATE,
    show_default=True,
    help="Requests at most: 5/s, 200/min or both.",
)
@click.option(
    "--workers",
    type=_Whole(1, 200),
    default=WORKERS,
    show_default=True,
    help="Requests under way at most.",
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
    type=_Whole(min=0),
    metavar="N",
    default=STOP_AFTER,
    show_default=True,
    help="Stop after N failures in a row with one cause; 0: never.",
)
@click.option("--verify", is_flag=True, help="Log in to the created mailboxes at the end, over IMAP and SMTP.")
@_verify_options
@click.option("--yes", is_flag=True, help="Do not ask before anything is sent.")
def run(
    *,
    yes: bool,
    verify: bool,
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
        from provisioner.service.rate_limiter import RateLimiter
        from provisioner.settings import RunOptions

        how = RunOptions(
            limit=limit,
            workers=workers,
            task_timeout=task_timeout,
            stop_after=stop_after,
            verify=_read_verify_options(options) if verify else None,
        )
        connect = _connector(options, rate)
        limiter = RateLimiter(rate)
        yes = yes or options["sandbox"]
        if STDIN in options["sheets"] and not yes and sys.stderr.isatty():
            raise SettingsError(
                "The sheet comes from standard input, so you cannot be asked before anything is sent.",
                remedy="See with check what is in it, then add --yes; or run it as a file.",
            )
        confirm = _confirmation(yes=yes, quiet=options["quiet"])
        _work_through(
            options,
            lambda sheet, listener: pipeline.run(
                sheet,
                how,
                connect,
                listener,
                confirm=confirm,
                next_command=lambda result: _alone(result, options),
                limiter=limiter,
            ),
        )


@main.command(cls=_SheetCommand, epilog=ENVIRONMENT)
@_sheet_options
def check(**options: Any) -> None:
    """Validate each SHEET; nothing is sent, and no key is needed. A SHEET of - is read from standard input."""
    with _explained(verbose=options["verbose"]):
        from provisioner import pipeline

        _work_through(
            options,
            lambda sheet, listener: pipeline.check(
                sheet, listener, next_command=lambda result: _alone(result, options, checking=True)
            ),
            checking=True,
        )


@main.command(epilog=ENVIRONMENT)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--sheet",
    "sheets",
    type=click.Path(path_type=Path),
    metavar="FILE",
    multiple=True,
    help="Sheet with the passwords, if not the one that was run; may be repeated.",
)
@click.option("--schema", type=click.Path(path_type=Path), help="Your own schema file, in place of the built-in.")
@_verify_options
@_service_options
@_verbose
def verify(*, run: Path, sheets: tuple[Path, ...], schema: Path | None, **options: Any) -> None:
    """Log in to every created mailbox of RUN, over IMAP and SMTP.

    RUN is a run folder, or the sheet beside it. What came of it is in results.csv. Each password is tried once with
    each server, and never one that the mailbox was not created with.
    """
    with _explained(verbose=options["verbose"]), _progress(quiet=False) as listener:
        from provisioner import console, verification

        how = _read_verify_options(options)
        connect = None if how.imap_host and how.smtp_host else _connector(options)
        verified = verification.verify_run(run, sheets, how, connect, listener, schema_file=schema)
        console.show_logins(verified.counts, verified.bad, _same_command())
        console.say(f"Every mailbox: {verified.results}")
    raise SystemExit(ROWS_LEFT if verified.counts.failed or verified.counts.untried else DONE)


@main.command("list", epilog=ENVIRONMENT)
@click.argument("what", type=click.Choice(LISTINGS))
@_service_options
@click.option("--csv", "form", flag_value="csv", help="Print it for a spreadsheet.")
@click.option("--json", "form", flag_value="json", help="Print it for another program.")
@_verbose
def list_(*, what: str, form: str | None, **options: Any) -> None:
    """List what the account has: mailboxes, domains, relay-servers or projects."""
    with _explained(verbose=options["verbose"]), _progress(quiet=False) as listener:
        from provisioner import account as account_calls
        from provisioner import console
        from provisioner.messages import count
        from provisioner.records import Listing

        listing = Listing(what)
        columns = account_calls.COLUMNS[listing]
        table: console.Table | console.CsvTable | console.JsonTable
        with _connector(options)(None) as connection:
            if form == "csv":
                table = console.CsvTable(columns)
            else:
                table = console.JsonTable() if form == "json" else console.Table(columns)
            number = account_calls.listing(connection, listing, listener, table.show)
        table.close()
        console.say(count(number, what.rstrip("s").replace("-", " "), what.replace("-", " ")) + ".")


@main.command(epilog=ENVIRONMENT)
@_service_options
@click.option("--json", "as_json", is_flag=True, help="Print it for another program.")
@_verbose
def account(*, as_json: bool, **options: Any) -> None:
    """Show who the key belongs to, and the settings for mail programs."""
    with _explained(verbose=options["verbose"]), _progress(quiet=False) as listener:
        from provisioner import account as account_calls
        from provisioner import console

        with _connector(options)(None) as connection:
            known = account_calls.account(connection, listener)
        (console.print_account_json if as_json else console.show_account)(known)


@main.command(epilog=ENVIRONMENT)
@click.argument("service")
@_service_options
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write, if not printed.")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@click.option(
    "--only", type=click.Path(path_type=Path), metavar="RUN", help="Keep only the mailboxes of this run folder."
)
@_verbose
def export(*, service: str, output: Path | None, force: bool, only: Path | None, **options: Any) -> None:
    """Download the CSV for SERVICE: smartlead, instantly, reply.io, woodpecker, emailbison or another.

    It holds the mailboxes' passwords, so the file can be read by you alone.
    """
    with _explained(verbose=options["verbose"]), _progress(quiet=False) as listener:
        from provisioner import account as account_calls
        from provisioner import console, run_folder
        from provisioner.messages import count

        if output is not None and output.exists() and not force:
            raise SettingsError(f"There is a file {output} already.", remedy="Name another, or add --force.")
        only_run = run_folder.existing(only) if only is not None else None
        with _connector(options)(only_run) as connection:
            into = output if output is not None else sys.stdout.buffer
            exported = account_calls.export(connection, service, listener, into, only=only_run)
        console.say(f"{count(exported.rows, 'mailbox', 'mailboxes')} for {service}.")
        if exported.missing:
            console.say(f"{count(exported.missing, 'mailbox', 'mailboxes')} of the run the service left out.")


@main.command(epilog=ENVIRONMENT)
@click.option("--profile", metavar="NAME", help="Name to keep it under, where you have several accounts.")
@click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service.")
@_verbose
def login(*, profile: str | None, api_url: str | None, verbose: bool) -> None:
    """Keep the API key in this computer's keyring.

    It is asked for, or read from a pipe, and tried before it is kept.
    """
    with _explained(verbose=verbose), _progress(quiet=False) as listener:
        from provisioner import account as account_calls
        from provisioner import console, keys
        from provisioner.settings import Connection

        if sys.stdin.isatty():
            text = click.prompt("API key (it is not shown)", hide_input=True, err=True)
        else:
            text = sys.stdin.readline()
        entry = keys.Login(api_url or API_URL, keys.check(text.strip()))
        proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
        known = account_calls.account(Connection(api_url=entry.api_url, api_key=entry.api_key, proxy=proxy), listener)
        keys.keep(profile or keys.DEFAULT_PROFILE, entry)
        whose = known.facts.get("name") or known.facts.get("email")
        console.say(f"The key{f' of {whose}' if whose else ''} is kept for {entry.api_url}.")


@main.command(epilog=ENVIRONMENT)
@click.option("--profile", metavar="NAME", help="The name that it is kept under.")
def logout(*, profile: str | None) -> None:
    """Take the API key out of this computer's keyring."""
    with _explained():
        from provisioner import console, keys

        gone = keys.forget(profile or keys.DEFAULT_PROFILE)
        console.say("The key is taken out of the keyring." if gone else "The keyring held no key.")


def _work_through(
    options: dict[str, Any], work: Callable[[SheetOptions, Any], RunResult], *, checking: bool = False
) -> None:
    """Do one sheet after the other, show what all of them came to, and exit with the code that says so.

    None is begun before all of them can be read; none after one that had to be stopped.
    """
    run_results: list[RunResult] = []
    with _files(options["sheets"], options["out"]) as files:
        chosen = [_read_sheet_options(options, file) for file in files]
        _refuse_what_cannot_go_together(chosen)
        try:
            for sheet in chosen:
                with _progress(quiet=options["quiet"]) as listener:
                    run_results.append(
                        work(sheet, _headed(listener, sheet, checking=checking) if len(chosen) > 1 else listener)
                    )
                if run_results[-1].stopped is not None:
                    break
        finally:
            if run_results:
                not_begun = [str(sheet.sheet) for sheet in chosen[len(run_results) :]]
                _show(run_results, not_begun, options, checking=checking)
    codes = [_code(result) for result in run_results]
    if options["as_json"]:
        from provisioner import console

        for result, code in zip(run_results, codes, strict=True):
            console.print_json(result.summary, code)
    raise SystemExit(max(codes))


def _headed(listener: Listener, sheet: SheetOptions, *, checking: bool) -> Listener:
    """A listener that says which of several sheets is spoken of: at once, as a run always has something to say."""
    from provisioner.events import PrefixedListener

    if checking:
        return PrefixedListener(listener, f"{sheet.sheet}:")
    listener.note(f"{sheet.sheet}:")
    return listener


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
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        content = Path(folder) / STANDARD_INPUT
        content.write_bytes(sys.stdin.buffer.read())
        yield [content if sheet == STDIN else sheet for sheet in sheets]


def _refuse_what_cannot_go_together(chosen: Sequence[SheetOptions]) -> None:
    """Several sheets need a folder each, and all of them can be read before the first is begun."""
    from provisioner import pipeline, run_folder

    if len(chosen) == 1:
        return
    folders = [run_folder.locate(sheet.sheet, sheet.out).path.resolve() for sheet in chosen]
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
        from provisioner import console
        from provisioner import schema as schemas
        from provisioner.sheets.template import template as write_template

        write_template(path, schemas.load(schema))
        program = _program()
        click.echo(f"Fill in {path}, then check it with:", err=True)
        click.echo(f"  {console.command_line(*program, 'check', str(path))}", err=True)


def _read_sheet_options(options: dict[str, Any], sheet: Path) -> SheetOptions:
    from provisioner.settings import SheetOptions

    return SheetOptions(
        sheet=sheet,
        shown="" if sheet in options["sheets"] else STANDARD_INPUT,
        out=options["out"],
        schema=options["schema"],
        generate_passwords=options["generate_passwords"],
        encoding=options["encoding"],
        sheet_name=options["sheet_name"],
        fill=dict(options["fill"]),
    )


def _read_verify_options(options: dict[str, Any]) -> VerifyOptions:
    from provisioner.settings import VerifyOptions

    if options["sandbox"] and not (options["imap_host"] and options["smtp_host"]):
        raise SettingsError(
            "Practice has no mail servers to log in to.",
            remedy="Leave out --verify, or name servers of your own with --imap-host and --smtp-host.",
        )
    names = ("imap_host", "imap_port", "smtp_host", "smtp_port")
    return VerifyOptions(patience=options["verify_timeout"], **{name: options[name] for name in names})


def _connector(
    options: dict[str, Any], rate: tuple[Rate, ...] | None = None
) -> Callable[[RunFolder | None], AbstractContextManager[Connection]]:
    """What tells a command where its service is: the given address and key, or a sandbox of its own.

    It is handed the run's folder, or None where the command belongs to no run. A `rate` of None is the usual one.
    """
    from provisioner.secret import Secret
    from provisioner.settings import Connection

    rates = rate or _rates(RATE)
    if not options["sandbox"]:
        login = _login(options)
        connection = Connection(
            api_url=login.api_url,
            api_key=login.api_key,
            rates=rates,
            proxy=os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"),
            create_path=options.get("create_path", CREATE_PATH),
        )
        return lambda _: nullcontext(connection)
    if (options["api_url"] and _typed("api_url")) or options["profile"]:
        raise SettingsError(
            "--sandbox cannot go together with --api-url or --profile.", remedy="Leave out one or the other."
        )

    @contextmanager
    def sandboxed(folder: RunFolder | None) -> Iterator[Connection]:
        from provisioner.sandbox.options import SandboxOptions
        from provisioner.sandbox.server import serve

        # It remembers its mailboxes beside the journal, as the service itself would, so that a second run can go on.
        state = folder.path / SANDBOX_STATE if folder else None
        create_path = options.get("create_path", CREATE_PATH)
        form: Any = "guide" if create_path == CREATE_PATH else "reference"
        with serve(SandboxOptions(state=state, keep_passwords=False, create_form=form)) as sandbox:
            yield Connection(api_url=sandbox.url, api_key=Secret(sandbox.api_key), rates=rates, create_path=create_path)

    return sandboxed


def _confirmation(*, yes: bool, quiet: bool) -> Callable[[RunPreview], bool]:
    """What says what a run is about to do and, where somebody sits at the terminal, asks once whether it shall."""
    from provisioner import console
    from provisioner.messages import count

    def confirm(preview: RunPreview) -> bool:
        most = preview.to_send + preview.to_look_up
        asks = not yes and most > 0 and sys.stdin.isatty() and sys.stderr.isatty()
        if asks or not quiet:
            console.show_preview(preview)
        up_to = "up to " if preview.to_look_up else ""
        return not asks or click.confirm(f"Create {up_to}{count(most, 'mailbox', 'mailboxes')} now?", err=True)

    return confirm


def _login(options: dict[str, Any]) -> Login:
    """The key and the address that belongs to it. Raises SettingsError where that is missing or not certain."""
    from provisioner import keys

    profile, url, file = options["profile"], options["api_url"], options["api_key_file"]
    in_environment = os.environ.get(KEY_VARIABLE, "").strip()
    in_file = keys.read(file) if file is not None else None
    if profile is None and in_environment:
        key = keys.check(in_environment)
        if in_file not in (None, key):
            raise SettingsError(
                f"{KEY_VARIABLE} and the file {file} hold different API keys, so it is not certain which account is "
                "meant.",
                remedy=f"Leave out --api-key-file, or remove {KEY_VARIABLE}.",
            )
        return keys.Login(url or API_URL, key)
    kept = keys.load(profile or keys.DEFAULT_PROFILE, required=profile is not None)
    if kept is None:
        if profile is not None:
            raise SettingsError(
                f"The keyring holds no key for the profile “{profile}”.",
                remedy=f"Run provisioner login --profile {profile} first.",
            )
        if in_file is None:
            raise SettingsError(
                "There is no API key.",
                remedy=f"Run provisioner login once, or set {KEY_VARIABLE}, or name a file that holds the key with "
                "--api-key-file. To practise without a key, add --sandbox.",
            )
        return keys.Login(url or API_URL, in_file)
    if in_file not in (None, kept.api_key):
        raise SettingsError(
            f"The keyring and the file {file} hold different API keys, so it is not certain which account is meant.",
            remedy="Leave out --api-key-file, or take the key out of the keyring with provisioner logout.",
        )
    if url and url.rstrip("/") != kept.api_url.rstrip("/") and (profile is None or _typed("api_url")):
        raise SettingsError(
            f"The key in the keyring is for {kept.api_url}, so it is not sent to {url}.",
            remedy=f"Give the other service's key with {KEY_VARIABLE}, or log in to it under a --profile of its own.",
        )
    return kept


def _typed(option: str) -> bool:
    """Whether an option stands on the command line, not only in the environment."""
    return click.get_current_context().get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE


def _show(
    run_results: Sequence[RunResult], not_begun: Sequence[str], options: dict[str, Any], *, checking: bool
) -> None:
    from provisioner import console

    left = _left(run_results)
    if options["quiet"] and not left:
        return
    stopped = run_results[-1].stopped
    above = console.show_error(stopped, verbose=options["verbose"]) if stopped is not None else 0
    console.show_summary(
        [(result.summary, result.groups) for result in run_results],
        _next_command([*left, *not_begun], run_results, options, checking=checking),
        not_begun=not_begun,
        above=above,
        checked=checking,
        logins=[group for result in run_results for group in result.logins],
        verify=_verify_command([result.summary.run_folder for result in run_results if result.logins]),
        verbose=options["verbose"],
    )


def _left(run_results: Sequence[RunResult]) -> list[str]:
    """The files that hold what is left."""
    return [
        result.summary.failures if result.summary.to_retry else _as_given(result.summary.original)
        for result in run_results
        if _code(result) != DONE
    ]


def _as_given(sheet: str) -> str:
    """What is written for a sheet on the command line."""
    return str(STDIN) if sheet == STANDARD_INPUT else sheet


def _alone(result: RunResult, options: dict[str, Any], *, checking: bool = False) -> str:
    """What goes on with the rows of one sheet of several; empty where nothing is left of it."""
    rows_left = not all(status.done for status in result.summary.statuses)
    if not (rows_left or checking):
        return ""
    sheet = {**options, "sheets": [_as_given(result.summary.sheet)]}
    return _next_command(_left([result]), [result], sheet, checking=checking)


def _verify_command(folders: Sequence[str]) -> str:
    """What logs in again to the mailboxes of run folders: a line for each."""
    from provisioner import console

    context = click.get_current_context()
    command = context.command
    assert isinstance(command, _SheetCommand)
    typed = {*command.typed} & OF_THE_LOGINS
    options = list(command.again(without={*command.typed} - typed))
    return "\n  ".join(console.command_line(*_program(), "verify", folder, *options) for folder in folders)


def _next_command(
    sheets: Sequence[str], run_results: Sequence[RunResult], options: dict[str, Any], *, checking: bool
) -> str:
    """What to paste to go on with what is left; after a check that left nothing to mend, what creates the mailboxes."""
    from provisioner import console
    from provisioner.records import Actor

    context = click.get_current_context()
    command = context.command
    assert isinstance(command, _SheetCommand)
    name = context.info_name or ""
    to_mend = any(group.actor is Actor.SHEET for result in run_results for group in result.groups)
    practice = any((Path(result.summary.run_folder) / SANDBOX_STATE).exists() for result in run_results)
    if checking and not to_mend:
        name = "run"
    given = sheets or [str(sheet) for sheet in options["sheets"]]
    again = [*command.again(without=ONCE | OF_THE_SHEET if sheets else ONCE)]
    # A check knows no service; what was practised is gone on with in practice.
    again += ["--sandbox"] if checking and name == "run" and practice else []
    return console.command_line(*_program(), name, *given, *again)


def _code(result: RunResult) -> int:
    if result.stopped is not None:
        return _stop_code(result.stopped)
    logins = result.summary.logins
    unproved = logins is not None and (logins.failed or logins.untried)
    return ROWS_LEFT if unproved or not all(status.done for status in result.summary.statuses) else DONE


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
    except BrokenPipeError:
        # Whoever read stdout has seen enough. Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(DONE) from None
    except (click.ClickException, click.exceptions.Exit):
        raise
    except (KeyboardInterrupt, click.Abort) as error:
        console.show_interrupted(_same_command(), before=isinstance(error, click.Abort))
        raise SystemExit(INTERRUPTED) from None
    except Exception as error:  # noqa: BLE001 - the last place where a fault can become a sentence
        known = _known(error)
        if known is None:
            console.show_unexpected(error, verbose=verbose)
            raise SystemExit(STOPPED) from None
        console.show_error(known, verbose=verbose)
        if isinstance(known, StoppedError):
            console.show_again(_same_command())
        raise SystemExit(UNUSABLE if isinstance(known, UnusableError) else _stop_code_of(known)) from None


def _same_command() -> str:
    """What was called, to be called once more."""
    from provisioner import console

    return console.command_line(*_program(), *sys.argv[1:])


def _program() -> list[str]:
    """How the program was called, to be pasted once more: by its path where the shell does not find it by its name."""
    import shutil

    called = Path(sys.argv[0])
    if called.stem != PROGRAM or not called.exists():
        return click.get_current_context().command_path.rpartition(" ")[0].split()
    found = shutil.which(PROGRAM)
    return [PROGRAM] if found is not None and called.samefile(found) else [sys.argv[0]]


def _known(error: BaseException) -> ProvisionerError | None:
    """The program's own error in what was raised, which may be a group of a task group's; None where there is none."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(_known, error.exceptions)), None)
    return error if isinstance(error, ProvisionerError) else None


def _stop_code_of(error: ProvisionerError) -> int:
    return _stop_code(error) if isinstance(error, StoppedError) else STOPPED


if __name__ == "__main__":
    main()
