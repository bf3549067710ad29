"""The screens, as a terminal of a given size shows them and as a pipe receives them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from provisioner import console
from provisioner.console import progress
from provisioner.console import terminal as terminals
from provisioner.console.terminal import WIDEST
from provisioner.errors import JournalError, SettingsError, SheetError
from provisioner.messages import UNTRUSTED
from provisioner.records import Actor, Exchange, Rate, RequestCounts, Status
from provisioner.resources import LoginState
from provisioner.summary import Example, Group, LoginCounts, LoginGroup, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKED = Exchange("GET", "/api/tasks/x/", 200, 0.01)
SENT = Exchange("POST", "/api/mailboxes/", 202, 0.01)
LONG = "Row 17: a.very.long.username was sent earlier with other values than the sheet has now; " * 2


class Terminal:
    """A terminal of a given size with a stream that is connected to it."""

    def __init__(self, columns: int, lines: int) -> None:
        pyte = pytest.importorskip("pyte")
        termios = pytest.importorskip("termios", reason="Windows has no pseudo-terminals of this kind")
        self.master, slave = os.openpty()
        termios.tcsetwinsize(slave, (lines, columns))
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._feed = pyte.ByteStream(self.screen)
        self.raw = b""
        os.set_blocking(self.master, False)

    def lines(self) -> list[str]:
        """What the screen shows now, and what has scrolled off it."""
        self.stream.flush()
        while True:
            try:
                self.raw += (chunk := os.read(self.master, 65536))
            except BlockingIOError:
                break
            self._feed.feed(chunk)
        gone = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        return [line.rstrip() for line in (*gone, *self.screen.display)]


@contextmanager
def terminal(columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    opened = Terminal(columns, lines)
    try:
        yield opened
    finally:
        opened.stream.close()
        os.close(opened.master)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_bars_never_wrap_nor_touch_a_message(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any moment each bar stands on the screen once, and every message stays whole above them, Ctrl-C or not."""
    monkeypatch.setattr(progress, "STATUS_INTERVAL", 0.0)
    with terminal(columns) as seen:
        bars = console.make_progress(stream=seen.stream)
        bars.planned(to_send=12_000, to_poll=3, done=5, invalid=2)
        for row in range(120):
            bars.sent()
            bars.answered(SENT)
            if row % 3 == 0:
                bars.finished(Status.CREATED if row % 2 else Status.FAILED)
                bars.answered(ASKED)
            if row % 40 == 20:
                bars.note(LONG)
                bars.paused(30.0, "the service asked us to slow down")
                seen.stream.write("^C")  # as a terminal does by itself
                bars.note("Stopping.")
            shown = seen.lines()
            assert not any("^C" in line for line in shown), shown
            assert sum(line.startswith("Sent ") for line in shown) == 1, shown
            assert sum(line.startswith("Finished ") for line in shown) == 1, shown
            assert "of 12,000" in next(line for line in shown if line.startswith("Sent "))
        assert any(line.startswith("Paused until") for line in shown)
        bars.close()
        left = seen.lines()
        assert not any(line.startswith(("Sent ", "Finished ")) or "Paused" in line for line in left)
        told = words(" ".join(left))
        assert told.count(words(LONG)) == 3
        assert told.startswith("Row 17: ")


def test_the_bars_count_what_was_sent_and_what_is_finished() -> None:
    """Counts stand beside the bars, created and not created below them."""
    with terminal() as seen:
        bars = console.make_progress(stream=seen.stream)
        bars.planned(to_send=1_500, to_poll=0, done=0, invalid=0)
        for _ in range(1_500):
            bars.sent()
            bars.finished(Status.CREATED)
        bars.finished(Status.FAILED)  # one more than was planned changes no total
        shown = seen.lines()
        assert any(re.match(r"Sent .*1,500 of 1,500", line) for line in shown), shown
        assert any(re.match(r"Finished .*1,500 of 1,500", line) for line in shown), shown
        assert any("1,500 created, 1 not created" in line for line in shown), shown
        bars.close()


