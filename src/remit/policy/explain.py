"""Why a call was decided as it was, from the record alone.

Pure: the recorded request, its arguments, the body of the pinned contract and the text of the policy set, all found by
hash in an exported bundle, are everything a decision is made from. Nothing of the catalogue is needed, because the rows
it rested on are in the request.
"""

from typing import Any

import msgspec

from remit.errors import CallerFault
from remit.policy.check import Policies
from remit.policy.context import attributes_of, context_of
from remit.policy.known import arguments_schema
from remit.policy.model import ActionShape, Explained, Explanation, Known, Request
from remit.policy.reads import Path
from remit.policy.source import Policy, policies
from remit.policy.typed import typed


def explain(*, facts: bytes, arguments: bytes, contract: bytes, text: str) -> Explanation:
    """The decision derived again, with the policies and facts that determined it.

    `facts` is `Request.recorded()`, `arguments` the call's canonical bytes, `contract` the pinned contract's body as
    JSON (`{}` for a resource), `text` the policy set's. Raises `CallerFault` when one of them cannot be read, and
    `ConfigFault` for a text that is no policy set.
    """
    try:
        request = msgspec.structs.replace(
            msgspec.json.decode(facts, type=Request), args=msgspec.json.decode(arguments, type=dict[str, Any])
        )
        body = msgspec.json.decode(contract, type=dict[str, Any])
    except msgspec.DecodeError as e:
        raise CallerFault("the record of the request cannot be read", "export the bundle again and verify it") from e
    shape = ActionShape(name=request.action, tiers=(request.tier,), schema=arguments_schema(request.action, body))
    found = policies({"policy": text})
    inside = Policies(found, Known(actions=(shape,)))
    decision = inside.decide(request)
    context = msgspec.to_builtins(context_of(request, typed(shape.schema)))
    variables = {**attributes_of(request), "action": f"{request.action} ({request.tier})", "context": context}
    told = {policy.id: _explained(policy, variables) for policy in inside.considered(request)}
    return Explanation(
        decision=decision,
        determining=tuple(told[name] for name in decision.policies),
        considered=tuple(one for name, one in told.items() if name not in decision.policies),
    )


def _explained(policy: Policy, variables: dict[str, Any]) -> Explained:
    values = {".".join(path): _at(variables, path) for path in sorted(policy.reads)}
    there = {path: value for path, value in values.items() if value is not None}
    return Explained(id=policy.id, effect=policy.tree.effect, text=policy.text, facts=there)


def _at(value: Any, path: Path) -> Any:
    """What a path leads to, None where there is nothing: no fact is null."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
