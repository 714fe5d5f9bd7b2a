"""A people's door small enough to read: HTTP over a unix socket, answers from a dictionary, requests remembered."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from remit.edge.serving import unix_listener

TASK: dict[str, Any] = {
    "id": "t-1",
    "agent": "scout",
    "purpose": "triage",
    "requester": {"id": "person/ana", "proof": "authenticated"},
    "scope": {"tools": ["git/git_log"], "environment": "dev", "tenant": "default", "tiers": ["read"]},
    "budget": {"calls": 5},
    "opened_at": 1_000,
    "expires_at": 2_000,
    "opened_by": "person/ana",
    "state": "open",
    "text": "look\x1b[31m around\u202e",
}


class SimulatedDoor:
    """Serves `answers[(method, path)]`: a value, or (status, value). `asked` are the requests as they came."""

    def __init__(self, socket: Path) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str, Any]] = []
        socket.parent.mkdir(parents=True, exist_ok=True)
        self._server = _Server(str(socket), _handler(self), bind_and_activate=False)
        self._server.socket.close()
        self._server.socket = unix_listener(socket)  # the gateway's own, for paths of any length
        self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def refuses(self, method: str, path: str, fault: str, **more: str) -> None:
        told = {"fault": fault, "message": f"said {fault}", "advice": "do better", **more}
        self.answers[(method, path)] = (400, {"error": told})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def _handler(door: SimulatedDoor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: Any) -> None:
            door.asked.append((self.command, self.path, body))
            missing = (404, {"error": {"fault": "CallerFault", "message": f"no answer for {self.path}", "advice": ""}})
            found = door.answers.get((self.command, self.path), missing)
            status, value = found if isinstance(found, tuple) else (200, found)
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self) -> str:
            return "socket"

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
