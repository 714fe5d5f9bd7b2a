"""In force is what the file declares and the store has not taken away."""

import msgspec
import pytest
from hypothesis import given, strategies as st

from remit.catalogue import View
from remit.catalogue.model import AgentKey, ExternalIdentity, Service, ToolRow
from remit.errors import StoreFault
from remit.reasons import Denied, Reason
from tests.catalogue.given import agent, call, connector, contract, declared, stored

LOG, CHANGED = contract(), contract(description="changed")
SERVER, SERVER_CHANGED = contract("s", kind="server"), contract("s", kind="server", command=["other"])
MESH = ExternalIdentity(issuer="mesh", subject="spiffe://mesh.example/a")


def view(file=None, *, pins=(), seen=(), keys=None, revoked=()):
    return View.of(
        file or declared(),
        "sha256:d",
        pins=stored(*pins),
        seen=stored(*seen),
        keys={kid: msgspec.json.encode(row) for kid, row in (keys or {}).items()},
        revoked=dict.fromkeys(revoked, b"{}"),
    )


def reason(act):
    with pytest.raises(Denied) as no:
        act()
    return no.value.reason


def gone(contract):
    return msgspec.structs.replace(contract, body={}, digest="")


@pytest.mark.holds("CATALOGUE-PIN")
@pytest.mark.parametrize(
    "pins, seen, served, quarantined",
    [
        ([LOG], [], LOG, None),
        ([LOG], [LOG], LOG, None),
        ([LOG], [CHANGED], LOG, CHANGED.digest),
        ([LOG], [gone(LOG)], LOG, ""),
        ([], [LOG], LOG, LOG.digest),
        ([LOG, SERVER], [SERVER_CHANGED], LOG, SERVER_CHANGED.digest),
        ([LOG, SERVER], [SERVER], LOG, None),
        ([LOG], [SERVER], LOG, SERVER.digest),
        ([LOG, SERVER], [CHANGED, SERVER_CHANGED], LOG, CHANGED.digest),
        ([LOG], [contract("s", kind="server", on="other")], LOG, None),
    ],
)
def test_what_differs_from_its_pin_is_served_as_pinned_and_quarantined(pins, seen, served, quarantined):
    found = view(pins=pins, seen=seen).tool(call("git_log"))
    assert (found.contract, found.quarantined) == (served, quarantined)
    assert found.row == connector().tools["git_log"]


@pytest.mark.holds("INV-12", "INPUT-NAME")
@pytest.mark.parametrize(
    "name, method",
    [("git_log2", "tools/call"), ("Git_log", "tools/call"), ("git_log/", "tools/call"), ("git_log", "prompts/get"),
     ("git_log", "resources/read"), ("../tool/git_log", "resources/read"), ("s", "tools/call")],
)  # fmt: skip
def test_what_was_never_seen_is_unknown(name, method):
    known = view(pins=[LOG, SERVER])
    assert reason(lambda: known.tool(call(name, method=method))) is Reason.SCHEMA_UNKNOWN


def test_a_contract_of_a_connector_the_file_does_not_declare_is_not_there():
    other = contract(on="svn")
    known = view(pins=[other], seen=[other])
    assert reason(lambda: known.tool(call("git_log", on="svn"))) is Reason.SCHEMA_UNKNOWN
    assert known.tools() == ()


def test_prompts_have_the_connectors_one_row():
    row = ToolRow(tier="read")
    known = view(declared(connectors={"git": connector(prompts=row)}), pins=[contract("ask", kind="prompt")])
    assert known.tool(call("ask", method="prompts/get")).row == row


TEMPLATE = contract("file:///d/{name}", kind="template")
WIDE = contract("file:///{+path}", kind="template")
EXACT = contract("file:///d/a", kind="resource")


@pytest.mark.parametrize(
    "pins, seen, served, is_quarantined",
    [
        ([EXACT, TEMPLATE], [], EXACT, False),
        ([TEMPLATE], [], TEMPLATE, False),
        ([WIDE, TEMPLATE], [], TEMPLATE, False),
        ([TEMPLATE, WIDE], [contract("file:///{+path}", kind="template", x=1)], TEMPLATE, False),
        ([TEMPLATE], [EXACT], TEMPLATE, False),
        ([EXACT, TEMPLATE], [contract("file:///d/a", kind="resource", x=1)], EXACT, True),
        ([], [EXACT], EXACT, True),
        ([], [EXACT, TEMPLATE], EXACT, True),
        ([], [TEMPLATE], TEMPLATE, True),
    ],
)
def test_a_resource_is_its_own_pins_or_a_pinned_templates(pins, seen, served, is_quarantined):
    found = view(pins=pins, seen=seen).tool(call("file:///d/a", method="resources/read"))
    assert found.contract == served
    assert (found.quarantined is not None) is is_quarantined


