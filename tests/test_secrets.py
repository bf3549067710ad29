"""Key and passwords are sent to the service and stand in no other place, however noisy a run is."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import running
from click.testing import CliRunner

from provisioner import pipeline
from provisioner.cli import main
from provisioner.cli.connection import connector
from provisioner.records import Request, Status
from provisioner.secret import Secret
from provisioner.settings import Connection, RunOptions, SheetOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from provisioner.run_folder import RunFolder

KEY = "key-that-nobody-may-see-4711"
PASSWORD = "Nobody-May-See-4711!"

NOISY = """
import functools, logging, sys
logging.basicConfig(level=logging.NOTSET, stream=sys.stderr)
from provisioner import settings
from provisioner.cli import main
# Rows in doubt are sent again after half a second: a test is in a hurry.
settings.RunOptions = functools.partial(settings.RunOptions, look_up_after=0.5)
main(prog_name="provisioner")
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_noisy_run_shows_no_secret(sandbox: Any, write_sheet: Any, tmp_path: Path) -> None:
    """Streams, logs at every level, JSON, journal and files of a run with every fault hold no key and no password.

    The sheet's passwords may stand in the sheet and in failures.csv, which is a sheet; a generated one in results.csv
    and the journal.
    """
    service = sandbox(
        api_key=KEY,
        latency=0.05,
        fail_share=0.1,
        error_share=0.2,
        lost_share=0.1,
        html_share=0.05,
        throttle="60/s",
        seed=6,
    )
    weak = [(f"weak{n}", "101", "201", f"{PASSWORD}{n}", "x", "y") for n in range(5)]
    refused = [(f"refused{n}", "999", "201", f"{PASSWORD}{n}", "", "") for n in range(5)]
    good = [(f"user{n}", "101", "201", f"{PASSWORD}{n}", "", "") for n in range(40)]
    blank = [(f"blank{n}", "101", "201", "", "", "") for n in range(5)]
    sheet = write_sheet([*weak, *refused, *good, *blank])
    environment = {**os.environ, "MISSION_INBOX_API_KEY": KEY, "MISSION_INBOX_URL": service.url}
    words = ["run", str(sheet), "--json", "--generate-passwords", "--rate", "100/s", "--stop-after", "0"]
    done = subprocess.run(
        [sys.executable, "-c", NOISY, *words],
        env=environment,
        capture_output=True,
        timeout=100,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), done.stderr.decode()
    assert b"DEBUG:httpcore" in done.stderr, "the libraries' logs are heard"
    assert KEY.encode() not in said
    assert PASSWORD.encode() not in said
    generated = {mailbox.password for mailbox in service.state.mailboxes if mailbox.username.startswith("blank")}
    assert not [password for password in generated if password.encode() in said]
    for name, content in contents(tmp_path / "acme-run").items():
        assert KEY.encode() not in content, name
        if name != "failures.csv":
            assert PASSWORD.encode() not in content, name
        if name not in ("results.csv", "journal.sqlite3", "journal.sqlite3-wal"):
            assert not [password for password in generated if password.encode() in content], name


TABLE = "email,domain,relay_server,password,project,reply_to"


