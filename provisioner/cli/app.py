"""The group of all commands. Whatever takes time to import is imported by the command that needs it."""

from __future__ import annotations

import codecs
import importlib
import sys
from typing import Any

import click

from provisioner import __version__
from provisioner.cli.errors import in_plain_words
from provisioner.cli.keys import login, logout
from provisioner.cli.options import ENVIRONMENT
from provisioner.cli.run import check, run
from provisioner.cli.service import account, export, list_
from provisioner.cli.template import template
from provisioner.cli.verify import verify

COMPLETION = """
\b
To have options and file names completed by the Tab key, add to ~/.bashrc:
  eval "$(_PROVISIONER_COMPLETE=bash_source provisioner)"
or to ~/.zshrc, with zsh_source in place of bash_source.
"""


class _Commands(click.Group):
    """A group that finds the sandbox's command only when it is asked for."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """As every group does. Raises UnusableCall."""
        with in_plain_words():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """As every group does. Raises UnusableCall."""
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
    """Create Mission Inbox mailboxes from a spreadsheet: nothing lost, nothing made twice."""
    codecs.register_error("provisioner", _spelt_out)
    for stream in (sys.stdout, sys.stderr):
        # A code page that lacks a character of a name must not end a run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="provisioner")


def _spelt_out(error: UnicodeError) -> tuple[str, int]:
    """What to write in place of characters that an output cannot show: their plain forms, else their numbers."""
    assert isinstance(error, UnicodeEncodeError)
    plain = {"“": '"', "”": '"', "\u2019": "'", "…": "...", "•": "*", "·": "-"}
    lacking = error.object[error.start : error.end]
    return "".join(plain.get(char) or f"U+{ord(char):04X}" for char in lacking), error.end


for command in (run, check, template, verify, list_, export, account, login, logout):
    main.add_command(command)