def test_the_bars_and_the_line_below_them_tell_the_same_moment(clock: list[float]) -> None:
    """Whenever the screen is looked at, what is finished is as many rows as are created and not created together."""
    clock[0] = 1000.0
    with terminal() as seen:
        bars = console.make_progress(stream=seen.stream)
        bars.planned(to_send=40, to_poll=0, done=0, invalid=0)
        for row in range(40):
            clock[0] += 0.07 if row % 10 else 3.0  # tqdm would by itself draw more often than this, and not together
            bars.sent()
            bars.answered(SENT)
            bars.finished(Status.CREATED if row % 4 else Status.FAILED)
            if row == 20:
                bars.note("A word in between.")
            shown = " ".join(seen.lines())
            told = re.search(r"([\d,]+) created, ([\d,]+) not created", shown)
            finished = re.search(r"Finished .*? (\d+) of 40", shown)
            assert told is not None, shown
            assert finished is not None, shown
            assert int(finished[1]) == int(told[1]) + int(told[2]), shown
            assert row != 20 or finished[1] == "21", "a note stands above what is true when it is written"
        assert finished is not None
        assert finished[1] == "40", "the last row is drawn however soon it comes"
        bars.close()


def test_a_time_of_waiting_leaves_the_counts_in_their_place(clock: list[float]) -> None:
    """During a pause the counts stay above it at every moment, and afterwards they stand alone."""
    clock[0] = 1000.0
    with terminal(100) as seen:
        bars = console.make_progress(stream=seen.stream)
        bars.planned(to_send=40, to_poll=0, done=0, invalid=0)
        bars.paused(9.5, "the service asked us to slow down")
        for row in range(1, 10):
            clock[0] += 1.0
            bars.finished(Status.CREATED)
            bars.paused(0.1, "a shorter time")
            shown = seen.lines()
            assert f"{row} created, 0 not created" in shown
            assert any(re.fullmatch(r"Paused until [\d:]+: the service asked us to slow down", line) for line in shown)
        clock[0] += 1.0
        bars.answered(ASKED)
        assert not any("Paused" in line for line in seen.lines())
        bars.close()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (80, r"Paused until [\d:]+: the service cannot be reached \(trying for 2 minutes\)"),
        (60, r"Paused until [\d:]+: the service cannot be reached …"),
    ],
)
def test_a_line_below_the_bars_is_cut_between_words(columns: int, said: str) -> None:
    """On a usual terminal nothing is lost of it, and on a narrow one it is seen that something is."""
    with terminal(columns) as seen:
        bars = console.make_progress(stream=seen.stream)
        bars.planned(to_send=40, to_poll=0, done=0, invalid=0)
        bars.paused(9.5, "the service cannot be reached (trying for 2 minutes)")
        assert any(re.fullmatch(said, line) for line in seen.lines()), seen.lines()
        bars.close()


def test_a_long_path_keeps_its_words_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where path and meaning do not fit a line, the meaning stands below its path."""
    with terminal(80, 60) as seen:
        monkeypatch.setattr(sys, "stderr", seen.stream)
        console.show_summary([(summary({Status.FAILED: 23}, "clients/" + "a" * 40 + ".csv"), causes(2))], "COMMAND")
        assert "  the 23 rows to fix or run again" in seen.lines()


def test_more_causes_are_where_they_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sheet's in its page, those of several in the page of each."""
    with terminal() as seen:
        monkeypatch.setattr(sys, "stderr", seen.stream)
        failed = {Status.FAILED: 50}
        console.show_summary([(summary(failed), causes(20)), (summary(failed, "b.csv"), causes(20))], "COMMAND")
        assert "in the report.html of each sheet" in words(" ".join(seen.lines()))


