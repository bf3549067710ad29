"""The command that logs in to the created mailboxes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from provisioner.cli.connection import connector, read_verify_options
from provisioner.cli.errors import explained
from provisioner.cli.exit_codes import DONE, ROWS_LEFT
from provisioner.cli.next_command import same_command
from provisioner.cli.options import ENVIRONMENT, passwords_options, service_options, verbose_option, verify_options
from provisioner.cli.signals import run_loop


@click.command(epilog=ENVIRONMENT)
@click.argument("run", type=click.Path(path_type=Path))
@passwords_options
@verify_options
@service_options
@verbose_option
def verify(*, run: Path, sheets: tuple[Path, ...], schema: Path | None, **options: Any) -> None:
    """Log in to every created mailbox of RUN, over IMAP and SMTP.

    RUN is a run folder, or the sheet beside it. The outcome is written to results.csv. Each password is tried once with
    each server, and only if the mailbox was created with it.
    """
    with explained(verbose=options["verbose"]) as listener:
        from provisioner import console, run_folder, verification

        how = read_verify_options(options, instead="Verify a run that was not for practice")
        run_folder.existing(run)
        connect = None if how.names_servers else connector(options)
        work = partial(verification.verify_run, run, sheets, how, connect, listener, schema_file=schema)
        verified = run_loop(work)
        console.show_logins(verified.counts, verified.bad, same_command())
        console.say(f"Every mailbox: {verified.results}")
    raise SystemExit(ROWS_LEFT if verified.counts.unproved else DONE)
