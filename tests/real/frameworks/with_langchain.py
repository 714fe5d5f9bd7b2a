"""An agent of LangChain with its MCP adapters."""

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_mcp_adapters.client import MultiServerMCPClient
from scripted import answer_to, run, stale


class Scripted(BaseChatModel):
    calls: list
    seen: list

    @property
    def _llm_type(self):
        return "scripted"

    def bind_tools(self, tools, **options):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **options):
        self.seen[:] = [message.text for message in messages if isinstance(message, ToolMessage)]
        if len(self.seen) < len(self.calls):
            call = self.calls[len(self.seen)]
            tool_call = {"name": call["name"], "args": call["arguments"], "id": f"call-{len(self.seen)}"}
            said = AIMessage("", tool_calls=[tool_call])
        else:
            said = AIMessage(answer_to(self.seen))
        return ChatResult(generations=[ChatGeneration(message=said)])


def connection(how):
    if "url" in how:
        return {"transport": "streamable_http", "url": how["url"], "auth": stale(how)}
    command, *arguments = how["command"]
    return {"transport": "stdio", "command": command, "args": arguments, "env": how["env"]}


async def agent(how, calls, options):
    tools = await MultiServerMCPClient({"remit": connection(how)}).get_tools()
    model = Scripted(calls=calls, seen=[])
    ended = await create_agent(model, tools).ainvoke({"messages": [HumanMessage("go on")]})
    return model.seen, ended["messages"][-1].text


run(agent)
