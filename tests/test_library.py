"""The program as a library: in a script, a notebook, another program's event loop, and threads."""

from __future__ import annotations

import asyncio
import csv
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import provisioner as p
from provisioner import errors, library
from provisioner.records import Rate, Status
from provisioner.settings import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = {"latency": 0.02, "latency_spread": 0.0}
ENDLESS = {"latency": 600.0, "latency_spread": 0.0}

both = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without a clear answer are old enough to be sent again in no time."""
    monkeypatch.setattr(library, "RunOptions", partial(RunOptions, look_up_after=0.3))


def made(service: Any) -> int:
    """How many mailboxes a stand-in has beyond those that it began with."""
    return len(service.state.mailboxes) - 2


class Watch(p.NullListener):
    """Lets a test wait until something happened, in any thread."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.on_sent: Callable[[], object] = lambda: None

    def sent(self) -> None:
        self.begun.set()
        self.threads.add(threading.current_thread())
        self.on_sent()

    def note(self, sentence: str) -> None:  # noqa: ARG002 - as the protocol has it
        self.threads.add(threading.current_thread())


def test_every_public_name_is_there() -> None:
    """What `__all__` lists can be had, and nothing else by accident."""
    assert {name for name in p.__all__ if getattr(p, name) is not None} == set(p.__all__) <= set(dir(p))
    with pytest.raises(AttributeError, match="nosuch"):
        p.nosuch  # noqa: B018 # type: ignore[attr-defined]


def test_every_error_that_a_caller_can_get_has_a_public_name() -> None:
    """Those of the whole tree, but for the one that only the command line raises."""
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree - set(p.__all__) == {"OutputError"}


