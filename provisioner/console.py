"""How progress, summaries and errors look. Everything for people goes to stderr; `--json` goes to stdout."""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from provisioner.records import Status, Summary

if TYPE_CHECKING:
    from provisioner.errors import ProvisionerError

MINUTE = 60
PLAIN_INTERVAL = 10.0
"""Seconds between two lines of progress where nobody watches a terminal."""

MEANINGS = {
    Status.CREATED: "the service confirms them",
    Status.EXISTS: "were there before",
    Status.VALID: "ready to be created",
    Status.INVALID: "break a rule; never sent",
    Status.REJECTED: "refused by the service",
    Status.FAILED: "the service could not carry them out",
    Status.UNFINISHED: "accepted, not done yet",
    Status.UNKNOWN: "sent, and no clear answer came",
    Status.UNSENT: "their turn did not come",
}
WORKED = frozenset({Status.CREATED, Status.EXISTS})


class _Tally:
    """What both kinds of progress count."""

    def __init__(self) -> None:
        self.to_send = 0
        self.to_end = 0
        self.sent_rows = 0
        self.worked = 0
        self.failed = 0

    @property
    def ended_rows(self) -> int:
        return self.worked + self.failed

    def end(self, status: Status) -> None:
        if status in WORKED:
            self.worked += 1
        else:
            self.failed += 1


def _plan_lines(*, to_send: int, to_poll: int, done: int, invalid: int) -> list[str]:
    lines = [f"{count(to_send, 'mailbox', 'mailboxes')} to create."]
    if to_poll:
        lines.append(f"{count(to_poll, 'row was', 'rows were')} sent earlier and will be followed up, not sent again.")
    if done:
        lines.append(f"{count(done, 'row is', 'rows are')} done already and will be left alone.")
    if invalid:
        lines.append(f"{count(invalid, 'row is', 'rows are')} invalid and will not be sent.")
    return lines


class PlainProgress:
    """Lines at sensible intervals, for pipes, files and CI."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tally = _Tally()
        self._next = time.monotonic() + PLAIN_INTERVAL

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self._tally.to_send, self._tally.to_end = to_send, to_send + to_poll
        for line in _plan_lines(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid):
            self.note(line)

    def sent(self) -> None:
        self._tally.sent_rows += 1
        self._tell()

    def ended(self, status: Status) -> None:
        self._tally.end(status)
        self._tell()

    def held(self, seconds: float, reason: str) -> None:
        self.note(_held(seconds, reason))

    def note(self, sentence: str) -> None:
        print(sentence, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing stays on the screen that would have to be taken back."""

    def _tell(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PLAIN_INTERVAL
        tally = self._tally
        self.note(
            f"{tally.sent_rows:,} of {tally.to_send:,} sent; {tally.ended_rows:,} of {tally.to_end:,} finished: "
            f"{tally.worked:,} created, {tally.failed:,} not."
        )


class BarProgress:
    """Two bars on a terminal: what was sent, and what is finished."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tally = _Tally()
        self._bars: list[tqdm[Any]] = []

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:
        self._tally.to_send, self._tally.to_end = to_send, to_send + to_poll
        for line in _plan_lines(to_send=to_send, to_poll=to_poll, done=done, invalid=invalid):
            self.note(line)
        totals = (("sent    ", to_send), ("finished", to_send + to_poll))
        self._bars = [
            tqdm(total=total, desc=name, position=place, file=self._stream, dynamic_ncols=True, leave=True)
            for place, (name, total) in enumerate(totals)
            if total
        ]

    def sent(self) -> None:
        self._tally.sent_rows += 1
        if len(self._bars) > 1 and self._tally.sent_rows <= self._tally.to_send:
            self._bars[0].update()

    def ended(self, status: Status) -> None:
        self._tally.end(status)
        if self._bars and self._tally.ended_rows <= self._tally.to_end:
            bar = self._bars[-1]
            bar.set_postfix_str(f"{self._tally.worked:,} created, {self._tally.failed:,} not", refresh=False)
            bar.update()

    def held(self, seconds: float, reason: str) -> None:
        self.note(_held(seconds, reason))

    def note(self, sentence: str) -> None:
        tqdm.write(sentence, file=self._stream)

    def close(self) -> None:
        """Leave the bars as they are and let what follows begin below them."""
        for bar in self._bars:
            bar.close()
        self._bars = []


def progress(stream: TextIO | None = None) -> PlainProgress | BarProgress:
    """Bars on a terminal, plain lines elsewhere."""
    stream = stream or sys.stderr
    return BarProgress(stream) if stream.isatty() else PlainProgress(stream)


def show_summary(summary: Summary, left: list[str], command: str) -> None:
    """Counts, the first rows that are left, the files, and the command that goes on. `left`: one line a row."""
    lines = ["", f"{count(summary.rows, 'row', 'rows')} in {_duration(summary.seconds)}:"]
    for status, number in summary.statuses.items():
        lines.append(f"  {number:>7,}  {status:<10}  {MEANINGS[status]}")
    undone = sum(number for status, number in summary.statuses.items() if not status.done)
    if left:
        lines += ["", "Left to do:" if len(left) == undone else f"Left to do, the first {len(left)} of {undone:,}:"]
        lines += [f"  {line}" for line in left]
    lines += ["", f"Every row:     {summary.results}", f"Rows to retry: {summary.failures}"]
    if undone:
        lines += ["", "Mend what needs mending in the file of rows to retry, then go on with:", f"  {command}"]
    print("\n".join(lines), file=sys.stderr)


def show_error(error: ProvisionerError) -> None:
    """The fault, then what to do."""
    print(f"\n{error.message}", file=sys.stderr)
    if error.remedy:
        print(error.remedy, file=sys.stderr)


def print_json(summary: Summary, exit_code: int) -> None:
    """The one object that `--json` promises, on stdout."""
    print(
        json.dumps(
            {
                "run_folder": summary.run_folder,
                "results": summary.results,
                "failures": summary.failures,
                "rows": summary.rows,
                "statuses": {str(status): number for status, number in summary.statuses.items()},
                "requests": asdict(summary.requests),
                "seconds": round(summary.seconds, 3),
                "exit": exit_code,
            }
        )
    )


def command_line(*words: str) -> str:
    """Words as they are pasted into a shell."""
    return shlex.join(words)


def count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _held(seconds: float, reason: str) -> str:
    until = time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))
    return f"Waiting for {_duration(seconds)}, until {until}: {reason}."


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return f"{seconds:.1f} seconds"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
