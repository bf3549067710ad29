"""What is learned from refusals and answers: the rule by itself, and short simulations of whole runs."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from simulated_services import FixedWindows, Overloaded, Program, Replaced, Service, sandbox_throttle, simulate
from simulated_services import Open as OpenDoor

from provisioner.records import AutoRate, Rate
from provisioner.service.answer_times import AnswerTimes
from provisioner.service.learned_rate import START, LearnedRate

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = 0.1


class Sender:
    """Sends as fast as a learned rate allows; each answer comes before the next request leaves."""

    def __init__(self, learned: LearnedRate) -> None:
        self.learned = learned
        self.now = 0.0

    def send(self, seconds: float, *, answer: float = ANSWER) -> None:
        """Send for this long, and let every request be answered."""
        until = self.now + seconds
        while self.now < until:
            sent = self._leave()
            self.learned.answered(sent, answer, sent + answer)

    def refuse(self, retry_after: float | None = 1.0) -> float:
        """Send one request and let it be refused. Returns the extra pause."""
        sent = self._leave()
        extra = self.learned.refused(sent, retry_after, sent + 0.01)
        self.now = sent + 0.01 + (retry_after or 1.0)
        return extra

    def _leave(self) -> float:
        self.now = sent = max(self.now + self.learned.spacing, self.learned.free_at())
        self.learned.sent(sent)
        return sent


@pytest.fixture
def sender() -> Sender:
    return Sender(LearnedRate(20.0, find=True))


def _spacing(count: float) -> float:
    """Seconds from one request to the next where this many are sent in a second."""
    return (1.043 + 0.011 / count) / count


def test_it_begins_slowly_and_grows_to_the_fastest_rate_that_is_allowed(sender: Sender) -> None:
    """Without a refusal the rate grows to the ceiling within a minute, never beyond, and no limit is claimed."""
    assert 1 / sender.learned.spacing == pytest.approx(START, rel=0.06)
    sender.send(60)
    assert sender.learned.spacing == pytest.approx(1 / 20)
    assert not sender.learned.is_known
    assert not sender.learned.is_found


@pytest.mark.parametrize("allowed", [3, 4])
def test_a_refusal_within_a_second_tells_the_limit_of_a_second(sender: Sender, allowed: int) -> None:
    """The requests that were let through in the second before the refusal are what the service allows."""
    for _ in range(allowed):
        sender.send(0.01)
    sender.refuse()
    assert sender.learned.rate == Rate(allowed, 1.0)


def test_the_first_limit_that_is_found_is_no_sign_of_others(sender: Sender) -> None:
    """It lies between two rates that are a fifth apart: neither it nor the more that is found next was given up."""
    while sender.learned.spacing > _spacing(14):
        sender.send(0.1)
    allowed = int(1.044 / sender.learned.spacing / 1.2)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(allowed))
    while sender.learned.spacing > _spacing(allowed + 2.5):
        sender.send(0.1)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(allowed + 2))


def test_one_request_in_a_window_is_always_sent(sender: Sender) -> None:
    """However often it is refused: less would not be noticed to be allowed again."""
    _learn(sender, 2)
    for _ in range(4):
        sender.send(7)
        sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(1))


def test_a_first_refusal_halves_the_rate_at_most(sender: Sender) -> None:
    """Others may fill the window just then: to take what was left for all there is would leave it to them."""
    sender.send(0.01)
    assert sender.learned.spacing == pytest.approx(_spacing(5))
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(3))


@pytest.mark.parametrize(("retry_after", "seconds"), [(12.0, 60.0), (3500.0, 3600.0)])
def test_retry_after_tells_how_long_the_window_is(sender: Sender, retry_after: float, seconds: float) -> None:
    """A wait of many seconds means a window of a minute, of many minutes an hour; what was let through counts."""
    sent = _sends(sender, 20)
    sender.refuse(retry_after)
    assert sender.learned.rate == Rate(sent - 1, seconds)
    assert 1 / sender.learned.spacing == pytest.approx(sent / seconds, rel=0.02)


def _sends(sender: Sender, seconds: float) -> int:
    """Send for this long. Returns how many requests left."""
    sender.send(seconds)
    return sender.learned._sent.count(sender.now + 1, seconds + 10)


def test_an_hour_is_known_whole_when_it_is_full_at_last(sender: Sender) -> None:
    """Ten minutes of requests were let through before the first refusal, and the hour allows all of them."""
    sender.send(600)
    sender.refuse(3000.0)
    rate = sender.learned.rate
    assert rate.seconds == 3600.0
    assert rate.count == pytest.approx(600 * 20, rel=0.05)


def test_a_window_of_a_minute_that_is_still_too_full_is_waited_for_longer_and_longer(sender: Sender) -> None:
    """Refused again and again after the pause, as when a limit was halved, it waits longer each time, to a bound."""
    sender.send(20)
    sender.refuse(40.0)
    assert [sender.refuse(1.0) for _ in range(6)] == [0.0, 2.0, 4.0, 8.0, 16.0, 16.0]


def test_asking_for_more_is_rarer_after_each_time_that_was_refused(sender: Sender) -> None:
    """Each refused attempt is undone at once, and the quiet time before the next grows, up to some minutes."""
    _learn(sender, 10)
    quiet = [_ask_in_vain(sender) for _ in range(8)]
    assert quiet[1:] == pytest.approx([19, 36, 69, 130, 150, 150, 150], abs=3)


def _ask_in_vain(sender: Sender) -> float:
    """Send until more is asked for, and let that be refused. Returns the seconds until then."""
    began, spacing = sender.now, sender.learned.spacing
    while sender.learned.spacing == spacing:
        sender.send(0.1)
    quiet = sender.now - began
    sender.refuse()
    assert sender.learned.spacing == spacing
    return quiet


def _learn(sender: Sender, limit: int, *, asked: int = 0) -> None:
    """Let this many requests a second be allowed, as an earlier run knows, and more be asked for so often in vain."""
    sender.learned.begin_at(Rate(limit, 1.0), sender.now)
    sender.send(3)
    for _ in range(asked):
        _ask_in_vain(sender)


def test_more_is_found_when_the_limit_was_raised(sender: Sender) -> None:
    """Where asking for more is not refused, it goes on in growing steps, to the ceiling."""
    _learn(sender, 6)
    sender.send(60)
    assert not sender.learned.is_known


def test_more_is_asked_for_in_growing_steps() -> None:
    """One request more at first; three quarters of a minute later twice as many as with single steps."""
    sender = Sender(LearnedRate(200.0, find=True))
    _learn(sender, 10)
    _send_until_more_is_asked_for(sender)
    assert sender.learned.spacing == pytest.approx(_spacing(11))
    sender.send(42)
    assert sender.learned.spacing < _spacing(2 * (11 + 42 / 2.1))


def test_a_rate_that_is_not_used_is_not_raised(sender: Sender) -> None:
    """A few answers a second say nothing about whether many would be let through."""
    _learn(sender, 10)
    before = sender.learned.spacing
    for _ in range(400):
        sender.now += 1.0
        sender.send(0.01)
    assert sender.learned.spacing == before


def test_requests_that_were_under_way_at_a_refusal_teach_nothing_more(sender: Sender) -> None:
    """Of many refusals for one cause, the first lowers the rate, and the others do not."""
    sender.send(10)
    times = [sender._leave() for _ in range(6)]
    sender.learned.refused(times[0], 1, times[-1] + 0.1)
    spacing = sender.learned.spacing
    for sent in times[1:]:
        sender.learned.refused(sent, 1, times[-1] + 0.2)
    assert sender.learned.spacing == spacing


def test_a_rate_that_was_allowed_and_is_refused_gives_a_part_away_and_takes_it_back(sender: Sender) -> None:
    """A refusal by somebody else's doing makes room for them for ten seconds; then all of it is taken back in steps."""
    _learn(sender, 10)
    sender.send(6)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(7))
    sender.send(9)
    assert sender.learned.spacing == pytest.approx(_spacing(7))
    sender.send(7)
    assert sender.learned.spacing == pytest.approx(_spacing(10))


