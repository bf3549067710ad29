"""The group of all commands. Whatever takes time to import is imported by the command that needs it."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading
from contextlib import suppress
from typing import Any

import click

from provisioner import __version__
from provisioner.cli import open_files, streams
from provisioner.cli.credentials import credentials
from provisioner.cli.errors import explained, in_plain_words, output_of_help
from provisioner.cli.keys import login, logout
from provisioner.cli.options import ENVIRONMENT
from provisioner.cli.run import check, run
from provisioner.cli.service import account, export, list_
from provisioner.cli.template import template
from provisioner.cli.verify import verify
from provisioner.cli.web import web

# When a process ends, Python looks for cycles among all objects, of which the libraries have half a million. That takes
# up to a second, and whatever it frees is freed anyway.
atexit.register(gc.freeze)

COMPLETION = """
\b
To complete options and file names with the Tab key,
add to ~/.bashrc:
  eval "$(_PROVISIONER_COMPLETE=bash_source provisioner)"
or to ~/.zshrc, with zsh_source instead of bash_source.
"""


class _Commands(click.Group):
    """A group that loads the command of the sandbox only when it is needed."""

    def __call__(self, *args: Any, **more: Any) -> Any:
        """As a program: its end does not wait for a thread that reads a sheet which nobody wants any more."""
        try:
            return super().__call__(*args, **more)
        except SystemExit as end:
            if threading.active_count() > 1 and isinstance(end.code, int):
                with suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(end.code)
            raise

    def main(self, *args: Any, **more: Any) -> Any:
        """Run a command line, on streams that cannot end it."""
        streams.prepare()
        with output_of_help():
            return super().main(*args, **more)

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """As every group does, but raises UnusableCall."""
        with in_plain_words():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As every group does, but raises UnusableCall."""
        with in_plain_words():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "sandbox"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "sandbox":
            found: click.Command = importlib.import_module("provisioner.sandbox.command").sandbox
            return found
        return super().get_command(ctx, cmd_name)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=ENVIRONMENT + COMPLETION,
)
@click.version_option(__version__, prog_name="provisioner")
def main() -> None:
    """Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing created twice."""
    with explained():
        open_files.allow_enough()


for command in (run, check, web, template, verify, list_, export, credentials, account, login, logout):
    main.add_command(command)
