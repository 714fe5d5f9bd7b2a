"""Clients of the agents' door that know HTTP and nothing else: sound ones, rude ones and hostile ones.

Each act is one or a few requests, drawn from `Crowd`'s dice. What was answered goes to the `Notes`, by the `n` of the
call's arguments: every call has another, so that arrivals, receipts and answers can be told apart.
"""

import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final, NamedTuple

from tests.gateway.running import MODERN, House

LEGACY: Final = ("2025-11-25", "2025-06-18")
TOOLS: Final = ("echo", "echo", "echo", "add")
_TOKEN_S: Final = 60
_PATIENCE_S: Final = 60
_IDLE_S: Final = 30  # less than the gateway keeps a connection, so that none ends as it is used again
_ACCEPT: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


class Lost(Exception):
    """The connection ended before the answer did."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        """The JSON-RPC answer, also where it is the last event of a stream."""
        if not self.headers.get("content-type", "").startswith("text/event-stream"):
            return json.loads(self.body)
        return json.loads([line[5:] for line in self.body.splitlines() if line.startswith(b"data:")][-1])


class Line:
    """One connection. Everything about it is plain: bytes go out when they are told to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def open(self) -> bool:
        return self._writer is not None

    async def write(self, data: bytes) -> None:
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(data)
        await self._writer.drain()

    async def ask(self, request: bytes) -> Answer:
        """One request and its whole answer. Raises `Lost`."""
        try:
            await self.write(request)
            return await self._answer()
        except (OSError, asyncio.IncompleteReadError) as e:
            raise Lost from e

    async def read(self, most: int) -> bytes:
        assert self._reader is not None
        return await self._reader.read(most)

    def close(self, *, abort: bool = False) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            if abort:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()

    async def _answer(self) -> Answer:
        assert self._reader is not None
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        return Answer(int(head[0].split()[1]), headers, body)

    async def _chunks(self) -> bytes:
        assert self._reader is not None
        whole = b""
        while size := int((await self._reader.readuntil(b"\r\n")).strip(), 16):
            whole += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return whole


class Notes:
    """What clients were told. `released` and `refused` are by `n`; a refusal is its reason and receipt. `faults` are
    errors of the gateway's own.
    """

    def __init__(self) -> None:
        self.released: set[int] = set()
        self.refused: dict[int, tuple[str, str]] = {}
        self.faults: Counter[str] = Counter()
        self.asked = 0
        self.statuses: Counter[int] = Counter()
        self.lost: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()

    def expected(self, statuses: set[int], answer: Answer) -> None:
        """The answer to something that is no call."""
        if answer.status not in statuses:
            self.faults[f"status {answer.status} to what is no call"] += 1
        elif answer.status == 401:
            self.statuses[401] += 1

    def told(self, n: int, answer: Answer) -> None:
        self.statuses[answer.status] += 1
        if answer.status != 200:
            return
        message = answer.message
        decision = message.get("result", {}).get("_meta", {}).get("io.remit/decision")
        if decision is not None:
            self.refused[n] = decision["reason"], decision["receipt"]
        elif "result" in message or "io.remit/labels" in (message["error"].get("data") or {}):
            self.released.add(n)
        else:
            self.faults[message["error"]["message"]] += 1


class Roster:
    """Who may ask for what: the tasks open now, and tokens for them, minted anew each minute."""

    def __init__(self, house: House, connectors: tuple[str, ...]) -> None:
        self.connectors = connectors
        self.tasks: list[tuple[str, str]] = []
        self._house = house
        self._tokens: dict[tuple[str, str, str], tuple[float, str]] = {}

    def token(self, agent: str, task: str, connector: str) -> str:
        now, key = time.monotonic(), (agent, task, connector)
        made = self._tokens.get(key)
        if made is None or now - made[0] > _TOKEN_S:
            made = self._tokens[key] = now, self._house.token(agent, task=task, connector=connector)
        return made[1]

    def forget(self, task: tuple[str, str]) -> None:
        self.tasks.remove(task)
        for key in [key for key in self._tokens if key[1] == task[1]]:
            del self._tokens[key]


