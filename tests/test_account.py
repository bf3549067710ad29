"""What only asks the service: the account, its lists, its exports; as their users call them."""

from __future__ import annotations

import csv
import io
import json
import stat
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import pytest
import running
from click.testing import CliRunner
from scripted import Last, reply

from provisioner import account as account_calls
from provisioner import run_folder
from provisioner.cli import main
from provisioner.errors import RunFolderError
from provisioner.resources import Listing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


FAST = {"latency": 0.02, "latency_spread": 0.0}
PASSWORD = "Sheet-Pass-77!"


@pytest.mark.parametrize("what", list(Listing))
def test_each_list_comes_in_every_form(invoke: Any, sandbox: Any, what: Listing) -> None:
    """As a table, as CSV and as JSON: the same entries, every page of them, on stdout alone."""
    service = sandbox(paginated=True, page_size=1)
    table = invoke("list", what, service=service)
    assert table.exit_code == 0, table.output
    lines = table.stdout.splitlines()
    assert lines[0].split() == list(account_calls.COLUMNS[what])
    from_csv = list(csv.DictReader(io.StringIO(invoke("list", what, "--csv", service=service).stdout)))
    from_json = json.loads(invoke("list", what, "--json", service=service).stdout)
    assert len(lines) - 1 == len(from_csv) == len(from_json) > 1
    assert [row["id"] for row in from_csv] == [str(entry["id"]) for entry in from_json]
    assert table.stderr == f"{len(from_json)} {what.words}.\n"


def test_one_mailbox_is_one_mailbox(invoke: Any, server: Any) -> None:
    """The number stands with its noun in the singular."""
    url = server(reply(200, {}), reply(200, [{"id": 1, "email": "ann@acme.example"}])).url
    assert invoke("list", "mailboxes", key="any", url=url).stderr == "1 mailbox.\n"


def test_no_list_shows_a_password(invoke: Any, sandbox: Any) -> None:
    """The service answers mailboxes with their passwords; none of the forms repeats one."""
    service = sandbox()
    for form in ((), ("--csv",), ("--json",)):
        assert "Existing-" not in invoke("list", "mailboxes", *form, service=service).output


def test_each_page_is_shown_before_the_next_is_asked_for(sandbox: Any, connection: Any, listener: Any) -> None:
    """However long the list, no more than a page of it is held."""
    service = sandbox(paginated=True, page_size=1)
    asked = []

    def show(entries: list[account_calls.Item]) -> None:
        asked.append((len(entries), sum(request.kind == "domains" for request in service.state.requests)))

    assert anyio.run(account_calls.listing, connection(service), Listing.DOMAINS, listener, show) == 4
    assert asked == [(1, 1), (1, 2), (1, 3), (1, 4)]


def test_a_list_that_the_service_lacks_is_told(invoke: Any, sandbox: Any) -> None:
    """No traceback, no empty list: a sentence and what to do."""
    said = invoke("list", "projects", service=sandbox(no_projects=True))
    assert said.exit_code == 3
    assert said.stdout == ""
    assert "projects cannot be listed" in said.stderr
    assert invoke("list", "projects", "--json", service=sandbox()).stdout.startswith("[")


def test_the_account_names_its_mail_servers(invoke: Any, sandbox: Any) -> None:
    """Who the key belongs to, and what a mail program has to be told."""
    service = sandbox(smtp_host="smtp.acme.example", imap_host="imap.acme.example")
    said = invoke("account", service=service).stdout
    for part in (
        "Sandbox Agency",
        "smtp.acme.example, port 465, SSL/TLS",
        "imap.acme.example, port 993",
        "full address",
    ):
        assert part in said
    known = json.loads(invoke("account", "--json", service=service).stdout)
    assert known["imap"] == {"host": "imap.acme.example", "port": 993}


def test_a_refused_key_is_told(invoke: Any, sandbox: Any) -> None:
    """Each of these commands stops with the reason."""
    service = sandbox(api_key="another")
    for words in (("account",), ("list", "domains"), ("export", "instantly")):
        environment = {"MISSION_INBOX_API_KEY": "wrong", "MISSION_INBOX_URL": service.url}
        said = CliRunner().invoke(main, words, env=environment)
        assert said.exit_code == 3
        assert "rejected the API key" in said.stderr
        assert "Continue with" not in said.stderr


@pytest.mark.parametrize("words", [["list"], ["list", "domain"]])
def test_what_can_be_listed_is_told(words: list[str]) -> None:
    """In words, to a reader who did not say it, or said something else."""
    said = CliRunner().invoke(main, words)
    assert said.exit_code == 2
    assert "Say what to list: mailboxes, domains, relay-servers or projects." in said.stderr


def test_a_list_that_repeats_the_key_does_not_show_it(invoke: Any, server: Any) -> None:
    """A service that puts the key into a name finds it hidden, on the screen and for a program."""
    key = "a-key-that-nobody-may-see"
    domains = [{"id": 101, "name": f"{key}.example"}, {"id": 102, "name": {"name": quote(key)}}]
    pages = {"/api/userinfo/": {"name": "Agency"}, "/api/domains/": domains}
    url = server(lambda said: reply(200, pages[said.split()[1]])).url
    for words in (("list", "domains"), ("list", "domains", "--json"), ("list", "domains", "--csv")):
        said = invoke(*words, key=key, url=url)
        assert said.exit_code == 0
        assert "101" in said.stdout
        assert key not in said.output