def test_a_pipe_gets_plain_lines(clock: list[float]) -> None:
    """No control characters, a line at sensible intervals, and one line for a time of waiting however often told."""
    clock[0] = 1000.0
    stream = StringIO()
    plain = console.make_progress(stream=stream)
    plain.planned(to_send=10_000, to_poll=0, done=0, invalid=1)
    for _ in range(7_200):
        clock[0] += 0.5
        plain.sent()
        plain.finished(Status.CREATED)
        plain.answered(SENT)
        if 1_100.0 < clock[0] < 1_110.0:
            plain.paused(7.0, "the service asked us to slow down")
    plain.note("x\x1b[31my")
    plain.close()
    lines = stream.getvalue().splitlines()
    assert sum("Paused until" in line for line in lines) == 1
    assert 20 < len(lines) < 60, "an hour of progress is neither silence nor a flood"
    assert lines[-1] == "x\\u001b[31my"
    assert re.fullmatch(r"\d\d:\d\d:\d\d [\d,]+ of 10,000 sent; [\d,]+ of 10,000 finished: .* left\.", lines[-2])
    assert "".join(lines).isprintable()


def test_a_long_note_in_a_pipe_is_broken_between_words() -> None:
    """As everything else that is said in sentences."""
    stream = StringIO()
    console.make_progress(stream=stream).note("Stopping: nothing more is sent. " * 8)
    lines = stream.getvalue().splitlines()
    assert len(lines) > 1
    assert all(len(line) <= WIDEST for line in lines)


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked to be quiet, progress is."""
    quiet = console.make_progress(quiet=True)
    quiet.planned(to_send=1, to_poll=0, done=0, invalid=0)
    quiet.note("something")
    quiet.close()
    assert capsys.readouterr() == ("", "")


def summary(statuses: dict[Status, int], sheet: str = "acme.csv") -> Summary:
    folder = sheet.replace(".csv", "-run")
    left = sum(number for status, number in statuses.items() if not status.done)
    read = sum(statuses.values())
    return Summary(
        sheet=sheet,
        run_folder=folder,
        results=f"{folder}/results.csv",
        failures=f"{folder}/failures.csv",
        report=f"{folder}/report.html",
        statuses=statuses,
        to_retry=left,
        requests=RequestCounts(create=3, poll=4),
        seconds=12.0,
        read=read,
    )


def causes(number: int) -> list[Group]:
    return [
        Group(
            Actor.SHEET if n % 2 else Actor.NEXT_RUN,
            Status.INVALID if n % 2 else Status.FAILED,
            f"cause {n}, which is told in a sentence that is too long for one line of a small screen",
            n + 1,
            (Example(f"D{n}", f"user.{n}", "the same"), Example(f"D{n + 90}", "x" * 80, "the same")),
        )
        for n in range(1, number)
    ]


def shown_on(seen: Terminal, monkeypatch: pytest.MonkeyPatch, groups: list[Group], **more: Any) -> list[str]:
    monkeypatch.setattr(sys, "stderr", seen.stream)
    counts = {Status.CREATED: 1_234, Status.INVALID: 40, Status.FAILED: 20}
    console.show_summary([(summary(counts), groups)], "provisioner run acme-run/failures.csv", **more)
    return seen.lines()


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("number", [2, 3, 30])
def test_a_summary_fits_a_screen(columns: int, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many causes there are, nothing scrolls off a terminal of 24 lines.

    What is left out first is what running again settles, then the causes with the fewest rows.
    """
    with terminal(columns) as seen:
        shown = shown_on(seen, monkeypatch, causes(number))
        assert len(seen.screen.history.top) == 0
        text = words(" ".join(shown))
        most_to_fix = number - 1 if number % 2 == 0 else number - 2
        assert f"cause {most_to_fix}, which" in text
        assert "acme.csv: 1,294 rows in 12 seconds" in text
        assert "1,234 created confirmed by the service" in text
        assert max(map(len, shown)) < columns, "no line wraps"
        assert "  provisioner run acme-run/failures.csv" in shown
        told_elsewhere = [line for line in shown if "more causes, in report.html" in line]
        assert [line[:6] for line in told_elsewhere] == (["  and "] if number == 30 else []), "not a part of a cause"
        assert "…" in text or number == 2
        assert "cause 28, which" not in text, "it has more rows than others to fix, but needs nobody"


