"""A tool server of the official SDK that asks, tells and waits. `asker.py DIR ERA [PORT]`: over HTTP at that port, else
over stdio; ERA is `legacy` or `modern`, and it refuses the other one.

What happens is a line each in DIR/ERA-KIND.log: `called NAME`, `cancelled NAME`.
"""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import anyio
import uvicorn
from mcp import MCPError, types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.shared.message import ServerMessageMetadata
from pydantic import BaseModel

DIRECTORY, ERA, *PORT = sys.argv[1:]
LOG = Path(DIRECTORY) / f"{ERA}-{'http' if PORT else 'stdio'}.log"
# How the other generation opens; a server that knows one only answers that like any unknown method.
FOREIGN = "server/discover" if ERA == "legacy" else "initialize"
ONE_TEXT = {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]}


class Word(BaseModel):
    word: str


async def one_era(ctx, call_next):
    if ctx.method == FOREIGN:
        raise MCPError(types.METHOD_NOT_FOUND, "Method not found")
    return await call_next(ctx)


server = MCPServer("asker", version="1", middleware=[one_era], log_level="ERROR")


@contextmanager
def noted(name):
    with LOG.open("a", buffering=1) as log:
        log.write(f"called {name}\n")
        try:
            yield
        except anyio.get_cancelled_exc_class():
            log.write(f"cancelled {name}\n")
            raise


def elicitation(message):
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=ONE_TEXT))


def sampling():
    said = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="a word?"))
    return types.CreateMessageRequest(params=types.CreateMessageRequestParams(messages=[said], max_tokens=9))


def shown(answer):
    """An answer, in one line of text."""
    if isinstance(answer, types.ElicitResult):
        return f"{answer.action} {(answer.content or {}).get('word', '-')}"
    if isinstance(answer, types.CreateMessageResult):
        return f"{answer.model} {answer.content.text}"
    return " ".join(str(root.uri) for root in answer.roots)


async def asked(ctx, request, result):
    """Ask the client of this call, as the older generation does."""
    about = ServerMessageMetadata(related_request_id=ctx.request_id)
    return shown(await ctx.session.send_request(request, result, metadata=about))


async def answered(ctx, **requests):
    """Answers by key, or what to return to have them."""
    if ERA == "modern":
        if not ctx.input_responses:
            return types.InputRequiredResult(
                input_requests={key: one for key, (one, _) in requests.items()}, request_state="the server's own"
            )
        assert ctx.request_state == "the server's own"
        return " | ".join(shown(ctx.input_responses[key]) for key in sorted(requests))
    return " | ".join([await asked(ctx, *requests[key]) for key in sorted(requests)])


@server.tool()
async def ask(ctx: Context) -> str | types.InputRequiredResult:
    """One question."""
    with noted("ask"):
        return await answered(ctx, a=(elicitation("which word?"), types.ElicitResult))


@server.tool()
async def ask_all(ctx: Context) -> str | types.InputRequiredResult:
    """A question of each kind."""
    with noted("ask_all"):
        return await answered(
            ctx,
            a=(elicitation("which word?"), types.ElicitResult),
            b=(sampling(), types.CreateMessageResult),
            c=(types.ListRootsRequest(), types.ListRootsResult),
        )


@server.tool()
async def ask_twice(ctx: Context) -> str | types.InputRequiredResult:
    """A question, and one more once it was answered."""
    with noted("ask_twice"):
        if ERA == "legacy":
            first = await asked(ctx, elicitation("first?"), types.ElicitResult)
            return f"{first}, {await asked(ctx, elicitation('second?'), types.ElicitResult)}"
        if ctx.input_responses is None:
            return types.InputRequiredResult(input_requests={"first": elicitation("first?")}, request_state="")
        if "first" in ctx.input_responses:
            first = shown(ctx.input_responses["first"])
            return types.InputRequiredResult(input_requests={"second": elicitation("second?")}, request_state=first)
        return f"{ctx.request_state}, {shown(ctx.input_responses['second'])}"


@server.tool()
async def ask_both(ctx: Context) -> str | types.InputRequiredResult:
    """Two questions at once."""
    with noted("ask_both"):
        if ERA == "modern":
            return await answered(
                ctx, a=(elicitation("a?"), types.ElicitResult), b=(elicitation("b?"), types.ElicitResult)
            )
        found = {}

        async def one(key):
            found[key] = await asked(ctx, elicitation(f"{key}?"), types.ElicitResult)

        async with anyio.create_task_group() as both:
            both.start_soon(one, "a")
            both.start_soon(one, "b")
        return f"{found['a']} | {found['b']}"


@server.tool()
async def impatient(ctx: Context) -> str:
    """Asks, and answers without waiting for what is said."""
    with noted("impatient"):
        async with anyio.create_task_group() as work:
            work.start_soon(asked, ctx, elicitation("still there?"), types.ElicitResult)
            await anyio.sleep(0.3)
            work.cancel_scope.cancel()
        return "never mind"


@server.tool()
async def ask_beside(ctx: Context) -> str:
    """Asks without saying for which call, as the SDK does by itself."""
    with noted("ask_beside"):
        roots = shown(await ctx.session.list_roots())
        await ctx.report_progress(1, 1, "asked")
        return roots


@server.tool()
async def tell(ctx: Context) -> str:
    """Says how far it is."""
    with noted("tell"):
        for step in (1, 2):
            await ctx.report_progress(step, 2, f"step {step}")
        await ctx.debug("in detail")
        await ctx.warning({"careful": True})
        return "told"


@server.tool()
async def hang(ctx: Context) -> str:
    """Never answers."""
    with noted("hang"):
        await ctx.report_progress(1, 2, "begun")
        await anyio.sleep_forever()
        return "never"


@server.tool()
async def let_go(ctx: Context) -> str:
    """Lets go of the stream of its answer."""
    with noted("let_go"):
        await ctx.report_progress(1, 2, "before")
        await ctx.close_sse_stream()
        await anyio.sleep(0.2)
        await ctx.report_progress(2, 2, "after")
        return "said all the same"


class Events(EventStore):
    """Remembers everything in order, by stream."""

    def __init__(self):
        self._events = []

    async def store_event(self, stream_id, message):
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id, send_callback):
        seen = int(last_event_id)
        stream_id = self._events[seen - 1][0]
        for number, (stream, message) in enumerate(self._events[seen:], seen + 1):
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream_id


class OneEra:
    """Standard input less how the other generation opens: the SDK would stick to that one."""

    def __init__(self, lines, output):
        self._lines = lines
        self._output = output

    async def __aiter__(self):
        async for line in self._lines:
            message = json.loads(line)
            if message.get("method") != FOREIGN:
                yield line
                continue
            wrong = {"code": types.METHOD_NOT_FOUND, "message": "Method not found"}
            await self._output.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": wrong}) + "\n")
            await self._output.flush()


async def over_stdio():
    output = anyio.wrap_file(sys.stdout)
    async with stdio_server(OneEra(anyio.wrap_file(sys.stdin), output), output) as (read, write):
        lowlevel = server._lowlevel_server
        await lowlevel.run(read, write, lowlevel.create_initialization_options())


if __name__ == "__main__":
    if PORT:
        events = Events() if ERA == "legacy" else None
        uvicorn.run(
            server.streamable_http_app(event_store=events, retry_interval=50 if events else None),
            port=int(PORT[0]),
            log_level="error",
            ws="none",
        )
    else:
        anyio.run(over_stdio)