def test_no_template_covers_a_way_out():
    known = view(pins=[TEMPLATE, WIDE])
    for uri in ("file:///d/..", "file:///d/../a", "file:///d/%2e%2e", "file:///d/a%2fb"):
        assert reason(lambda uri=uri: known.tool(call(uri, method="resources/read"))) is Reason.SCHEMA_UNKNOWN


def test_tools_stand_in_a_fixed_order_without_those_of_revoked_connectors():
    file = declared(connectors={"git": connector(), "a": connector()})
    pins = [SERVER, TEMPLATE, contract("b"), contract("a"), contract("z", kind="prompt"), contract("x", on="a")]
    known = view(file, pins=pins, seen=[contract("new")], revoked=["connector/a"])
    names = [tool.contract.target for tool in known.tools("git")]
    assert names == ["git/prompt:z", "git/template:file:///d/{name}", "git/a", "git/b", "git/new"]
    assert known.tools() == known.tools("git")
    assert known.tools("a") == ()
    assert len(view(file, pins=pins).tools()) == 5


@pytest.mark.holds("INV-12", "CATALOGUE-REVOKED", "IDENT-REVOKED")
def test_agents_services_and_connectors_are_catalogued_owned_and_not_revoked():
    file = declared(
        agents={"coder": agent(), "orphan": agent(owner="nobody")},
        services={"flow": Service(owner="alice", identity=MESH), "orphan": Service(owner="nobody", identity=MESH)},
        connectors={"git": connector(), "orphan": connector(owner="nobody")},
    )
    known, revoked = view(file), view(file, revoked=["agent/coder", "service/flow", "connector/git"])

    assert known.agent("coder") == file.agents["coder"]
    assert known.service("flow") == file.services["flow"]
    assert known.connector("git") == file.connectors["git"]
    assert reason(lambda: known.agent("flow")) is Reason.IDENTITY_UNMAPPED
    assert reason(lambda: known.service("coder")) is Reason.IDENTITY_UNMAPPED
    assert reason(lambda: known.connector("Git")) is Reason.TASK_SCOPE
    assert reason(lambda: revoked.agent("coder")) is Reason.IDENTITY_REVOKED
    assert reason(lambda: revoked.service("flow")) is Reason.IDENTITY_REVOKED
    assert reason(lambda: revoked.connector("git")) is Reason.TASK_SCOPE
    for kind in (known.agent, known.service, known.connector):
        assert reason(lambda kind=kind: kind("orphan")) is Reason.IDENTITY_NO_OWNER


@pytest.mark.holds("CATALOGUE-REVOKED")
@given(st.sets(st.sampled_from(["agent/coder", "connector/git", "key/k", "service/flow"])))
def test_a_reload_never_brings_back_what_was_revoked(revoked):
    before, after = (
        view(declared(environments=places), pins=[LOG], keys={"k": KEY}, revoked=revoked)
        for places in (("dev", "prod"), ("dev", "prod", "qa"))
    )
    for known in (before, after):
        assert {f"{what}/{name}" for what, name in NAMES if known.is_revoked(what, name)} == revoked
        assert (known.agent_key("k") is None) is bool({"agent/coder", "key/k"} & revoked)
        assert (known.tools() == ()) is ("connector/git" in revoked)


NAMES = (("agent", "coder"), ("connector", "git"), ("key", "k"), ("service", "flow"), ("agent", "git"))
KEY = {"agent": "coder", "jwk": {"kty": "OKP"}, "at": 1}


@pytest.mark.holds("IDENT-ISSUER")
def test_identities_match_exactly_or_not_at_all():
    other = ExternalIdentity(issuer="ci", subject="repo:a")
    file = declared(
        agents={"coder": agent(), "outer": agent(identity=other)},
        services={"flow": Service(owner="alice", identity=MESH)},
    )
    known = view(file)
    assert known.agent_by_identity("ci", "repo:a") == "outer"
    assert known.service_by_identity(MESH.issuer, MESH.subject) == "flow"
    for issuer, subject in (("ci", "repo:A"), ("CI", "repo:a"), ("mesh", "repo:a"), ("ci", ""), ("ci", "repo:a ")):
        assert known.agent_by_identity(issuer, subject) is None
        assert known.service_by_identity(issuer, subject) is None


def test_a_key_is_its_agents_while_the_agent_is_of_the_local_trust_domain():
    assert view(keys={"k": KEY}).agent_key("k") == AgentKey(agent="coder", jwk={"kty": "OKP"})
    assert view(keys={"k": KEY}).agent_key("K") is None
    assert view(keys={"k": KEY | {"agent": "nobody"}}).agent_key("k") is None
    assert view(declared(agents={"coder": agent(identity=MESH)}), keys={"k": KEY}).agent_key("k") is None


def test_a_stored_key_that_cannot_be_read_stops_everything():
    with pytest.raises(StoreFault, match="agent key `k`"):
        view(keys={"k": {"agent": 1}})