def test_a_terminal_without_a_size_is_taken_for_a_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some pseudo-terminals say that they have no columns at all."""
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((0, 0)))
    with terminal() as seen:
        assert terminals.size(seen.stream) == (79, 24)


def test_an_error_stays_in_sight_above_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Why a run was stopped does not scroll away, whatever is left."""
    with terminal() as seen:
        monkeypatch.setattr(sys, "stderr", seen.stream)
        above = console.show_error(SheetError("The service refused the API key (403).", remedy="Check the key."))
        shown = shown_on(seen, monkeypatch, causes(30), above=above)
        assert "The service refused the API key (403)." in shown
        assert "Check the key." in shown
        assert len(seen.screen.history.top) == 0


def test_who_must_act_is_said_over_the_causes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper of the sheet, support, or nobody; each cause with its count and two examples."""
    with terminal(100, 60) as seen:
        text = words(" ".join(shown_on(seen, monkeypatch, causes(3))))
    assert "To fix: 2 cause 1," in text
    assert "Run again (nothing to fix): 3 failed: cause 2," in text
    assert "in D2 (user.2), D92 (" in text
    assert "and 1 more" in text
    assert "Fix them in acme-run/failures.csv and run:" in text


@pytest.mark.parametrize(
    ("number", "told"), [(2, "Fix them in your own sheet, and run it:"), (0, "Run your own sheet for them:")]
)
def test_rows_that_stand_in_the_sheet_alone_are_run_from_it(number: int, told: str, capsys: Any) -> None:
    """After a run of a failures file that does not hold them. What needs no fix is not said to need one."""
    one = replace(summary({Status.CREATED: 1, Status.INVALID: 2}), to_retry=0)
    groups = causes(number) or [
        Group(Actor.NEXT_RUN, Status.UNSENT, "not sent", 1, (Example("D1", "user.1", "the same"),))
    ]
    console.show_summary([(one, groups)], "provisioner run acme.csv")
    assert f"These rows were not in the file you ran. {told}" in words(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("left", "more", "is_done"),
    [
        (Status.FAILED, {}, True),
        (Status.REJECTED, {}, True),
        (Status.INVALID, {}, False),
        (Status.FAILED, {"of_failures": True}, False),
        (Status.FAILED, {"kept": "acme-run/failures-edited-7.csv"}, False),
        (Status.FAILED, {"to_retry": 1}, False),
    ],
)
def test_rows_have_left_the_sheet_if_no_file_holds_them(left: Status, more: dict[str, Any], *, is_done: bool) -> None:
    """One that was never sent is in the sheet, or forgotten; and a failures file does not hold all of its rows."""
    one = replace(summary({Status.CREATED: 1, left: 1}), **{"to_retry": 0, **more})
    assert one.is_sheet_done is is_done


def test_the_technical_cause_is_for_whoever_asks(capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody reads what is wrong and what to do; the words of a program only come with -v."""
    error = SettingsError("Nothing answers.", remedy="Check the address.", technical="[Errno -2] no such name")
    console.show_error(error)
    assert "Errno" not in capsys.readouterr().err
    console.show_error(error, verbose=True)
    assert "Technical cause: [Errno -2] no such name" in capsys.readouterr().err