@pytest.mark.parametrize("service", ["smartlead", "instantly", "reply.io", "woodpecker", "emailbison"])
def test_an_export_goes_to_stdout_or_a_file(invoke: Any, sandbox: Any, tmp_path: Path, service: str) -> None:
    """The same content; the file is its owner's alone, and never replaced unasked."""
    running = sandbox()
    said = invoke("export", service, service=running)
    assert "2 mailboxes" in said.stderr
    assert "sales@acme-mail.example" in said.stdout
    target = tmp_path / "out.csv"
    written = invoke("export", service, "-o", target, service=running)
    assert written.exit_code == 0
    assert f"2 mailboxes for {service}: {target}" in written.stderr
    assert target.read_bytes() == said.stdout_bytes
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine")
    refused = invoke("export", service, "-o", target, service=running)
    assert (refused.exit_code, target.read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert invoke("export", service, "-o", target, "--force", service=running).exit_code == 0
    assert target.read_bytes() == said.stdout_bytes


def test_an_unknown_export_is_told(invoke: Any, sandbox: Any, tmp_path: Path) -> None:
    """Any name is tried; one that the service does not know leaves no file behind."""
    said = invoke("export", "no/such one", "-o", tmp_path / "out.csv", service=sandbox())
    assert said.exit_code == 2
    assert "no export “no/such one”" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def answering(server: Any) -> Callable[..., str]:
    """A service whose exports are always the same bytes."""

    def start(kind: str, body: bytes, *, missing: int = 0) -> str:
        whole = reply(200, body + b" " * missing, Content_Type=kind)
        export = Last(whole[: len(whole) - missing])
        url: str = server(lambda said: reply(200, {}) if "userinfo" in said.split()[1] else export).url
        return url

    return start


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html><h1>Sign in</h1></html>"),
        ("text/csv", b"<html>,<h1>Sign in</h1></html>"),
        ("text/csv", b'{"detail": "later", "x": 1}'),
        ("application/json", b'{"detail": "later"}'),
        ("text/csv", b""),
        ("text/csv", b"a,b\r\n1\r\n"),
        ("text/csv", b'a,b\r\n1,"2\r\n'),
        ("text/csv", b"a,b\r\n1,\xff\r\n"),
        ("text/csv", b"a,b\r\n1,\0=HYPERLINK(1)\r\n"),
    ],
)
def test_what_is_no_csv_is_never_put_anywhere(
    invoke: Any, answering: Any, tmp_path: Path, kind: str, body: bytes
) -> None:
    """A web page, data, nothing, half of a file, or a control character is an error; the file that was there stays."""
    target = tmp_path / "out.csv"
    target.write_text("mine")
    said = invoke("export", "instantly", "--api-url", answering(kind, body), "-o", target, "--force", key="any")
    assert said.exit_code == 3, said.output
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert target.read_text() == "mine"


def test_a_download_that_breaks_off_is_told(invoke: Any, answering: Any, tmp_path: Path) -> None:
    """Fewer bytes than were promised are not taken for the whole."""
    url = answering("text/csv", b"a,b\r\n1,2\r\n", missing=10)
    said = invoke("export", "instantly", "--api-url", url, "-o", tmp_path / "out.csv", key="any")
    assert said.exit_code == 3
    assert "broke off" in said.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_written_is_told(invoke: Any, sandbox: Any, tmp_path: Path) -> None:
    """A folder that is not there is an error with a sentence, not a traceback."""
    said = invoke("export", "instantly", "-o", tmp_path / "nowhere" / "out.csv", service=sandbox())
    assert said.exit_code == 3
    assert "The export cannot be written: No such file or directory." in said.stderr


def test_cells_stay_as_they_are(invoke: Any, answering: Any) -> None:
    """A password that begins like a formula is another program's to read, so nothing is put before it."""
    body = '\ufeffemail,password\r\na@b.example,"=1+1,""x"\r\n'.encode()
    said = invoke("export", "instantly", "--api-url", answering("text/csv", body), key="any")
    assert list(csv.reader(io.StringIO(said.stdout, newline="")))[1] == ["a@b.example", '=1+1,"x']


def test_only_the_mailboxes_of_one_run(
    invoke: Any, sandbox: Any, connection: Any, write_sheet: Any, listener: Any, tmp_path: Path
) -> None:
    """`--only` keeps those that the run made or found; the header stays, and what is missing is told."""
    service = sandbox(**FAST)
    sheet = write_sheet([(name, "101", "201", PASSWORD, "", "") for name in ("ann", "info", "b d")])
    running.run(sheet, connection(service), listener)
    said = invoke("export", "smartlead", "--only", tmp_path / "acme-run", service=service)
    rows = list(csv.DictReader(io.StringIO(said.stdout)))
    assert [row["from_email"] for row in rows] == ["info@acme-mail.example", "ann@acme-mail.example"]
    assert "2 mailboxes for smartlead" in said.stderr
    nowhere = invoke("export", "smartlead", "--only", tmp_path, service=service)
    assert (nowhere.exit_code, "no run in" in nowhere.stderr) == (2, True)


def test_a_run_that_is_not_there_is_named_as_it_was_typed(tmp_path: Path) -> None:
    """No folder's name is made up from that of one which is missing."""
    with pytest.raises(RunFolderError, match=r"in \S*nosuch-run\.$"):
        run_folder.existing(tmp_path / "nosuch-run")
