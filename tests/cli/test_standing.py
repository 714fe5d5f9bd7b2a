"""Agents, keys, tool servers and services are revoked and restored alike, each where it is listed."""

import pytest

PATHS = {"revoke": "/v1/revocations", "restore": "/v1/restorations"}
# What is typed between the move and the reason → what the door is told it is.
MEANT = {
    "an agent": (("agent", "{move}", "scout"), "agent", "scout"),
    "one key": (("agent", "{move}", "--key", "PLt1-E"), "key", "PLt1-E"),
    "a key that looks like a flag": (("agent", "{move}", "--key=-E"), "key", "-E"),
    "a tool server": (("tool", "{move}", "git"), "connector", "git"),
    "a service": (("service", "{move}", "pipeline"), "service", "pipeline"),
}


@pytest.mark.parametrize("move", PATHS)
@pytest.mark.parametrize("typed, what, name", MEANT.values(), ids=MEANT)
def test_each_is_named_to_the_door_with_its_reason(remit, door, move, typed, what, name):
    door.answers["POST", PATHS[move]] = {"epoch": 3, "receipt": 9}
    ran = remit(*(word.format(move=move) for word in typed), "--reason", "taken over")
    assert door.asked == [("POST", PATHS[move], {"what": what, "name": name, "reason": "taken over"})]
    assert ran.out == f"{what} {name} is {move.removesuffix('e')}ed, epoch 3, receipt 9\n"


@pytest.mark.parametrize("typed, what, name", MEANT.values(), ids=MEANT)
def test_revoking_takes_a_reason_and_restoring_need_not(remit, door, typed, what, name):
    door.answers["POST", PATHS["restore"]] = {"epoch": 3, "receipt": 9}
    assert remit(*(word.format(move="revoke") for word in typed)).code == 2
    assert remit(*(word.format(move="restore") for word in typed)).code == 0
    assert door.asked == [("POST", PATHS["restore"], {"what": what, "name": name, "reason": ""})]


@pytest.mark.parametrize("typed", [(), ("scout", "--key", "k1")], ids=["neither", "both"])
def test_it_is_an_agent_or_a_key(remit, door, typed):
    assert remit("agent", "revoke", *typed, "--reason", "x").code == 2
    assert door.asked == []


def test_what_was_revoked_is_so_until_it_is_restored(remit, staffed):
    kid = remit("agent", "enroll", "scout", "--json").json["kid"]
    for typed in (("agent", "--key", kid), ("agent", "scout"), ("tool", "git"), ("service", "pipeline")):
        assert remit(typed[0], "revoke", *typed[1:], "--reason", "incident 12").code == 0, typed
        again = remit(typed[0], "revoke", *typed[1:], "--reason", "twice")
        assert (again.code, "already revoked" in again.err) == (2, True)
    [scout] = remit("agent", "list", "--json").json["agents"]
    assert (scout["revoked"], scout["keys"]) == (True, [])

    for typed in (("agent", "--key", kid), ("agent", "scout"), ("tool", "git"), ("service", "pipeline")):
        assert remit(typed[0], "restore", *typed[1:]).code == 0, typed
    [scout] = remit("agent", "list", "--json").json["agents"]
    assert (scout["revoked"], scout["keys"]) == (False, [kid])
    shown = remit("ledger", "show").out
    for words in ("key revoked", f"{kid}: incident 12", "connector revoked", "service restored"):
        assert words in shown


@pytest.mark.parametrize("typed", [("agent", "revoke", "x"), ("tool", "revoke", "x"), ("service", "revoke", "x")])
def test_what_nobody_declared_cannot_be_revoked(remit, staffed, typed):
    ran = remit(*typed, "--reason", "x")
    assert (ran.code, "`x`" in ran.err) == (2, True)
