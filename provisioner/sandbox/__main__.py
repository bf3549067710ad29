"""`python -m provisioner.sandbox` serves the sandbox."""

from provisioner.sandbox.command import sandbox

sandbox(prog_name="python -m provisioner.sandbox")
