"""The command that serves the page."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioner import keys
from provisioner.cli.connection import connection_to, connector, login_options
from provisioner.cli.errors import explained
from provisioner.cli.exit_codes import DONE, INTERRUPTED
from provisioner.cli.options import (
    ENVIRONMENT,
    READING,
    SENDING,
    WholeNumber,
    create_path_option,
    reading_options,
    sending_options,
    service_options,
    subset,
    verbose_option,
    verify_options,
)
from provisioner.cli.signals import ending, run_loop
from provisioner.defaults import API_URL
from provisioner.errors import OutputError, SettingsError

if TYPE_CHECKING:
    import socket

    from provisioner.secret import Secret
    from provisioner.settings import Connection
    from provisioner.web.serving import Page
    from provisioner.web.workspace import Connect, PageOptions


@click.command(epilog=ENVIRONMENT)
@click.argument("folder", required=False, default=".", type=click.Path(path_type=Path))
@click.option("--no-browser", is_flag=True, help="Do not open the browser; only print the address.")
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    metavar="N",
    default=0,
    help="Port to serve on, such as for a tunnel; default: any that is free.",
)
@service_options
@create_path_option
@reading_options
@sending_options
@verify_options
@verbose_option
def web(*, folder: Path, no_browser: bool, port: int, **options: Any) -> None:
    """Do the same work at a page in the browser.

    The page shows the sheets and run folders in FOLDER (default: the current folder), and works in them as run and
    check do. The address to open is printed on standard output; it works once, for a minute. The page is for you alone,
    on this computer, until Ctrl-C. The other options are what run would be given.
    """
    with explained(verbose=options["verbose"], only_asks=True):
        if not folder.is_dir():
            wrong = f"{folder} is not a folder." if folder.exists() else f"There is no folder {folder}."
            raise SettingsError(wrong, remedy="Name the folder that your sheets are in.")
        with closing(_listen(port)) as listener:
            page = _serve(folder, listener, no_browser=no_browser, options=options)
        raise SystemExit(INTERRUPTED if page.interrupted else DONE)


def _serve(folder: Path, listener: socket.socket, *, no_browser: bool, options: dict[str, Any]) -> Page:
    """Serve the page until a signal ends it. Raises SettingsError if it cannot begin."""
    from provisioner import console
    from provisioner.web.serving import Page

    page = Page(_page_options(folder, options), listener, _announce)
    console.print_out(page.gate.new_address())
    _explain(folder, page, no_browser=no_browser)

    async def serve() -> None:
        with ending(page.stop):
            await page.serve()

    run_loop(serve)
    console.say("The page is closed. What was sent and fixed is kept.")
    if page.interrupted:
        console.say("A run was under way. To go on with it, start the page again and press “Continue”.")
    return page


def _page_options(folder: Path, options: dict[str, Any]) -> PageOptions:
    """What the page is started with. Raises SettingsError."""
    from provisioner.settings import RunOptions
    from provisioner.web.workspace import PageOptions

    rates = options["rate"]

    def connection_with(key: Secret) -> Connection:
        login = keys.Login(options["api_url"] or API_URL, key)
        return connection_to(login, rates=rates, create_path=options["create_path"])

    def keep_key(connection: Connection) -> None:
        login = keys.Login(connection.api_url, connection.api_key)
        keys.keep(options["profile"] or keys.DEFAULT_PROFILE, login)

    return PageOptions(
        folder=folder,
        practise=connector({**options, "sandbox": True, "api_url": None, "profile": None}, rates),
        connect=_connect(options),
        connection_with=None if options["sandbox"] else connection_with,
        keep_key=keep_key,
        sandbox=options["sandbox"],
        sheet={**subset(options, *READING), "fill": dict(options["fill"])},
        run=RunOptions(**subset(options, *SENDING)),
        verify=login_options(options),
        rates=rates,
    )


def _connect(options: dict[str, Any]) -> Connect | None:
    try:
        return connector(options, options["rate"])
    except keys.NoKeyError:
        return None  # It can be typed at the page.


def _listen(port: int) -> socket.socket:
    from provisioner.web.serving import listen

    try:
        return listen(port)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise SettingsError(
            f"Port {port} is used by another program."
            if taken
            else f"Port {port} cannot be opened: {error.strerror or error}.",
            remedy="Name another one with --port, or leave it out to take any that is free.",
        ) from error


def _announce(address: str) -> None:
    """Print a further address, for anyone who did not open the first one in time."""
    from provisioner import console

    with suppress(OutputError, BrokenPipeError):
        console.print_out(address)


def _explain(folder: Path, page: Page, *, no_browser: bool) -> None:
    """Say what is served, and open the browser."""
    from provisioner import console

    console.say_wrapped(f"This page shows the sheets in {folder.resolve()}, to you alone. Press Ctrl-C to close it.")
    if connection := os.environ.get("SSH_CONNECTION"):
        _explain_tunnel(connection, page.port)
    elif not no_browser and _has_screen():
        _open_browser(page.gate.new_address())
        return
    console.say_wrapped("Open the address within a minute. If you open it later, a new one is printed here.")


def _explain_tunnel(connection: str, port: int) -> None:
    """Say how to reach the page over SSH. `connection`: `SSH_CONNECTION`, whose third word is this computer."""
    from getpass import getuser

    from provisioner import console

    console.say_wrapped(
        "To open it on the computer that you sit at, run this there first. With --port N the port is always the same."
    )
    host = (connection.split() + ["HOST"] * 3)[2]
    console.say(f"  ssh -N -L {port}:127.0.0.1:{port} {getuser()}@{host}")


def _has_screen() -> bool:
    """Whether a browser can have a window; on a console, one made for it would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"))


def _open_browser(address: str) -> None:
    """Open the browser without waiting for it. The address is printed too, so it does not matter whether it works."""
    import threading
    import webbrowser

    def open_() -> None:
        with suppress(Exception):
            webbrowser.open(address)

    threading.Thread(target=open_, name="browser", daemon=True).start()
