"""A fake tool server with MCP's tasks extension, written to what the official conformance suite checks of one: no real
server has it yet. It answers calls by making tasks, and does with them what a test says.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any

import msgspec

from remit.answer import ServerError
from remit.forward.model import Outgoing, Reply

NOT_KNOWN = ServerError(-32602, "unknown task")
NOT_DECLARED = ServerError(-32021, "the tasks extension is not declared")
CREATED = "2026-11-20T10:00:00Z"
DONE = {"content": [{"type": "text", "text": "done"}], "structuredContent": {"text": "done"}}


class Jobs:
    """Tasks by the server's own name. `poll_ms` and `ttl_ms` are what it says of new ones."""

    def __init__(self, *, poll_ms: int | None = None, ttl_ms: int | None = 600_000) -> None:
        self.poll_ms, self.ttl_ms = poll_ms, ttl_ms
        self.tasks: dict[str, dict[str, Any]] = {}
        self.gets = 0
        self.answered: list[tuple[str, Mapping[str, Any]]] = []
        self.stopped: list[str] = []
        self._names = count(1)

    def task(self, name: str | None = None) -> dict[str, Any]:
        """A task as it is now: the one of that name, or the newest."""
        return self.tasks[name or list(self.tasks)[-1]]

    def completes(self, result: Any = None) -> None:
        """The newest task is done, with this result."""
        self.task().update(status="completed", result=DONE if result is None else result)

    def fails(self, code: int = -32603) -> None:
        self.task().update(status="failed", error={"code": code, "message": "broke", "data": {"where": "here"}})

    def asks(self, **questions: Any) -> None:
        """The newest task waits for answers."""
        self.task().update(status="input_required", inputRequests=questions)

    async def answers(self, outgoing: Outgoing) -> Reply:
        """Calls, and what answers their questions."""
        if outgoing.operation:
            return self._updated(outgoing)
        if not outgoing.client.operations:
            return _reply(DONE)
        return _reply(self.made())

    def made(self) -> dict[str, Any]:
        """A new task, as the call that makes it is answered."""
        name = f"theirs-{next(self._names)}"
        poll = {} if self.poll_ms is None else {"pollIntervalMs": self.poll_ms}
        times = {"createdAt": CREATED, "lastUpdatedAt": CREATED, "ttlMs": self.ttl_ms}
        self.tasks[name] = {"taskId": name, "status": "working", **times, **poll}
        return {"resultType": "task", **self.tasks[name]}

    async def tends(self, outgoing: Outgoing) -> Reply:
        """`tasks/get` and `tasks/cancel`."""
        task = self.tasks.get(outgoing.operation)
        if not outgoing.client.operations:
            return Reply(result=None, error=NOT_DECLARED)
        if outgoing.method == "tasks/get":
            self.gets += 1
        if task is None:
            return Reply(result=None, error=NOT_KNOWN)
        if outgoing.method == "tasks/cancel":
            self.stop(outgoing.operation)
            return _reply({"resultType": "complete"})
        return _reply({"resultType": "complete", **task})

    def stop(self, name: str) -> None:
        self.stopped.append(name)
        if self.tasks[name]["status"] in ("working", "input_required"):
            self.tasks[name]["status"] = "cancelled"

    def update(self, name: str, answers: Mapping[str, Any]) -> None:
        """Answers to some of the questions; with the last of them it goes on."""
        self.answered.append((name, answers))
        task = self.tasks[name]
        left = {key: one for key, one in task.pop("inputRequests", {}).items() if key not in answers}
        task.update({"inputRequests": left} if left else {"status": "working"})

    def _updated(self, outgoing: Outgoing) -> Reply:
        if not outgoing.client.operations:
            return Reply(result=None, error=NOT_DECLARED)
        self.update(outgoing.operation, msgspec.json.decode(outgoing.answers or b"{}"))
        return _reply({"resultType": "complete"})


def _reply(result: Mapping[str, Any]) -> Reply:
    return Reply(result=msgspec.Raw(msgspec.json.encode(result)), received=1, upstream="jobs 1 2026-07-28")
