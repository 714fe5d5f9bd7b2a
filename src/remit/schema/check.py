"""Step 4, the answer: a call of exactly the contract that was pinned."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from remit.call.model import Call
from remit.catalogue.model import Contract, Tool
from remit.errors import CallerFault
from remit.limits import DEPTH_MAX
from remit.reasons import Denied, Reason
from remit.schema.compiled import Compiled, compiled

_SHOWN: Final = 5


def conforming(call: Call, tool: Tool) -> Tool:
    """The tool, if `call` is a well-formed call of its pinned contract.

    Raises `Denied(schema.quarantined)` while the server advertises something else than the pin, and
    `Denied(schema.arguments)` naming paths and keywords of what does not fit, never a value.
    """
    if tool.quarantined is not None:
        raise Denied(Reason.SCHEMA_QUARANTINED, f"`{call.target[:200]}` awaits review")
    if call.kind == "tool":
        _arguments(call.arguments, tool.contract)
    elif call.kind == "prompt":
        _prompt(call.shown, tool.contract, whole=call.method == "prompts/get")
    elif call.shown != {"uri": call.name}:
        raise Denied(Reason.SCHEMA_ARGUMENTS, "a resource takes its uri and nothing else")
    return tool


def check_contract(contract: Contract) -> tuple[str, ...]:
    """The open places of a contract about to be pinned (see `open_places`).

    Raises `CallerFault` for one no call could be checked against: no or an invalid schema, a reference to
    elsewhere, a prompt whose arguments are not a list of uniquely named ones; or for an output schema that could stall.
    """
    if contract.kind == "prompt":
        _declared(contract)
    if contract.kind != "tool":
        return ()
    try:
        ready = _input(contract)
        _bounded(contract.body.get("outputSchema"))
    except CallerFault as e:
        raise CallerFault(f"`{contract.target}`: {e.message}", e.advice) from e
    return ready.open


def open_places(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """JSON Pointers into `schema` where what it does not name may still be sent, sorted. Raises `CallerFault`.

    Example: `{"properties": {"labels": {"type": "object"}}}` is open at `/properties/labels`.
    """
    return compiled(schema).open


def _arguments(arguments: dict[str, Any], contract: Contract) -> None:
    try:
        ready = _input(contract)
    except CallerFault as e:
        raise Denied(Reason.SCHEMA_ARGUMENTS, f"the pinned contract cannot be used: {e.message}") from e
    if ready.fits(arguments):
        return
    _refuse(Reason.SCHEMA_ARGUMENTS, ready.failures(arguments))
    _refuse(Reason.SCHEMA_ARGUMENTS, (f"`{at[:200]}` (not in the schema)" for at in ready.unnamed(arguments)))


def _prompt(arguments: dict[str, Any], contract: Contract, *, whole: bool) -> None:
    """`whole` is False for a completion: what is required may still be missing."""
    try:
        declared = _declared(contract)
    except CallerFault as e:
        raise Denied(Reason.SCHEMA_ARGUMENTS, f"the pinned contract cannot be used: {e.message}") from e
    _refuse(Reason.SCHEMA_ARGUMENTS, (f"`/{name[:80]}` (not declared)" for name in arguments.keys() - declared.keys()))
    missing = (name for name, required in declared.items() if whole and required and name not in arguments)
    _refuse(Reason.SCHEMA_ARGUMENTS, (f"`/{name[:80]}` (required)" for name in missing))
    wrong = (name for name, value in arguments.items() if not isinstance(value, str))
    _refuse(Reason.SCHEMA_ARGUMENTS, (f"`/{name[:80]}` (type: string)" for name in wrong))


def _input(contract: Contract) -> Compiled:
    return compiled(contract.body.get("inputSchema"), f"input of {contract.digest}")


def _bounded(output: Any) -> None:
    """A result is as deep as its server likes, so its schema may not be one whose work doubles with every level."""
    if output is not None and len(compiled(output).work) <= DEPTH_MAX:
        raise CallerFault(
            "the output schema checks the same member again on every level",
            "results could stall the gateway; ask the owner of the tool server for a simpler one",
        )


def _declared(contract: Contract) -> dict[str, bool]:
    """The arguments of a prompt: name to whether it is required."""
    rows = contract.body.get("arguments") or ()
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise CallerFault(f"the arguments of prompt `{contract.target}` are not a list of objects")
    declared = {row.get("name"): row.get("required") is True for row in rows}
    if len(declared) != len(rows) or not all(isinstance(name, str) and name for name in declared):
        raise CallerFault(f"the arguments of prompt `{contract.target}` are not uniquely named")
    return {str(name): required for name, required in declared.items()}


def _refuse(reason: Reason, failures: Iterable[str]) -> None:
    shown = sorted(set(islice(failures, _SHOWN)))
    if shown:
        raise Denied(reason, "; ".join(shown))


def accepts_more(tool: Tool) -> bool:
    """Whether calls of a tool may send what its contract does not name, somewhere: a fact for policy."""
    return tool.contract.kind == "tool" and bool(_input(tool.contract).open)
