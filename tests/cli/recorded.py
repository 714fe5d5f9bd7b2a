"""A record to read: receipts written to a real store, with the values and blobs a decision rests on."""

import asyncio
import secrets
import time
from pathlib import Path

import msgspec

from remit.canonical import canonical, digest
from remit.catalogue.classify import Touched
from remit.commit.model import Write
from remit.edge.cli.home import Home
from remit.edge.cli.records import Record
from remit.edge.keys.signing import load_signer
from remit.edge.store.sqlite import open_sqlite
from remit.ledger.receipt import Asked, Denial, Draft, Intent, Outcome
from remit.policy import STARTER
from remit.policy.model import Request
from tests.policy.world import FILE, in_force, request

CONTRACT = canonical({"name": "read", "inputSchema": FILE})
ARGUMENTS = {"path": "/srv/notes\u202e"}
POLICIES = in_force(STARTER)
BLOBS = {digest(CONTRACT): CONTRACT, digest(POLICIES.text.encode()): POLICIES.text.encode()}

# What is asked, by what the starter policy says of it.
DECIDED = {
    "ALLOW": request("desk/read", args=ARGUMENTS),
    "DENY": request("desk/run", "privileged", args=ARGUMENTS, boundary="same-user"),
    "STEP_UP": request("desk/run", "privileged", args=ARGUMENTS, boundary="separate-user"),
}


def record(home: Path, *drafts: Draft) -> None:
    """Write receipts to the home's ledger, durably."""

    async def write() -> None:
        store = await open_sqlite(
            home / "state" / "remit.db",
            signer=load_signer(home / "keys" / "ledger.key"),
            now=lambda: time.time_ns() // 1_000_000,
            salts=lambda: secrets.token_bytes(16),
        )
        await store.write(Write(drafts=drafts, blobs=BLOBS))
        await store.close()

    asyncio.run(write())


def allowed(task: str | None = None) -> Draft:
    """The intent of a read that the starter policy lets pass."""
    asked, values = _decided(DECIDED["ALLOW"])
    return Draft(body=Intent(asked=asked, epoch=0), task=task, values=values)


def forbidden() -> Draft:
    """The denial of a privileged call that the starter policy forbids."""
    asked, values = _decided(DECIDED["DENY"])
    return Draft(body=Denial(asked=asked, verdict="DENY", reason="policy.denied"), values=values)


def withheld() -> Draft:
    """The denial of a privileged call that waits for a person's yes."""
    asked, values = _decided(DECIDED["STEP_UP"])
    return Draft(
        body=Denial(asked=asked, verdict="STEP_UP", reason="approval.required", approvals=("privileged-call",)),
        values=values,
    )


def spent() -> Draft:
    """The denial of a read that policy allowed and the budget did not."""
    asked, values = _decided(DECIDED["ALLOW"])
    return Draft(body=Denial(asked=asked, verdict="DENY", reason="commit.budget"), values=values)


def malformed(reason: str = "schema.arguments") -> Draft:
    """A denial from before policy was asked."""
    asked = Asked(call="c", door="mcp-http", method="tools/call", connector="desk", name="read", agent="clerk")
    return Draft(body=Denial(asked=asked, verdict="DENY", reason=reason, detail="`/path`"))


def overtaken() -> Draft:
    """A denial from before policy, of a call that was decided again because what it rested on had moved."""
    asked, values = _decided(DECIDED["ALLOW"])
    return Draft(body=Denial(asked=asked, verdict="DENY", reason="task.not_open"), values=values)


def completed(intent: int, task: str | None = None) -> Draft:
    """The outcome of an intent."""
    return Draft(body=Outcome(call="c", intent=intent, outcome="completed", duration_ms=5), task=task)


def _decided(asked: Request) -> tuple[Asked, dict[str, bytes]]:
    decision = POLICIES.decide(asked)
    connector, _, name = asked.action.partition("/")
    body = Asked(
        call="c",
        door="mcp-http",
        method="tools/call",
        connector=connector,
        name=name,
        tier=asked.tier,
        contract=digest(CONTRACT),
        agent=asked.agent_name,
        policies=decision.policies,
        policy_set=decision.policy_set,
        basis=decision.basis,
    )
    touched = (Touched(data_class="internal", pointer="/path", value=ARGUMENTS["path"]),)
    values = {
        "arguments": canonical(ARGUMENTS),
        "facts": asked.recorded(),
        "touched": msgspec.json.encode(touched),
    }
    return body, values


def checkpoint(home: Path) -> bytes:
    """The newest checkpoint of a home's ledger, as an auditor would save it."""
    with Record(Home(home)) as opened:
        return opened.ledger.checkpoint()
