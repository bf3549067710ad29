"""How progress, summaries and errors look. Everything for people goes to stderr; `--json` goes to stdout."""

from __future__ import annotations

import csv
import json
import shlex
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

from provisioner.records import Account, Prospect, Status, Summary
from provisioner.sheets import guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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


TELL_TIME = 10.0
"""Seconds from which on it is worth saying how long sending takes."""


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


class PlainProgress:
    """Lines at sensible intervals, for pipes, files and CI."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tally = _Tally()
        self._next = time.monotonic() + PLAIN_INTERVAL

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:  # noqa: ARG002 - told already
        self._tally.to_send, self._tally.to_end = to_send, to_send + to_poll

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

    def planned(self, *, to_send: int, to_poll: int, done: int, invalid: int) -> None:  # noqa: ARG002 - told already
        self._tally.to_send, self._tally.to_end = to_send, to_send + to_poll
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


def show_prospect(prospect: Prospect) -> None:
    """What a run is about to do, before anything is sent."""
    print("\n".join(_prospect_lines(prospect)), file=sys.stderr)


def _prospect_lines(prospect: Prospect) -> Iterator[str]:
    if prospect.to_send:
        takes = f"; sending takes {_duration(prospect.seconds)} or more" if prospect.seconds >= TELL_TIME else ""
        where = "for practice" if prospect.practice else f"at {prospect.service}"
        yield f"{count(prospect.to_send, 'mailbox', 'mailboxes')} to create {where}{takes}."
    else:
        yield "No mailbox is to be created."
    if prospect.held_back:
        yield f"{count(prospect.held_back, 'further row is', 'further rows are')} ready, and held back by --limit."
    if prospect.to_poll:
        rows = count(prospect.to_poll, "row was", "rows were")
        yield f"{rows} sent earlier and will be followed up, not sent again."
    if prospect.done:
        yield f"{count(prospect.done, 'row is', 'rows are')} done already and will be left alone."
    if prospect.invalid:
        yield f"{count(prospect.invalid, 'row is', 'rows are')} invalid and will not be sent: see {prospect.failures}"
    if prospect.to_send or prospect.to_poll:
        yield f"What becomes of each row is written to {prospect.results}"


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


class Table:
    """Entries of a list on stdout as they come, in columns as wide as the first page needs."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._widths: list[int] = []

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        rows = [[_shown(entry[column]) for column in self._columns] for entry in entries]
        if not self._widths:
            headed = [list(self._columns), *rows]
            self._widths = [max(len(row[place]) for row in headed) for place in range(len(self._columns))]
            rows = headed
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, self._widths, strict=True)).rstrip())

    def close(self) -> None:
        """A table has no end of its own."""


class CsvTable:
    """Entries of a list on stdout as CSV, such that no spreadsheet program runs a cell."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        self._writer.writerow(columns)

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        self._writer.writerows([guard(_shown(entry[column])) for column in self._columns] for entry in entries)

    def close(self) -> None:
        """A CSV file has no end of its own."""


class JsonTable:
    """Entries of a list on stdout as one JSON array."""

    def __init__(self) -> None:
        self._before = "[\n"

    def show(self, entries: Sequence[Mapping[str, object]]) -> None:
        for entry in entries:
            print(self._before + json.dumps(entry, ensure_ascii=False), end="")
            self._before = ",\n"

    def close(self) -> None:
        print("[]" if self._before == "[\n" else "\n]")


def show_account(account: Account) -> None:
    """Who the key belongs to, and what a mail program has to be told, on stdout."""
    for name, value in account.facts.items():
        print(f"{_shown(name):<12}  {_shown(value)}")
    print("\nSettings for mail programs:")
    for name, server in (("SMTP", account.smtp), ("IMAP", account.imap)):
        where = f"{_shown(server.host)}, port {server.port}, TLS from the start (SSL/TLS)" if server else "not told"
        print(f"  {name:<10}  {where}")
    print("  user name   the full address, such as john.doe@example.com")
    print("  password    the mailbox's own")


def print_account_json(account: Account) -> None:
    """The same as one JSON object."""
    servers = {
        name: asdict(server) if server else None for name, server in (("smtp", account.smtp), ("imap", account.imap))
    }
    print(json.dumps({"account": dict(account.facts), **servers}, ensure_ascii=False))


def say(sentence: str) -> None:
    """A line for people."""
    print(sentence, file=sys.stderr)


def _shown(value: object) -> str:
    """A value from outside on one line, without what acts on a terminal."""
    text = {None: "", True: "yes", False: "no"}.get(value) if value is None or isinstance(value, bool) else str(value)
    return "".join(char if char.isprintable() else "\ufffd" for char in text or "")


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
