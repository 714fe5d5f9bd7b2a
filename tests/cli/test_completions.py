"""How the timeline tells what became of calls that ended later."""

import pytest

from remit.edge.cli.timeline import Timeline
from remit.ledger.receipt import Completion, Receipt


@pytest.mark.parametrize(
    "given, told",
    [
        ({"outcome": "completed"}, "completed"),
        ({"outcome": "cancelled", "detail": "the agent asked for it"}, "cancelled (the agent asked for it)"),
        ({"outcome": "withheld", "reason": "result.schema", "detail": "d"}, "withheld (result.schema: d)"),
    ],
)
def test_a_completion_names_the_call_it_ends(given, told):
    body = Completion(call="c", intent=3, operation="o", **given)
    (entry,) = Timeline().take(Receipt(seq=9, at=1, body=body), {})
    assert (entry.seq, entry.what, entry.became) == (9, "receipt 3 ended", told)
