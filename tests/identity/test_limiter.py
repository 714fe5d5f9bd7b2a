"""How much one valid agent may ask at once."""

import pytest
from hypothesis import given, strategies as st

from remit.catalogue.model import AgentLimits
from remit.edge.limiter import Limiter
from remit.reasons import Denied, Reason

LIMITS = AgentLimits(calls_per_second=10, in_flight=3, streams=2)


def calls(limiter: Limiter, agent: str, times: int, now: int) -> int:
    """How many of `times` calls, each over before the next, were let in."""
    passed = 0
    for _ in range(times):
        try:
            limiter.enter(agent, LIMITS, now=now)
        except Denied as no:
            if no.reason is not Reason.IDENTITY_RATE:
                raise
        else:
            limiter.leave(agent)
            passed += 1
    return passed


@pytest.mark.holds("LIMIT-RATE")
def test_an_agent_past_its_rate_waits_and_others_do_not():
    limiter = Limiter()

    assert calls(limiter, "bot", 20, now=0) == 10
    assert calls(limiter, "other", 20, now=0) == 10
    assert calls(limiter, "bot", 20, now=300) == 3
    assert calls(limiter, "bot", 20, now=60_000) == 10


def test_a_clock_that_runs_back_gives_nothing():
    limiter = Limiter()
    assert calls(limiter, "bot", 20, now=10_000) == 10

    assert calls(limiter, "bot", 20, now=5_000) == 0
    assert calls(limiter, "bot", 20, now=5_100) == 1


@pytest.mark.holds("LIMIT-FLIGHT")
def test_calls_in_flight_are_bounded_until_one_ends():
    limiter = Limiter()
    for _ in range(3):
        limiter.enter("bot", LIMITS, now=0)

    with pytest.raises(Denied) as refused:
        limiter.enter("bot", LIMITS, now=0)
    assert refused.value.reason is Reason.IDENTITY_IN_FLIGHT

    limiter.leave("bot")
    limiter.enter("bot", LIMITS, now=0)


def test_a_refusal_costs_what_a_call_costs():
    limiter = Limiter()
    for _ in range(3):
        limiter.enter("bot", LIMITS, now=0)
    for _ in range(7):
        with pytest.raises(Denied):
            limiter.enter("bot", LIMITS, now=0)
    limiter.leave("bot")

    assert calls(limiter, "bot", 1, now=0) == 0


@pytest.mark.holds("LIMIT-STREAMS")
def test_streams_are_bounded_until_one_closes():
    limiter = Limiter()
    limiter.open_stream("bot", LIMITS)
    limiter.open_stream("bot", LIMITS)

    with pytest.raises(Denied) as refused:
        limiter.open_stream("bot", LIMITS)
    assert refused.value.reason is Reason.IDENTITY_IN_FLIGHT

    limiter.close_stream("bot")
    limiter.open_stream("bot", LIMITS)
    assert calls(limiter, "bot", 20, now=0) == 10


@given(st.lists(st.integers(0, 400), max_size=200))
def test_no_window_of_a_second_passes_more_than_two_seconds_worth(gaps):
    limiter, now, passed = Limiter(), 0, []
    for gap in gaps:
        now += gap
        passed += [now] * calls(limiter, "bot", 3, now)

    assert all(sum(start <= at < start + 1000 for at in passed) <= 20 for start in passed)
