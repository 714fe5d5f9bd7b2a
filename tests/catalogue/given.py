"""Rows, calls and contracts as tests need them: sound by default, each test changes what it is about."""

from typing import Any

import msgspec

from remit.call import Ask, Call, decode
from remit.catalogue import contract_of
from remit.catalogue.model import Agent, Connector, Contract, ContractKind, Declared, Model, Person, Purpose, ToolRow

CLASSES = ("public", "internal", "restricted")


def agent(**changes: Any) -> Agent:
    model = Model(provider="p", name="m", version="1")
    return Agent(**{"owner": "alice", "model": model, "version": "1", "environment": "dev"} | changes)


def connector(**changes: Any) -> Connector:
    tools = {
        "git_log": ToolRow(tier="read", data={"internal": ("/repo",)}),
        "git_commit": ToolRow(tier="write", data={"internal": ("/repo",)}),
    }
    return Connector(**{"owner": "alice", "environment": "dev", "command": ("git",), "tools": tools} | changes)


def purpose(**changes: Any) -> Purpose:
    row = {"owner": "alice", "tools": ("git/*",), "environments": ("dev",), "data_classes": CLASSES}
    return Purpose(**row | changes)


def declared(**changes: Any) -> Declared:
    rows = {
        "version": 1,
        "trust_domain": "remit.example",
        "environments": ("dev", "prod"),
        "data_classes": CLASSES,
        "people": {"alice": Person(email="alice@example.org")},
        "agents": {"coder": agent()},
        "connectors": {"git": connector()},
        "purposes": {"work": purpose()},
    }
    return Declared(**rows | changes)


def call(name: str, arguments: dict[str, Any] | None = None, *, method: str = "tools/call", on: str = "git") -> Call:
    params = {"uri": name} if method == "resources/read" else {"name": name, "arguments": arguments or {}}
    return decode(Ask(method=method, params=params, token=None, audience="x", connector=on), "c1")


def contract(name: str = "git_log", *, kind: ContractKind = "tool", on: str = "git", **body: Any) -> Contract:
    own = {"tool": "name", "prompt": "name", "resource": "uri", "template": "uriTemplate", "server": "instructions"}
    return contract_of(on, kind, name=name, body={own[kind]: name} | body)


def stored(*contracts: Contract) -> dict[str, bytes]:
    return {found.key: msgspec.json.encode(found) for found in contracts}
