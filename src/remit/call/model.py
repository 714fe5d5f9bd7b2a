"""What a wire asks for (`Ask`), what it turned out to be (`Call`), and what of a call a server left open (`Round`)."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from msgspec import Raw, Struct, field

Method = Literal[
    "tools/call",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/get",
    "completion/complete",
    "tasks/update",
]
Kind = Literal["tool", "prompt", "resource"]

METHODS: frozenset[str] = frozenset(get_args(Method))

_PREFIX: dict[Kind, str] = {"tool": "", "prompt": "prompt:", "resource": "resource:"}


class Client(Struct, frozen=True, kw_only=True):
    """What the client can do for a server while its call runs, as it declares it.

    `capabilities` are MCP's `elicitation`, `sampling` and `roots`, each with its own settings. `log_level` is the least
    severe log message it wants (None: none, empty: whatever the server sends), `progress` whether it wants to hear of
    progress, `operations` whether it follows calls that end later. One that keeps a session is best served by a server
    that keeps one, too.
    """

    capabilities: Mapping[str, Any] = field(default_factory=dict)
    log_level: str | None = None
    progress: bool = False
    operations: bool = False
    session: bool = False


class Round(Struct, frozen=True, kw_only=True):
    """What a server asked of the client instead of answering, bound to the call it is about: `digest` is that call's
    without any answers, `principal` its caller, `call` its id. `asked` maps each question's key to its method.

    `state` is the server's own; `held` names the exchange that still waits for the answers, where the server keeps one,
    `operation` the server's operation that does. `questions` is SHA-256 of questions and state as the server sent them.
    `expires` is epoch ms.
    """

    call: str
    digest: str
    principal: str
    expires: int
    asked: Mapping[str, str]
    state: str | None = None
    held: str = ""
    operation: str = ""
    questions: str = ""


class Ask(Struct, frozen=True, kw_only=True):
    """One request at the agents' door, before anything about it is believed.

    `params` is JSON parsed by `canonical.parse`. `connector` comes from the endpoint's path; None on the aggregate
    endpoint, where the name carries it as `connector/tool`. `audience` is the endpoint's public URL, which a token
    issued by Remit must be for. `task` is what the `Remit-Task` header named. `client` tells apart the clients of
    one agent (a bridge or session id); it is a label, never proof of anything. `round` is what the answers in `params`
    are to: a wire got it from the gateway with the questions, and proves that.
    """

    method: str
    params: Any
    token: str | None
    audience: str
    connector: str | None = None
    task: str | None = None
    client: str = ""
    door: str = "mcp-http"
    round: Round | None = None
    speaks: Client = Client()


class Call(Struct, frozen=True, kw_only=True):
    """One call, decoded. `name` is the tool's or prompt's own name, or the resource's URI (of a completion, that of
    the template).

    `canonical` is the RFC 8785 form of `arguments`, which is what will be sent; `meta` is the caller's `_meta`,
    unfiltered (step 10 lets through what is on its list). A resource's only argument is its `uri`. `shown` is what
    catalogue and policy see as arguments: those same ones, but of a completion the values given so far.
    `answers` is the RFC 8785 form of what the client answers to the questions of `round`, `questions` the digest of
    those; where they are an operation's, `operation` is what its server calls it.
    """

    id: str
    method: Method
    kind: Kind
    connector: str
    name: str
    arguments: dict[str, Any]
    shown: dict[str, Any]
    canonical: Raw
    meta: dict[str, Any]
    answers: Raw | None = None
    round: Round | None = None
    operation: str = ""
    questions: str = ""

    @property
    def target(self) -> str:
        """What scopes and people call it: `connector/tool`, `connector/prompt:NAME` or `connector/resource:URI`.

        Tool names hold no colon, so the three kinds never collide.
        """
        return f"{self.connector}/{_PREFIX[self.kind]}{self.name}"

    @property
    def action(self) -> str:
        """What policy calls it: the target, but one action for all resources of a connector, `connector/resource:*`."""
        return f"{self.connector}/resource:*" if self.kind == "resource" else self.target
