"""A fake: a tool server with MCP's tasks extension, written to what the suite checks of one. `tasks_server.py PORT`.

No released SDK has the extension, so nothing real can be asked. It has the tools the suite's scenarios name, keeps its
tasks in memory, and refuses what the suite wants refused: headers that disagree with the body, and what a client asks
without declaring the extension.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

MODERN = "2026-07-28"
TASKS = "io.modelcontextprotocol/tasks"
META = "io.modelcontextprotocol/"
TERMINAL = ("completed", "failed", "cancelled")
NAMED = {"tools/call": "name", "tasks/get": "taskId", "tasks/update": "taskId", "tasks/cancel": "taskId"}
QUESTION = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "go on?", "requestedSchema": {"type": "object", "properties": {}}},
}
QUESTIONS = {"confirm_delete": ("confirm",), "multi_input": ("first", "second")}
CACHED = {"ttlMs": 0, "cacheScope": "private"}
ANYTHING = {"type": "object", "additionalProperties": True}
TOOLS = ("greet", "slow_compute", "failing_job", "protocol_error_job", *QUESTIONS)


class Refused(Exception):
    """A JSON-RPC error and its HTTP status."""

    def __init__(self, code: int, message: str, status: int = 200, data: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, **({} if data is None else {"data": data})}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


class Job:
    """One task: what it says of itself, and the work that moves it on."""

    def __init__(self, name: str, tool: str, arguments: Mapping[str, Any]) -> None:
        now = datetime.now(UTC).isoformat()
        self.said: dict[str, Any] = {"taskId": name, "status": "working", "createdAt": now, "lastUpdatedAt": now}
        self.said |= {"ttlMs": 600_000, "pollIntervalMs": 100}
        self.created = dict(self.said)
        self.arguments = arguments
        self.answered = asyncio.Event()
        self.work = asyncio.ensure_future(self._run(tool))

    def moved(self, status: str, **more: Any) -> None:
        for gone in ("inputRequests", "result", "error"):
            self.said.pop(gone, None)
        self.said |= {"status": status, "lastUpdatedAt": datetime.now(UTC).isoformat(), **more}

    def update(self, answers: Mapping[str, Any]) -> None:
        left = {key: one for key, one in self.said.get("inputRequests", {}).items() if key not in answers}
        if self.said["status"] == "input_required" and left:
            self.moved("input_required", inputRequests=left)
        elif self.said["status"] == "input_required":
            self.moved("working")
            self.answered.set()

    def cancel(self) -> None:
        if self.said["status"] not in TERMINAL:
            self.work.cancel()
            self.moved("cancelled")

    async def _run(self, tool: str) -> None:
        match tool:
            case "failing_job":
                await asyncio.sleep(0.2)
                self.moved("completed", result=text("it failed", isError=True))
            case "protocol_error_job":
                await asyncio.sleep(0.2)
                self.moved("failed", error={"code": -32603, "message": "it broke"})
            case "slow_compute":
                await asyncio.sleep(float(self.arguments.get("seconds", 0)))
                self.moved("completed", result=text("computed"))
            case _:
                self.moved("input_required", inputRequests=dict.fromkeys(QUESTIONS[tool], QUESTION))
                await self.answered.wait()
                self.moved("completed", result=text("gone on"))


class Server:
    """Answers each request by itself; the tasks are its only memory."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._names = count(1)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.read())
        number, params = message.get("id"), message.get("params") or {}
        if number is None:
            return web.Response(status=202)
        try:
            agree(request.headers, message["method"], params)
            said = await self._answer(message["method"], params)
        except Refused as no:
            return web.json_response({"jsonrpc": "2.0", "id": number, "error": no.error}, status=no.status)
        return web.json_response({"jsonrpc": "2.0", "id": number, "result": {"resultType": "complete", **said}})

    async def _answer(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        able = params.get("_meta", {}).get(META + "clientCapabilities") or {}
        declared = TASKS in able.get("extensions", {})
        match method:
            case "server/discover":
                offered: dict[str, Any] = {"tools": {}, "extensions": {TASKS: {}}}
                info = {META + "serverInfo": {"name": "tasks", "version": "1"}}
                return {"supportedVersions": [MODERN], "capabilities": offered, "_meta": info, **CACHED}
            case "tools/list":
                return {"tools": [{"name": name, "inputSchema": ANYTHING} for name in TOOLS], **CACHED}
            case "tools/call":
                return await self._call(params, declared=declared)
            case "tasks/get" | "tasks/update" | "tasks/cancel":
                if not declared:
                    needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
                    raise Refused(-32021, "the tasks extension is not declared", 400, needed)
                return self._task(method, params)
            case _:
                raise Refused(-32601, "no such method", 404)

    async def _call(self, params: Mapping[str, Any], *, declared: bool) -> dict[str, Any]:
        tool, arguments = params.get("name"), params.get("arguments") or {}
        if tool == "greet":
            return text(f"Hello, {arguments.get('name')}!")
        if tool not in TOOLS:
            raise Refused(-32602, "no such tool")
        if not declared:
            return text("at once")
        job = Job(f"job-{next(self._names)}", tool, arguments)
        self.jobs[job.said["taskId"]] = job
        return {**job.created, "resultType": "task"}

    def _task(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        job = self.jobs.get(str(params.get("taskId")))
        if job is None:
            raise Refused(-32602, "no such task")
        if method == "tasks/get":
            return job.said
        if method == "tasks/update":
            job.update(params.get("inputResponses") or {})
        else:
            job.cancel()
        return {}


def agree(headers: Mapping[str, str], method: str, params: Mapping[str, Any]) -> None:
    """`Mcp-Method` and `Mcp-Name` repeat the body's members, or `Refused`."""
    named = NAMED.get(method)
    if headers.get("Mcp-Method") != method or (named and headers.get("Mcp-Name") != params.get(named)):
        raise Refused(-32020, "headers and body disagree", 400)


def main(port: int) -> None:
    async def made() -> web.Application:
        app = web.Application()
        app.router.add_post("/mcp", Server().handle)
        return app

    web.run_app(made(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
