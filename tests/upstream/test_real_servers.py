"""Tool servers other people publish, over stdio and HTTP. The npm ones are found through `REMIT_NPM_DIR`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.upstream.simulated import Gateway
from tests.upstream.test_official_server import free_port, listening

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
NPM = os.environ.get("REMIT_NPM_DIR", "")
published = pytest.mark.skipif(not NPM, reason="REMIT_NPM_DIR names no directory with the npm servers (`make real`)")


def npm(package: str) -> str:
    return str(Path(NPM) / "node_modules" / "@modelcontextprotocol" / package / "dist" / "index.js")


def text(reply: Any) -> str:
    result = msgspec.json.decode(reply.result)
    assert not result.get("isError"), result
    return "".join(part.get("text", "") for part in result["content"])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    where = tmp_path / "repository"
    author = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(where)], check=True)
    subprocess.run(["git", "-C", str(where), *author, "commit", "-q", "--allow-empty", "-m", "begin"], check=True)
    return where


@pytest.mark.holds("WIRE-REAL")
async def test_the_git_server(gateway: Gateway, repository: Path) -> None:
    gateway.declare("git", command=(str(BIN / "mcp-server-git"), "--repository", str(repository)), env=("PATH",))
    server = (await gateway.pin("git"))[0].body
    assert server["process"]["package"].startswith("mcp_server_git-")
    reply = await gateway.call("git/git_log", {"repo_path": str(repository)})
    assert "begin" in text(reply)
    assert reply.upstream.startswith("mcp-git ")
    assert reply.upstream.endswith(" 2026-07-28")


@pytest.mark.holds("WIRE-REAL")
async def test_the_time_server(gateway: Gateway) -> None:
    gateway.declare("time", command=(str(BIN / "mcp-server-time"), "--local-timezone", "UTC"))
    await gateway.pin("time")
    given = {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}
    assert "21:00" in text(await gateway.call("time/convert_time", given))


@published
@pytest.mark.real
@pytest.mark.holds("WIRE-REAL")
async def test_the_filesystem_server(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    gateway.declare("files", command=("node", npm("server-filesystem"), str(tmp_path)))
    server = (await gateway.pin("files"))[0].body
    assert server["process"]["package"].startswith("@modelcontextprotocol/server-filesystem-")
    reply = await gateway.call("files/read_text_file", {"path": str(tmp_path / "note.txt")})
    assert text(reply) == "hello"
    assert reply.upstream.endswith(" 2025-11-25")


@published
@pytest.mark.real
@pytest.mark.holds("WIRE-REAL")
async def test_the_memory_server(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_FILE_PATH", str(tmp_path / "memory.json"))
    gateway.declare("memory", command=("node", npm("server-memory")), env=("MEMORY_FILE_PATH",))
    await gateway.pin("memory")
    entity = {"name": "ann", "entityType": "person", "observations": ["likes tea"]}
    await gateway.call("memory/create_entities", {"entities": [entity]})
    assert "likes tea" in text(await gateway.call("memory/read_graph"))


@pytest.fixture
async def everything(request: pytest.FixtureRequest, gateway: Gateway) -> AsyncIterator[Gateway]:
    if request.param == "stdio":
        gateway.declare("all", command=("node", npm("server-everything"), "stdio"))
        yield gateway
        return
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        *("node", npm("server-everything"), "sse" if request.param == "sse" else "streamableHttp"),
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    await listening(port)
    gateway.declare("all", url=f"http://127.0.0.1:{port}/{'sse' if request.param == 'sse' else 'mcp'}")
    yield gateway
    await gateway.sessions.close()
    server.kill()
    await server.wait()


@published
@pytest.mark.real
@pytest.mark.holds("WIRE-REAL")
@pytest.mark.parametrize("everything", ["stdio", "http", "sse"], indirect=True)
async def test_the_everything_server(everything: Gateway) -> None:
    kinds = {contract.kind for contract in await everything.pin("all")}
    assert kinds == {"server", "tool", "prompt", "resource", "template"}
    assert "hi" in text(await everything.call("all/echo", {"message": "hi"}))
    assert "5" in text(await everything.call("all/get-sum", {"a": 2, "b": 3}))
    long = {"duration": 1, "steps": 2}
    assert "completed" in text(await everything.call("all/trigger-long-running-operation", long))
    prompt = msgspec.json.decode((await everything.call("all/simple-prompt", kind="prompt")).result)
    assert prompt["messages"]
    uri = next(pin.name for pin in everything.pins.values() if pin.kind == "resource")
    assert msgspec.json.decode((await everything.call(f"all/{uri}", kind="resource")).result)["contents"]


@published
@pytest.mark.real
@pytest.mark.parametrize("everything", ["stdio"], indirect=True)
async def test_a_published_server_sees_no_more_of_the_environment_than_is_listed(
    everything: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "not-for-you")
    await everything.pin("all")
    assert "not-for-you" not in text(await everything.call("all/get-env"))
