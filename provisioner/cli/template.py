"""The command that writes an empty sheet."""

from __future__ import annotations

from pathlib import Path

import click

from provisioner.cli.errors import explained
from provisioner.cli.next_command import program_words
from provisioner.cli.options import schema_option


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@schema_option
def template(path: Path, schema: Path | None) -> None:
    """Write an empty sheet to PATH (.csv or .xlsx)."""
    with explained():
        from provisioner import console
        from provisioner import schema as schemas
        from provisioner.sheets.template import template as write_template

        write_template(path, schemas.load(schema))
        console.say_wrapped(f"Fill in {path}, then check it with:")
        console.say(f"  {console.command_line(*program_words(), 'check', str(path))}")
