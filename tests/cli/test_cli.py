"""The command as its users meet it: a process with arguments, an environment, two streams and an exit code."""

from __future__ import annotations

import html
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import jsonschema
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

import provisioner
from provisioner import schema
from provisioner.cli import exit_codes, main
from provisioner.cli.app import COMPLETION
from provisioner.cli.options import ENVIRONMENT, KEY_VARIABLE, URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(provisioner.__file__).parent
FAST = {"latency": 0.05, "latency_spread": 0.0}
PASSWORD = "Sheet-Pass-77!"
NOBODY = "http://127.0.0.1:9"


class Said:
    """What one call of the command came to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in self.err, self.err
        assert "Something unexpected" not in self.err, self.err
        assert PASSWORD not in self.out + self.err


@pytest.fixture
def command(invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Call the program in the test's own process and folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, **more: Any) -> Said:
        done = invoke(*arguments, **more)
        return Said(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Said]:
    """Call the program as a process, in the test's own folder."""

    def call(
        *arguments: object,
        key: str | None = None,
        url: str | None = None,
        stdin: str = "",
        encoding: str = "utf-8",
    ) -> Said:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MISSION_INBOX")}
        environment |= {"MISSION_INBOX_API_KEY": key} if key else {}
        environment |= {"MISSION_INBOX_URL": url} if url else {}
        environment |= {"PYTHONIOENCODING": encoding, "TZ": "UTC"}
        words = [sys.executable, "-m", "provisioner", *map(str, arguments)]
        done = subprocess.run(
            words, capture_output=True, text=True, encoding=encoding, cwd=tmp_path, env=environment,
            input=stdin, timeout=50, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    return call


def outcome_schema() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(schema.shipped("outcome.json").read_text("utf-8"))
    return content


@pytest.mark.smoke
def test_the_main_job_against_the_sandbox(process: Any, write_sheet: Any) -> None:
    """One command and no key: the sheet's mailboxes are created, and the outcome is on stdout as promised."""
    said = process("run", write_sheet(5), "--sandbox", "--json", "--rate", "100/s")
    assert said.code == 0, said.err
    outcome = json.loads(said.out)
    jsonschema.validate(outcome, outcome_schema())
    assert outcome["statuses"] == {"created": 5}
    assert outcome["requests"]["create"] == 5
    assert Path(outcome["results"]).name == "results.csv"


def test_rows_that_are_left_make_exit_1(command: Any, write_sheet: Any) -> None:
    """A broken row is told by its cell, on stderr, with the command that goes on; stdout stays empty."""
    said = command("check", write_sheet([("b d", "101", "201", PASSWORD, "", "")]))
    assert said.code == 1
    assert said.out == ""
    assert "A2" in said.err
    assert "provisioner check" in said.err or "provisioner run" in said.err


def test_a_good_sheet_checks_without_a_key(command: Any, write_sheet: Any) -> None:
    """`check` needs no key and sends nothing."""
    said = command("check", write_sheet(3), "--json", url=NOBODY)
    assert said.code == 0
    assert json.loads(said.out)["statuses"] == {"valid": 3}
    jsonschema.validate(json.loads(said.out), outcome_schema())


UNREADABLE_SCHEMA = "columns:\n  email: [this is\n"
UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "no file": (lambda folder: folder / "nothing.csv", "no file"),
    "a folder": (lambda folder: folder, "folder"),
    "an empty file": (lambda folder: made(folder, ""), "empty"),
    "no known header": (lambda folder: made(folder, "a,b\n1,2\n"), "header"),
    "a missing column": (lambda folder: made(folder, "email,domain,password\nann,101,x\n"), "relay_server"),
    "a column twice": (
        lambda folder: made(folder, "email,domain,Domain ID,relay_server,password\na,1,1,1,x\n"),
        "Domain ID",
    ),
    "no rows": (lambda folder: made(folder, "email,domain,relay_server,password\n"), "no row"),
}  # fmt: skip


def made(folder: Path, text: str) -> Path:
    path = folder / "sheet.csv"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_sheet_is_refused_whole(command: Any, tmp_path: Path, case: str) -> None:
    """Exit 2, a sentence that names the fault, nothing sent, and no run folder left behind."""
    sheet, word = UNUSABLE[case]
    said = command("run", sheet(tmp_path), key="some-key", url=NOBODY)
    assert said.code == 2, said.err
    assert word in said.err
    assert not list(tmp_path.glob("*-run"))