def test_what_is_given_up_to_others_for_a_moment_is_not_told_as_the_limit(sender: Sender) -> None:
    """What the service takes is what was there when more was refused: that is told, and where the next run begins."""
    _learn(sender, 10)
    sender.send(6)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(7))
    assert sender.learned.rate == sender.learned.to_remember == Rate(10, 1.0)
    _send_until_more_is_asked_for(sender)
    sender.refuse()
    assert sender.learned.rate == Rate(7, 1.0)


@pytest.mark.parametrize(("allowed", "seconds", "kept"), [(20, 6, 13), (10, 6, 6.3), (20, 0.5, 13.47)])
def test_what_is_refused_right_after_the_rate_was_lowered_gives_up_one_at_most(
    allowed: int, seconds: float, kept: float
) -> None:
    """The network may have bunched what is just too much: that is no reason to give others a third.

    Of fewer than ten, one would be a large part; and who is refused again and again, as others fill each second first,
    would give up all of it to them.
    """
    sender = Sender(LearnedRate(50.0, find=True))
    _learn(sender, allowed)
    sender.send(6)
    sender.refuse()
    sender.send(seconds)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(kept), rel=0.001)


@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
def test_a_rate_that_is_one_too_many_is_not_kept(phase: float) -> None:
    """Nor where it looks allowed: after each pause, a whole second begins, and the others are refused."""
    program = Program(AutoRate(), remembered=Rate(4, 1.0))
    simulate(Service(FixedWindows(3, 1.0, phase), random.Random(1)), program, seconds=120)
    assert program.passed_between(30, 120) >= 0.9 * 90 * 3
    assert program.limiter.learned == Rate(3, 1.0)


