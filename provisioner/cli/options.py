"""The options, each declared once, and what their values may be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.defaults import CREATE_PATH, MOST_WORKERS, RATE, STOP_AFTER, WORKERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from provisioner.records import AutoRate, Rate

URL_VARIABLE, KEY_VARIABLE = "MISSION_INBOX_URL", "MISSION_INBOX_API_KEY"

ENVIRONMENT = f"""
\b
Environment:
  {KEY_VARIABLE}      the API key
  {URL_VARIABLE}          address of the service
  MISSION_INBOX_CREATE_PATH  path, if not {CREATE_PATH}
  HTTPS_PROXY                proxy to the service
  NO_PROXY                   hosts reached without it
  NO_COLOR                   set to anything: no colours
"""

PATH = click.Path(path_type=Path)
STDIN, STANDARD_INPUT = Path("-"), "standard input"


class WholeNumber(click.IntRange):
    """A whole number; anything else is refused in plain words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number. Raises BadParameter."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            limits = f"of {self.min} or more" if self.max is None else f"from {self.min} to {self.max}"
            raise click.BadParameter(f"“{value}” is not a whole number {limits}.", ctx, param) from None


def rates_of(text: str) -> tuple[Rate, ...] | AutoRate:
    from provisioner.records import parse_rates

    try:
        return parse_rates(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from None


def duration_of(text: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h)?", text.strip())
    if match is None:
        raise click.BadParameter(f"“{text}” is not a duration: write a number and a unit, such as 90s, 15m or 2h.")
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600}[match[2] or "s"]


def fill_of(text: str) -> tuple[str, str]:
    column, equals, value = text.partition("=")
    if not equals or not column.strip() or not value.strip():
        raise click.BadParameter(f"“{text}” is not of the form COLUMN=VALUE, such as project=789.")
    return column.strip(), value.strip()


def column_of(text: str) -> tuple[str, str]:
    header, equals, column = text.rpartition("=")
    if not equals or not header.strip():
        raise click.BadParameter(f"“{text}” is not of the form HEADER=COLUMN, such as Postfach=email.")
    return header.strip(), column.strip()


def combined(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


class SheetCommand(click.Command):
    """A command that remembers its options as they were typed, for the next command."""

    typed: Mapping[str, Any] = {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        self.typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        return super().parse_args(ctx, args)

    def again(self, *, without: Collection[str]) -> Iterator[str]:
        """The typed options as words, without some."""
        for option in self.params:
            if isinstance(option, click.Option) and option.name in self.typed and option.name not in without:
                value = self.typed[option.name]
                for each in value if isinstance(value, list) else [value]:
                    yield max(option.opts, key=len)
                    if not option.is_flag:
                        yield str(each)


schema_option = click.option("--schema", type=PATH, help="Your own schema file instead of the built-in one.")

passwords_options = combined(
    click.option(
        "--sheet",
        "sheets",
        type=PATH,
        metavar="FILE",
        multiple=True,
        help="Sheet with the passwords, if it is not the one that was run; may be repeated.",
    ),
    schema_option,
)

fill_option = click.option(
    "--set",
    "fill",
    type=fill_of,
    metavar="COLUMN=VALUE",
    multiple=True,
    help="Use VALUE where COLUMN is missing or blank; may be repeated.",
)
encoding_option = click.option(
    "--encoding", metavar="NAME", help="Encoding of a text file, such as cp1250, if it is not detected."
)
generate_option = click.option(
    "--generate-passwords", is_flag=True, help="Generate a password for every row that has none."
)
by_option = click.option(
    "--by", metavar="COLUMN", help="Count the rows by this column too; default: Client, if there is one."
)

sheet_options = combined(
    click.argument("sheets", metavar="SHEET...", nargs=-1, required=True, type=PATH),
    click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), help="Run folder; default: SHEET-run, beside it."
    ),
    schema_option,
    fill_option,
    click.option(
        "--column",
        "columns",
        type=column_of,
        metavar="HEADER=COLUMN",
        multiple=True,
        help="Which column an unclear header means; HEADER= for none. It is remembered; may be repeated.",
    ),
    encoding_option,
    click.option(
        "--sheet",
        "sheet_names",
        metavar="NAME",
        multiple=True,
        help="Which sheet of a workbook, if it has several; may be repeated.",
    ),
    click.option(
        "--all-sheets", is_flag=True, help="Every sheet of a workbook that has a header, one after the other."
    ),
    generate_option,
    by_option,
    click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print the outcome on standard output, as one JSON object for each sheet.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is left to do."),
    click.option("-v", "--verbose", is_flag=True, help="Also print technical causes and the number of requests."),
)
"""Of the commands that work through sheets."""

reading_options = combined(schema_option, fill_option, encoding_option, generate_option, by_option)
"""How every sheet is read, whichever it is."""
READING = ("schema", "encoding", "generate_passwords", "by")
"""Their names, as SheetOptions has them too; `fill` has another form there."""

sending_options = combined(
    click.option(
        "--rate",
        type=rates_of,
        metavar="RATE",
        default=RATE,
        show_default=True,
        help="How fast to send: auto finds the service's own limit, up to 20/s (auto:50/s: up to 50/s). Fixed: 5/s, "
        "200/min or both.",
    ),
    click.option(
        "--workers",
        type=WholeNumber(1, MOST_WORKERS),
        default=WORKERS,
        show_default=True,
        help="Most requests under way at once.",
    ),
    click.option(
        "--task-timeout",
        type=duration_of,
        metavar="TIME",
        default="15m",
        show_default=True,
        help="How long the service may take for one mailbox.",
    ),
    click.option(
        "--stop-after",
        type=WholeNumber(min=0),
        metavar="N",
        default=STOP_AFTER,
        show_default=True,
        help="Stop after N failures in a row with the same cause; 0: never.",
    ),
)

SENDING = ("workers", "task_timeout", "stop_after")
"""Those of them that RunOptions has too."""

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Also print technical causes.")

service_options = combined(
    click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service."),
    click.option(
        "--sandbox", is_flag=True, help="Practice: use a local stand-in for the service, for this command only."
    ),
    click.option("--api-key-file", type=PATH, help=f"File with the API key, if not {KEY_VARIABLE}."),
    click.option("--profile", metavar="NAME", help="Use the key and address saved by login under this name."),
)

verify_options = combined(
    click.option(
        "--verify-timeout",
        type=duration_of,
        metavar="TIME",
        default="1m",
        show_default=True,
        help="How long to retry a new mailbox or an unreachable mail server.",
    ),
    click.option("--imap-host", metavar="HOST", help="IMAP server, if not the account's."),
    click.option("--imap-port", type=WholeNumber(1, 65535), metavar="PORT", help="If not 993."),
    click.option("--smtp-host", metavar="HOST", help="SMTP server, if not the account's."),
    click.option("--smtp-port", type=WholeNumber(1, 65535), metavar="PORT", help="If not 465."),
)

create_path_option = click.option(
    "--create-path",
    envvar="MISSION_INBOX_CREATE_PATH",
    show_envvar=True,
    metavar="PATH",
    default=CREATE_PATH,
    show_default=True,
    help="Where mailboxes are created; /mailbox/ is the form of the service's API reference.",
)


def subset(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Some of a command's options, by name."""
    return {name: options[name] for name in names}


def typed_here(option: str) -> bool:
    """Whether an option is on the command line, not only in the environment."""
    return click.get_current_context().get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
