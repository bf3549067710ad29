"""The commands that keep the API key: login and logout."""

from __future__ import annotations

import sys

import click

from provisioner import keys
from provisioner.cli.connection import connection_to
from provisioner.cli.errors import explained
from provisioner.cli.options import ENVIRONMENT, URL_VARIABLE, verbose_option
from provisioner.cli.signals import run_loop
from provisioner.defaults import API_URL
from provisioner.secret import Secret


@click.command(epilog=ENVIRONMENT)
@click.option("--profile", metavar="NAME", help="Name to save it under, if you have several accounts.")
@click.option("--api-url", envvar=URL_VARIABLE, show_envvar=True, help="Address of the service.")
@verbose_option
def login(*, profile: str | None, api_url: str | None, verbose: bool) -> None:
    """Save the API key in this computer's keyring.

    The key is asked for, or read from a pipe, and tried before it is saved.
    """
    with explained(verbose=verbose) as listener:
        from provisioner import account as account_calls
        from provisioner import console

        keys.require_keyring()
        if sys.stdin.isatty():
            text = click.prompt("API key (not shown)", hide_input=True, err=True)
        else:
            text = sys.stdin.readline()
        entry = keys.Login(api_url or API_URL, Secret(text.strip()))
        whose = run_loop(account_calls.account, connection_to(entry), listener).name
        keys.keep(profile or keys.DEFAULT_PROFILE, entry)
        console.say(f"The key{f' of {whose}' if whose else ''} is saved for {entry.api_url}.")


@click.command(epilog=ENVIRONMENT)
@click.option("--profile", metavar="NAME", help="Name that it is saved under.")
def logout(*, profile: str | None) -> None:
    """Remove the API key from this computer's keyring."""
    with explained():
        from provisioner import console

        gone = keys.forget(profile or keys.DEFAULT_PROFILE)
        console.say("The key was removed from the keyring." if gone else "There was no key in the keyring.")
