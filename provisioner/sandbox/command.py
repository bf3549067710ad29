"""The command that serves the sandbox."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


def duration(text: str) -> float:
    """`500ms`, `2s`, `1m` or a bare number of seconds, in seconds."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|)", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is not a duration: write 500ms, 2s, 1m or a number of seconds.")
    return float(match[1]) * UNITS[match[2]]


def share(text: str) -> float:
    """`5%` or `0.05`, as a fraction."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(%?)", text.strip())
    fraction = float(match[1]) / (100 if match[2] else 1) if match is not None else 2.0
    if fraction > 1.0:
        raise click.BadParameter(f"{text!r} is not a share: write 5% or 0.05.")
    return fraction


def share_option(name: str, text: str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", f"{name}_share", type=share, metavar="SHARE", default="0%", help=text)


def choice_option(name: str, *choices: str, text: str) -> Callable[[Any], Any]:
    return click.option(f"--{name}", type=click.Choice(choices), default=choices[0], show_default=True, help=text)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Serve a practice copy of Mission Inbox, until Ctrl-C.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve on.  [default: any free one]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--api-key", metavar="KEY", help="The one key it accepts.  [default: a new one at each start]")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the mailboxes in this file from one start to the next.  [default: all is forgotten at the end]",
)
@click.option(
    "--latency",
    type=duration,
    metavar="TIME",
    default="1s",
    show_default=True,
    help="How long creating a mailbox takes: 500ms, 2s, 1m.",
)
@click.option(
    "--latency-spread",
    type=click.FloatRange(0),
    metavar="NUMBER",
    default=0.3,
    show_default=True,
    help="How much that varies from one mailbox to the next; 0: not at all.",
)
@click.option("--throttle", metavar="RATE", help="Refuse requests that come faster than this: 20/s, or 5/s,200/min.")
@share_option("fail", "Creations that fail: 5% or 0.05.")
@share_option("stuck", "Creations that never end.")
@share_option("error", "Creations answered with a server error; half of them are made all the same.")
@share_option("lost", "Creations that are made, but whose answer never arrives.")
@share_option("slow", "Answers that come late.")
@click.option("--slow-by", type=duration, metavar="TIME", default="5s", show_default=True, help="How late those come.")
@share_option("html", "Answers replaced by a web page.")
@click.option(
    "--keep-passwords/--forget-passwords",
    default=False,
    help="Whether mailboxes keep their passwords, in clear.  [default: forget]",
)
@click.option(
    "--seed", type=int, metavar="NUMBER", help="Any number; the same one makes the same things go wrong again."
)
@choice_option(
    "create-form",
    "guide",
    "reference",
    text="Create as the service's guide says (a task to wait for) or as its reference says (the mailbox at once).",
)
@choice_option(
    "duplicates",
    "refuse",
    "conflict",
    "task",
    text="Refuse an address that is taken, in plain words or as a conflict, or accept it and let its task fail.",
)
@choice_option("unknown-task", "404", "pending", text="What a task ID that nobody knows answers.")
@click.option("--celery-states", is_flag=True, help="Name task states PENDING, STARTED, SUCCESS and FAILURE.")
@click.option("--paginated", is_flag=True, help="Answer lists page by page.")
@click.option("--page-size", type=click.IntRange(1), default=100, show_default=True, help="Entries on such a page.")
@click.option("--no-listing", is_flag=True, help="Do not offer the list of mailboxes.")
@click.option("--no-projects", is_flag=True, help="Do not offer the list of projects.")
@click.option("--smtp-host", default="127.0.0.1", show_default=True, help="The account's SMTP server.")
@click.option("--imap-host", default="127.0.0.1", show_default=True, help="The account's IMAP server.")
def sandbox(**options: object) -> None:
    """Serve a practice copy of Mission Inbox on this computer, until Ctrl-C.

    Nothing sent to it leaves this computer, and nothing costs money. At the start it prints its address, the key, and
    the domains, relay servers and projects to write in a sheet. To see how a run copes with trouble, let some of it go
    wrong: --throttle 5/s --fail 5% --lost 2%.
    """
    from provisioner.sandbox.server import serve  # noqa: PLC0415 - a web server is not loaded to show --help

    try:
        given = {name: value for name, value in options.items() if value is not None}
        chosen = SandboxOptions(**given)  # type: ignore[arg-type] # click has checked each
        with serve(chosen) as running:
            click.echo(_welcome(running.url, chosen), err=True)
            click.echo(running.url)
            running.wait()
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(
            f"Cannot serve on {options['host']} port {options['port']}: {error.strerror}."
        ) from error


def _welcome(url: str, options: SandboxOptions) -> str:
    from provisioner.sandbox import account  # noqa: PLC0415 - needed when it serves

    named = [
        ("domain", domain.id, domain.name + ("" if domain.verified else "  (not verified: refused)"))
        for domain in account.DOMAINS
    ]
    named += [("relay_server", server.id, server.name) for server in account.RELAY_SERVERS]
    named += [("project", project.id, project.name) for project in account.PROJECTS]
    taken = ", ".join(known.address for known in account.EXISTING_MAILBOXES)
    return "\n".join(
        [
            f"The practice service is running at {url}",
            "Nothing sent to it leaves this computer, and nothing costs money. Ctrl-C ends it.",
            "",
            f"API key:  {options.api_key}",
            "",
            "Write these in your sheet:",
            *(f"  {column:<14}{number:<6}{name}" for column, number, name in named),
            "",
            f"These mailboxes exist already: {taken}",
            "",
            "To try it, in another window:",
            f"  {_key_setting(options.api_key)} provisioner run SHEET --api-url {url}",
        ]
    )


def _key_setting(key: str) -> str:
    if sys.platform == "win32":  # as PowerShell writes it
        return f'$env:MISSION_INBOX_API_KEY = "{key}";'
    return f"MISSION_INBOX_API_KEY={shlex.quote(key)}"
