"""A tool server made with the official SDK. `sdk_server.py PORT` serves it over HTTP: both generations at `/mcp`, the
transport of 2024-11-05 at `/sse`.

A call answers with its arguments; `slow` reports progress, so that the answer comes as a stream; `locate` mirrors an
argument in a header, which the SDK checks against the body.
"""

import sys

import anyio
import uvicorn
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from starlette.responses import Response
from starlette.routing import Mount, Route

LOCATED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


async def list_tools(ctx, params):
    schemas = {"echo": {"type": "object"}, "slow": {"type": "object"}, "locate": LOCATED}
    tools = [types.Tool(name=name, description=f"to {name}", input_schema=schema) for name, schema in schemas.items()]
    return types.ListToolsResult(tools=tools)


async def call_tool(ctx, params):
    if params.name == "slow":
        await ctx.session.send_progress_notification("p", 0.5)
        await anyio.sleep(0.05)
    return types.CallToolResult(content=[], structured_content={"arguments": params.arguments})


async def list_prompts(ctx, params):
    return types.ListPromptsResult(prompts=[types.Prompt(name="greet")])


async def get_prompt(ctx, params):
    said = types.TextContent(type="text", text=f"hello {(params.arguments or {}).get('name')}")
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=said)])


async def list_resources(ctx, params):
    return types.ListResourcesResult(resources=[types.Resource(uri="note://one", name="one")])


async def list_templates(ctx, params):
    return types.ListResourceTemplatesResult(
        resource_templates=[types.ResourceTemplate(uri_template="note://{name}", name="any")]
    )


async def read_resource(ctx, params):
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=params.uri, text="text of one")])


def server() -> Server:
    return Server(
        "sdk",
        version="2",
        instructions="ask nicely",
        get_tool_input_schema=lambda name: LOCATED if name == "locate" else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
    )


def app():
    two_endpoints = SseServerTransport("/messages/")

    async def stream(request):
        async with two_endpoints.connect_sse(request.scope, request.receive, request._send) as (read, write):
            served = server()
            await served.run(read, write, served.create_initialization_options())
        return Response()

    found = server().streamable_http_app()
    found.routes.append(Route("/sse", stream, methods=["GET"]))
    found.routes.append(Mount("/messages/", app=two_endpoints.handle_post_message))
    return found


if __name__ == "__main__":
    uvicorn.run(app(), port=int(sys.argv[1]), log_level="error", ws="none")