@pytest.mark.parametrize(("before", "seconds", "left", "kept"), [(1, 4, 9, 9), (7, 4, 9, 9), (7, 0.5, 9.4545, 10)])
def test_what_was_given_up_as_bunched_is_taken_back_soon(
    sender: Sender, before: int, seconds: float, left: float, kept: int
) -> None:
    """Within twelve seconds, however rarely more is asked for.

    It is a sign of others, but for what is refused right after the rate was lowered.
    """
    _learn(sender, 10, asked=before)
    sender.send(seconds)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(left), rel=0.001)
    sender.send(12)
    assert sender.learned.spacing == pytest.approx(_spacing(10))
    _send_until_more_is_asked_for(sender)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(kept))


@pytest.mark.parametrize(("allowed", "kept"), [(10, 8), (30, 26), (40, 39)])
def test_one_less_than_before_is_a_sign_of_others_too(allowed: int, kept: int) -> None:
    """What they take from a program that was alone begins with one request; a tenth is given up for that.

    Of forty the network may have held back one.
    """
    sender = Sender(LearnedRate(50.0, find=True))
    _learn(sender, allowed, asked=7)
    sender.send(4)
    sender.refuse()
    sender.now += 80
    _send_until_more_is_asked_for(sender)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(kept))


def _send_until_more_is_asked_for(sender: Sender) -> float:
    """Returns the seconds until then."""
    began, spacing = sender.now, sender.learned.spacing
    while sender.learned.spacing == spacing:
        sender.send(0.1)
    return sender.now - began


@pytest.mark.parametrize(("allowed", "lowered", "kept"), [(5, 4, 5), (10, 7, 9), (20, 14, 18)])
def test_after_a_sign_of_others_a_tenth_is_given_up_with_each_refusal(allowed: int, lowered: int, kept: int) -> None:
    """In whole requests, so that who has more gives up more; later no more is given up."""
    sender = Sender(LearnedRate(50.0, find=True))
    _learn(sender, allowed)
    sender.send(6)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(lowered))
    while sender.learned.spacing > _spacing(allowed + 0.5):
        sender.send(0.1)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(kept))
    sender.now += 90
    while sender.learned.spacing > _spacing(allowed + 0.5):
        sender.send(0.1)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(allowed))


def test_while_a_limit_is_shared_what_is_refused_without_asking_gives_up_a_tenth_too() -> None:
    """Others asked for more: to give up three tenths each time would leave ever more to them."""
    sender = Sender(LearnedRate(50.0, find=True))
    _learn(sender, 40, asked=6)
    for kept in (28, 25, 22):
        sender.send(9)
        sender.refuse()
        assert sender.learned.spacing == pytest.approx(_spacing(kept))


def test_less_than_before_is_a_sign_of_others(sender: Sender) -> None:
    """Refused at fewer requests than when asking was refused before, it asks again soon, and gives up a tenth.

    The refusal that lowered the rate is so long ago that it is no sign any more.
    """
    _learn(sender, 10, asked=6)
    sender.send(8)
    sender.refuse()
    sender.now += 80
    _send_until_more_is_asked_for(sender)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(6))
    quiet = []
    for _ in range(2):
        quiet.append(_send_until_more_is_asked_for(sender))
        sender.refuse()
    assert quiet == pytest.approx([10, 10], abs=1)


