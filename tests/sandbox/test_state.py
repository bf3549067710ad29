"""What is remembered, on a clock of the test's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioner.sandbox.faults import Faults
from provisioner.sandbox.options import SandboxOptions
from provisioner.sandbox.records import Wanted
from provisioner.sandbox.state import State


def _wanted(username: str) -> Wanted:
    return Wanted(
        username=username,
        domain=101,
        domain_name="acme-mail.example",
        relay_server=201,
        password=None,
        project=None,
        reply_to=None,
    )


STEPS = st.lists(st.tuples(st.sampled_from("abcAB"), st.floats(-1.0, 5.0)), max_size=60)


@given(STEPS, st.integers(0, 1000))
def test_no_address_is_ever_made_twice(steps: list[tuple[str, float]], seed: int) -> None:
    """Whatever the order of creates and the clock, mailboxes are unique and once listed stay listed, in order."""
    now = [1_800_000_000.0]
    state = State(None, clock=lambda: now[0])
    faults = Faults(SandboxOptions(seed=seed, fail_share=0.4, stuck_share=0.1), life=1)
    listed: list[str] = []
    for username, gap in steps:
        now[0] += gap
        if not state.is_taken(_wanted(username).address):
            state.carry_out(_wanted(username), faults.create())
        after = [creation.address for creation in state.listed()]
        assert after[: len(listed)] == listed
        listed = after
    assert len({address.casefold() for address in listed}) == len(listed)
    listed = [creation.address for creation in state.listed()]
    assert sorted(listed) == sorted(creation.address for creation in state.mailboxes)


def test_a_task_ends_when_it_is_due() -> None:
    """A task is pending, started after a quarter of its time, and done at its due time, by the clock alone."""
    now = [1_800_000_000.0]
    state = State(None, clock=lambda: now[0])
    faults = Faults(SandboxOptions(latency=8.0, latency_spread=0.0), life=1)
    creation = state.carry_out(_wanted("a"), faults.create())
    seen = []
    for second in range(10):
        now[0] = 1_800_000_000.0 + second
        seen.append(creation.state(state.now()))
    assert seen == ["pending"] * 2 + ["started"] * 6 + ["success"] * 2


def test_what_was_seen_to_end_stays_ended() -> None:
    """A wall clock that is set back undoes nothing."""
    now = [1_800_000_000.0]
    state = State(None, clock=lambda: now[0])
    creation = state.carry_out(_wanted("a"), Faults(SandboxOptions(latency=1.0), life=1).create())
    now[0] += 60.0
    assert creation.state(state.now()) == "success"
    now[0] -= 60.0
    assert creation.state(state.now()) == "success"
    assert creation in state.mailboxes
