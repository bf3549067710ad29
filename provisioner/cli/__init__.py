"""The command line: arguments, environment, signals and exit codes."""

try:
    from provisioner.cli.app import main
except KeyboardInterrupt:
    # Loading takes long enough to be interrupted, and Python would show where.
    raise SystemExit(130) from None

__all__ = ["main"]
