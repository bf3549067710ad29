"""How progress, summaries and errors look. Everything for people goes to stderr; `--json` goes to stdout."""

from provisioner.console.credentials import show_credentials
from provisioner.console.errors import show_again, show_error, show_interrupted, show_unexpected
from provisioner.console.logins import show_logins
from provisioner.console.progress import ScreenProgress, make_progress
from provisioner.console.shell import command_line
from provisioner.console.summary import print_json, show_preview, show_summary
from provisioner.console.tables import CsvTable, JsonTable, Table, print_account_json, show_account
from provisioner.console.terminal import output_error, print_file, print_out, say, say_wrapped

__all__ = [
    "CsvTable",
    "JsonTable",
    "ScreenProgress",
    "Table",
    "command_line",
    "make_progress",
    "output_error",
    "print_account_json",
    "print_file",
    "print_json",
    "print_out",
    "say",
    "say_wrapped",
    "show_account",
    "show_again",
    "show_credentials",
    "show_error",
    "show_interrupted",
    "show_logins",
    "show_preview",
    "show_summary",
    "show_unexpected",
]
