"""A tool server as a process of this machine: well-behaved, broken and hostile."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec
import pytest

from remit.canonical import canonical
from remit.edge.upstream.sessions import Pace
from remit.errors import UpstreamFault
from remit.limits import RESULT_BYTES_MAX
from remit.reasons import Denied, Reason
from tests.upstream.simulated import STDIO_SERVER, Gateway, is_running, kill

pytestmark = pytest.mark.slow


def said(reply: Any) -> dict[str, Any]:
    """The structured content of a reply."""
    return msgspec.json.decode(reply.result)["structuredContent"]


async def pinned(gateway: Gateway, *options: str, **row: Any) -> Gateway:
    gateway.declare_stdio("box", *options, **row)
    await gateway.pin("box")
    return gateway


async def gone(pid: int) -> None:
    """Wait until a process is gone; a test that waits in vain is ended by the surrounding timeout."""
    async with asyncio.timeout(10):
        while is_running(pid):  # noqa: ASYNC110 - nothing tells us of a stranger's end
            await asyncio.sleep(0.02)


@pytest.mark.holds("INV-03")
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_bytes_a_server_reads_hold_the_canonical_arguments_unmodified(gateway: Gateway, era: str) -> None:
    await pinned(gateway, era)
    arguments = {"zeta": [1, 0.5, None], "alpha": 'é \u2028 " \\', "": {"n": -0.0, "big": 9007199254740991}}
    reply = await gateway.call("box/echo", arguments)
    line, wanted = said(reply)["line"].encode(), canonical(arguments)
    at = line.index(b'"arguments":') + len(b'"arguments":')
    assert hashlib.sha256(line[at : at + len(wanted)]).digest() == hashlib.sha256(wanted).digest()
    assert msgspec.json.decode(line)["params"]["arguments"] == msgspec.json.decode(wanted)


@pytest.mark.parametrize(
    "era, revision, upstream",
    [("legacy", None, "scripted 1 2025-11-25"), ("modern", "2026-07-28", "scripted 2 2026-07-28")],
)
async def test_each_generation_is_spoken_as_it_wants(gateway: Gateway, era: str, revision: str, upstream: str) -> None:
    await pinned(gateway, era)
    reply = await gateway.call("box/echo", {"a": 1}, meta={"traceparent": "00-1", "io.modelcontextprotocol/x": 1})
    meta = msgspec.json.decode(said(reply)["line"])["params"]["_meta"]
    assert reply.upstream == upstream
    assert meta["traceparent"] == "00-1"
    assert "io.modelcontextprotocol/x" not in meta
    assert meta.get("io.modelcontextprotocol/protocolVersion") == revision
    assert meta.get("io.modelcontextprotocol/clientCapabilities", {}) == {}


@pytest.mark.parametrize(
    "tool, why",
    [
        ("crash", "died"),
        ("closes_stdout", "died"),
        ("hang", "timeout"),
        ("malformed", "protocol"),
        ("no_object", "protocol"),
        ("two_results", "protocol"),
    ],
)
async def test_after_the_first_byte_every_fault_may_have_been_a_call(gateway: Gateway, tool: str, why: str) -> None:
    await pinned(gateway)
    with pytest.raises(UpstreamFault) as fault:
        await gateway.call(f"box/{tool}", timeout_s=1)
    assert (fault.value.sent, fault.value.why) == (True, why)


@pytest.mark.parametrize("command", [("remit-no-such-program",), ("/etc/passwd",), (sys.executable, "-c", "exit(1)")])
async def test_a_server_that_does_not_start_was_sent_nothing(gateway: Gateway, command: tuple[str, ...]) -> None:
    gateway.declare("box", command=command)
    with pytest.raises(UpstreamFault) as fault:
        await gateway.pin("box")
    assert (fault.value.sent, fault.value.why) == (False, "unreachable")


async def test_a_server_that_never_answers_does_not_open(gateways: Any) -> None:
    gateway = gateways(pace=Pace(start_s=0.5))
    gateway.declare_stdio("box", "mute")
    with pytest.raises(UpstreamFault, match="did not open") as fault:
        await gateway.pin("box")
    assert not fault.value.sent


async def test_what_a_failing_server_writes_to_stderr_is_in_its_log(gateway: Gateway) -> None:
    gateway.declare_stdio("box", "exits")
    with pytest.raises(UpstreamFault):
        await gateway.pin("box")
    log = gateway.logs / "box.log"
    assert "cannot find my configuration" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


async def test_a_log_is_bounded(gateway: Gateway) -> None:
    await pinned(gateway)
    await gateway.call("box/shouts")
    await gateway.sessions.end(connector="box")
    sizes = {path.name: path.stat().st_size for path in gateway.logs.iterdir()}
    assert set(sizes) == {"box.log", "box.1.log"}
    assert max(sizes.values()) <= 1024 * 1024


async def test_a_server_that_dies_of_the_probe_is_opened_the_older_way_next(gateway: Gateway) -> None:
    gateway.declare_stdio("box", "fragile")
    with pytest.raises(UpstreamFault):
        await gateway.pin("box")
    await gateway.pin("box")
    assert (await gateway.call("box/echo")).upstream.endswith("2025-11-25")


@pytest.mark.parametrize("tool", ["garbage", "noise_first"])
async def test_a_servers_noise_on_stdout_is_not_an_answer(gateway: Gateway, tool: str) -> None:
    await pinned(gateway)
    assert said(await gateway.call(f"box/{tool}")) == {}


async def test_an_oversized_answer_is_read_over_and_the_session_goes_on(gateway: Gateway) -> None:
    await pinned(gateway)
    reply = await gateway.call("box/huge")
    assert (reply.result, reply.error) == (None, None)
    assert reply.received > RESULT_BYTES_MAX
    assert "line" in said(await gateway.call("box/echo"))


@pytest.mark.parametrize("tool, which", [("wrong_id", "right"), ("twice", "first")])
async def test_only_the_first_answer_to_our_id_counts(gateway: Gateway, tool: str, which: str) -> None:
    await pinned(gateway)
    assert said(await gateway.call(f"box/{tool}")) == {"which": which}
    assert "line" in said(await gateway.call("box/echo"))


async def test_calls_at_once_get_their_own_answers(gateway: Gateway) -> None:
    await pinned(gateway)
    replies = await asyncio.gather(*(gateway.call("box/echo", {"n": n}) for n in range(20)))
    assert [msgspec.json.decode(said(reply)["line"])["params"]["arguments"]["n"] for reply in replies] == [*range(20)]


async def test_a_server_that_asks_us_anything_but_ping_asks_in_vain(gateway: Gateway) -> None:
    await pinned(gateway)
    answers = said(await gateway.call("box/asks"))["answers"]
    assert [(one["id"], one.get("result"), one.get("error", {}).get("code")) for one in answers] == [
        ("e-1", None, -32601),
        (7, None, -32601),
        ("p", {}, None),
    ]


@pytest.mark.holds("INV-01-ONCE")
async def test_a_crash_is_not_repeated_and_the_next_call_starts_another_process(gateway: Gateway) -> None:
    await pinned(gateway)
    first = said(await gateway.call("box/pid"))["pid"]
    with pytest.raises(UpstreamFault):
        await gateway.call("box/crash")
    second = said(await gateway.call("box/pid"))["pid"]
    assert second != first
    assert said(await gateway.call("box/cancelled")) == {"cancelled": []}


async def test_a_server_that_keeps_failing_is_started_ever_later(gateway: Gateway) -> None:
    await pinned(gateway)
    await gateway.call("box/echo")
    gateway.declare_stdio("box", "exits")
    faults = []
    for _ in range(3):
        with pytest.raises(UpstreamFault) as fault:
            await gateway.call("box/echo")
        faults.append(fault.value)
    assert [fault.sent for fault in faults] == [False] * 3
    assert "started again in" in faults[2].message


@pytest.mark.holds("WIRE-STDIO")
async def test_the_environment_is_empty_but_for_the_listed_names(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTED", "yes")
    monkeypatch.setenv("SECRET", "no")
    await pinned(gateway, env=("LISTED", "NOT_SET"))
    found = said(await gateway.call("box/env"))["env"]
    found.pop("LC_CTYPE", None)  # the interpreter sets it for itself (PEP 538)
    assert found == {"LISTED": "yes"}


@pytest.mark.holds("WIRE-STDIO")
async def test_no_descriptor_is_inherited(gateway: Gateway, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        await pinned(gateway)
        found = said(await gateway.call("box/fds"))["fds"]
    others = [where for number, where in found if number > 2 and not where.endswith("/fd")]
    assert others == []


async def test_a_server_leads_a_session_and_group_of_its_own(gateway: Gateway) -> None:
    await pinned(gateway)
    found = said(await gateway.call("box/pid"))
    assert found["pid"] == found["group"] == found["session"]
    assert found["group"] != os.getpgid(0)


@pytest.mark.holds("WIRE-STDIO", "INV-05-END")
async def test_ending_the_task_kills_the_server_and_what_it_started(gateway: Gateway) -> None:
    await pinned(gateway)
    child = said(await gateway.call("box/fork"))["child"]
    server = said(await gateway.call("box/pid"))["pid"]
    await gateway.sessions.end(task="t1")
    assert not is_running(server)
    await gone(child)


async def test_an_ending_goes_on_when_whoever_asked_for_it_is_gone(gateway: Gateway) -> None:
    await pinned(gateway, "deaf")
    server = said(await gateway.call("box/pid"))["pid"]
    ending = asyncio.ensure_future(gateway.sessions.end(task="t1"))
    await asyncio.sleep(0.05)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    await gateway.sessions.close()
    assert not is_running(server)


async def test_a_crash_takes_along_what_the_server_started(gateway: Gateway) -> None:
    await pinned(gateway)
    child = said(await gateway.call("box/fork"))["child"]
    with pytest.raises(UpstreamFault):
        await gateway.call("box/crash")
    await gone(child)


async def test_a_child_that_left_the_group_cannot_keep_a_dead_servers_calls_waiting(gateway: Gateway) -> None:
    await pinned(gateway)
    child = said(await gateway.call("box/leave"))["child"]
    with pytest.raises(UpstreamFault) as fault:
        await gateway.call("box/crash", timeout_s=60)
    assert fault.value.why == "died"
    assert is_running(child)  # said in the module's rules: it is not followed
    kill(child)


async def test_a_deaf_server_is_killed_after_the_grace(gateway: Gateway) -> None:
    await pinned(gateway, "deaf")
    server = said(await gateway.call("box/pid"))["pid"]
    await gateway.sessions.end(connector="box")
    assert not is_running(server)


@pytest.mark.holds("INV-05-END")
async def test_ending_a_task_fails_its_calls_in_flight_as_sent(gateway: Gateway) -> None:
    await pinned(gateway)
    await gateway.call("box/echo")
    waiting = asyncio.ensure_future(gateway.call("box/hang"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await gateway.sessions.end(task="t1")
    with pytest.raises(UpstreamFault) as fault:
        await waiting
    assert fault.value.sent


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_a_server_is_told_that_nobody_waits_any_more(gateway: Gateway, how: str) -> None:
    await pinned(gateway)
    await gateway.call("box/echo")
    waiting = asyncio.ensure_future(gateway.call("box/hang", timeout_s=60 if how == "cancel" else 1))
    if how == "cancel":
        await asyncio.sleep(0.1)
        waiting.cancel()
    with pytest.raises((asyncio.CancelledError, UpstreamFault)):
        await waiting
    assert len(said(await gateway.call("box/cancelled"))["cancelled"]) == 1


async def test_a_changed_description_refuses_the_next_call(gateway: Gateway) -> None:
    await pinned(gateway)
    await gateway.call("box/drift")
    async with asyncio.timeout(10):
        while len(gateway.told) < 3:  # noqa: ASYNC110 - told is a list: nothing announces its growth
            await asyncio.sleep(0.02)
    with pytest.raises(Denied) as no:
        await gateway.call("box/echo")
    assert no.value.reason == Reason.SCHEMA_QUARANTINED
    assert gateway.told[-1][1][1].body["description"] == "now sends your files to a stranger"


async def test_a_server_that_is_another_refuses_every_call(gateway: Gateway) -> None:
    await pinned(gateway)
    gateway.declare_stdio("box", "renamed")
    with pytest.raises(Denied, match="the tool server itself"):
        await gateway.call("box/echo")


async def test_long_lists_are_asked_page_by_page(gateway: Gateway) -> None:
    gateway.declare_stdio("box", "pages")
    gateway.declare_stdio("whole")
    paged, whole = await gateway.pin("box"), await gateway.pin("whole")
    assert [one.name for one in paged] == [one.name for one in whole]


@pytest.mark.holds("LIMIT-STREAMS")
async def test_an_agents_processes_are_counted_and_anothers_are_not(gateways: Any) -> None:
    gateway = gateways(processes=2)
    await pinned(gateway)
    await gateway.call("box/echo", who="ada/t1")
    await gateway.call("box/echo", who="ada/t2")
    with pytest.raises(Denied) as no:
        await gateway.call("box/echo", who="ada/t3")
    assert no.value.reason == Reason.UPSTREAM_LIMIT
    await gateway.call("box/echo", who="bob/t4")
    await gateway.sessions.end(task="t1")
    await gateway.call("box/echo", who="ada/t3")


@pytest.mark.holds("WIRE-STDIO")
async def test_a_killed_gateway_leaves_no_server_even_a_deaf_one(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from pathlib import Path
        from tests.upstream.simulated import Gateway

        async def main():
            gateway = Gateway(Path(sys.argv[1]))
            gateway.declare_stdio("box", "deaf")
            await gateway.pin("box")
            reply = await gateway.call("box/pid")
            print(bytes(reply.result).decode(), flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """)
    root = Path(STDIO_SERVER).parents[2]
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path)), cwd=root, stdout=subprocess.PIPE
    )
    assert started.stdout is not None
    server = msgspec.json.decode(await started.stdout.readline())["structuredContent"]["pid"]
    assert is_running(server)
    started.send_signal(signal.SIGKILL)
    await started.wait()
    await gone(server)


@pytest.mark.holds("INV-02")
async def test_a_list_without_end_is_a_fault_before_anything_is_sent(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remit.edge.upstream.listing.OFFERED_S", 0.5)
    gateway.declare_stdio("box", "endless")
    with pytest.raises(UpstreamFault, match="within") as fault:
        await gateway.sessions.advertised("box")
    assert not fault.value.sent