@pytest.mark.parametrize(("found", "kept"), [([11], 11), ([12], 11), ([11, 12], 11), ([10, 11, 11], 11)])
def test_clearly_more_than_before_is_a_sign_of_others(sender: Sender, found: list[int], kept: int) -> None:
    """They gave it up: who took it asks again soon and gives up a tenth, or it would take all, one by one.

    One more is none. Two more are one, though they came one at a time.
    """
    _learn(sender, 10, asked=6)
    for count in found:
        while sender.learned.spacing > _spacing(count + 0.5):
            sender.send(0.1)
        sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(kept))
    is_sign = max(found) > 11
    assert (_send_until_more_is_asked_for(sender) < 12) is is_sign


def test_half_as_much_again_is_a_raised_limit_and_no_sign_of_others(sender: Sender) -> None:
    """All of it is kept when asking for even more is refused."""
    _learn(sender, 6, asked=1)
    while sender.learned.spacing > _spacing(9.5):
        sender.send(0.1)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(9))


@pytest.mark.parametrize(("longer", "more"), [(0, 0), (50, 189)])
def test_asking_in_vain_keeps_what_the_minute_let_through(sender: Sender, longer: float, more: int) -> None:
    """More than was known to be allowed, if more went through; always less than what was refused."""
    sender.send(30)
    sender.refuse(30.0)
    allowed = sender.learned.rate.count
    sender.send(70)
    _send_until_more_is_asked_for(sender)
    sender.send(longer)
    asked = sender.learned.spacing
    sender.refuse()
    assert sender.learned.rate == Rate(allowed + more, 60.0)
    assert sender.learned.spacing > asked


def test_what_was_asked_for_in_vain_is_not_kept_below_a_fixed_rate() -> None:
    """Though a whole second went through at it: one less is kept."""
    sender = Sender(LearnedRate(20.0, find=False))
    sender.send(2)
    sender.refuse()
    sender.send(2)
    sender.refuse()
    _send_until_more_is_asked_for(sender)
    asked = sender.learned.spacing
    sender.send(1.1)
    sender.refuse()
    assert sender.learned.spacing > asked


def test_who_knows_the_whole_leaves_half_of_it_to_others_that_have_come(sender: Sender) -> None:
    """In a long window it gives up a little first; if that is not there any more, it keeps half."""
    whole = _learn_the_whole(sender)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(whole / 0.85)
    sender.send(6)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(whole * 2, rel=0.01)


def test_less_than_the_whole_that_is_refused_is_a_sign_too(sender: Sender) -> None:
    """However long ago others were noticed, what is refused below the whole was taken by them: half is kept."""
    whole = _learn_the_whole(sender)
    sender.refuse()
    sender.now += 300
    sender.send(1)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(whole * 2, rel=0.01)


def test_half_of_the_whole_is_never_given_up(sender: Sender) -> None:
    """Others that are refused as well, and come back, get the other half, however often they try."""
    whole = _learn_the_whole(sender)
    for _ in range(12):
        sender.refuse()
        sender.send(2)
    assert sender.learned.spacing == pytest.approx(whole * 2, rel=0.01)


def test_who_found_others_there_does_not_take_its_part_for_the_whole(sender: Sender) -> None:
    """A minute that lets through only a few was filled by others: half of what they left would be too little."""
    sender.send(2)
    sender.refuse(50.0)
    sender.send(100)
    part = sender.learned.spacing
    for _ in range(2):
        sender.refuse()
    assert sender.learned.spacing < part / 0.6


@pytest.mark.parametrize(("before", "retry_after", "soon"), [(5, 50.0, True), (5, 55.0, False), (26, 20.0, False)])
def test_who_found_a_full_minute_asks_for_more_soon(
    sender: Sender, before: float, retry_after: float, *, soon: bool
) -> None:
    """If the minute began before the first request, and let through far less than was sent at, others may fill it.

    A quarter of a minute after it ended more is asked for; else after a minute.
    """
    sender.send(before)
    sender.refuse(retry_after)
    assert (_send_until_more_is_asked_for(sender) < 30) is soon


