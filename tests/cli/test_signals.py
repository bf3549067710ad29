"""Ctrl-C before a run has begun, at moments at which Python or a library does not let it through."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from typing import Any

import pytest


class Dropped:
    """Python ignores whatever is raised in a destructor, as in some callbacks of an import, and shows its traceback."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("moment", ["run._creating", "chosen_sheets._sheet_options"])
@pytest.mark.parametrize("taken_for_an_error", [False, True])
def test_an_interrupt_that_is_lost_ends_the_run_before_anything_is_sent(
    invoke: Any,
    sandbox: Any,
    write_sheet: Any,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    *,
    taken_for_an_error: bool,
) -> None:
    """Python drops it at some moments of an import, and pandera takes it for an error in a schema."""
    name, _, function = moment.partition(".")
    module = importlib.import_module(f"provisioner.cli.{name}")
    begin = getattr(module, function)

    def lose(*args: Any) -> Any:
        if not taken_for_an_error:
            Dropped()
            return begin(*args)
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError from None

    monkeypatch.setattr(module, function, lose)
    service = sandbox()
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    done = invoke("run", write_sheet(1), "--yes", service=service)
    assert (done.exit_code, service.state.requests) == (130, [])
    assert done.stderr.lstrip().startswith("Interrupted.")
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_an_interrupt_while_the_program_is_loaded_shows_no_traceback() -> None:
    """That takes a tenth of a second, in which somebody who called it by mistake may well press Ctrl-C."""
    code = """
import signal, sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == "provisioner.cli.run":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupted())
import provisioner.cli
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for a thread")
def test_an_interrupt_that_another_thread_receives_ends_the_wait(write_sheet: Any) -> None:
    """The system may choose any thread: the event loop would wait on until something else happens."""
    code = f"""
import signal, threading
from provisioner import checking, cli
def interrupted(_):
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)
    threading.Event().wait()
checking.prepare = interrupted
cli.main(["check", {str(write_sheet(1))!r}], prog_name="provisioner")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
