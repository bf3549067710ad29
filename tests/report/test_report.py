"""The page of a run, read as a browser reads it."""

from __future__ import annotations

import html.parser
import json
import os
import re
import shutil
import stat
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from provisioner.errors import KeyRefusedError
from provisioner.journal import Event
from provisioner.records import Actor, RequestCounts, RowId, Status, TaskId
from provisioner.report import write_report
from provisioner.report.page import local_time
from provisioner.report.picture import draw, follow
from provisioner.resources import LoginState
from provisioner.result import RunResult
from provisioner.summary import Example, Group, LoginCounts, LoginGroup, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>document.title='owned'</script>"
IMAGE = '"><img src=x onerror="document.title=\'owned\'">'


def summary(statuses: dict[Status, int]) -> Summary:
    return Summary(
        sheet="clients/acme.csv",
        run_folder="clients/acme-run",
        results="clients/acme-run/results.csv",
        failures="clients/acme-run/failures.csv",
        report="clients/acme-run/report.html",
        statuses=statuses,
        to_retry=3,
        requests=RequestCounts(),
        seconds=61.0,
    )


def group(sentence: str, *emails: str, rows: int | None = None, cause: str | None = None) -> Group:
    examples = tuple(Example(f"A{n}", email, sentence, TaskId(f"t-{n}")) for n, email in enumerate(emails, 2))
    return Group(Actor.SHEET, Status.REJECTED, cause or sentence, rows or len(emails), examples)


def course(rows: int = 30) -> list[Event]:
    """Of so many rows a second: sent, accepted, and created two seconds later."""
    events = []
    for n in range(rows):
        row_id = RowId(n)
        events += [
            Event(row_id, 100.0 + n, "sending"),
            Event(row_id, 100.5 + n, "accepted"),
            Event(row_id, 102.5 + n + n / 100, "created"),
        ]
    return events


@pytest.fixture
def page(tmp_path: Path) -> Callable[..., Path]:
    """Write a page and answer its path."""

    def write(groups: Sequence[Group] = (), events: Sequence[Event] = (), **more: Any) -> Path:
        path = tmp_path / "report.html"
        counts = more.pop("statuses", {Status.CREATED: 30, Status.REJECTED: 3})
        known = {name: more.pop(name) for name in ("logins", "by", "counts_by", "existing", "practice") if name in more}
        finished = replace(summary(counts), **known)
        result = RunResult(
            finished,
            more.pop("stopped", None),
            groups,
            more.pop("failed_logins", ()),
            created=more.pop("created", {}),
        )
        write_report(path, result, events, finished_at=1_700_000_000.0, **more)
        return path

    return write


def test_every_entry_says_what_is_wrong(page: Callable[..., Path]) -> None:
    """Even where all of a cause are told the same, as with passwords: nobody has to look above the table."""
    text = page([group("the password needs a digit", "ann", "bob")]).read_text("utf-8")
    assert text.count("<td>the password needs a digit") == 2


def test_log_ins_that_failed_are_told(page: Callable[..., Path]) -> None:
    """All rows may be done while a mailbox does not work: then that is said beside it."""
    made = {Status.CREATED: 30}
    plain = page(statuses=made).read_text("utf-8")
    assert "All 30 rows are done." in plain
    assert "log-in" not in plain
    for logins, told in (
        (LoginCounts(30, 0, 0), "30 mailboxes accept the log-in."),
        (LoginCounts(27, 2, 1), "27 mailboxes accept the log-in; 3 mailboxes do not, or were not tried."),
    ):
        assert told in page(statuses=made, logins=logins).read_text("utf-8")


@pytest.mark.parametrize("practice", [True, False])
def test_a_practice_run_says_that_it_was_practice(page: Callable[..., Path], *, practice: bool) -> None:
    """Somebody who is sent the page does not take its mailboxes for real ones."""
    text = page(statuses={Status.CREATED: 30}, practice=practice).read_text("utf-8")
    assert ("<strong>Practice:</strong> no mailbox was really created." in text) == practice


def test_every_created_address_is_listed(page: Callable[..., Path]) -> None:
    """By the column that rows are counted by, if there is one; many of them are folded away."""
    text = page(created={"": ["ann@acme.example", "bob@acme.example"]}).read_text("utf-8")
    assert "<pre>ann@acme.example\nbob@acme.example</pre>" in text
    assert '<details class="created" open>' in text
    assert "<h4>" not in text
    many = [f"user{number}@acme.example" for number in range(1_000)]
    text = page(created={"": many}).read_text("utf-8")
    assert "\n".join(many) in text
    assert "<summary>1,000 mailboxes</summary>" in text
    assert '<details class="created">' in text
    assert "<details" not in page().read_text("utf-8")


