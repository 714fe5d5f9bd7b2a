"""From facts, arguments, contract and policy text alone: the identical decision, and why."""

import json
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given

from remit.decision import Decision, Verdict
from remit.errors import CallerFault, ConfigFault
from remit.policy import STARTER, explain
from remit.policy.check import Policies
from remit.policy.model import Explanation, Request
from remit.policy.source import Policy
from tests.policy.test_index import requests, sets
from tests.policy.world import FILE, KNOWN, in_force, request

BODY = json.dumps({"name": "run", "inputSchema": FILE}).encode()


def explained(asked: Request, text: str, contract: bytes = BODY) -> Explanation:
    return explain(facts=asked.recorded(), arguments=msgspec.json.encode(asked.args), contract=contract, text=text)


@pytest.mark.holds("LEDGER-EXPLAIN")
@given(sets(), requests())
def test_the_decision_is_derived_again(found: tuple[Policy, ...], asked: Request) -> None:
    policies = Policies(found, KNOWN)
    decision = policies.decide(asked)
    if asked.tier in next(shape.tiers for shape in KNOWN.actions if shape.name == asked.action):
        assert explained(asked, policies.text).decision == decision


def test_what_determined_it_is_told_with_what_it_read() -> None:
    asked = request("desk/run", "privileged", boundary="same-user")
    found = explained(asked, STARTER)
    assert found.decision == in_force(STARTER).decide(asked)
    assert [(one.id, one.effect, dict(one.facts)) for one in found.determining] == [
        ("starter.privileged-approval", "forbid", {"context.approvals": []}),
        ("starter.same-user", "forbid", {"context.boundary": "same-user"}),
    ]
    assert found.determining[1].text.startswith("// Where agents share the gateway's OS user")
    considered = {one.id: dict(one.facts) for one in found.considered}
    assert considered["starter.privileged"] == {}
    assert considered["starter.template-tasks-read-only"] == {
        "action": "desk/run (privileged)",
        "context.task.origin": "declared",
    }
    assert considered["starter.tenant"] == {
        "context.task.tenant": "default",
        "principal.tenant": "default",
        "resource.tenant": "default",
    }


def test_a_fact_that_was_not_there_is_not_told() -> None:
    condition = "context.args has size && context.args.size > 3"
    text = f'@id("a") permit (principal, action == Action::"desk/run", resource) when {{ {condition} }};'
    (one,) = explained(request("desk/run"), text).considered
    assert dict(one.facts) == {}


@pytest.mark.parametrize(
    "action,body,args",
    [
        ("desk/prompt:hello", {"arguments": [{"name": "topic", "required": True}, {"name": "tone"}]}, {"topic": "x"}),
        ("desk/resource:*", {}, {"uri": "x"}),
        ("desk/tool", {"inputSchema": "none"}, {"x": 1}),
    ],
)
def test_prompts_resources_and_odd_contracts_are_explained_too(action: str, body: Any, args: Any) -> None:
    text = '@id("all") permit (principal, action, resource) when { context.untyped.isEmpty() };'
    found = explained(request(action, args=args), text, json.dumps(body).encode())
    assert found.decision.verdict is (Verdict.DENY if action == "desk/tool" else Verdict.ALLOW)


BROKEN: list[dict[str, bytes]] = [{"facts": b"{}"}, {"facts": b"\xff"}, {"arguments": b"[]"}, {"contract": b"not JSON"}]


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_record_that_cannot_be_read_is_said_to_be_so(broken: dict[str, bytes]) -> None:
    given_ = {"facts": request().recorded(), "arguments": b"{}", "contract": b"{}"} | broken
    with pytest.raises(CallerFault, match="cannot be read"):
        explain(facts=given_["facts"], arguments=given_["arguments"], contract=given_["contract"], text=STARTER)


def test_a_text_that_is_no_policy_set_is_refused() -> None:
    with pytest.raises(ConfigFault, match="no id"):
        explained(request(), "permit (principal, action, resource);")


def test_what_is_recorded_reads_back_without_the_arguments() -> None:
    asked = request(args={"path": "/secret"}, rows=("sha256:a",), tools=("desk/read",))
    assert b"secret" not in asked.recorded()
    assert msgspec.json.decode(asked.recorded(), type=Request) == msgspec.structs.replace(asked, args={})


SCRIPT = """
import sys
import msgspec
from remit.policy import explain
read = lambda name: open(f"{sys.argv[1]}/{name}", "rb").read()
found = explain(facts=read("facts"), arguments=read("arguments"), contract=read("contract"), text=read("text").decode())
sys.stdout.buffer.write(msgspec.json.encode(found.decision))
assert not [name for name in sys.modules if name.startswith("remit.edge") or name in ("sqlite3", "starlette")]
"""


def test_another_process_without_a_gateway_derives_the_same(tmp_path: Any) -> None:
    asked = request("desk/run", "privileged", args={"path": "/a", "price": 1.25, "other": None})
    files = {"facts": asked.recorded(), "arguments": msgspec.json.encode(asked.args), "contract": BODY}
    for name, data in {**files, "text": in_force(STARTER).text.encode()}.items():
        (tmp_path / name).write_bytes(data)
    told = subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True, capture_output=True).stdout
    assert msgspec.json.decode(told, type=Decision) == in_force(STARTER).decide(asked)
