"""The benchmark measures what it says: every call is made once, answered and on record, or there are no results.

No time is asserted: what a machine takes is its own affair.
"""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from bench import tools
from bench.load import Load, Place, Wrong, request_of
from bench.machine import ROOT
from bench.proof import Claim, Record, Unproven, digest_of
from bench.upstream import Desk, digest_of as digest_of_arguments
from remit.call import Ask, decode
from remit.canonical import canonical, parse
from remit.catalogue import contract_of
from remit.catalogue.model import Tool, ToolRow
from remit.ledger.receipt import Asked, Denial, Intent, Outcome, Receipt, Value
from remit.schema import conforming

CLAIM = Claim("task-1", tools.READ, (10_000_001, 10_000_002, 10_000_003))
CONTRACT = "sha256:" + "0" * 64


@pytest.mark.slow
@pytest.mark.holds("BENCH-COUNT")
def test_a_quick_run_ends_with_results_and_every_call_proven(tmp_path):
    out = tmp_path / "RESULTS.md"

    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ,
    )

    assert done.returncode == 0, done.stderr
    assert "every one proven" in done.stdout
    text = out.read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results of `make bench`",
        "## The bar",
        "## Whole calls",
        "## One call, step by step",
        "## What bounds it",
        "## Proof",
    ]
    lanes = [line.split("|")[1].strip() for line in text.splitlines() if line.count("|") == 9][2:]
    assert lanes == ["direct", "pass-through", "Remit, read", "Remit, write"] * 3
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, "a table's rows are of one width"


def test_arguments_are_written_in_canonical_form_and_fit_the_contract():
    body, _ = request_of(tools.READ, 12_345_678, {})
    request = parse(body)
    contract = contract_of("orders", "tool", name=tools.READ, body=tools.tools()[0])
    ask = Ask(method="tools/call", params=request["params"], token=None, audience="", connector="orders")

    call = decode(ask, "call-1")

    assert bytes(call.canonical) == tools.arguments(12_345_678) == canonical(request["params"]["arguments"])
    assert conforming(call, Tool(contract=contract, row=ToolRow())).contract == contract


async def test_the_tool_server_remembers_every_call_until_it_is_asked():
    desk = Desk()
    for serial in (10_000_002, 10_000_001):
        await _asked(desk, "/mcp", request_of(tools.READ, serial, {})[0])

    told = msgspec.json.decode(await _asked(desk, "/seen"))

    assert told["calls"] == 2
    assert told["arguments"] == digest_of_arguments(_digests(10_000_001, 10_000_002))
    assert told["arguments"] != digest_of_arguments(_digests(10_000_001, 10_000_001))
    assert msgspec.json.decode(await _asked(desk, "/seen"))["calls"] == 0


async def test_load_sends_every_serial_once_and_takes_the_right_answers():
    async with _served(_result) as port:
        load = Load(Place(port, "/mcp"), tools.READ, serials=iter(tools.SERIALS), headers={})
        window = await load.run(3, warm_s=0.02, measure_s=0.05, usage=lambda: 1.0)

    assert load.sent == list(itertools.islice(tools.SERIALS, len(load.sent)))
    assert load.answered == len(load.sent) >= len(window.latencies) > 0


WRONG_ANSWERS = {
    "a refusal": lambda serial: _result(serial, is_error=True),
    "another's result": lambda serial: _result(serial + 1),
    "another's id": lambda serial: _result(serial).replace(b'"id":%d' % serial, b'"id":%d' % (serial + 1)),
    "a protocol error": lambda serial: b'{"jsonrpc":"2.0","id":%d,"error":{"code":4403,"message":"no"}}' % serial,
    "no JSON": lambda serial: b"sorry",
}