def test_rows_are_counted_by_a_column(page: Callable[..., Path]) -> None:
    """Each value with the number of its rows by status, and the addresses under it; a blank cell is called so."""
    counts = {"Hartwell": {Status.CREATED: 12}, "": {Status.CREATED: 1, Status.INVALID: 2}}
    text = page(by="Client", counts_by=counts, created={"Hartwell": ["ann@acme.example"]}).read_text("utf-8")
    assert "<tr><th>Client</th><th>created</th><th>invalid</th></tr>" in text
    assert "<tr><td>Hartwell</td><td>12</td><td>0</td></tr>" in text
    assert "<tr><td>(blank)</td><td>1</td><td>2</td></tr>" in text
    assert "<h4>Hartwell</h4>\n<pre>ann@acme.example</pre>" in text


def test_what_existed_before_is_named(page: Callable[..., Path]) -> None:
    """Nobody takes such a mailbox for one of the sheet's making, with the sheet's password."""
    text = page(statuses={Status.EXISTS: 3}, existing=("ann@acme.example", "bob@acme.example")).read_text("utf-8")
    assert "Already existed: ann@acme.example, bob@acme.example and 1 more" in text
    assert "passwords may differ" in text


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_but_itself(page: Any) -> None:
    """No tag names another file or address, so it may be passed on and opened without a network."""
    text = page([group("no", "ann")], course()).read_text("utf-8")
    for _, attributes in Tags(text).found:
        assert not attributes.keys() & {"src", "href", "srcset", "action", "data"}
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_tells_totals_causes_and_cells(page: Any) -> None:
    """What is on the page is what the run came to."""
    text = page([group("domain: no such domain", "ann", "ben", rows=9)], course()).read_text("utf-8")
    assert "3 of 33 rows are not done: see failures.csv beside this page." in text
    assert "9 rows, rejected: domain: no such domain" in text
    assert "<td>A2</td><td>ann</td>" in text
    assert "And 7 more, in failures.csv." in text
    assert "Task t-2" in text


def test_a_run_that_left_nothing_says_so(page: Any) -> None:
    """Nothing is listed where nothing is left, and nothing drawn where nothing was sent."""
    text = page(statuses={Status.CREATED: 2, Status.EXISTS: 1}).read_text("utf-8")
    assert "All 3 rows are done." in text
    assert "<polyline" not in text
    assert 'id="filter"' not in text
    assert "The row is ready." in page(statuses={Status.VALID: 1}).read_text("utf-8")


def test_log_ins_that_failed_have_their_reason(page: Any) -> None:
    """What cannot be logged in to is told by reason, with what to do about it."""
    failed = LoginGroup(LoginState.REFUSED, "IMAP: x refused <it>", 5, ("a@x", "b@x"))
    counts = LoginCounts(4, 5, 0)
    text = page(statuses={Status.CREATED: 9}, logins=counts, failed_logins=[failed]).read_text("utf-8")
    assert "refused: IMAP: x refused &lt;it&gt;" in text
    assert "a@x, b@x and 3 more, in results.csv" in text
    assert "Wait a few minutes" in text


def test_the_page_names_the_command_that_goes_on(page: Any) -> None:
    """Whoever was handed the page alone knows what to do next; where nothing is left there is no command."""
    text = page([group("no", "ann")], command="provisioner run 'a b&c.csv'").read_text("utf-8")
    assert "provisioner run &#39;a b&amp;c.csv&#39;</pre>" in text
    assert "<p>Run:</p>" not in page().read_text("utf-8")


def test_a_run_that_was_stopped_says_why(page: Any) -> None:
    """The reason and the remedy stand above the numbers."""
    stopped = KeyRefusedError("The service refused the API key (403).", remedy="Check the key.")
    text = page(stopped=stopped, statuses={Status.UNSENT: 4}).read_text("utf-8")
    assert "The service refused the API key (403)." in text
    assert "Check the key." in text


@pytest.mark.parametrize("hostile", [HOSTILE, IMAGE, "{{ 7 * 7 }}", "</script><script>1</script>", "&lt;b&gt;"])
def test_a_hostile_cell_is_text(page: Any, hostile: str) -> None:
    """No cell adds a tag to the page or is taken for the template's own words."""

    def with_cell(text: str) -> str:
        counts = {text: {Status.CREATED: 1}}
        written = page(
            [group(text, text, cause="no")], by=text, counts_by=counts, existing=(text,), created={text: [text]}
        )
        return str(written.read_text("utf-8"))

    harmless = Tags(with_cell("ann")).found
    text = with_cell(hostile)
    assert [tag for tag, _ in Tags(text).found] == [tag for tag, _ in harmless]
    assert "49" not in re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text, flags=re.DOTALL)


def test_a_formula_and_an_invisible_character_are_shown(page: Any) -> None:
    """What is copied into a spreadsheet does not run there, and nothing hides or turns the text round."""
    text = page([group("no", "=HYPERLINK(1)", "x\u202egnp.exe")]).read_text("utf-8")
    assert "<td>&#39;=HYPERLINK(1)</td>" in text
    assert "<td>x\\u202egnp.exe</td>" in text
    assert "\u202e" not in text


def test_the_page_is_its_owners_alone(page: Any) -> None:
    """As every file of the run folder."""
    assert stat.S_IMODE(page().stat().st_mode) == 0o600