@pytest.mark.parametrize("text", [None, "", UNREADABLE_SCHEMA, "columns: {email: {}}\n", "colums: {}\n"])
def test_an_unusable_schema_is_refused(command: Any, write_sheet: Any, tmp_path: Path, text: str | None) -> None:
    """A schema file that is missing, malformed or misspelt is never taken for one without rules."""
    path = tmp_path / "own.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    said = command("check", write_sheet(1), "--schema", "own.yaml")
    assert said.code == 2, said.err
    assert "own.yaml" in said.err


def test_no_key_is_told_with_every_way_to_give_one(command: Any, write_sheet: Any) -> None:
    """Without a key nothing begins."""
    said = command("run", write_sheet(1))
    assert said.code == 2
    assert "MISSION_INBOX_API_KEY" in said.err
    assert "--sandbox" in said.err


@pytest.mark.parametrize(("name", "told"), [("nothere.csv", "There is no file"), ("clients", "is a folder")])
def test_a_sheet_that_is_not_there_is_told_before_a_missing_key(
    command: Any, tmp_path: Path, name: str, told: str
) -> None:
    """What was mistyped here matters before what is to be fetched from elsewhere."""
    (tmp_path / "clients").mkdir()
    said = command("run", name)
    assert (said.code, told in said.err, "API key" in said.err) == (2, True, False)


@pytest.mark.parametrize(
    "url", ["ftp://x", "nonsense", "http://api-v2.missioninbox.com", "https://me:pw@example.org", "https://x/api"]
)
def test_an_address_that_must_not_see_the_key_is_refused(command: Any, write_sheet: Any, url: str) -> None:
    """The key goes over TLS or stays on this computer."""
    said = command("run", write_sheet(1), "--api-url", url, key="some-key")
    assert said.code == 2, said.err


def test_a_refused_key_is_exit_3(command: Any, sandbox: Any, write_sheet: Any, tmp_path: Path) -> None:
    """The service's word on the key is shown, the key itself is not; the rows are left to retry."""
    service = sandbox(**FAST)
    (tmp_path / "key.txt").write_text("a-wrong-key\n", "utf-8")
    said = command("run", write_sheet(2), "--api-url", service.url, "--api-key-file", "key.txt")
    assert said.code == 3
    assert "rejected the API key" in said.err
    assert "a-wrong-key" not in said.err
    assert "unsent" in said.err


def test_a_dead_port_is_exit_3(command: Any, write_sheet: Any) -> None:
    """Nothing answers: said at once, with the address."""
    said = command("run", write_sheet(2), key="some-key", url=NOBODY)
    assert said.code == 3
    assert NOBODY in said.err


def test_a_web_page_is_exit_3(command: Any, sandbox: Any, write_sheet: Any) -> None:
    """Another web server's page is not taken for the service."""
    service = sandbox(html_share=1.0, seed=4)
    said = command("run", write_sheet(2), key="sandbox-key", url=service.url)
    assert said.code == 3
    assert "web page" in said.err or "out of order" in said.err


def test_the_services_own_sentences_reach_the_user(command: Any, sandbox: Any, write_sheet: Any) -> None:
    """A refused row shows what the service said about it."""
    # Where projects are not listed, only the service can tell that there is no such project.
    service = sandbox(**FAST, no_projects=True)
    said = command("run", write_sheet([("ann", "101", "201", PASSWORD, "999", "")]), key="sandbox-key", url=service.url)
    assert said.code == 1
    assert 'Invalid pk "999" - object does not exist.' in " ".join(said.err.split())


@pytest.mark.parametrize(
    "arguments",
    ["--rate fast", "--rate 0/s", "--task-timeout soon", "--set project", "--workers 0", "--limit 0"],
)
def test_an_option_that_makes_no_sense_is_exit_2(command: Any, write_sheet: Any, arguments: str) -> None:
    """A wrong option is named with what to write instead."""
    said = command("run", write_sheet(1), *arguments.split())
    assert said.code == 2
    assert arguments.split(maxsplit=1)[0] in said.err
    assert said.err.startswith("Usage: provisioner run [OPTIONS] SHEET...\n")
    assert "Usage" not in said.err.partition("\n")[2]
    assert "is not" in said.err
    assert "range" not in said.err
    assert all(len(line) < 80 for line in said.err.splitlines())


