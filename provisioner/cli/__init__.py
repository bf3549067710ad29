"""The command line: arguments, environment, signals and exit codes."""

from provisioner.cli.app import main

__all__ = ["main"]
