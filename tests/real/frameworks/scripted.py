"""What the agents of this directory share. Each is run by a Python that has the frameworks, takes what to do as JSON on
standard input, and prints what its model saw as JSON.

The model is a script: it makes the calls it is given, one a turn, and then answers. Nothing beyond loopback is reached.
"""

import asyncio
import json
import sys

import httpx


class Stale(httpx.Auth):
    """Lists tools with one token and does the rest with another: an agent whose task was narrowed meanwhile."""

    requires_request_body = True

    def __init__(self, *, listing, calling):
        self._listing = listing
        self._calling = calling

    def auth_flow(self, request):
        listing = request.method == "POST" and json.loads(request.content).get("method") == "tools/list"
        request.headers["Authorization"] = f"Bearer {self._listing if listing else self._calling}"
        yield request


def stale(how):
    return Stale(listing=how["listing"], calling=how["calling"])


def run(agent):
    """`agent(how, calls, options)` gives what the model saw, an item a call, and what the run ended with."""
    sys.addaudithook(loopback_only)
    given = json.load(sys.stdin)
    seen, answer = asyncio.run(agent(given["how"], given["calls"], given["options"]))
    json.dump({"seen": seen, "answer": answer}, sys.stdout)


def loopback_only(event, given):
    """Frameworks like to report to where they come from."""
    if event == "socket.connect" and isinstance(given[1], tuple) and given[1][0] not in {"127.0.0.1", "::1"}:
        raise ConnectionRefusedError(given[1])


def answer_to(seen):
    return f"I was told {len(seen)} things."
