"""The policy reference names every attribute with its type, and everything it shows is executed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from remit.call import Call
from remit.canonical import canonical
from remit.catalogue import View, classify, contract_of, load
from remit.errors import ConfigFault
from remit.facts import of_agent, of_connector
from remit.policy import STARTER, Policies, cedar_schema, known, load as load_policies
from remit.policy.model import Facts, HistoryFacts, Request, TaskFacts, TimeFacts, ToolFacts

PAGE = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text()
DIGEST = "sha256:" + 64 * "0"


def block(kind: str) -> str:
    return PAGE.split(f"```{kind}\n")[1].split("```")[0]


def view() -> View:
    contracts = [
        contract_of(connector, "tool", name=body["name"], body=body)
        for connector, bodies in msgspec.json.decode(block("json contracts")).items()
        for body in bodies
    ]
    pins = {contract.key: msgspec.json.encode(contract) for contract in contracts}
    return View.of(load(block("yaml catalogue"), "page"), DIGEST, pins=pins, seen={}, keys={}, revoked={})


VIEW = view()


class Case(NamedTuple):
    """One row of an example's table."""

    policies: str
    call: str
    otherwise: str
    verdict: str
    by: tuple[str, ...]


def cases() -> Iterator[Case]:
    examples = PAGE.split("\n## Examples\n")[1].split("\n## ")[0]
    for text, rows in re.findall(r"```cedar\n(.+?)```\n\n(\|.+?)\n\n", examples + "\n", re.DOTALL):
        for row in rows.splitlines()[2:]:
            call, otherwise, verdict, by = (cell.strip() for cell in row.strip("|").split(" |"))
            yield Case(text, call.strip("`"), otherwise, verdict, tuple(re.findall(r"`([^`]+)`", by)))


CASES = list(cases())


def request(case: Case) -> Request:
    action, _, arguments = case.call.partition(" ")
    connector, _, name = action.partition("/")
    agent = dict(re.findall(r"(agent) `(\w+)`", case.otherwise)).get("agent", "triage")
    given = msgspec.json.decode(arguments)
    call = Call(
        id="c",
        method="resources/read" if name == "resource:*" else "tools/call",
        kind="resource" if name == "resource:*" else "tool",
        connector=connector,
        name=given["uri"] if name == "resource:*" else name,
        arguments=given,
        shown=given,
        canonical=Raw(canonical(given)),
        meta={},
    )
    row = VIEW.connector(connector)
    found = classify(row, call, classes=VIEW.declared.data_classes)
    facts = Facts(
        task=TaskFacts(
            purpose="serve-customers",
            origin="declared",
            age_s=10,
            calls_left=100,
            requester="person/ada",
            requester_proof="authenticated",
            environment="prod",
            tenant="default",
        ),
        history=HistoryFacts(),
        tool=ToolFacts(tier=found.tier, data_classes=found.data_classes),
        time=TimeFacts(epoch_s=1_800_000_000, hour_utc=12, weekday=1),
        method=call.method,
        environment=row.environment,
        boundary="separate-user",
    )
    return Request(
        agent_name=agent,
        agent=of_agent(VIEW.agent(agent)),
        action=call.action,
        tier=found.tier,
        connector_name=connector,
        connector=of_connector(row),
        facts=changed(facts, case.otherwise),
        args=given,
    )


def changed(facts: Facts, otherwise: str) -> Facts:
    """The facts with what a row says: `history.writes = 2`."""
    for path, value in re.findall(r"`([\w.]+) = (.+?)`", otherwise):
        group, _, name = path.rpartition(".")
        given = msgspec.json.decode(value)
        plain = tuple(given) if isinstance(given, list) else given
        facts = replace(facts, **({group: replace(getattr(facts, group), **{name: plain})} if group else {name: plain}))
    return facts


def in_force(text: str) -> Policies:
    return load_policies({"page.cedar": text}, known(VIEW))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.verdict} {case.call[:30]} {case.otherwise}")
def test_every_example_decides_as_the_page_says(case: Case) -> None:
    policies = in_force(case.policies)
    assert policies.warnings == ()
    decision = policies.decide(request(case))
    assert (decision.verdict, decision.policies) == (case.verdict, case.by)
    assert bool(decision.errors) == ("error" in case.otherwise)


def test_every_example_has_cases_and_every_verdict_is_shown() -> None:
    assert len({case.policies for case in CASES}) == PAGE.split("\n## Examples\n")[1].count("```cedar\n")
    assert {case.verdict for case in CASES} == {"ALLOW", "DENY", "STEP_UP"}


def flat(prefix: str, attributes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, one in attributes.items():
        if one["type"] == "Record":
            yield from flat(f"{prefix}.{name}", one["attributes"])
        else:
            yield f"{prefix}.{name}", "Set of String" if one["type"] == "Set" else one["type"]


def test_every_attribute_is_documented_with_its_type() -> None:
    listed = dict(re.findall(r"^\| `((?:principal|resource|context)\.[\w.]+)` \| ([\w ]+?) \|", PAGE, re.MULTILINE))
    assert listed.pop("context.args") == "Record"
    assert listed == {
        **dict(flat("principal", cedar_schema._AGENT["attributes"])),
        **dict(flat("resource", cedar_schema._CONNECTOR["attributes"])),
        **dict(flat("context", cedar_schema._CONTEXT)),
    }


def test_what_the_page_says_does_not_load_does_not_for_that_reason() -> None:
    rows = re.findall(
        r"^\| `(.+)` \| (.+) \|$", PAGE.split("\n## What does not load\n")[1].split("\n## ")[0], re.MULTILINE
    )
    assert len(rows) == 10
    for text, because in rows:
        with pytest.raises(ConfigFault, match=re.escape(because)) as caught:
            in_force(text)
        assert caught.value.where.startswith("page.cedar:")


def test_the_starter_set_in_the_page_is_the_one_that_is_applied() -> None:
    assert block("cedar starter") == STARTER
    told = re.findall(r"^\| `(starter\.[\w.-]+)` \| \S", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(re.findall(r'@id\("(.+?)"\)', STARTER))
