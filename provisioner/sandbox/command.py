"""The command that serves the sandbox."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provisioner.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

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


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to serve on; 0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--api-key", default="sandbox-key", show_default=True, help="Key that the sandbox accepts.")
@click.option(
    "--latency",
    type=duration,
    metavar="TIME",
    default="1s",
    show_default=True,
    help="How long a mailbox takes to be created (500ms, 2s, 1m).",
)
@click.option("--latency-spread", type=float, default=0.3, help="How much that varies; 0: not at all.")
@click.option("--throttle", metavar="RATE", help="Refuse requests above this rate, such as 20/s or 5/s,200/min.")
@click.option(
    "--fail", "fail_share", type=share, metavar="SHARE", default="0%", help="Share of creations that fail (5% or 0.05)."
)
@click.option(
    "--stuck", "stuck_share", type=share, metavar="SHARE", default="0%", help="Share of creations that never end."
)
@click.option(
    "--error",
    "error_share",
    type=share,
    metavar="SHARE",
    default="0%",
    help="Share of creations answered with a server error, half of them carried out all the same.",
)
@click.option(
    "--lost",
    "lost_share",
    type=share,
    metavar="SHARE",
    default="0%",
    help="Share of creations carried out whose answer never arrives.",
)
@click.option(
    "--slow", "slow_share", type=share, metavar="SHARE", default="0%", help="Share of answers that come late."
)
@click.option("--slow-by", type=duration, metavar="TIME", default="5s", show_default=True, help="How late those come.")
@click.option(
    "--html",
    "html_share",
    type=share,
    metavar="SHARE",
    default="0%",
    help="Share of answers that are a web page instead.",
)
@click.option(
    "--create-form",
    type=click.Choice(["guide", "reference"]),
    default="guide",
    help="Create as the service's guide describes it (a task) or as its reference does (the mailbox at once).",
)
@click.option(
    "--duplicates",
    type=click.Choice(["refuse", "task"]),
    default="refuse",
    help="A name that is taken is refused, or accepted and then fails.",
)
@click.option(
    "--unknown-task", type=click.Choice(["404", "pending"]), default="404", help="What an unknown task ID answers."
)
@click.option("--celery-states", is_flag=True, help="Answer task states as PENDING, STARTED, SUCCESS, FAILURE.")
@click.option("--paginated", is_flag=True, help="Answer lists page by page.")
@click.option("--page-size", type=click.IntRange(1), default=100, help="Entries on a page.")
@click.option("--no-listing", is_flag=True, help="The list of mailboxes cannot be had.")
@click.option("--no-projects", is_flag=True, help="The list of projects cannot be had.")
@click.option("--smtp-host", default="127.0.0.1", help="SMTP server named by the account.")
@click.option("--imap-host", default="127.0.0.1", help="IMAP server named by the account.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the mailboxes from one start to the next; without it all is forgotten at the end.",
)
@click.option("--seed", type=int, help="Any number: the same number makes the same things go wrong again.")
def sandbox(**options: object) -> None:
    """Serve a practice stand-in for Mission Inbox on this computer, until Ctrl-C.

    Nothing leaves this computer and nothing costs money. The address is printed at the start, with the key and the IDs
    to use in a sheet.
    """
    from provisioner.sandbox.server import serve  # noqa: PLC0415 - a web server is not loaded to show --help

    try:
        chosen = SandboxOptions(**options)  # type: ignore[arg-type] # click has checked each
        with serve(chosen) as running:
            click.echo(_welcome(running.url, chosen), err=True)
            click.echo(running.url)
            try:
                running.wait()
            except KeyboardInterrupt:
                click.echo("Stopped.", err=True)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"Cannot serve on {chosen.host} port {chosen.port}: {error.strerror}.") from error


def _welcome(url: str, options: SandboxOptions) -> str:
    from provisioner.sandbox import account  # noqa: PLC0415

    names = {domain.id: domain.name for domain in account.DOMAINS}
    lines = [
        ("domain", domain.id, domain.name + ("" if domain.verified else "  (not verified: refused)"))
        for domain in account.DOMAINS
    ]
    lines += [("relay_server", server.id, server.name) for server in account.RELAY_SERVERS]
    lines += [("project", project.id, project.name) for project in account.PROJECTS]
    taken = ", ".join(f"{known.username}@{names[known.domain]}" for known in account.EXISTING_MAILBOXES)
    return "\n".join(
        [
            f"The practice service is running at {url}",
            "Nothing sent to it leaves this computer, and nothing costs money. Ctrl-C ends it.",
            "",
            f"API key:  {options.api_key}",
            "",
            "Write these in your sheet:",
            *_table(lines),
            "",
            f"These mailboxes exist already: {taken}",
            "",
            "To try it, in another window:",
            f"  MISSION_INBOX_API_KEY={options.api_key} provisioner run SHEET --api-url {url}",
        ]
    )


def _table(lines: Sequence[tuple[str, int, str]]) -> list[str]:
    return [f"  {column:<14}{number:<6}{name}" for column, number, name in lines]
