"""A tool server over stdio whose every word is meant for the terminal of whoever reads about it."""

import json
import sys
from typing import Any

from tests.cli.hostile import HOSTILE, LONG

TEXT = {"type": "object", "properties": {"text": {"type": "string", "description": HOSTILE}}, "required": ["text"]}
TOOLS = [
    {"name": "say", "title": HOSTILE, "description": HOSTILE + LONG, "inputSchema": TEXT},
    {"name": "fail", "description": HOSTILE, "inputSchema": TEXT},
    {"name": f"odd{HOSTILE}", "description": HOSTILE, "inputSchema": TEXT},
    {"name": "open", "inputSchema": {"type": "object", "properties": {HOSTILE: {"type": "object"}}}},
]


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    match asked["method"]:
        case "initialize":
            info = {"name": HOSTILE, "version": HOSTILE}
            version = asked["params"]["protocolVersion"]
            shown = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
            return {"result": {**shown, "instructions": HOSTILE}}
        case "ping":
            return {"result": {}}
        case "tools/list":
            return {"result": {"tools": TOOLS}}
        case "tools/call" if asked["params"]["name"] == "say":
            return {"result": {"content": [{"type": "text", "text": asked["params"]["arguments"]["text"]}]}}
        case _:
            return {"error": {"code": -32601, "message": HOSTILE + LONG}}


if __name__ == "__main__":
    print(HOSTILE, file=sys.stderr)
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer(asked)}), flush=True)
