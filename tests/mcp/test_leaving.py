"""Watching whether a client leaves holds nothing once the call is over."""

import pytest

from remit.edge.mcp.leaving import Cancelled, Leaving, Left


def test_a_client_that_leaves_cancels_what_runs_and_nothing_else() -> None:
    left: Left = set()
    ended, running = Cancelled(), Cancelled()
    with Leaving(left, ended):
        pass
    with Leaving(left, running):
        for act in list(left):
            act()
    assert running.is_set()
    assert not ended.is_set()


@pytest.mark.holds("LIMIT-STEADY")
def test_a_call_leaves_nothing_behind_at_its_connection() -> None:
    left: Left = set()
    with Leaving(left, Cancelled()):
        assert left
    assert not left