class Crowd:
    """All clients of a run. `port` is the agents' door's."""

    def __init__(self, roster: Roster, port: int, *, chance: random.Random) -> None:
        self.notes = Notes()
        self._roster = roster
        self._port = port
        self._chance = chance
        self._numbers = count(1)
        self._idle: list[tuple[float, Line]] = []
        self._acts: dict[Callable[[Line], Awaitable[None]], int] = {
            self.calls: 60,
            self.sessions: 12,
            self.lists: 4,
            self.leaves_early: 5,
            self.leaves_waiting: 5,
            self.leaves_reading: 3,
            self.reads_slowly: 2,
            self.sends_garbage: 5,
            self.shows_a_bad_token: 4,
        }

    async def act(self) -> None:
        """Do one thing, whatever comes of it; its connection's end is its own."""
        (chosen,) = self._chance.choices([*self._acts], [*self._acts.values()])
        self.notes.acts[chosen.__name__] += 1
        line = self._kept() if chosen == self.calls else Line(self._port)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await chosen(line)
        except TimeoutError:
            line.close()
            self.notes.faults[f"`{chosen.__name__}` did not end within {_PATIENCE_S} s"] += 1
        except (Lost, OSError):
            line.close()
            self.notes.lost[chosen.__name__] += 1
        if chosen == self.calls and line.open:
            self._idle.append((time.monotonic(), line))
        else:
            line.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    def _kept(self) -> Line:
        """A connection that was used before, if there is one that is still good."""
        while self._idle:
            since, line = self._idle.pop()
            if time.monotonic() - since < _IDLE_S:
                return line
            line.close()
        return Line(self._port)

    async def calls(self, line: Line) -> None:
        """A modern call on a connection that is used again."""
        n, request = self._call(*self._target())
        self.notes.told(n, await line.ask(request))

    async def sessions(self, line: Line) -> None:
        """A session of the older generation: a few calls, sometimes one withdrawn, mostly an orderly end."""
        token, connector, tool = self._target()
        revision = self._chance.choice(LEGACY)
        offer = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "soak", "version": "1"}}
        opened = await line.ask(self._legacy("initialize", offer, token=token, connector=connector))
        self.notes.statuses[opened.status] += 1
        if opened.status == 200:
            own = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": revision}
            where = {"token": token, "connector": connector, "own": own}
            await line.ask(self._legacy("notifications/initialized", None, **where))
            for _ in range(self._chance.randrange(1, 4)):
                n = next(self._numbers)
                params = {"name": tool, "arguments": {"n": n, "by": "session"}}
                self.notes.told(n, await line.ask(self._legacy("tools/call", params, number=n, **where)))
                self.notes.asked += 1
            if self._chance.random() < 0.8:
                await line.ask(_request("DELETE", f"/mcp/{connector}", {**_bearer(token), **own}, b""))

    async def lists(self, line: Line) -> None:
        token, connector, _ = self._target()
        answer = await line.ask(self._modern("tools/list", {}, token=token, connector=connector))
        self.notes.statuses[answer.status] += 1

    async def leaves_early(self, line: Line) -> None:
        """Gone before the request is whole."""
        _, request = self._call(*self._target())
        await line.write(request[: self._chance.randrange(1, len(request))])
        await asyncio.sleep(self._chance.random() * 0.2)
        line.close(abort=self._chance.random() < 0.5)

    async def leaves_waiting(self, line: Line) -> None:
        """Gone after the request, at some point before the answer or about then."""
        _, request = self._call(*self._target())
        await line.write(request)
        await asyncio.sleep(self._chance.random() * self._chance.choice([0.001, 0.01, 0.1, 1.0]))
        line.close(abort=self._chance.random() < 0.5)

    async def leaves_reading(self, line: Line) -> None:
        """Gone amid the answer."""
        await line.write(self._big())
        await line.read(self._chance.randrange(1, 100_000))
        line.close(abort=self._chance.random() < 0.5)

    async def reads_slowly(self, line: Line) -> None:
        """Leaves the answer lying, then takes it in small pieces, then loses interest."""
        await line.write(self._big())
        await asyncio.sleep(self._chance.random() * 3)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while await line.read(20_000):  # noqa: ASYNC110 - slowness is the point
                    await asyncio.sleep(0.05)

    async def sends_garbage(self, line: Line) -> None:
        """Something that is no call: no HTTP, no JSON, no JSON-RPC, or no agreement between its parts."""
        token, connector, _ = self._target()
        body = self._chance.choice(
            [
                self._chance.randbytes(60),
                b"[" * 5000,
                b'{"jsonrpc":"2.0","id":1,"method":"tools/call","method":"tools/list"}',
                b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
                b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"n":1e999}}}',
                b"\xff" * 100_000,
            ]
        )
        headers = {**_bearer(token), **_ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call"}
        if self._chance.random() < 0.2:
            await line.write(self._chance.randbytes(400) + b"\r\n\r\n")
            await line.read(1000)
        elif self._chance.random() < 0.2:
            await line.write(_request("POST", f"/mcp/{connector}", {**headers, "Content-Length": "99999999999"}, body))
            await line.read(1000)
        else:
            answer = await line.ask(_request("POST", f"/mcp/{connector}", headers, body))
            self.notes.expected({400, 401, 413}, answer)

    async def shows_a_bad_token(self, line: Line) -> None:
        token, connector, tool = self._target()
        head, claims, signature = token.split(".")
        bad = self._chance.choice(
            [
                "",
                "x" * self._chance.randrange(1, 3000),
                f"{head}.{claims}.{signature[::-1]}",
                f"{head}.{claims[:-4]}AAAA.{signature}",
                f"eyJhbGciOiJub25lIn0.{claims}.",
                self._roster.token(*self._chance.choice(self._roster.tasks), connector="elsewhere"),
            ]
        )
        answer = await line.ask(self._call(bad, connector, tool)[1])
        self.notes.expected({401}, answer)

    def _big(self) -> bytes:
        token, connector, _ = self._target()
        return self._call(token, connector, "big")[1]

    def _target(self) -> tuple[str, str, str]:
        agent, task = self._chance.choice(self._roster.tasks)
        connector = self._chance.choice(self._roster.connectors)
        return self._roster.token(agent, task, connector), connector, self._chance.choice(TOOLS)

    def _call(self, token: str, connector: str, tool: str) -> tuple[int, bytes]:
        n = next(self._numbers)
        self.notes.asked += 1
        params = {"name": tool, "arguments": {"n": n, "by": "call"}}
        return n, self._modern("tools/call", params, token=token, connector=connector)

    def _modern(self, method: str, params: dict[str, Any], *, token: str, connector: str) -> bytes:
        meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {**_bearer(token), **_ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params:
            headers["Mcp-Name"] = params["name"]
        return _request("POST", f"/mcp/{connector}", headers, json.dumps(message).encode())

    def _legacy(self, method: str, params: Any, *, token: str, connector: str, **more: Any) -> bytes:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message |= {"id": more.get("number", 0), "params": params}
        headers = {**_bearer(token), **_ACCEPT, **more.get("own", {})}
        return _request("POST", f"/mcp/{connector}", headers, json.dumps(message).encode())


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