def test_rows_under_several_causes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the causes count more rows than are left, it is said why; where they do not, nothing is."""
    with terminal(100, 60) as seen:
        assert "under each" not in " ".join(shown_on(seen, monkeypatch, causes(3)))
    with terminal(100, 60) as seen:
        text = words(" ".join(shown_on(seen, monkeypatch, [replace(causes(2)[0], rows=90)])))
    assert "To fix (a row with several errors is listed under each):" in text


def test_a_failures_files_rows_are_told_from_the_whole_sheets(capsys: pytest.CaptureFixture[str]) -> None:
    """The heading counts the file that was read; the statuses are those of every row that the sheet had."""
    part = replace(summary({Status.CREATED: 20, Status.INVALID: 5}), read=7)
    console.show_summary([(part, ())], "COMMAND")
    told = words(capsys.readouterr().err)
    assert "acme.csv: 7 rows in 12 seconds All 25 rows of the sheet so far: 20 created" in told


def test_what_comes_next_depends_on_who_must_act(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to fix: run again. Support: send the task IDs. All valid: create them. All done: no command."""
    failed, valid = {Status.FAILED: 1}, {Status.VALID: 1}
    one = (Example("row 2", "ann", "no"),)

    def said(statuses: dict[Status, int], *groups: Group, checked: bool = False) -> str:
        console.show_summary([(summary(statuses), groups)], "COMMAND", checked=checked)
        return words(capsys.readouterr().err)

    assert "Run again with: COMMAND" in said(failed, Group(Actor.NEXT_RUN, Status.FAILED, "no", 1, one))
    assert "Send Mission Inbox support the task IDs" in said(failed, Group(Actor.SUPPORT, Status.FAILED, "no", 1, one))
    assert "Create them with: COMMAND" in said(valid, checked=True)
    assert "COMMAND" not in said({Status.CREATED: 1})
    assert "COMMAND" not in said({Status.CREATED: 1}, checked=True)
    invalid = Group(Actor.SHEET, Status.INVALID, "no", 1, one)
    assert "Fix it in acme.csv and check again: COMMAND" in said({Status.INVALID: 1}, invalid, checked=True)
    assert "Fix it in acme-run/failures.csv and run: COMMAND" in said({Status.INVALID: 1}, invalid)


def test_several_sheets_have_one_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """Counts by sheet and in all, one list of causes, each place with its sheet."""
    group = Group(Actor.SHEET, Status.INVALID, "no digit", 1, (Example("D2", "ann", "no digit"),))
    counts = {Status.CREATED: 2, Status.INVALID: 1}
    run_results = [(summary(counts), [group]), (summary(counts, "béta.csv"), [group])]
    console.show_summary(run_results, "COMMAND", not_begun=["gamma.csv"], verbose=True)
    text = words(capsys.readouterr().err)
    assert "2 sheets, 6 rows in 24 seconds" in text
    assert "acme.csv 2 created, 1 invalid béta.csv 2 created, 1 invalid 4 created" in text
    assert "2 no digit in acme.csv D2 (ann), béta.csv D2 (ann)" in text
    assert "Not started: gamma.csv" in text
    assert text.count("7 requests: 3 to create, 4 to ask about tasks") == 2


def test_several_sheets_are_counted_by_a_column_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Under one heading: two with the same name would leave open which sheet each is about."""
    counts = [{"Hartwell": {Status.CREATED: 2}}, {"Hartwell": {Status.CREATED: 3, Status.INVALID: 1}}]
    sheets = [replace(summary({Status.CREATED: 2}), by="Client", counts_by=each) for each in counts]
    console.show_summary([(each, []) for each in sheets], "COMMAND")
    assert words(capsys.readouterr().err).count("By Client: Hartwell 5 created, 1 invalid") == 1


def test_counts_by_a_column_and_what_existed_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The values with the most rows by status, and the addresses of mailboxes that this run did not create."""
    counts = {f"Client {n}": {Status.CREATED: 10 - n} for n in range(8)}
    counts["Hartwell"] = {Status.EXISTS: 7, Status.CREATED: 9}
    existing = tuple(f"user{n}@acme.example" for n in range(7))
    one = replace(summary({Status.EXISTS: 7}), by="Client", counts_by=counts, existing=existing)
    console.show_summary([(one, [])], "COMMAND")
    text = words(capsys.readouterr().err)
    assert "By Client: Hartwell 9 created, 7 exists Client 0 10 created" in text
    assert "and 4 more values, in results.csv" in text
    assert "Already existed: user0@acme.example, user1@acme.example, user2@acme.example and 4 more (" in text
    assert "its password may differ from your sheet" in text


def test_the_rate_that_was_found_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that found the service's limit says so; another says nothing of it."""
    console.show_summary([(replace(summary({Status.CREATED: 1}), rate=Rate(120, 60.0)), [])], "COMMAND")
    assert "The service takes about 120 requests a minute." in capsys.readouterr().err
    console.show_summary([(summary({Status.CREATED: 1}), [])], "COMMAND")
    assert "The service takes" not in capsys.readouterr().err