@pytest.mark.parametrize(
    ("header", "line", "username"),
    [
        (TABLE, "ann,101,201,Nobody,May-See-4711!,,", "ann"),
        (TABLE, "ann,101,201,May-See-4711!,,,,,", "ann"),
        (TABLE, 'ann,101,201,"May-See-4711!,,', "ann"),
        (TABLE, 'ann,101,201,May-See-4711!",,,', "ann"),
        (TABLE, "ann,May-See-4711!,201", ""),
        (TABLE, "May-See-4711!", ""),
        (TABLE, "ann,101,201,Nobody,May-See-4711!,", "ann"),
        (TABLE, "ann,101,201,Nobody,x,May-See-4711!", "ann"),
        (TABLE, "ann,101,201,,May-See-4711!,May-See-4711!", "ann"),
        ("password,email,domain,relay_server", "Nobody,May-See-4711!,ann,101,201", ""),
        ("password,project,domain,relay_server,email", "Nobody,May-See-4711!,x,y,ann", "ann"),
        (TABLE, "relay_server,password,domain,email,project,reply_to\n201,May-See-4711!,101,ann,,", ""),
        ("domain,email,relay_server,password", "password,email,domain,relay\nMay-See-4711!,ann,101,201", ""),
        ("domain,email,password,relay_server", "email,password,domain,relay\nann,May-See-4711!,101,201", ""),
        (TABLE, 'bob,101,201,May-See-4711!,"x\nMay-See-4711!,101,201,Abcdef1!,,\ny",', ""),
    ],
)
def test_a_piece_of_a_password_stands_in_failures_csv_alone(
    tmp_path: Path, header: str, line: str, username: str, listener: Any, read_csv: Any
) -> None:
    """Where a row's cells cannot be told apart, what is shown of it is its place, and its username if that is certain.

    So it is when its failures file is read, where a mark is all that is left of the doubt.
    """
    sheet = tmp_path / "acme.csv"
    sheet.write_text(f"{header}\n{line}\n", encoding="utf-8")
    for path in (sheet, tmp_path / "acme-run" / "failures.csv"):
        result = running.check(path, listener)
        assert result.summary.statuses.keys() == {Status.INVALID}
        assert "May-See-4711!" not in f"{result} {vars(listener)}"
        for name, content in contents(tmp_path / "acme-run").items():
            assert (b"May-See-4711!" in content) == (name == "failures.csv"), name
        last = read_csv(tmp_path / "acme-run" / "results.csv")[-1]
        assert last["email"] in (username, "")
    assert not {"project", "reply_to"}.intersection(name for name, cell in last.items() if cell)


def test_values_that_hold_secrets_do_not_show_them() -> None:
    """repr, str, format, logging and a traceback of a request or a connection show dots."""
    request = Request("ann", 101, 201, Secret(PASSWORD), None, None)
    connection = Connection(api_key=Secret(KEY), proxy="http://me:pw-of-mine@proxy:3128")
    shown = f"{request} {request!r} {connection} {Secret(KEY):>40}" + repr([request, connection])
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (request, connection), None)
    shown += record.getMessage()
    shown += "".join(traceback.format_exception(ValueError(request, connection)))
    assert not re.search(f"{re.escape(KEY)}|{re.escape(PASSWORD)}|pw-of-mine", shown)


def test_a_secret_cannot_be_pickled() -> None:
    """A secret leaves the process only where it is revealed by name."""
    with pytest.raises(TypeError):
        Secret(KEY).__reduce__()


def test_practice_leaves_no_password_in_the_run_folder(write_sheet: Any, tmp_path: Path) -> None:
    """What the stand-in of `--sandbox` remembers beside the journal is addresses and tasks, not passwords."""
    sheet = write_sheet([(f"user{n}", "101", "201", f"{PASSWORD}{n}", "", "") for n in range(3)])
    assert CliRunner().invoke(main, ["run", str(sheet), "--sandbox", "--rate", "50/s"]).exit_code == 0
    kept = contents(tmp_path / "acme-run")
    assert "sandbox.sqlite3" in kept
    assert not [name for name, content in kept.items() if PASSWORD.encode() in content]


def test_nobody_else_reads_the_passwords_of_a_practice_run(write_sheet: Any, listener: Any) -> None:
    """While `run --sandbox` is under way, whoever lacks its key, which is new each time, reads nothing from it."""
    seen: list[int] = []
    urls = []
    options = {"sandbox": True, "api_url": None, "profile": None}

    def look(connection: Connection) -> None:
        urls.append(connection.api_url)
        for path in ("/sandbox/state/", "/api/mailboxes/", "/mailbox/download/smartlead/"):
            for headers in ({}, {"Authorization": "Api-Key sandbox-key"}, {"Authorization": f"Api-Key {KEY}"}):
                answer = httpx.get(connection.api_url + path, headers=headers)
                seen.append(answer.status_code)
                assert PASSWORD not in answer.text
        mine = {"Authorization": f"Api-Key {connection.api_key.reveal()}"}
        assert PASSWORD not in httpx.get(connection.api_url + "/sandbox/state/", headers=mine).text

    @contextmanager
    def connect(folder: RunFolder) -> Iterator[Connection]:
        with connector(options)(folder) as connection:
            yield connection
            look(connection)

    sheet = write_sheet([(f"user{n}", "101", "201", f"{PASSWORD}{n}", "", "") for n in range(3)])
    result = anyio.run(pipeline.run, SheetOptions(sheet=sheet), RunOptions(), connect, listener)
    assert result.statuses == {Status.CREATED: 3}
    assert set(seen) == {403}