def test_a_part_below_half_of_the_whole_is_kept_when_it_is_refused(sender: Sender) -> None:
    """A refusal never makes it faster: the service was slow before, and half of the whole would be more than now."""
    whole = _learn_the_whole(sender, 55)
    for _ in range(6):
        sender.send(30, answer=4 * ANSWER)
    before = sender.learned.spacing
    assert before > whole * 2
    sender.refuse()
    assert sender.learned.spacing >= before


def test_a_whole_that_is_not_there_any_more_is_forgotten(sender: Sender) -> None:
    """The limit was halved long ago: what is kept when others come is about half of what is allowed now."""
    whole = _learn_the_whole(sender)
    sender.refuse()
    sender.send(6)
    sender.refuse()
    while sender.now < 3600:
        _ask_in_vain(sender)
    sender.send(2)
    sender.refuse()
    sender.send(6)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(whole * 4, rel=0.02)


def _learn_the_whole(sender: Sender, seconds: float = 30) -> float:
    """Let what was sent in these seconds be all that a minute allows, for so long that nobody else can be there.

    Returns the seconds from one request to the next.
    """
    sender.send(seconds)
    sender.refuse(60 - seconds)
    spacing = sender.learned.spacing
    while sender.now < 300:
        _ask_in_vain(sender)
    sender.send(2)
    return spacing


def test_refused_although_nothing_was_sent_it_does_not_slow_down(sender: Sender) -> None:
    """Others fill the window: to send less would leave all of it to them, however long this lasts."""
    spacing = sender.learned.spacing
    for _ in range(10):
        sender.refuse()
        sender.now += 1.0
    assert sender.learned.spacing == spacing


def test_more_is_asked_for_soon_when_others_fill_the_second(sender: Sender) -> None:
    """However rarely it was asked for: who comes to one that has all of it would wait for minutes."""
    _learn(sender, 10, asked=6)
    sender.now += 20
    sender.refuse()
    assert _send_until_more_is_asked_for(sender) < 12
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(9))


def test_what_was_allowed_is_not_forgotten_when_others_fill_the_second(sender: Sender) -> None:
    """It is not halved by what is refused next."""
    _learn(sender, 10, asked=6)
    sender.now += 20
    sender.refuse()
    sender.send(0.5)
    sender.refuse()
    assert sender.learned.spacing == pytest.approx(_spacing(9.5), rel=0.01)


def test_a_fixed_rate_is_the_fastest_and_what_refusals_teach_is_below_it() -> None:
    """With a fixed rate nothing is limited until a refusal, and never more is sent than the rate."""
    sender = Sender(LearnedRate(10.0, find=False))
    assert sender.learned.spacing == pytest.approx(0.1)
    sender.send(5)
    sender.refuse()
    assert 0.1 < sender.learned.spacing < 0.12
    sender.send(60)
    assert sender.learned.spacing == pytest.approx(0.1)


def test_an_earlier_runs_rate_is_where_this_one_begins() -> None:
    """It begins there, and asks for more before long; a rate above the ceiling is the ceiling."""
    sender = Sender(LearnedRate(20.0, find=True))
    sender.learned.begin_at(Rate(10, 1.0), 0.0)
    assert sender.learned.spacing == pytest.approx(_spacing(10))
    sender.send(40)
    assert not sender.learned.is_known
    capped = LearnedRate(5.0, find=True)
    capped.begin_at(Rate(10, 1.0), 0.0)
    assert 1 / capped.spacing <= 5.0


def test_answers_that_take_twice_as_long_are_noticed_and_hiccups_are_not() -> None:
    """Two blocks of slow answers in a row count; single slow answers, or a little slower ones, do not."""
    times = AnswerTimes()
    now = 0.0

    def add(*seconds: float) -> None:
        nonlocal now
        for one in seconds:
            now += 0.1
            times.add(one, now, at_rest=False)

    add(*[0.1] * 200)
    assert times.usual == pytest.approx(0.1)
    add(*([0.1] * 20 + [30.0]) * 10)
    assert times.slow_blocks == 0
    add(*[0.15] * 100)
    assert times.slow_blocks == 0
    add(*[0.25] * 64)
    assert times.slow_blocks >= 2
    assert times.is_slower


def test_answers_of_different_kinds_are_not_compared() -> None:
    """Creates take longer than questions; that more of them are sent now does not make the service slow."""
    sender = Sender(LearnedRate(20.0, find=True))
    for kind, seconds in (("question", 0.05), ("create", 0.5)):
        for _ in range(200):
            sent = sender._leave()
            sender.learned.answered(sent, seconds, sent + seconds, kind=kind)
    assert not sender.learned.is_found