def test_one_request_of_a_kind_is_not_told_as_many(capsys: pytest.CaptureFixture[str]) -> None:
    """With one other request the line says so."""
    single = replace(summary({Status.CREATED: 1}), requests=RequestCounts(other=1))
    console.show_summary([(single, [])], "COMMAND", verbose=True)
    assert "1 request: 0 to create, 0 to ask about tasks, 1 other;" in words(capsys.readouterr().err)


@pytest.mark.parametrize("switch", ["NO_COLOR", "TERM"])
def test_colour_can_be_switched_off(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR, whatever its value, and a dumb terminal get none; the words say all that the colours do."""
    with terminal() as seen:
        coloured = shown_on(seen, monkeypatch, causes(2))
        assert b"\x1b[" in seen.raw
    monkeypatch.setenv(switch, "dumb")
    with terminal() as seen:
        plain = shown_on(seen, monkeypatch, causes(2))
        assert b"\x1b[" not in seen.raw
    assert [line for line in plain if line] == [line for line in coloured if line]


def test_an_error_is_its_fault_then_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """With -v the technical cause too, whose text shows only where it comes from the system."""
    error = JournalError("The journal cannot be written.", remedy="Make room on the disk.")
    error.__cause__ = OSError(28, "No space left on device")
    error.__cause__.__cause__ = ValueError("a cell's text")
    console.show_error(error)
    assert capsys.readouterr().err == "\nThe journal cannot be written.\nMake room on the disk.\n"
    console.show_error(error, verbose=True)
    text = capsys.readouterr().err
    assert "Technical cause: OSError: [Errno 28] No space left on device\nTechnical cause: ValueError\n" in text
    assert "a cell's text" not in text


def test_a_hostile_name_acts_on_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What acts on a terminal is shown in an error, a cause and a file's name, not sent to it."""
    console.show_error(SheetError("There is no file a\x1b]0;owned\x07.csv.", remedy="Check."))
    example = Example("A2", "x\x1b[2J", "“\x9b”")
    group = Group(Actor.SHEET, Status.INVALID, "“…”", 1, (example,))
    console.show_summary([(summary({Status.INVALID: 1}, "a\x1b.csv"), [group])], "COMMAND")
    text = capsys.readouterr().err
    assert text.replace("\n", "").isprintable()
    assert "x\\u001b[2J" in text


def test_a_fault_of_the_programs_own_shows_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody knows what its text holds; with -v the places are shown, in a group of errors each."""
    secret = "Sheet-Pass-77!"
    with pytest.raises(ExceptionGroup) as raised:
        raise ExceptionGroup(secret, [KeyError(secret)])
    console.show_unexpected(raised.value, verbose=True)
    text = capsys.readouterr().err
    assert secret not in text
    assert "KeyError" in text
    assert "run the same command again" in words(text)


@pytest.mark.parametrize(
    "word", ["plain.csv", "with blank.csv", "it's.csv", "$HOME.csv", "a&b;c.csv", "é“ü”.csv", "-x"]
)
def test_a_printed_command_can_be_pasted(word: str) -> None:
    """A shell reads the words back as they were."""
    line = console.command_line("provisioner", "run", word, windows=False)
    assert shlex.split(line) == ["provisioner", "run", word]
    done = subprocess.run(["/bin/sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["provisioner", "run", word]


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        (r"C:\clients\acme.csv", r"C:\clients\acme.csv"),
        (r"C:\My Clients\acme.csv", r'"C:\My Clients\acme.csv"'),
        ("C:\\My Clients\\", '"C:\\My Clients\\\\"'),
        ("O'Brien & Söhne.csv", '"O\'Brien & Söhne.csv"'),
        ("a;b.csv", '"a;b.csv"'),
        ("50$ off.csv", "'50$ off.csv'"),
        ("--rate", "--rate"),
        ("5/s,200/min", '"5/s,200/min"'),
    ],
)
def test_a_command_is_quoted_for_windows(word: str, quoted: str) -> None:
    """PowerShell and the command prompt read the word back: blanks, ampersands and dollar signs are no syntax."""
    assert console.command_line(word, windows=True) == quoted


def test_a_table_fits_its_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a screen long cells are cut and no line wraps; in a pipe every cell is whole."""
    entries = [{"id": 7, "name": "a.very.long.name" * 4, "status": "active"}, {"id": 8, "name": "b", "status": "new"}]
    columns = ("id", "name", "status")
    with terminal(60) as seen:
        monkeypatch.setattr(sys, "stdout", seen.stream)
        console.Table(columns).show(entries)
        head, first, second, *rest = seen.lines()
    assert (words(head), words(second), words("".join(rest))) == ("id name status", "8 b new", "")
    assert first.endswith("…  active")
    assert len(first) < 60
    monkeypatch.undo()
    console.Table(columns).show(entries)
    assert "a.very.long.name" * 4 in capsys.readouterr().out


def test_headers_give_way_before_what_stands_below_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is cut cannot be written into a sheet; every column keeps some of its header."""
    columns = ("id", "name", "verified", "status", "relay_server", "project", "redirect")
    entry = dict.fromkeys(columns, "101") | {"name": "acme-outreach.example", "status": "pending", "redirect": ""}
    with terminal(60) as seen:
        monkeypatch.setattr(sys, "stdout", seen.stream)
        console.Table(columns).show([entry])
        head, row, *_ = seen.lines()
    assert words(row) == "101 acme-outreach.example 101 pending 101 101"
    assert words(head) == "id name ver… status rel… pro… red…"


def test_log_ins_that_did_not_work_are_told_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Each reason with its count, two examples, what to do and the command; a certificate is no broken connection."""
    cut = LoginGroup(LoginState.UNREACHABLE, "IMAP: x port 993 cannot be reached: refused", 4, ("a@x", "b@x"))
    forged = LoginGroup(LoginState.UNREACHABLE, f"IMAP: x port 993 {UNTRUSTED}: self-signed", 1, ("c@x",))
    wrong = LoginGroup(LoginState.REFUSED, "SMTP: x refused the log-in: 535", 2, ("d@x", "e@x"))
    console.show_logins(LoginCounts(3, 7, 0), [cut, wrong, forged], "provisioner verify acme-run")
    shown = capsys.readouterr().err
    text = words(shown)
    assert "3 ok log-in works, over IMAP and SMTP" in text
    assert "2 refused a mail server refused the log-in" in text
    assert "5 unreachable a mail server could not be reached" in text
    assert "a@x, b@x and 2 more" in text
    assert "Why, and what to do: 4 a@x" in text
    assert "ports 465 and 993" in text.partition("a@x")[2].partition("d@x")[0]
    assert "encrypted traffic" in text.partition("d@x")[2]
    assert "Mission Inbox support" in text
    assert shown.endswith("\n  provisioner verify acme-run\n")
    assert all(len(row) < 80 for row in shown.splitlines())


def test_a_run_without_a_mailbox_has_nothing_to_log_in_to(capsys: pytest.CaptureFixture[str]) -> None:
    """A verification that found nothing says so, and names no command."""
    console.show_logins(LoginCounts(0, 0, 0), [], "COMMAND")
    assert "none to log in to" in capsys.readouterr().err


def test_a_run_that_logged_in_to_none_says_nothing_of_log_ins(capsys: pytest.CaptureFixture[str]) -> None:
    """Such as one whose mailboxes all existed before: a heading alone would leave open what came of it."""
    finished = replace(summary({Status.EXISTS: 3}), logins=LoginCounts(0, 0, 0))
    console.show_summary([(finished, [])], "")
    assert "Log-ins" not in capsys.readouterr().err


def test_a_run_says_what_came_of_its_log_ins(capsys: pytest.CaptureFixture[str]) -> None:
    """The summary counts them, and its command tries them again."""
    finished = replace(summary({Status.CREATED: 3}), logins=LoginCounts(1, 2, 0))
    group = LoginGroup(LoginState.REFUSED, "IMAP: x refused the log-in", 2, ("a@x", "b@x"))
    console.show_summary([(finished, [])], "", logins=[group], verify="provisioner verify acme-run")
    text = words(capsys.readouterr().err)
    assert "1 ok log-in works" in text
    assert "2 refused" in text
    assert "Log in again with: provisioner verify acme-run" in text
