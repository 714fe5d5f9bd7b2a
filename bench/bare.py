"""The same HTTP stack and nothing else: what comes in goes out and comes back. `PORT UPSTREAM_URL`.

It is served and it calls with the gateway's own server and client, in the gateway's kind of event loop; what the
gateway costs beyond it is what governing costs.
"""

import sys

import uvloop
from yarl import URL

from remit.edge.mcp.exchange import Receive, Scope, Send
from remit.edge.serving import listener, serve
from remit.edge.upstream.pool import pool, requested

_PATIENCE_S = 10


async def _serve(port: int, upstream: str) -> None:
    http = pool()

    async def passed(scope: Scope, receive: Receive, send: Send) -> None:
        event = await receive()
        body = event["body"]
        while event["more_body"]:
            event = await receive()
            body += event["body"]
        response = await requested(http, URL(upstream), body=body, headers={}, seconds=_PATIENCE_S)
        answer = b""
        while part := await response.readany():
            answer += part
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    await (await serve(passed, listener("127.0.0.1", port))).wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2]))
