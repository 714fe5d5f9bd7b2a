"""An agent of Pydantic AI. `options` go to its MCP toolset."""

import httpx
from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel
from scripted import answer_to, run, stale


def scripted(calls, seen):
    def respond(messages, info):
        parts = [part for message in messages for part in message.parts]
        seen[:] = [text for part in parts if (text := told(part)) is not None]
        if len(seen) < len(calls):
            call = calls[len(seen)]
            return ModelResponse([ToolCallPart(call["name"], call["arguments"])])
        return ModelResponse([TextPart(answer_to(seen))])

    return FunctionModel(respond)


def told(part):
    """What a model reads of a part, if a tool said it."""
    if isinstance(part, ToolReturnPart):
        return part.model_response_str()
    return part.model_response() if isinstance(part, RetryPromptPart) else None


async def agent(how, calls, options):
    seen = []
    async with httpx.AsyncClient(timeout=60) as http:
        if "url" in how:
            toolset = MCPToolset(how["url"], http_client=http, auth=stale(how), **options)
        else:
            command, *arguments = how["command"]
            toolset = MCPToolset(StdioTransport(command, arguments, env=how["env"]), **options)
        ended = await Agent(scripted(calls, seen), toolsets=[toolset]).run("go on")
    return seen, ended.output


run(agent)