@pytest.mark.parametrize("answer", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
async def test_one_wrong_answer_ends_the_run(answer):
    async with _served(lambda serial: answer(serial) if serial % 10 == 7 else _result(serial)) as port:
        load = Load(Place(port, "/mcp"), tools.READ, serials=iter(tools.SERIALS), headers={})
        with pytest.raises(Wrong):
            await load.run(2, warm_s=0.05, measure_s=0.05, usage=lambda: 0.0)


async def test_another_status_ends_the_run():
    async with _served(_result, status=b"503 Service Unavailable") as port:
        load = Load(Place(port, "/mcp"), tools.READ, serials=iter(tools.SERIALS), headers={})
        with pytest.raises(Wrong):
            await load.run(1, warm_s=0.02, measure_s=0.02, usage=lambda: 0.0)


def test_a_record_of_exactly_the_calls_that_were_made_holds():
    _record(_proper()).holds(CLAIM, contract=CONTRACT)


def test_calls_of_another_task_prove_nothing():
    other = CLAIM._replace(task="task-2")
    with pytest.raises(Unproven):
        _record(_proper()).holds(other, contract=CONTRACT)


BROKEN: dict[str, Callable[[list[Intent | Outcome | Denial]], object]] = {
    "an intent is missing, and its outcome": lambda bodies: bodies.__delitem__(slice(4, 6)),
    "an outcome is missing": lambda bodies: bodies.pop(),
    "a call too many": lambda bodies: bodies.extend((_intent(10_000_009), _outcome(6))),
    "an outcome twice": lambda bodies: bodies.append(_outcome(0)),
    "an outcome of no intent": lambda bodies: bodies.append(_outcome(77)),
    "another call's intent": lambda bodies: bodies.__setitem__(0, _intent(10_000_009)),
    "the same call twice": lambda bodies: bodies.__setitem__(0, _intent(10_000_002)),
    "a call that did not complete": lambda bodies: bodies.__setitem__(1, _outcome(0, "unknown")),
    "a denial": lambda bodies: bodies.append(Denial(asked=_asked_for("x"), verdict="DENY", reason="policy.denied")),
}


@pytest.mark.parametrize("spoil", BROKEN.values(), ids=BROKEN)
def test_a_record_of_anything_else_does_not_hold(spoil):
    bodies = _proper()
    spoil(bodies)
    with pytest.raises(Unproven):
        _record(bodies).holds(CLAIM, contract=CONTRACT)


def test_a_record_under_another_contract_does_not_hold():
    with pytest.raises(Unproven):
        _record(_proper()).holds(CLAIM, contract="sha256:" + "1" * 64)


def _proper() -> list[Intent | Outcome | Denial]:
    bodies: list[Intent | Outcome | Denial] = []
    for serial in CLAIM.serials:
        bodies += [_intent(serial), _outcome(len(bodies))]
    return bodies


def _intent(serial: int) -> Intent:
    return Intent(asked=_asked_for(digest_of(serial, CLAIM, CONTRACT)), epoch=0)


def _outcome(intent: int, ending: str = "completed") -> Outcome:
    return Outcome(call="call", intent=intent, outcome=ending)


def _asked_for(digest: str) -> Asked:
    return Asked(call=digest, door="mcp-http")


def _record(bodies: list[Intent | Outcome | Denial]) -> Record:
    """As exported: the digest of each call, which names it here, lies beside its intent."""
    receipts = (Receipt(seq=seq, at=0, body=body, task=CLAIM.task, n=seq) for seq, body in enumerate(bodies))
    values = [
        Value(seq=seq, name="digest", salt=b"0" * 16, data=body.asked.call.encode())
        for seq, body in enumerate(bodies)
        if isinstance(body, Intent)
    ]
    return Record([msgspec.json.encode(receipt) for receipt in receipts], values)


def _digests(*serials: int) -> list[bytes]:
    desk = Desk()
    for serial in serials:
        desk.remember(tools.arguments(serial))
    return desk.seen


def _result(serial: int, *, is_error: bool = False) -> bytes:
    result = tools.result(serial, f"cus_{serial}") | {"isError": is_error}
    return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (serial, msgspec.json.encode(result))


async def _asked(desk: Desk, path: str, body: bytes = b"") -> bytes:
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event):
        sent.append(event)

    await desk({"type": "http", "path": path}, receive, send)
    return sent[1]["body"]


@asynccontextmanager
async def _served(answer: Callable[[int], bytes], *, status: bytes = b"200 OK") -> AsyncIterator[int]:
    """A server that answers each call as told, its answers cut in two."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            serial = msgspec.json.decode(await reader.readexactly(length))["id"]
            body = answer(serial)
            writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body)))
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(body)

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
