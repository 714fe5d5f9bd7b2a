"""Step 2's last word: which catalogued agent may come in."""

import pytest

from remit.identity import admitted
from remit.identity.model import Principal
from remit.identity.spiffe import agent_id
from remit.reasons import Denied, Reason
from tests.identity.world import DOMAIN, NOW, declared, view


def principal(**changes):
    rows = {
        "kind": "agent",
        "name": "bot",
        "id": agent_id(DOMAIN, "bot"),
        "issuer": "local",
        "subject": agent_id(DOMAIN, "bot"),
        "expires": NOW,
        "key": "k1",
    }
    return Principal(**{**rows, **changes})


def test_a_catalogued_owned_unrevoked_agent_is_admitted():
    assert admitted(principal(), view()) == declared().agents["bot"]


@pytest.mark.parametrize(
    "changes,revoked,owners,reason",
    [
        ({"kind": "service"}, (), ("ada",), Reason.IDENTITY_DOOR),
        ({"kind": "human"}, (), ("ada",), Reason.IDENTITY_DOOR),
        ({"name": "nobody"}, (), ("ada",), Reason.IDENTITY_UNMAPPED),
        ({}, ("agent/bot",), ("ada",), Reason.IDENTITY_REVOKED),
        ({}, ("key/k1",), ("ada",), Reason.IDENTITY_REVOKED),
        ({}, (), (), Reason.IDENTITY_NO_OWNER),
    ],
)
def test_everybody_else_is_not(changes, revoked, owners, reason):
    people = {name: row for name, row in declared().people.items() if name in owners}

    with pytest.raises(Denied) as refused:
        admitted(principal(**changes), view(*revoked, rows=declared(people=people)))

    assert refused.value.reason is reason


def test_what_is_revoked_of_others_does_not_matter():
    assert admitted(principal(), view("agent/other", "key/k2", "service/bot", "connector/bot"))
