"""What a wire asks for (`Ask`) and what it turned out to be (`Call`)."""

from typing import Any, Literal

from msgspec import Raw, Struct

Method = Literal["tools/call", "resources/read", "prompts/get"]

_KIND: dict[str, str] = {"tools/call": "", "prompts/get": "prompt:", "resources/read": "resource:"}

METHODS: frozenset[str] = frozenset({"tools/call", "resources/read", "prompts/get"})


class Ask(Struct, frozen=True, kw_only=True):
    """One request at the agents' door, before anything about it is believed.

    `params` is JSON parsed by `canonical.parse`. `connector` comes from the endpoint's path; None on the aggregate
    endpoint, where the name carries it as `connector/tool`. `audience` is the endpoint's public URL, which a token
    issued by Remit must be for. `task` is what the `Remit-Task` header named. `client` tells apart the clients of
    one agent (a bridge or session id); it is a label, never proof of anything.
    """

    method: str
    params: Any
    token: str | None
    audience: str
    connector: str | None = None
    task: str | None = None
    client: str = ""
    door: str = "mcp-http"


class Call(Struct, frozen=True, kw_only=True):
    """One call, decoded. `name` is the tool's or prompt's own name, or the resource's URI.

    `canonical` is the RFC 8785 form of `arguments`, which is what will be sent; `meta` is the caller's `_meta`,
    unfiltered (step 10 lets through what is on its list). A resource's only argument is its `uri`.
    """

    id: str
    method: Method
    connector: str
    name: str
    arguments: dict[str, Any]
    canonical: Raw
    meta: dict[str, Any]

    @property
    def target(self) -> str:
        """What scopes and people call it: `connector/tool`, `connector/prompt:NAME` or `connector/resource:URI`.

        Tool names hold no colon, so the three kinds never collide.
        """
        return f"{self.connector}/{_KIND[self.method]}{self.name}"

    @property
    def action(self) -> str:
        """What policy calls it: the target, but one action for all resources of a connector, `connector/resource:*`."""
        return f"{self.connector}/resource:*" if self.method == "resources/read" else self.target