def test_the_sandbox_function_is_not_hidden_by_the_package_of_its_name() -> None:
    """In whatever order the two are imported."""
    for code in (
        "import provisioner.sandbox.options; import provisioner as p",
        "import provisioner as p; p.sandbox; import provisioner.sandbox.options",
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nprint(p.sandbox.__name__, p.sandbox.__module__)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "sandbox provisioner.library\n"


def test_a_script_checks_and_runs(write_sheet: Any, capfd: Any) -> None:
    """The first lines of the documentation, with plain texts for key and paths; nothing is printed."""
    sheet = write_sheet(3)
    checked = p.check(str(sheet))
    assert (checked.statuses, checked.stopped) == ({Status.VALID: 3}, None)
    with p.sandbox() as connection:
        assert connection.practice
        result = p.run(str(sheet), connection, rate="1000/s", out=sheet.parent / "here")
    assert result.statuses == {Status.CREATED: 3}
    assert result.failures == sheet.parent / "here" / "failures.csv"
    assert capfd.readouterr() == ("", "")


def test_the_frame_is_the_record_as_it_was_before_it_was_written(write_sheet: Any) -> None:
    """Every cell is text, and what is escaped for spreadsheet programs is not."""
    sheet = write_sheet([("=ann", "007", "201", "Sheet-Pass-77!", "", ""), ("bob", "101", "201", "x", "", "")])
    result = p.check(sheet)
    frame = result.frame()
    with result.results.open(encoding="utf-8-sig", newline="") as file:
        written = list(csv.DictReader(file))
    assert written[0]["email"] == "'=ann"
    assert frame["email"].tolist() == ["=ann", "bob"]
    assert frame["sheet_row"].tolist() == ["2", "3"]
    assert frame["domain"].tolist() == ["007", "101"]
    assert list(frame.columns) == list(written[0])


@pytest.mark.anyio
@both
async def test_a_run_in_a_loop_that_is_running(
    sandbox: Any, connection: Any, write_sheet: Any, check_outputs: Any, anyio_backend: str
) -> None:
    """As in a notebook, or in a web server: the loop goes on meanwhile, and hears of the run in its own thread."""
    service, sheet, watch = sandbox(**FAST), write_sheet(20), Watch()
    checked = await anyio.to_thread.run_sync(p.check, sheet)
    assert checked.statuses == {Status.VALID: 20}
    result = await p.run_async(sheet, connection(service), listener=watch)
    assert result.statuses == {Status.CREATED: 20}
    assert watch.threads == {threading.current_thread()}
    await anyio.to_thread.run_sync(check_outputs, result.results.parent)


@pytest.mark.anyio
@both
async def test_run_is_for_scripts(connection: Any, write_sheet: Any, anyio_backend: str) -> None:
    """Inside a running loop it says what to write, and `check` works there all the same."""
    sheet = write_sheet(1)
    with pytest.raises(p.SettingsError, match="running event loop") as refusal:
        p.run(sheet, connection("http://127.0.0.1:9"))
    assert "await provisioner.run_async" in refusal.value.remedy
    if anyio_backend == "trio":  # asyncio's loop must not be blocked in these tests
        assert p.check(sheet).statuses == {Status.VALID: 1}


def test_a_run_in_a_thread(sandbox: Any, connection: Any, write_sheet: Any) -> None:
    """Where no signal handler could be installed."""
    service, sheet = sandbox(**FAST), write_sheet(10)
    results = []
    thread = threading.Thread(target=lambda: results.append(p.run(sheet, connection(service))))
    thread.start()
    thread.join()
    assert results[0].statuses == {Status.CREATED: 10}


@pytest.mark.anyio
@both
async def test_two_runs_at_once_in_one_loop(
    sandbox: Any, connection: Any, write_sheet: Any, anyio_backend: str
) -> None:
    """Each has its own folder; a third one in a folder that is worked in is refused."""
    service = sandbox(latency=0.5, latency_spread=0.0)
    sheets = [write_sheet([(f"{name}{n}", "101", "201", "Sheet-Pass-77!", "", "") for n in range(10)], f"{name}.csv")
              for name in ("one", "two")]  # fmt: skip
    results: dict[Path, p.RunResult] = {}
    watch = Watch()

    async def work(sheet: Path) -> None:
        results[sheet] = await p.run_async(sheet, connection(service), listener=watch)

    async with anyio.create_task_group() as group:
        for sheet in sheets:
            group.start_soon(work, sheet)
        await anyio.to_thread.run_sync(watch.begun.wait)
        with pytest.raises(p.RunFolderError, match="Another run"):
            await p.run_async(sheets[0], connection(service))
    assert [results[sheet].statuses for sheet in sheets] == [{Status.CREATED: 10}] * 2
    assert made(service) == 20


@pytest.mark.anyio
@both
@pytest.mark.usefixtures("in_a_hurry")
async def test_cancelled_in_the_middle(
    sandbox: Any, connection: Any, write_sheet: Any, read_csv: Any, check_outputs: Any, anyio_backend: str
) -> None:
    """Both files are whole, the cancellation goes on, and the next run makes what is missing and nothing twice."""
    service, sheet = sandbox(**FAST), write_sheet(60)
    with anyio.CancelScope() as scope:
        watch = Watch()
        watch.on_sent = scope.cancel
        await p.run_async(sheet, connection(service, rates=(Rate(100, 1.0),)), listener=watch)
    assert scope.cancelled_caught
    results = await anyio.to_thread.run_sync(read_csv, sheet.parent / "acme-run" / "results.csv")
    assert len(results) == 60
    assert sum(line["status"] == "unsent" for line in results) > 20
    await anyio.to_thread.run_sync(check_outputs, sheet.parent / "acme-run")
    result = await p.run_async(sheet, connection(service))
    assert result.statuses == {Status.CREATED: 60}
    assert all(received.carried_out == 1 for received in service.state.creates.values())


@pytest.mark.parametrize("times", [1, 3])
def test_cancelled_as_asyncio_cancels(
    sandbox: Any, connection: Any, write_sheet: Any, check_outputs: Any, times: int
) -> None:
    """`task.cancel()`, however often it is called, waits until the files are whole and the folder is free again."""
    service, sheet, watch = sandbox(**ENDLESS), write_sheet(60), Watch()

    async def main() -> None:
        task = asyncio.create_task(p.run_async(sheet, connection(service, rates=(Rate(100, 1.0),)), listener=watch))
        watch.on_sent = task.cancel
        await asyncio.to_thread(watch.begun.wait)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    check_outputs(sheet.parent / "acme-run")
    checked = p.check(sheet)
    assert checked.statuses.keys() <= {Status.UNFINISHED, Status.UNKNOWN, Status.VALID}
    assert sum(checked.statuses.values()) == 60


@pytest.mark.anyio
@both
@pytest.mark.parametrize("times", [1, 2])
async def test_stopped_by_the_caller(
    sandbox: Any, connection: Any, write_sheet: Any, check_outputs: Any, anyio_backend: str, times: int
) -> None:
    """Gently or at once: it returns, says that it was interrupted, and what was not sent stays so."""
    service, sheet = sandbox(latency=0.3, latency_spread=0.0), write_sheet(60)
    signal, watch = p.StopSignal(), Watch()

    def interrupt() -> None:
        watch.on_sent = lambda: None
        for _ in range(times):
            signal.interrupt()

    watch.on_sent = interrupt
    to = connection(service, rates=(Rate(100, 1.0),))
    result = await p.run_async(sheet, to, listener=watch, stop_signal=signal)
    assert isinstance(result.stopped, p.InterruptedRunError)
    assert result.statuses[Status.UNSENT] > 20
    done = result.statuses.get(Status.CREATED, 0)
    assert done == (60 - result.statuses[Status.UNSENT] if times == 1 else 0), "gently, what is in flight is polled"
    await anyio.to_thread.run_sync(check_outputs, result.results.parent)


def test_stopped_from_another_thread(sandbox: Any, connection: Any, write_sheet: Any) -> None:
    """Through the event loop, as the documentation says."""
    service, sheet, watch = sandbox(**ENDLESS), write_sheet(30), Watch()
    signal = p.StopSignal()

    async def main() -> p.RunResult:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            watch.begun.wait()
            for _ in range(2):
                loop.call_soon_threadsafe(signal.interrupt)

        threading.Thread(target=stop).start()
        return await p.run_async(sheet, connection(service, rates=(Rate(20, 1.0),)), listener=watch, stop_signal=signal)

    assert isinstance(asyncio.run(main()).stopped, p.InterruptedRunError)


@pytest.mark.anyio
@both
async def test_stopped_before_anything_was_sent(
    sandbox: Any, connection: Any, write_sheet: Any, anyio_backend: str
) -> None:
    """Before it begins, or while the caller is asked: nothing is sent, and the files say so."""
    service, sheet = sandbox(**FAST), write_sheet(3)
    signal = p.StopSignal()

    async def never(_: p.RunPreview) -> bool:
        signal.interrupt()
        await anyio.sleep_forever()
        return True

    result = await p.run_async(sheet, connection(service), stop_signal=signal, confirm=never)
    assert isinstance(result.stopped, p.InterruptedRunError)
    again = await p.run_async(sheet, connection(service), stop_signal=signal)
    assert (again.statuses, made(service)) == ({Status.UNSENT: 3}, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("practice", [True, False])
async def test_practice_is_what_the_connection_says(
    sandbox: Any, connection: Any, write_sheet: Any, *, practice: bool
) -> None:
    """A tunnel to the real service ends on loopback too, and must not be called practice; nor do journals mix."""
    service, sheet = sandbox(**FAST), write_sheet(2)
    told: list[p.RunPreview] = []

    async def decline(preview: p.RunPreview) -> bool:
        told.append(preview)
        return False

    result = await p.run_async(sheet, connection(service, practice=practice), confirm=decline)
    assert isinstance(result.stopped, p.DeclinedError)
    assert [(preview.practice, preview.to_send, preview.service) for preview in told] == [(practice, 2, service.url)]
    assert made(service) == 0
    with pytest.raises(p.RunFolderError, match="needs another folder"):
        await p.run_async(sheet, connection(service, practice=not practice))


@pytest.mark.parametrize(
    "options",
    [{"limit": 0}, {"workers": 0}, {"workers": 201}, {"stop_after": -1}, {"task_timeout": -1.0}, {"rate": "fast"}],
)
def test_an_unusable_option_is_told_before_anything_is_read(connection: Any, options: Any) -> None:
    """As on the command line; a misspelt one is Python's own error."""
    with pytest.raises(p.SettingsError):
        p.run("nosuch.csv", connection("http://127.0.0.1:9"), **options)
    with pytest.raises(TypeError, match="limt"):
        p.run("nosuch.csv", connection("http://127.0.0.1:9"), limt=3)  # type: ignore[call-arg]
    with pytest.raises(p.SheetError):
        p.run("nosuch.csv", connection("http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"fill": {"project": 789}}, 'texts by column, such as fill=dict(project="789")'),
        ({"fill": ["project=789"]}, "texts by column"),
        ({"columns": {"Mail": None}}, "columns by header"),
        ({"rate": 5}, 'a text, such as rate="5/s"'),
        ({"limit": "3"}, "a whole number"),
        ({"workers": 2.5}, "a whole number"),
        ({"task_timeout": "15m"}, "a number of seconds"),
        ({"stop_after": "20"}, "a whole number"),
    ],
)
def test_an_option_of_another_type_is_told_in_plain_words(options: Any, wanted: str, connection: Any) -> None:
    """With what it must be, and without its value, which may be a password; not as an error deep within the run."""
    with pytest.raises(p.SettingsError, match=f"The option {next(iter(options))} has the wrong type") as refusal:
        p.run("nosuch.csv", connection("http://127.0.0.1:9"), **options)
    assert wanted in refusal.value.remedy
    assert "789" not in refusal.value.message
    if options.keys() <= {"fill", "columns"}:
        with pytest.raises(p.SettingsError, match="has the wrong type"):
            p.check("nosuch.csv", **options)


def test_a_key_in_place_of_a_connection_is_told_and_not_shown() -> None:
    """What to write instead is said."""
    with pytest.raises(p.SettingsError, match="not a Connection") as refusal:
        p.run("nosuch.csv", "key-that-nobody-may-see")  # type: ignore[arg-type]
    assert "provisioner.Connection(api_key=" in refusal.value.remedy
    assert "nobody" not in str(refusal.value)


def test_options_mean_what_they_mean_on_the_command_line(
    sandbox: Any, connection: Any, tmp_path: Path, read_csv: Any
) -> None:
    """Columns are filled, passwords generated, rows limited."""
    service, sheet = sandbox(**FAST), tmp_path / "acme.csv"
    sheet.write_text("email,domain\nann,101\nbob,101\n", encoding="cp1252")
    options: Any = {"fill": {"relay_server": "201"}, "generate_passwords": True, "encoding": "cp1252"}
    result = p.run(sheet, connection(service), limit=1, out=tmp_path / "out", **options)
    assert result.statuses == {Status.CREATED: 1, Status.UNSENT: 1}
    assert len(read_csv(tmp_path / "out" / "results.csv")[0]["password"]) >= 12


def test_a_key_may_be_a_plain_text_and_is_not_shown() -> None:
    """It is kept as a secret from the first moment on."""
    connection = p.Connection(api_key="key-that-nobody-may-see")
    assert "nobody" not in f"{connection!r} {vars(connection)}"
    assert connection.api_key.reveal() == "key-that-nobody-may-see"
    with pytest.raises(TypeError, match="api_key"):
        p.Connection()
    with pytest.raises(p.SettingsError, match="API key"):
        p.Connection(api_key="")
