"""The values that pass between the stages."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.records import GAP, AutoRate, Fault, Rate, Request, Status, parse_rates
from provisioner.resources import Mailbox
from provisioner.secret import MASK, Secret

TEXT = "Tr0ub4dor&\"<'3"


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{:>30}".format, "%s".__mod__, "%r".__mod__], ids=range(6))
def test_a_secret_shows_as_dots_however_it_is_printed(show: object) -> None:
    """Neither printing nor formatting gives a secret away."""
    shown = show(Secret(TEXT))  # type: ignore[operator]
    assert TEXT not in shown
    assert MASK in shown


def test_a_secret_does_not_leave_by_the_side_doors(caplog: pytest.LogCaptureFixture) -> None:
    """Logs, the values that hold it, tracebacks and pickles do not hold its text."""
    secret = Secret(TEXT)
    request = Request("jane", 101, 201, secret, None, None)
    logging.getLogger(__name__).warning("sent %s", request)
    assert TEXT not in caplog.text
    assert TEXT not in "".join(traceback.format_exception(ValueError(request)))
    for leak in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


def test_secrets_compare_by_content() -> None:
    """Two secrets with one text are equal and hash alike."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("5/s", Rate(5, 1.0)),
        (" 200 / min ", Rate(200, 60.0)),
        ("30/m", Rate(30, 60.0)),
        ("1000/h", Rate(1000, 3600.0)),
    ],
)
def test_rates_are_read(text: str, rate: Rate) -> None:
    """A number and a unit make a rate."""
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("auto", AutoRate(Rate(20, 1.0))),
        ("auto:50/s", AutoRate(Rate(50, 1.0))),
        ("5/s", (Rate(5, 1.0),)),
        ("5/s,200/min", (Rate(5, 1.0), Rate(200, 60.0))),
    ],
)
def test_what_rate_means_is_read(text: str, rates: AutoRate | tuple[Rate, ...]) -> None:
    """The service's own limit, with a ceiling or the usual one; or rates that are kept at once."""
    assert parse_rates(text) == rates


@pytest.mark.parametrize("text", ["auto:", "auto:fast", "auto:5", "automatic", "5/s,auto"])
def test_what_is_no_ceiling_is_refused(text: str) -> None:
    """Nothing but a rate may follow."""
    with pytest.raises(ValueError, match="write auto"):
        parse_rates(text)


@pytest.mark.parametrize(
    "text", ["", "5", "5/", "/s", "0/s", "-1/s", "1.5/s", "5/s/s", "5 s", "5/fortnight", "\u0665/s", "5/s\n5"]
)
def test_what_is_no_rate_is_refused_with_a_sentence(text: str) -> None:
    """The sentence shows how to write one."""
    with pytest.raises(ValueError, match="such as 5/s or 200/min"):
        Rate.parse(text)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("jane@acme.example is taken", "…@acme.example is taken"),
        ("JANE is taken", "… is taken"),
        ("janet is taken", "janet is taken"),
        ("no reply to boss@acme.example", "no reply to …"),
    ],
)
def test_a_cause_reads_the_same_in_every_row(said: str, cause: str) -> None:
    """What belongs to the row alone is left out of a reason, and nothing else."""
    assert Request("jane", 101, 201, None, None, "boss@acme.example").anonymous(said) == cause


def test_a_mailbox_tells_its_address_where_the_service_does() -> None:
    """The full address comes as such, or from the username and the domain's name; else it is not known."""
    assert Mailbox("1", "jane@acme.example", None, None).address == "jane@acme.example"
    assert Mailbox("1", "jane", 101, "acme.example").address == "jane@acme.example"
    assert Mailbox("1", "jane", 101, None).address is None
    assert Mailbox("1", "jane@acme.example", None, None).username == "jane"


def test_each_status_is_either_done_or_to_be_retried() -> None:
    """Created, existing and valid rows are done; the service's last word is known of four kinds."""
    assert {status for status in Status if status.done} == {Status.CREATED, Status.EXISTS, Status.VALID}
    assert {status for status in Status if status.ends} == {
        Status.CREATED,
        Status.EXISTS,
        Status.REJECTED,
        Status.FAILED,
    }


@given(st.lists(st.text(), min_size=1), st.data())
def test_a_fault_says_what_belongs_to_a_row_in_its_place(pieces: list[str], data: st.DataObject) -> None:
    """Whatever the details are, ellipses among them, and whether or not the cause has more ellipses of its own."""
    pieces = [piece.replace(GAP, "") for piece in pieces]
    details = data.draw(st.lists(st.text(), max_size=len(pieces) - 1))
    sentence = Fault(GAP.join(pieces), tuple(details)).sentence
    filled = [*details, *[GAP] * (len(pieces) - 1 - len(details)), ""]
    assert sentence == "".join(piece + detail for piece, detail in zip(pieces, filled, strict=True))
