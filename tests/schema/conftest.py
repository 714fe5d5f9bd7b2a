"""A pinned tool with a given input schema, and a call of it."""

from collections.abc import Callable
from typing import Any

import pytest

from remit.call import Ask, Call, decode
from remit.canonical import digest_of
from remit.catalogue.model import Contract, ContractKind, Tool, ToolRow
from remit.reasons import Denied, Reason
from remit.schema import conforming


def pinned(body: dict[str, Any], kind: ContractKind = "tool", quarantined: str | None = None) -> Tool:
    contract = Contract(connector="desk", kind=kind, name="file", body=body, digest=digest_of(body))
    return Tool(contract=contract, row=ToolRow(), quarantined=quarantined)


def called(arguments: Any, method: str = "tools/call", name: str = "file") -> Call:
    params = {"uri": name} if method == "resources/read" else {"name": name, "arguments": arguments}
    return decode(Ask(method=method, params=params, token=None, audience="", connector="desk"), "c1")


Refused = Callable[[dict[str, Any], Any], str | None]


@pytest.fixture
def refused() -> Refused:
    """What a schema says to arguments: None when they conform, else the detail of the denial."""

    def _refused(schema: dict[str, Any], arguments: Any) -> str | None:
        tool = pinned({"inputSchema": schema})
        try:
            return None if conforming(called(arguments), tool) is tool else "another tool"
        except Denied as no:
            return no.detail if no.reason is Reason.SCHEMA_ARGUMENTS else str(no.reason)

    return _refused