def test_an_unknown_command_or_option_is_exit_2(command: Any) -> None:
    """One line says how to call it, the next what was wrong."""
    for words in (["nosuch"], ["run", "x.csv", "--nosuch"], ["--nosuch"], ["run"]):
        said = command(*words)
        assert (said.code, said.err.count("\n")) == (2, 2), said.err
        assert said.err.startswith("Usage: ")


def test_the_help_says_in_a_whole_line_what_each_command_does(command: Any) -> None:
    """On a terminal of 80 columns none is cut off."""
    usage, *lines = command("--help").out.splitlines()
    assert usage.endswith("...")
    assert not [line for line in lines if line.endswith("...")]


def interrupt_while_waiting(sheet: Path, service: Any, cwd: Path, *, times: int) -> Said:
    """Start a run whose tasks do not end, interrupt it once rows were accepted, and see how it ends."""
    environment = {**os.environ, "MISSION_INBOX_API_KEY": service.api_key, "MISSION_INBOX_URL": service.url}
    words = [sys.executable, "-m", "provisioner", "run", str(sheet), "--rate", "20/s"]
    process = subprocess.Popen(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        deadline = time.monotonic() + 40
        while len(service.state.creates) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        if times > 1:
            # The second counts only after the first was heeded, which is told on stderr.
            assert process.stderr is not None
            assert any("Stopping" in line for line in process.stderr)
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
        return Said(process.returncode, out, err)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_ctrl_c_leaves_whole_files(
    sandbox: Any, write_sheet: Any, read_csv: Any, command: Any, tmp_path: Path, times: int
) -> None:
    """Interrupted once or twice, every row is in results.csv with a truthful status, and the next run goes on."""
    service = sandbox(latency=25.0, latency_spread=0.0)
    sheet = write_sheet(400)
    said = interrupt_while_waiting(sheet, service, tmp_path, times=times)
    assert said.code == 130, said.err
    assert "provisioner run" in said.err
    lines = read_csv(tmp_path / "acme-run" / "results.csv")
    assert len(lines) == 400
    accepted = [line for line in lines if line["status"] == "unfinished"]
    assert accepted
    assert all(line["task_id"] for line in accepted)
    assert sum(line["status"] == "unsent" for line in lines) > 200
    assert len(read_csv(tmp_path / "acme-run" / "failures.csv")) == 400


ON_TERMINAL = """
import os, sys
os.open(sys.argv[1], os.O_RDWR)  # The first terminal that the leader of a session opens is the session's.
os.execv(sys.executable, [sys.executable, "-m", "provisioner", *sys.argv[2:]])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a session gets its terminal in another way")
def test_closing_the_terminal_leaves_true_files(sandbox: Any, write_sheet: Any, read_csv: Any) -> None:
    """It is an interruption, though nothing can be told any more: no row that was sent is called unsent."""
    service, sheet = sandbox(latency=0.5), write_sheet(400)
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", ON_TERMINAL, os.ttyname(theirs), "run", str(sheet), "--rate", "20/s", "--yes"],
        env={**os.environ, "MISSION_INBOX_API_KEY": service.api_key, "MISSION_INBOX_URL": service.url},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        while len(service.state.creates) < 20:
            time.sleep(0.01)
        os.close(ours)
        assert process.wait(30) == 130
    lines = read_csv(sheet.parent / "acme-run" / "results.csv")
    sent = {f"{line['email']}@acme-mail.example" for line in lines if line["status"] != "unsent"}
    assert len(lines) == 400
    assert sent == service.state.creates.keys()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_does_not_wait_for_a_sheet_that_is_being_read(write_sheet: Any) -> None:
    """However long that takes, the program says what to do and ends."""
    code = f"""
import threading
from provisioner import checking, cli
def read_without_end(_):
    print("reading", flush=True)
    threading.Event().wait()
checking.prepare = read_without_end
cli.main(["check", {str(write_sheet(1))!r}], prog_name="provisioner")
"""
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted." in err
    assert "Traceback" not in err


def test_a_row_that_is_fixed_in_a_kept_file_alone_is_run_from_there(
    command: Any, sandbox: Any, write_sheet: Any
) -> None:
    """That the fix is kept is told when the sheet is run; once nothing else is left, the command names the file."""
    cells = ("101", "201", "Sheet-Pass-77!", "", "")
    sheet = write_sheet([("ann", *cells), ("b ob", *cells)])
    command("check", sheet)
    failures = sheet.parent / "acme-run" / "failures.csv"
    failures.write_text(failures.read_text("utf-8-sig").replace('"b ob"', '"bob"'), "utf-8")
    command("check", failures)
    service = sandbox(**FAST)
    said = command("run", sheet, "--rate", "400/s", service=service)
    (kept,) = failures.parent.glob("failures-edited-*.csv")
    told = " ".join(said.err.split())
    assert f"failures.csv held fixes that are not used in this run. It is kept as {kept}: run that file too." in told
    assert "1 row was fixed in a failures file and not in this sheet: nothing is sent for it now." in told
    assert f"Run the file in which they were fixed: provisioner run {kept}" in told
    assert f"{kept} may hold fixes that are not done" in " ".join(command("check", sheet).err.split())
    assert command("run", kept, "--rate", "400/s", service=service).code == 0


@pytest.mark.parametrize("step", ["make_context", "invoke"])
def test_ctrl_c_before_anything_is_begun_is_exit_130(command: Any, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """While the program is still being loaded too: not 1, which says that rows are left."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(click.Group, step, interrupted)
    said = command("check", "acme.csv")
    assert (said.code, said.err) == (130, "Interrupted.\n")


def test_help_names_every_command_and_answers_quickly() -> None:
    """`--help` and `-h` say the same, list every command, and each command has help of its own."""
    runner = CliRunner()
    shown = runner.invoke(main, ["--help"], prog_name="provisioner")
    assert shown.exit_code == 0
    assert runner.invoke(main, ["-h"], prog_name="provisioner").output == shown.output
    for name in ("run", "check", "sandbox"):
        assert f"\n  {name} " in shown.output
        assert runner.invoke(main, [name, "--help"]).exit_code == 0


@pytest.mark.smoke
def test_the_version_is_the_packages() -> None:
    """`--version` prints the version of the package."""
    assert provisioner.__version__ in CliRunner().invoke(main, ["--version"]).output


CTRL_C = b"\x03"


def _on_screen(keyboard: int) -> bytes | None:
    """What is shown next; nothing when the program has ended, None where it waits."""
    if not select.select([keyboard], [], [], 1.0)[0]:
        return None
    try:
        return os.read(keyboard, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """Call the program at a terminal, answer its question, and see the exit code and the screen.

    `early` is typed before there is a question.
    """

    def call(*arguments: object, answer: bytes, early: bytes = b"") -> tuple[int, str]:
        keyboard, screen = os.openpty()
        words = [sys.executable, "-m", "provisioner", *map(str, arguments), "--rate", "100/s"]
        process = subprocess.Popen(words, stdin=screen, stderr=screen, stdout=subprocess.DEVNULL, cwd=tmp_path)
        os.write(keyboard, early)
        os.close(screen)
        shown, waited = b"", 0
        try:
            while (part := _on_screen(keyboard)) != b"":
                shown += part or b""
                waited = waited + 1 if part is None else 0
                if answer == CTRL_C and b"[y/N]:" in shown and b"Interrupted" not in shown and waited % 8 == 1:
                    # Where it waits, and once more much later: a signal just before a read does not end it.
                    process.send_signal(signal.SIGINT)
                elif answer and answer != CTRL_C and b"[y/N]:" in shown:
                    os.write(keyboard, answer)
                    answer = b""
            process.wait(timeout=30)
        finally:
            process.kill()
            process.wait()
            os.close(keyboard)
        return process.returncode, shown.decode()

    return call


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
@pytest.mark.parametrize(("answer", "code", "made"), [(b"y\n", 0, 2), (b"n\n", 3, 0), (CTRL_C, 130, 0)])
def test_money_is_spent_only_when_a_person_agrees(
    terminal: Any, sandbox: Any, write_sheet: Any, monkeypatch: Any, answer: bytes, code: int, made: int
) -> None:
    """At a terminal the run says what it is about to do and asks once; anything but yes sends nothing."""
    service = sandbox(**FAST)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", service.api_key)
    sheet = write_sheet([(name, "101", "201", PASSWORD, "", "") for name in ("ann", "bob", "b d")])
    finished, shown = terminal("run", sheet, "--api-url", service.url, answer=answer)
    assert f"2 mailboxes to create at {service.url}" in shown
    assert "1 row has errors" in shown
    assert "results.csv" in shown.partition("[y/N]")[0]
    assert shown.count("[y/N]") == 1
    assert len(service.state.creates) == made
    assert finished == (1 if code == 0 else code)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_what_was_typed_before_the_question_is_no_answer(
    terminal: Any, sandbox: Any, write_sheet: Any, monkeypatch: Any
) -> None:
    """Nobody agrees to what was not shown yet."""
    service = sandbox(**FAST)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", service.api_key)
    code, shown = terminal("run", write_sheet(2), "--api-url", service.url, early=b"y\n", answer=b"n\n")
    assert (code, len(service.state.creates)) == (3, 0)
    assert "Nothing was sent." in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_yes_is_not_asked_for_twice(terminal: Any, sandbox: Any, write_sheet: Any, monkeypatch: Any) -> None:
    """`--yes` skips the question, and so does a run that sends nothing."""
    service = sandbox(**FAST)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", service.api_key)
    sheet = write_sheet(2)
    code, shown = terminal("run", sheet, "--api-url", service.url, "--yes", answer=b"")
    assert (code, "[y/N]" in shown) == (0, False)
    code, shown = terminal("run", sheet, "--api-url", service.url, answer=b"")
    assert (code, "[y/N]" in shown) == (0, False)
    assert "2 rows are done already" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_sheet_that_is_typed_in_is_never_sent_unasked(terminal: Any, sandbox: Any, monkeypatch: Any) -> None:
    """At a terminal nobody can be asked while the sheet comes from standard input, so `--yes` has to be given."""
    service = sandbox(**FAST)
    monkeypatch.setenv("MISSION_INBOX_API_KEY", service.api_key)
    finished, shown = terminal("run", "-", "--out", "here", "--api-url", service.url, answer=b"")
    assert (finished, "--yes" in shown) == (2, True)
    assert not service.state.creates


def left_rows(number: int) -> list[tuple[str, ...]]:
    """So many good rows, and one that is left."""
    good = [(f"user{n}", "101", "201", PASSWORD, "", "") for n in range(number)]
    return [*good, ("b d", "101", "201", PASSWORD, "", "")]


def pasted(said: Said) -> list[str]:
    """The command that was printed, as a shell reads it."""
    line = next(line for line in said.err.splitlines() if line.startswith("  provisioner "))
    return shlex.split(line)[1:]


@pytest.mark.parametrize("folder", ["clients", "Üsküdar & Söhne", "it's $HOME"])
def test_the_printed_command_goes_on(command: Any, write_sheet: Any, tmp_path: Path, folder: str) -> None:
    """What is printed after a run can be pasted as it stands, whatever the folder is called, and goes on from there."""
    (tmp_path / folder).mkdir()
    sheet = write_sheet(left_rows(2)).rename(tmp_path / folder / "acme inc.csv")
    first = command("run", sheet.relative_to(tmp_path), "--sandbox", "--rate", "100/s,5000/min", "--limit", "1", "-v")
    assert first.code == 1, first.err
    words = pasted(first)
    assert words == ["run", f"{folder}/acme inc-run/failures.csv", "--sandbox", "--rate", "100/s,5000/min"]
    page = html.unescape((tmp_path / folder / "acme inc-run" / "report.html").read_text("utf-8"))
    assert shlex.join(["provisioner", *words]) in page
    failures = tmp_path / words[1]
    failures.write_text(failures.read_text("utf-8-sig").replace("b d", "b.d"), "utf-8")
    second = command(*words)
    assert second.code == 0, second.err
    assert "3  created" in second.err


def test_after_a_good_check_comes_the_run(command: Any, write_sheet: Any) -> None:
    """A check without a fault prints the command that creates the mailboxes, with the options that it was given."""
    sheet = write_sheet([("ann", "101", "201", "", "", "")])
    said = command("check", sheet, "--generate-passwords", "--set", "project=789", "--out", "here", "-v")
    assert said.code == 0, said.err
    assert "Create them with:" in said.err
    words = pasted(said)
    assert words == ["run", str(sheet), "--out", "here", "--set", "project=789", "--generate-passwords"]


def test_after_practice_a_check_says_to_go_on_in_the_sandbox(command: Any, write_sheet: Any) -> None:
    """The journal knows where the mailboxes are, even if the sandbox's own file is gone; a first check names none."""
    sheet = write_sheet([("ann", "101", "201", PASSWORD, "", "")])
    assert "--sandbox" not in command("check", sheet).err
    assert command("run", sheet, "--sandbox", "--rate", "100/s").code == 0
    (sheet.parent / "acme-run" / "sandbox.sqlite3").unlink()
    write_sheet([("ann", "101", "201", PASSWORD, "", ""), ("bob", "101", "201", PASSWORD, "", "")])
    next_command = command("check", sheet).err.partition("Create them with:")[2]
    assert "--sandbox" in next_command


@pytest.mark.parametrize("words", [["run", "acme.csv", "--verify"], ["verify", "acme-run"]])
def test_practice_has_nothing_to_log_in_to(command: Any, write_sheet: Any, words: list[str]) -> None:
    """It is said before anything is sent, not found out mailbox by mailbox."""
    write_sheet(1)
    said = command(*words, "--sandbox")
    assert (said.code, "no mail servers" in said.err) == (2, True)
    assert ("Leave out --verify" in said.err) == ("--verify" in words)


def test_a_list_in_practice_says_where_a_runs_mailboxes_are(command: Any) -> None:
    """The sandbox of another command knows nothing of them, which would look as if they were lost."""
    assert "results.csv of their run folder" in " ".join(command("list", "mailboxes", "--sandbox").err.split())
    assert "practice" not in command("list", "domains", "--sandbox").err
    assert "--only RUN" in command("export", "smartlead", "--sandbox").err


def test_a_row_that_failed_and_left_the_sheet_is_not_to_be_run_again(
    command: Any, sandbox: Any, write_sheet: Any
) -> None:
    """Its place was taken by another username, and a run of the sheet, however often, does not try it."""
    address = ("--api-url", sandbox(**FAST, no_listing=True, duplicates="task").url)
    for name in ("info", "ann"):
        write_sheet([(name, "101", "201", PASSWORD, "", "")])
        said = command("run", "acme.csv", *address, key="sandbox-key")
        assert said.code == 1
    told = " ".join(said.err.split())
    assert "1 created" in told
    assert "in a row that is not in the sheet (info)" in told
    report = Path("acme-run/report.html").read_text("utf-8")
    for text in (told, report):
        assert "not in the sheet any more, so they were not tried again" in text
    assert "beside this page" not in report


def test_what_the_account_lacks_in_practice_is_listed_in_practice(command: Any, write_sheet: Any) -> None:
    """The command that is named asks the account that the sheet was checked against."""
    command("run", write_sheet([("ann", "nowhere.example", "201", PASSWORD, "", "")]), "--sandbox")
    failures = Path("acme-run/failures.csv").read_text("utf-8-sig")
    named = re.search(r"… \(provisioner (list .*) shows all\)", failures)
    assert named is not None
    assert "acme-pending.example" in command(*named[1].split()).out


def test_practice_that_is_refused_leaves_nothing_of_the_sandbox(command: Any, sandbox: Any, write_sheet: Any) -> None:
    """A folder of a real run holds no memory of practice."""
    sheet = write_sheet(1)
    assert command("run", sheet, "--api-url", sandbox(**FAST).url, key="sandbox-key").code == 0
    before = sorted(Path("acme-run").iterdir())
    said = command("run", sheet, "--sandbox")
    assert (said.code, "practice needs another folder" in said.err) == (2, True)
    assert {each.name for each in Path("acme-run").iterdir()} - {each.name for each in before} <= {"run.log.1"}


def test_practice_mailboxes_are_not_for_a_client(command: Any, write_sheet: Any) -> None:
    """Neither the summary nor what is said of their credentials sounds as if they were real."""
    sheet = write_sheet([("info", "101", "201", PASSWORD, "", "")])
    said = command("run", sheet, "--sandbox", "--rate", "100/s")
    assert "Already existed: info@acme-mail.example\n" in said.err
    assert "provisioner verify" not in (sheet.parent / "acme-run" / "report.html").read_text("utf-8")
    told = command("credentials", sheet, "--sandbox").err
    assert "These are practice mailboxes; do not give them to a client." in told
    assert "provisioner verify" not in told


def test_after_practice_a_check_goes_on_in_practice(command: Any, write_sheet: Any, tmp_path: Path) -> None:
    """Rows held back by --limit are told so; a check of them prints the run that makes them, still for practice."""
    sheet = write_sheet(3)
    first = command("run", sheet, "--sandbox", "--rate", "100/s", "--limit", "1")
    assert "2 more rows are ready; --limit leaves them for a later run." in first.err
    assert "left for a later run" in first.err.partition("Run again (nothing")[2]
    failures = tmp_path / "acme-run" / "failures.csv"
    assert failures.read_text("utf-8-sig").count("left for a later run") == 2
    said = command("check", failures)
    assert (said.code, pasted(said)) == (0, ["run", str(failures), "--sandbox"])
    last = command(*pasted(said), "--rate", "100/s")
    assert last.code == 0, last.err
    assert "2 rows in" in last.err
    assert "3  created" in last.err
    # Of a failures file without rows nothing is left, which is no fault.
    again = command(*pasted(said))
    assert again.code == 0, again.err
    assert "3  created" in again.err


def test_several_sheets_keep_one_rate_and_have_one_summary(
    command: Any, sandbox: Any, write_sheet: Any, tmp_path: Path
) -> None:
    """Each has its own folder and its own line of JSON; the service never sees more than the rate; the worst counts."""
    service = sandbox(latency=0.01, latency_spread=0.0, throttle="20/s")
    sheets = [write_sheet(left_rows(9), name=f"{name}.csv") for name in ("a", "b", "c")]
    write_sheet(3, name="c.csv")
    said = command("run", *sheets, "--rate", "20/s", "--json", key=service.api_key, url=service.url)
    assert said.code == 1, said.err
    outcomes = [json.loads(line) for line in said.out.splitlines()]
    for outcome in outcomes:
        jsonschema.validate(outcome, outcome_schema())
    assert [outcome["exit"] for outcome in outcomes] == [1, 1, 0]
    assert [outcome["requests"]["throttled"] for outcome in outcomes] == [0, 0, 0]
    assert "3 sheets, 23 rows" in said.err
    assert pasted(said)[:3] == ["run", str(tmp_path / "a-run/failures.csv"), str(tmp_path / "b-run/failures.csv")]
    assert all((tmp_path / f"{name}-run" / "report.html").exists() for name in "abc")


def test_no_sheet_is_begun_before_all_can_be_read(command: Any, write_sheet: Any, tmp_path: Path) -> None:
    """Of several sheets one that is unusable stops them all while nothing is sent; so do two with one folder."""
    good = write_sheet(2)
    said = command("run", good, tmp_path / "nothing.csv", "--sandbox")
    assert said.code == 2
    assert "nothing.csv" in said.err
    assert not list(tmp_path.glob("*-run"))
    assert "share one run folder" in command("run", good, good, "--sandbox").err
    assert command("check", good, write_sheet(2, name="b.csv"), "--out", "x").code == 2


def test_a_run_that_is_stopped_leaves_the_next_sheets_alone(command: Any, sandbox: Any, write_sheet: Any) -> None:
    """What was not begun is named, and is part of the command that goes on."""
    sheets = [write_sheet(2, name=f"{name}.csv") for name in ("a", "b")]
    said = command("run", *sheets, key="a-wrong-key", url=sandbox(**FAST).url)
    assert said.code == 3, said.err
    assert f"Not started: {sheets[1]}" in said.err.replace("\n", " ")
    assert pasted(said)[2] == str(sheets[1])


def test_a_note_names_the_sheet_that_it_is_about(command: Any, write_sheet: Any, tmp_path: Path) -> None:
    """In a check of several sheets the one that something is said of is named before; the others are not."""
    quiet = write_sheet(2, name="a.csv")
    (tmp_path / "b.csv").write_text(
        "email,domain,relay_server,password,colour\nann,101,201,Sheet-Pass-99! ,red\n", "utf-8"
    )
    said = command("check", quiet, "b.csv")
    assert said.err.startswith("b.csv:\nIgnored column: colour.\nD2: the password begins or ends"), said.err
    assert f"{quiet}:" not in said.err


def test_a_sheet_comes_from_standard_input(command: Any, write_sheet: Any, tmp_path: Path) -> None:
    """It needs a folder to work in, which holds everything that is needed to go on."""
    text = write_sheet(left_rows(2)).read_text("utf-8")
    assert "--out" in command("run", "-", "--sandbox", stdin=text).err
    said = command("run", "-", "--out", "here", "--sandbox", "--rate", "100/s", stdin=text)
    assert said.code == 1, said.err
    assert "\nstandard input: 3 rows" in said.err
    assert str(tmp_path) not in said.err.replace(str(tmp_path / "here"), "")
    assert pasted(said)[:2] == ["run", "here/failures.csv"]


def test_quiet_speaks_only_of_what_is_left(command: Any, write_sheet: Any) -> None:
    """Nothing on success; the summary where rows are left."""
    assert command("check", write_sheet(2), "-q").err == ""
    said = command("check", write_sheet(left_rows(2)), "--quiet")
    assert said.code == 1
    assert said.err.startswith("\n")
    assert "A4" in said.err


@pytest.mark.parametrize(
    "encoding",
    ["cp437", *(pytest.param(encoding, marks=pytest.mark.slow) for encoding in ("utf-8", "cp1252", "ascii"))],
)
def test_any_code_page_is_written_to(process: Any, write_sheet: Any, encoding: str) -> None:
    """Quotation marks that a code page lacks become plain ones, other characters their numbers; no name ends a run."""
    said = process("check", write_sheet([("jürgen→y", "101", "201", PASSWORD, "", "")]), encoding=encoding)
    assert said.code == 1
    assert ('"' in said.err) == (encoding in ("cp437", "ascii"))
    assert ("U+2192" in said.err) == (encoding != "utf-8")
    assert "type the username again" in said.err


def test_the_environment_in_the_help_fits_a_narrow_terminal() -> None:
    """Each of its lines fits 60 columns with the two by which it is set in: nothing breaks one between words."""
    assert max(len(line) + 2 for line in (ENVIRONMENT + COMPLETION).splitlines()) <= 60


def test_the_help_names_the_environment_variables() -> None:
    """A reader of the help learns of each variable that the program reads, but for those that a terminal sets."""
    text = CliRunner().invoke(main, ["run", "--help"]).output
    source = "".join(
        path.read_text("utf-8") for name in ("cli", "console") for path in PACKAGE.joinpath(name).glob("*.py")
    )
    read = set(re.findall(r"environ\.get\(\"([A-Z_]+)\"", source)) | {KEY_VARIABLE, URL_VARIABLE}
    assert read - {"TERM", "SSH_CONNECTION"} == {name for name in read if name in text}


def test_the_tab_key_completes() -> None:
    """Commands, options and the script that the help names are there for a shell to ask for."""
    shell = BashComplete(main, {}, "provisioner", "_PROVISIONER_COMPLETE")
    assert [each.value for each in shell.get_completions([], "sand")] == ["sandbox"]
    assert "--rate" in [each.value for each in shell.get_completions(["run"], "--ra")]
    assert [each.type for each in shell.get_completions(["run"], "acm")] == ["file"]
    assert "_PROVISIONER_COMPLETE=bash_complete" in shell.source_template % shell.source_vars()


@pytest.mark.parametrize("verbose", [True, False])
def test_a_fault_of_the_programs_own_is_a_sentence(monkeypatch: pytest.MonkeyPatch, verbose: bool) -> None:  # noqa: FBT001
    """No traceback, no text that might hold a cell; with -v the places, to be passed on."""

    def fail(*_: object, **_more: object) -> None:
        raise KeyError(PASSWORD)

    monkeypatch.setattr("provisioner.checking.check", fail)
    done = CliRunner().invoke(main, ["check", "x.csv", *(["-v"] if verbose else [])])
    assert done.exit_code == exit_codes.STOPPED
    assert PASSWORD not in done.stderr
    assert "unexpected happened inside the program (KeyError)" in done.stderr
    assert ("test_cli.py" in done.stderr) == verbose
