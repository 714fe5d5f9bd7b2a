"""Who listens for which resource over a line that several agents share."""

from typing import Any

import pytest

from remit.edge.upstream.listening import Listening
from remit.limits import SUBSCRIPTIONS_MAX
from remit.reasons import Denied, Reason


def listening(wire: Any = None) -> Listening:
    return Listening(wire, revision="2025-11-25", capabilities={})


def test_a_subscription_ends_with_the_last_agent_that_wants_it() -> None:
    shared = listening()
    shared.wants("note://1", "scout")
    shared.wants("note://1", "rival")
    assert not shared.is_last("note://1", "scout")
    assert shared
    assert shared.is_last("note://1", "rival")
    assert not shared


def test_who_never_wanted_a_resource_ends_nothing() -> None:
    shared = listening()
    shared.wants("note://1", "rival")
    assert not shared.is_last("note://1", "scout")
    assert not shared.is_last("note://2", "rival")
    assert shared.is_last("note://1", "rival")


@pytest.mark.holds("LIMIT-STEADY")
def test_a_session_listens_for_so_many_resources_and_no_more() -> None:
    busy = listening()
    for number in range(SUBSCRIPTIONS_MAX):
        busy.may_want(f"note://{number}")
        busy.wants(f"note://{number}", "scout")
    busy.may_want("note://0")  # one that is listened for already
    with pytest.raises(Denied) as no:
        busy.may_want("note://one-more")
    assert no.value.reason is Reason.UPSTREAM_LIMIT
