"""What policies may speak of, as the catalogue and the pinned contracts have it."""

from typing import Any

import msgspec
import pytest

from remit.canonical import digest_of
from remit.catalogue import View
from remit.catalogue.model import Contract, Declared
from remit.errors import ConfigFault
from remit.policy import compiled, known, load, remember
from tests.policy.world import request

DECLARED = msgspec.convert(
    {
        "version": 1,
        "trust_domain": "corp.example",
        "environments": ["prod"],
        "people": {"ada": {"email": "ada@corp.example"}},
        "agents": {
            "triage": {
                "owner": "ada",
                "model": {"provider": "acme", "name": "opus", "version": "5"},
                "version": "1",
                "environment": "prod",
            }
        },
        "connectors": {
            "desk": {
                "owner": "ada",
                "environment": "prod",
                "url": "https://desk.example/mcp",
                "tools": {
                    "read": {"tier": "read"},
                    "run": {"rules": [{"when": {"properties": {"dry": {"const": True}}}, "tier": "read"}]},
                },
                "prompts": {"tier": "read"},
            }
        },
    },
    Declared,
)
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


def row(kind: Any, name: str, body: dict[str, Any]) -> dict[str, bytes]:
    contract = Contract(connector="desk", kind=kind, name=name, body=body, digest=digest_of(body))
    return {f"desk/{kind}/{name}": msgspec.json.encode(contract)}


READ = {"name": "read", "inputSchema": SCHEMA}
PINS = (
    row("tool", "read", READ)
    | row("tool", "run", {"name": "run", "inputSchema": SCHEMA})
    | row("prompt", "hello", {"name": "hello", "arguments": [{"name": "topic", "required": True}]})
    | row("resource", "file:///a", {"uri": "file:///a", "name": "a"})
)


def view(seen: dict[str, bytes] | None = None, revoked: tuple[str, ...] = ()) -> View:
    gone = dict.fromkeys(revoked, b'{"at": 1, "reason": "x", "actor": "ada"}')
    return View.of(DECLARED, "sha256:x", pins=PINS, seen=seen or {}, keys={}, revoked=gone)


def test_actions_are_what_is_pinned_with_every_tier_a_call_could_have() -> None:
    found = known(view())
    assert (found.agents, found.connectors) == (("triage",), ("desk",))
    assert {shape.name: shape.tiers for shape in found.actions} == {
        "desk/prompt:hello": ("read",),
        "desk/read": ("read",),
        "desk/run": ("read", "privileged"),
        "desk/resource:*": ("privileged",),
    }


def test_arguments_of_prompts_and_resources_are_typed_too() -> None:
    schemas = {shape.name: shape.schema for shape in known(view()).actions}
    assert schemas["desk/prompt:hello"]["required"] == ["topic"]
    assert schemas["desk/resource:*"]["required"] == ["uri"]
    files = 'action == Action::"desk/resource:*", resource) when { context.args.uri like "file:*" }'
    text = f'@id("r") permit (principal, {files};'
    decision = compiled(text, view()).decide(request("desk/resource:*", "privileged", args={"uri": "file:///a"}))
    assert decision.verdict == "ALLOW"


def test_what_was_never_pinned_cannot_be_named() -> None:
    seen = row("tool", "new", {"name": "new", "inputSchema": SCHEMA})
    with pytest.raises(ConfigFault, match="unrecognized action"):
        compiled('@id("a") permit (principal, action == Action::"desk/new", resource);', view(seen))


def test_a_drifted_tool_is_known_as_it_was_pinned() -> None:
    seen = row("tool", "read", {"name": "read", "inputSchema": {"type": "object"}})
    text = '@id("a") permit (principal, action == Action::"desk/read", resource) when { context.args.path == "/a" };'
    assert compiled(text, view(seen)).ids == ("a",)


def test_a_revocation_never_makes_the_policies_in_force_unreadable() -> None:
    text = '@id("a") permit (principal == Agent::"triage", action == Action::"desk/read", resource);'
    assert compiled(text, view(revoked=("connector/desk", "agent/triage"))).warnings == ()
    assert compiled(text, view(revoked=("connector/desk",))) is compiled(text, view())


def test_what_was_compiled_is_remembered_for_its_text_and_catalogue_only() -> None:
    first, second, third = (f'@id("a{n}") permit (principal, action in Action::"read", resource);' for n in range(3))
    assert compiled(first, view()) is compiled(first, view())
    assert [compiled(text, view()).ids for text in (second, third, first)] == [("a1",), ("a2",), ("a0",)]


def test_what_was_loaded_to_be_put_in_force_is_not_compiled_again() -> None:
    text = '@id("fresh") permit (principal, action == Action::"desk/read", resource);'
    loaded = load({"fresh.cedar": text}, known(view()))

    remember(loaded, view())

    assert compiled(loaded.text, view()) is loaded
