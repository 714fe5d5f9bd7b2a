"""The benchmark measures what it says: every call is made once, answered and on record, or there are no results.

No time is asserted: what a machine takes is its own affair.
"""

import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from bench import tools
from bench.cells import Cell
from bench.flames import folded, shares, svg
from bench.home import Size
from bench.load import Calls, Load, Pace, Place, Wrong, rendered, request_of
from bench.machine import ROOT
from bench.proof import Claim, Record, Unproven, by_task, digest_of
from bench.upstream import Desk, digest_of as digest_of_arguments
from bench.variations import QUICK, Pair, Varied
from remit.call import Ask, decode
from remit.canonical import canonical, parse
from remit.catalogue import contract_of
from remit.catalogue.model import Tool, ToolRow
from remit.ledger.receipt import Asked, Denial, Intent, Outcome, Receipt, Value
from remit.policy.source import policies
from remit.policy.starter import STARTER
from remit.schema import conforming

CLAIM = Claim("task-1", tools.READ, (10_000_001, 10_000_002, 10_000_003))
CALLS = Calls(tools.READ)
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
        timeout=300,
        check=False,
        env=os.environ,
    )

    assert done.returncode == 0, done.stderr
    assert "every one proven" in done.stdout
    text = out.read_text()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Results of `make bench`",
        "## The bars",
        "## Whole calls",
        "## At half load",
        "## One thing more",
        "## One call, step by step",
        "## What bounds it",
        "## Proof",
    ]
    whole, half, more = (_first_column(text, heading) for heading in headings[2:5])
    assert whole == ["direct", "pass-through", "Remit, read", "Remit, write"] * 3
    assert half == ["direct", "pass-through", "Remit, read"]
    assert more == [name for name in ("base case", *(one.name for one in QUICK)) for _ in (1, 16)]
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, "a table's rows are of one width"


@pytest.mark.parametrize("lines", [0, 10, 1_200])
def test_arguments_are_written_in_canonical_form_and_fit_the_contract(lines):
    body, _ = rendered(CALLS, parse(tools.arguments(12_345_678, lines)))
    request = parse(body)
    contract = contract_of("orders", "tool", name=tools.READ, body=tools.tools()[0])
    ask = Ask(method="tools/call", params=request["params"], token=None, audience="", connector="orders")

    call = decode(ask, "call-1")

    assert bytes(call.canonical) == tools.arguments(12_345_678, lines) == canonical(request["params"]["arguments"])
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
        load = Load(Place(port, "/mcp"), CALLS, serials=iter(tools.SERIALS))
        window = await load.run(Pace(3, 0.02, 0.05), usage=lambda: 1.0)

    (sent,) = load.sent
    assert sent == list(itertools.islice(tools.SERIALS, len(sent)))
    assert load.answered == len(sent) >= len(window.latencies) > 0


async def test_paced_calls_are_no_more_than_fell_due():
    async with _served(_result) as port:
        load = Load(Place(port, "/mcp"), CALLS, serials=iter(tools.SERIALS))
        window = await load.run(Pace(4, 0.05, 0.2, per_s=100), usage=lambda: 0.0)

    assert window.seconds >= 0.2
    assert load.answered == len(load.sent[0]) > 0
    # What fell due since the start, were the run as long as it took: never more, however fast answers come.
    assert len(window.latencies) <= window.seconds * 100 + 2


async def test_callers_take_turns_with_the_headers_they_are_given():
    calls = CALLS._replace(headers=({"Authorization": "one"}, {"Authorization": "two"}))
    async with _served(_result) as port:
        load = Load(Place(port, "/mcp"), calls, serials=iter(tools.SERIALS))
        await load.run(Pace(4, 0.02, 0.05), usage=lambda: 0.0)

    one, two = load.sent
    assert one
    assert two
    assert sorted(one + two) == list(itertools.islice(tools.SERIALS, load.answered))


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
        load = Load(Place(port, "/mcp"), CALLS, serials=iter(tools.SERIALS))
        with pytest.raises(Wrong):
            await load.run(Pace(2, 0.05, 0.05), usage=lambda: 0.0)


async def test_another_status_ends_the_run():
    async with _served(_result, status=b"503 Service Unavailable") as port:
        load = Load(Place(port, "/mcp"), CALLS, serials=iter(tools.SERIALS))
        with pytest.raises(Wrong):
            await load.run(Pace(1, 0.02, 0.02), usage=lambda: 0.0)


def test_calls_of_one_task_in_several_goes_are_proven_together():
    goes = [CLAIM._replace(serials=CLAIM.serials[:1]), CLAIM._replace(serials=CLAIM.serials[1:])]

    assert by_task(goes) == [CLAIM]


def test_a_task_called_in_two_ways_proves_nothing():
    with pytest.raises(Unproven):
        by_task([CLAIM, CLAIM._replace(lines=10)])


@pytest.mark.parametrize("size, actions", [(Size(), 10), (Size(policies=60), 52), (Size(policies=9_000), 8_992)])
def test_each_policy_of_a_size_names_an_action_of_its_own(size, actions):
    pinned = [f"orders/{name}" for name in tools.names()]
    pinned += [f"{shelf}/{name}" for shelf, number in size.shelves().items() for name in tools.on_shelf(number)]

    named = re.findall(r'action == Action::"([^"]+)"', size.own_policies())

    assert named == pinned[: size.policies - len(policies({"starter": STARTER}))]
    assert len(set(pinned)) == len(pinned) == max(10, actions)
    assert len(set(re.findall(r"serial >= ([0-9]+)", size.own_policies()))) == len(named)


def test_no_call_of_a_run_is_what_a_policy_of_its_home_forbids():
    assert min(map(int, re.findall(r"serial >= ([0-9]+)", Size().own_policies()))) > max(tools.SERIALS)


@pytest.mark.parametrize("ratio, flat", [(1.3, True), (1.0, True), (0.81, True), (0.79, False)])
def test_flat_means_not_much_slower_than_the_base_case_beside(ratio, flat):
    base = Cell(per_s=1_000, p50_us=1, p99_us=1, cpu_us=100, busy=1, load_us=1)
    pairs = [Pair(base, msgspec.structs.replace(base, per_s=1_000 * ratio))]

    assert Varied(QUICK[0], {1: pairs}, 0.0, 0.0, "").is_flat() is flat


def test_a_flame_graph_shows_what_ran_and_nothing_that_waited():
    root = folded(
        "main (remit/a.py:1);decide (remit/b.py:2) 3\n"
        "main (remit/a.py:1);0x7f (libc.so);read (x.c:7) 1\n"
        "main (remit/a.py:1);read (x.c:9) 1\n"
        "main (remit/a.py:1);wait (threading.py:3);pthread_cond_wait (libc.so) 90\n"
    )

    picture = svg(root, "a <run>")

    assert root.samples == 5
    assert shares(root, depth=2) == {"decide (remit/b.py:2)": 0.6, "read (x.c)": 0.4}
    assert "<title>decide (remit/b.py:2): 60.0%</title>" in picture
    assert "a &lt;run&gt;" in picture
    assert not re.search("script|href|url|pthread", picture)


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


def _first_column(text: str, heading: str) -> list[str]:
    """The first column of the table below a heading."""
    rows = [line for line in text.partition(f"{heading}\n")[2].partition("\n## ")[0].splitlines() if line[:1] == "|"]
    return [row.split("|")[1].strip() for row in rows][2:]


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

    await desk({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
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
