"""What many tests share: a running stand-in, a listener that remembers, and time that costs none."""

from __future__ import annotations

import csv
import gc
import os
import ssl
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import hypothesis
import pytest
from blockbuster import blockbuster_ctx
from click.testing import CliRunner, Result
from scripted import Scripted
from trio.testing import MockClock
from virtual_time import VirtualLoop

from provisioner.cli import main
from provisioner.journal import Journal
from provisioner.records import AutoRate, Rate, Status
from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.server import serve
from provisioner.schema import read_schema, shipped
from provisioner.secret import Secret
from provisioner.service import learned_rate
from provisioner.settings import Connection
from provisioner.sheets import FAILURES_COLUMNS, RESULTS_COLUMNS, read_table
from provisioner.stages import poll

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
    from pathlib import Path

    import trustme

    from provisioner.records import Exchange
    from provisioner.sandbox.server import RunningSandbox

# How long an example takes says nothing on a shared machine; every test has its time limit all the same.
hypothesis.settings.register_profile("fast", deadline=None, max_examples=25)
# The same examples each time: what fails can be looked at again.
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=150, derandomize=True)
hypothesis.settings.load_profile("fast")

UNLIMITED = (Rate(1_000_000, 1.0),)


def pytest_xdist_auto_num_workers() -> int:
    """What `-n auto` means: two workers more than there are processors, as tests wait about half of their time."""
    return 2 + (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays to the end, so it is not worth searching for garbage: that took a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """Nothing of the program's own may block its event loop; the stand-in, on a thread of its own, may."""
    with blockbuster_ctx("provisioner", excluded_modules=["provisioner.sandbox"]):
        yield


@pytest.fixture(autouse=True)
def swift_practice(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the tests' own process a stand-in needs no second for a mailbox, and is asked about it sooner."""
    defaults: Any = SandboxOptions.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "latency", 0.05)
    monkeypatch.setattr(poll, "YOUNGEST", 0.05)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock of progress says. Other clocks go on: a server on another thread would never stop by this one."""
    now = [0.0]
    told = SimpleNamespace(monotonic=lambda: now[0], strftime=time.strftime)
    for module in ("provisioner.progress", "provisioner.console.progress"):
        monkeypatch.setattr(f"{module}.time", told)
    return now


@pytest.fixture
def anyio_backend() -> str:
    """The program runs on asyncio; what must run on both asks for both."""
    return "asyncio"


@pytest.fixture(scope="session")
def aside() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Do something that no test has to wait for, such as stopping a server."""
    with ThreadPoolExecutor() as pool:
        begun: list[Future[None]] = []
        yield lambda work: begun.append(pool.submit(work))
    for each in begun:
        each.result()


@pytest.fixture
def sandbox(aside: Callable[[Callable[[], None]], None]) -> Iterator[Callable[..., RunningSandbox]]:
    """Start a stand-in with the given options, as often as wanted; all of them end after the test."""
    running = ExitStack()

    def start(**options: Any) -> RunningSandbox:
        return running.enter_context(
            serve(SandboxOptions(**{"api_key": "sandbox-key", "keep_passwords": True, **options}))
        )

    yield start
    aside(running.close)


@pytest.fixture
def server() -> Iterator[Callable[..., Scripted]]:
    """Start a server that answers as it is told, as often as wanted; all of them end with the test."""
    with ExitStack() as running:

        def start(*replies: Any, **options: Any) -> Scripted:
            scripted = Scripted(*replies, **options)
            running.callback(scripted.close)
            return scripted

        yield start


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Signs the certificates of the tests' own servers."""
    import trustme  # noqa: PLC0415 - it takes a quarter of a second, and few tests need it

    return trustme.CA()


@pytest.fixture
def trusted_authority(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """The same, and this computer trusts it as it would an office's own."""
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        yield authority


@pytest.fixture
def certified(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """What a server of that name needs to speak TLS."""

    def certify(host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        return context

    return certify


@pytest.fixture
def connection() -> Callable[..., Connection]:
    """How to reach a stand-in, or any address: with its key, and as fast as it goes unless told otherwise."""

    def build(service: RunningSandbox | str, **options: Any) -> Connection:
        practice = not isinstance(service, str)
        url, key = (service, "a-key-of-the-tests") if isinstance(service, str) else (service.url, service.api_key)
        known = {"api_url": url, "api_key": Secret(key), "rates": UNLIMITED, "practice": practice}
        return Connection(**{**known, **options})

    return build


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.sqlite3")) as opened:
        yield opened


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the program in the test's own process: for a stand-in, with a key and an address, or without any.

    Where no rate is given, it begins at the fastest that it would come to.
    """
    monkeypatch.setattr(learned_rate, "START", 1 / AutoRate().most.spacing)

    def call(
        *words: object, service: Any = None, key: str | None = None, url: str | None = None, stdin: str = ""
    ) -> Result:
        environment: dict[str, str | None] = {name: None for name in os.environ if name.startswith("MISSION_INBOX")}
        environment["MISSION_INBOX_API_KEY"] = service.api_key if service else key
        environment["MISSION_INBOX_URL"] = service.url if service else url
        return CliRunner().invoke(
            main, [*map(str, words)], input=stdin, env=environment, prog_name="provisioner", catch_exceptions=False
        )

    return call


class Recorder:
    """A listener that remembers what it heard, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self.heard.append(("planned", to_send, to_poll, done, invalid))

    def sent(self) -> None:
        self.heard.append(("sent",))

    def finished(self, status: Status) -> None:
        self.heard.append(("finished", status))

    def paused(self, seconds: float, reason: str) -> None:
        self.heard.append(("paused", seconds, reason))

    def answered(self, exchange: Exchange) -> None:
        self.heard.append(("answered", exchange))

    def note(self, sentence: str) -> None:
        self.heard.append(("note", sentence))

    def all(self, kind: str) -> list[tuple[Any, ...]]:
        """What was told with each call of one kind, in order."""
        return [tuple(told) for name, *told in self.heard if name == kind]


@pytest.fixture
def listener() -> Recorder:
    return Recorder()


@pytest.fixture(params=["asyncio", "trio"], scope="session")
def in_virtual_time(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run an asynchronous function on either backend with a clock that jumps whenever all tasks wait.

    Nothing in it may use threads or the network, which such a clock would not wait for.
    """

    def run(function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if request.param == "trio":
            options: dict[str, Any] = {"clock": MockClock(autojump_threshold=0)}
        else:
            options = {"loop_factory": VirtualLoop}
        return anyio.run(function, *args, backend=request.param, backend_options=options)

    return run


SHEET_HEADER = ("email", "domain", "relay_server", "password", "project", "reply_to")


@pytest.fixture
def write_sheet(tmp_path: Path) -> Callable[..., Path]:
    """Write a sheet of so many good rows, or of the rows given, and answer its path."""

    def write(rows: int | list[tuple[str, ...]] = 10, name: str = "acme.csv") -> Path:
        if isinstance(rows, int):
            rows = [(f"user{n:04}", "101", "201", f"Sheet-Pass-{n:04}!", "789", "") for n in range(rows)]
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([SHEET_HEADER, *rows])
        return path

    return write


@pytest.fixture
def read_csv() -> Callable[[Path], list[dict[str, str]]]:
    """The lines of a file that the program wrote, by column."""

    def read(path: Path) -> list[dict[str, str]]:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def check_outputs() -> Callable[[Path], None]:
    """Hold both files of a run folder against their schemas and against each other."""

    def check(folder: Path) -> None:
        header, *results = read_table(folder / "results.csv")
        assert tuple(header[: len(RESULTS_COLUMNS)]) == RESULTS_COLUMNS
        # Behind ours the sheet may have columns of the same names.
        ours = [row[: len(RESULTS_COLUMNS)] for row in results]
        assert breaches("results.yaml", RESULTS_COLUMNS, ours) == []
        header, *failures = read_table(folder / "failures.csv")
        assert tuple(header[-len(FAILURES_COLUMNS) :]) == FAILURES_COLUMNS
        assert breaches("failures.yaml", header, failures) == []
        statuses = [Status(row[RESULTS_COLUMNS.index("status")]) for row in results]
        status = FAILURES_COLUMNS.index("status") - len(FAILURES_COLUMNS)
        # A run of a part of the failures leaves the other rows in the record alone.
        left = Counter(row[status] for row in failures)
        assert left <= Counter(status.value for status in statuses if status not in (Status.CREATED, Status.EXISTS))

    return check


def breaches(name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """What in a table breaks the schema of that name."""
    rules = read_schema(shipped(name))
    found = []
    for number, row in enumerate(rows, start=2):
        assert len(row) == len(header), f"line {number} has {len(row)} cells"
        # The last of each name is ours: a sheet may have columns of these names itself.
        cells = dict(zip(header, row, strict=True))
        for column in rules.columns.values():
            if text := cells[column.name]:
                faults = rules.faults(column.name, [text]).get(text, [])
                found += [f"line {number}, {column.name}: {fault.sentence}" for fault in faults]
            elif not column.nullable:
                found.append(f"line {number}: {column.blank}")
    return found


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=6, help="how many runs test_crashes kills")