doors: dict[str, Callable[[int, float], object]] = {"sliding": sandbox_throttle, "fixed": FixedWindows}


@pytest.mark.parametrize("door", doors)
@pytest.mark.parametrize(("count", "seconds"), [(3, 1.0), (10, 1.0), (100, 60.0)])
def test_a_limit_that_nobody_knows_is_used_nearly_whole(door: str, count: int, seconds: float) -> None:
    """Four minutes against a service with network jitter: little is lost, and few requests are refused."""
    program = Program(AutoRate())
    simulate(Service(doors[door](count, seconds), random.Random(1)), program, seconds=240)  # type: ignore[arg-type]
    used = program.passed_between(60, 240) / (180 * count / seconds)
    assert used >= 0.9
    assert len(program.refused) <= 4 + len(program.passed) / 100
    found = program.limiter.learned
    assert found is not None
    assert found.seconds == seconds
    assert found.count == pytest.approx(count, rel=0.03)


def test_a_lowered_limit_is_followed_within_seconds() -> None:
    """Half the limit is nearly used again half a minute after it was halved."""
    door = Replaced(sandbox_throttle(10, 1.0), sandbox_throttle(5, 1.0), at=120.0)
    program = Program(AutoRate())
    simulate(Service(door, random.Random(1)), program, seconds=180)
    assert program.passed_between(150, 180) >= 0.9 * 30 * 5
    assert program.passed_between(120, 180) <= 60 * 5 + 5


@pytest.mark.parametrize(
    ("later", "count", "seconds", "door"),
    [(0, 10, 1.0, "sliding"), (120, 10, 1.0, "sliding"), (30, 100, 60.0, "sliding"), (120, 100, 60.0, "fixed")],
)
def test_two_programs_share_one_account(later: int, count: int, seconds: float, door: str) -> None:
    """Whether they begin together or not, both get a good part of the limit, and most of it is used."""
    programs = [Program(AutoRate()), Program(AutoRate(), begins=later)]
    service = Service(doors[door](count, seconds), random.Random(1))  # type: ignore[arg-type]
    simulate(service, *programs, seconds=later + 300)
    shares = [program.passed_between(later + 60, later + 300) / (240 * count / seconds) for program in programs]
    assert sum(shares) >= 0.8
    assert min(shares) >= 0.25


def test_what_a_program_leaves_when_it_ends_is_taken_by_the_other() -> None:
    """The one that stays has most of the limit two and a half minutes later."""
    programs = [Program(AutoRate(), ends=150), Program(AutoRate(), begins=60)]
    simulate(Service(sandbox_throttle(10, 1.0), random.Random(1)), *programs, seconds=330)
    assert programs[1].passed_between(90, 150) <= 0.7 * 60 * 10
    assert programs[1].passed_between(300, 330) >= 0.9 * 30 * 10


def test_a_remembered_rate_that_another_program_has_meanwhile_is_shared() -> None:
    """Beginning at all of the limit, of which nothing is left, ends in a part of it for each."""
    programs = [Program(AutoRate()), Program(AutoRate(), begins=120, remembered=Rate(10, 1.0))]
    simulate(Service(sandbox_throttle(10, 1.0), random.Random(2)), *programs, seconds=420)
    shares = [program.passed_between(180, 420) / 2400 for program in programs]
    assert sum(shares) >= 0.85
    assert min(shares) >= 0.25


def test_a_service_that_slows_down_is_not_pushed() -> None:
    """It refuses nothing: the pace settles where answers are quick, near the most that it can do."""
    door = Overloaded(slowest_at=20)
    program = Program(AutoRate())
    simulate(Service(door, random.Random(1), answer=door.answer), program, seconds=180)
    took = sorted(program.took[len(program.took) // 2 :])
    assert took[len(took) // 2] <= 0.1
    assert program.passed_between(90, 180) >= 0.85 * 90 * 15


def test_without_a_limit_the_ceiling_is_reached_within_a_minute() -> None:
    program = Program(AutoRate(Rate(50, 1.0)))
    simulate(Service(OpenDoor(), random.Random(1)), program, seconds=60)
    assert program.fastest_at is not None
    assert program.fastest_at < 60
    assert program.limiter.learned is None