def test_the_course_counts_each_row_once() -> None:
    """Cancelled creates are taken back, a row that is found later is finished once, and times are from accepted on."""
    row_id, other = RowId(1), RowId(2)
    events = [
        Event(row_id, 10.0, "sending"),
        Event(other, 10.5, "sending"),
        Event(other, 10.6, "cancelled"),
        Event(row_id, 11.0, "accepted"),
        Event(row_id, 14.0, "unfinished"),
        Event(row_id, 15.0, "created"),
        Event(row_id, 16.0, "created"),
    ]
    followed = follow(events)
    assert (list(followed.sent), list(followed.accepted), list(followed.finished)) == ([10.0], [11.0], [15.0])
    assert list(followed.durations) == [4.0]


def test_the_picture_begins_at_nothing_and_ends_at_all() -> None:
    """Curves only rise, end at their totals, and lie within the field, as does each time of waiting."""
    picture = draw(follow(course()), [(105.0, 110.0, "slow"), (0.0, 1.0, "before"), (130.0, 999.0, "to the end")])
    assert picture is not None
    assert [(curve.name, curve.total) for curve in picture.curves] == [("sent", 30), ("accepted", 30), ("finished", 30)]
    for curve in picture.curves:
        heights = [float(point.split(",")[1]) for point in curve.points.split()]
        assert heights == sorted(heights, reverse=True)
        assert heights[-1] == 0.0
        assert all(0.0 <= height <= 100.0 for height in heights)
    assert [why for _, _, why in picture.paused] == ["slow", "to the end"]
    assert all(left + width <= 100.01 for left, width, _ in picture.paused)
    assert draw(follow([]), []) is None


def browse(path: Path, script: str, tmp_path: Path, *options: str) -> Any:
    """What an expression comes to in a page that shows the report in a frame of its own origin."""
    host = tmp_path / "host.html"
    host.write_text(
        f"<iframe id=f src='{path.name}' width=800 height=600></iframe><pre id=out></pre><script>"
        "f.onload = () => setTimeout(() => {"
        "const page = f.contentDocument, title = page.title;"
        f"out.textContent = JSON.stringify({script});"
        "}, 200)</script>",
        "utf-8",
    )
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", *options]
    done = subprocess.run(
        [*words, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=50,
        check=True,
    )
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found[1]))


needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "REQUIRE_CHROMIUM" not in os.environ, reason="no Chromium is installed (Debian: chromium)"
)


@needs_chromium
def test_no_cell_runs_in_a_browser(page: Any, tmp_path: Path) -> None:
    """A username that is a script, and one that is an image with a handler, stay text: the title is the page's own."""
    path = page([group("no", HOSTILE, IMAGE)], course())
    title, cells = browse(
        path, "[title, [...page.querySelectorAll('td:nth-child(2)')].map(c => c.textContent)]", tmp_path
    )
    assert title == "clients/acme.csv: report"
    assert cells == [HOSTILE, IMAGE]


@needs_chromium
def test_a_script_that_slipped_in_would_not_run(page: Any, tmp_path: Path) -> None:
    """The page's policy lets its own script alone run, so that even a fault in the escaping would do no harm."""
    path = page([group("no", "ann")])
    path.write_text(
        path.read_text("utf-8").replace("<main>", f'<main>{HOSTILE}<img src=x onerror="{HOSTILE}">'), "utf-8"
    )
    assert browse(path, "title", tmp_path) == "clients/acme.csv: report"


@needs_chromium
def test_the_filter_shows_the_rows_that_hold_every_word(page: Any, tmp_path: Path) -> None:
    """Rows and groups without the words are hidden, and come back when the field is emptied."""
    path = page([group("no such domain", "ann", "ben"), group("too long", "anna")])
    seen = browse(
        path,
        "['ann', 'ann domain', 'nobody', ''].map(words => {"
        "const field = page.getElementById('filter'); field.value = words;"
        "field.dispatchEvent(new Event('input'));"
        "return [[...page.querySelectorAll('tbody tr')].filter(r => !r.hidden).length,"
        "[...page.querySelectorAll('section')].filter(s => !s.hidden).length]; })",
        tmp_path,
    )
    assert seen == [[2, 2], [1, 1], [0, 0], [3, 2]]


@needs_chromium
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_never_scrolls_sideways(page: Any, tmp_path: Path, width: int) -> None:
    """On a phone as on a desk, however long a cell is."""
    path = page([group("w" * 300, "u" * 200)], course(), paused=[(101.0, 105.0, "slow")])
    inner = f"[f.style.width = '{width}px', page.documentElement.scrollWidth <= {width}][1]"
    assert browse(path, inner, tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows sets no time zone for one program")
@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", "14 November 2023, 22:13 UTC"),
        ("Europe/Berlin", "14 November 2023, 23:13 CET (UTC+01:00)"),
        ("America/New_York", "14 November 2023, 17:13 EST (UTC-05:00)"),
    ],
)
def test_times_are_local_and_say_their_zone(monkeypatch: pytest.MonkeyPatch, zone: str, told: str) -> None:
    """A reader elsewhere, or later, must be able to tell when it was."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert local_time(1_700_000_000.0) == told
    finally:
        monkeypatch.undo()
        time.tzset()
