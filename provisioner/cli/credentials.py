"""The command that writes what a client is to be given."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner.cli.connection import connector
from provisioner.cli.errors import explained
from provisioner.cli.exit_codes import DONE, ROWS_LEFT
from provisioner.cli.options import ENVIRONMENT, PATH, passwords_options, service_options, verbose_option
from provisioner.cli.signals import run_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioner.run_folder import RunFolder
    from provisioner.settings import Connection


@click.command(epilog=ENVIRONMENT, short_help="Write addresses, passwords and mail servers for a client.")
@click.argument("run", type=PATH)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write, .csv or .xlsx.  [default: credentials.csv in the run folder]",
)
@click.option("--by", metavar="COLUMN", help="One file for each value of this column of the sheet, such as Client.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@passwords_options
@service_options
@verbose_option
def credentials(
    *,
    run: Path,
    output: Path | None,
    by: str | None,
    force: bool,
    sheets: tuple[Path, ...],
    schema: Path | None,
    **options: Any,
) -> None:
    """Write the addresses, passwords and mail servers of RUN, to hand to a client.

    RUN is a run folder, or the sheet beside it. The file holds passwords, so it can be read by you alone. In a CSV file
    an apostrophe stands before a password that a spreadsheet would take for a formula; an .xlsx file needs none.
    """
    with explained(verbose=options["verbose"]) as listener:
        from provisioner import console
        from provisioner.credentials import write_credentials

        work = partial(write_credentials, by=by, schema_file=schema, sheets=sheets, force=force)

        command = click.get_current_context()

        @contextmanager
        def connect(folder: RunFolder) -> Iterator[Connection]:
            # A missing key is an error only if the service has to be asked. The keyring, which may ask the user for
            # a password, keeps no event loop waiting: this is entered in a worker thread.
            with command.scope(cleanup=False):
                connecting = connector(options)
            with connecting(folder) as connection:
                yield connection

        written = run_loop(partial(work, run, output, connect, listener))
        console.show_credentials(written)
    raise SystemExit(ROWS_LEFT if written.without_password else DONE)
