"""An agent of the OpenAI Agents SDK."""

import json

from agents import Agent, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from scripted import answer_to, run, stale


class Scripted(Model):
    def __init__(self, calls):
        self._calls = calls
        self.seen = []

    async def get_response(self, system_instructions, input, *given, **options):
        outputs = [item["output"] for item in input if item["type"] == "function_call_output"]
        self.seen = [text(output) for output in outputs]
        if len(self.seen) < len(self._calls):
            call = self._calls[len(self.seen)]
            said = ResponseFunctionToolCall(
                type="function_call",
                call_id=f"call-{len(self.seen)}",
                name=call["name"],
                arguments=json.dumps(call["arguments"]),
            )
        else:
            content = ResponseOutputText(type="output_text", text=answer_to(self.seen), annotations=[])
            said = ResponseOutputMessage(
                type="message", id="answer", role="assistant", status="completed", content=[content]
            )
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *given, **options):
        raise NotImplementedError


def text(output):
    """What a model reads of an output, which is text or a list of parts."""
    return output if isinstance(output, str) else "".join(part["text"] for part in output)


def server(how):
    if "url" in how:
        return MCPServerStreamableHttp({"url": how["url"], "auth": stale(how)}, client_session_timeout_seconds=60)
    command, *arguments = how["command"]
    return MCPServerStdio({"command": command, "args": arguments, "env": how["env"]}, client_session_timeout_seconds=60)


async def agent(how, calls, options):
    set_tracing_disabled(disabled=True)
    model = Scripted(calls)
    async with server(how) as remit:
        scout = Agent(name="scout", model=model, mcp_servers=[remit])
        ended = await Runner.run(scout, [{"type": "message", "role": "user", "content": "go on"}])
    return model.seen, ended.final_output


run(agent)
