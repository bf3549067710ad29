"""The commands that ask the service: list, account and export."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from provisioner.cli.connection import connector
from provisioner.cli.errors import explained
from provisioner.cli.options import ENVIRONMENT, PATH, service_options, verbose_option
from provisioner.cli.signals import run_loop
from provisioner.errors import SettingsError
from provisioner.resources import Listing

FRESH_SANDBOX = "The sandbox begins anew for each command, so it lacks the mailboxes of your practice runs."


@click.command("list", epilog=ENVIRONMENT, short_help="List mailboxes, domains, relay-servers or projects.")
@click.argument("what", metavar="WHAT", type=click.Choice([listing.value for listing in Listing]))
@service_options
@click.option("--csv", "form", flag_value="csv", help="Print CSV, for a spreadsheet.")
@click.option("--json", "form", flag_value="json", help="Print JSON, for another program.")
@verbose_option
def list_(*, what: str, form: str | None, **options: Any) -> None:
    """List what the account has: mailboxes, domains, relay-servers or projects."""
    with explained(verbose=options["verbose"], only_asks=True) as listener:
        from provisioner import account as account_calls
        from provisioner import console
        from provisioner.messages import count

        listing = Listing(what)
        columns = account_calls.COLUMNS[listing]
        with connector(options)(None) as connection:
            table = {"csv": console.CsvTable, "json": console.JsonTable}.get(form or "", console.Table)(columns)
            number = run_loop(account_calls.listing, connection, listing, listener, table.show)
        table.close()
        one = "mailbox" if listing is Listing.MAILBOXES else listing.words.removesuffix("s")
        console.say(f"{count(number, one, listing.words)}.")
        if options["sandbox"] and listing is Listing.MAILBOXES:
            console.say_wrapped(f"{FRESH_SANDBOX} They are in the results.csv of their run folder.")


@click.command(epilog=ENVIRONMENT, short_help="Show who the key belongs to, and the mail servers.")
@service_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for another program.")
@verbose_option
def account(*, as_json: bool, **options: Any) -> None:
    """Show who the key belongs to, and the settings for mail programs."""
    with explained(verbose=options["verbose"], only_asks=True) as listener:
        from provisioner import account as account_calls
        from provisioner import console

        with connector(options)(None) as connection:
            known = run_loop(account_calls.account, connection, listener)
        (console.print_account_json if as_json else console.show_account)(known)


@click.command(epilog=ENVIRONMENT, short_help="Download the CSV for a service such as smartlead.")
@click.argument("service")
@service_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write instead of printing."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--only", type=PATH, metavar="RUN", help="Only the mailboxes of this run folder.")
@verbose_option
def export(*, service: str, output: Path | None, force: bool, only: Path | None, **options: Any) -> None:
    """Download the CSV for SERVICE: smartlead, instantly, reply.io, woodpecker, emailbison or another.

    It contains the mailboxes' passwords, so only you can read the file.
    """
    with explained(verbose=options["verbose"], only_asks=True) as listener:
        from provisioner import account as account_calls
        from provisioner import console, run_folder
        from provisioner.messages import count

        if output is not None and output.exists() and not force:
            raise SettingsError(
                f"The file {output} exists already.", remedy="Choose another name, or add --force to replace it."
            )
        only_run = run_folder.existing(only) if only is not None else None
        with connector(options)(only_run) as connection:
            exported = run_loop(partial(account_calls.export, connection, service, listener, only=only_run))
        if output is None:
            console.print_file(exported.content)
        else:
            exported.save(output)
        where = f": {output}" if output is not None else "."
        console.say(f"{count(exported.rows, 'mailbox', 'mailboxes')} for {service}{where}")
        if options["sandbox"] and only is None:
            console.say_wrapped(f"{FRESH_SANDBOX} Add --only RUN to export them.")
        if exported.missing:
            missing = count(exported.missing, "mailbox of the run is", "mailboxes of the run are")
            console.say(f"{missing} not in the service's export.")
