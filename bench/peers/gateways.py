"""The other gateways: what is installed, how each is set up, and how it is called.

Each stands as its own documentation sets it up for one process: settings are its defaults but for those named in
`Peer.settings`, which are needed to run here at all or would otherwise stop a load. None is tuned, for or against.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final, NamedTuple

from joserfc import jwk, jwt

from bench import tools
from bench.cells import Lane
from bench.environments import environment
from bench.load import Calls, Place
from bench.machine import Program, cpus, free_port, started

_TOKEN_S: Final = 3_000
_SECRET: Final = "a secret of a benchmark, forty-eight letters long"
_ADMIN: Final = "admin@example.com"
_WAIT_S: Final = 60
_UNREACHED: Final = 1_000_000  # calls a second, or a minute: no limit of theirs is what is measured


class Peer(NamedTuple):
    """Another gateway. `start` serves it in front of the tool server at a port, with files of its own under a
    directory, and yields the lane and what to call.
    """

    name: str
    requirement: str
    settings: str
    start: Callable[[Path, int], AbstractContextManager[tuple[Lane, Calls]]]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def _fastmcp(root: Path, upstream: int) -> Iterator[tuple[Lane, Calls]]:
    port, program = free_port(), Program(str(environment("fastmcp", [FASTMCP.requirement]) / "python"))
    command = ["-m", "bench.peers.fastmcp_proxy", port, f"http://127.0.0.1:{upstream}/mcp"]
    with started(command, cpu=cpus().measured, log=root / "fastmcp.log", ports=[port], program=program) as process:
        # The token stands for one of the caller's: nothing here asks for it.
        yield Lane(Place(port, "/mcp"), process), Calls(tools.READ, headers=[_bearer("the-callers-own")])


@contextmanager
def _hangar(root: Path, upstream: int) -> Iterator[tuple[Lane, Calls]]:
    port, keys = free_port(), free_port()
    at = environment("hangar", [HANGAR.requirement])
    config = root / "hangar.yaml"
    config.write_text(_hangar_config(root, upstream, keys=keys), encoding="utf-8")
    token = _key_server_token(root / "keys", keys)
    serving = ["-m", "http.server", keys, "--bind", "127.0.0.1", "--directory", root / "keys"]
    program, log = Program(str(at / "mcp-hangar")), root / "hangar.log"
    with started(serving, cpu=cpus().rest, log=root / "keys.log", ports=[keys]):
        with started(
            ["pin", "--config", config, "--write"], cpu=cpus().rest, log=log, ports=[], program=program
        ) as pin:
            if pin.popen.wait(_WAIT_S):
                raise RuntimeError(f"mcp-hangar does not pin: {pin.said()}")
        command = ["serve", "--config", config, "--http", "--port", port, "--log-level", "WARNING"]
        with started(command, cpu=cpus().measured, log=log, ports=[port], program=program) as process:
            yield Lane(Place(port, "/mcp"), process), Calls(tools.READ, headers=[_bearer(token)])


def _hangar_config(root: Path, upstream: int, *, keys: int) -> str:
    issuer = f"http://127.0.0.1:{keys}"
    oidc = {"enabled": True, "issuer": issuer, "audience": "hangar", "jwks_uri": f"{issuer}/jwks.json"}
    return json.dumps(  # which is YAML
        {
            "mcp_servers": {"orders": {"mode": "remote", "endpoint": f"http://127.0.0.1:{upstream}/mcp"}},
            "tool_access": {"mode": "front_door"},
            "auth": {
                "enabled": True,
                "allow_anonymous": False,
                "oidc": {**oidc, "require_tenant": True},
                "role_assignments": [{"principal": "clerk", "role": "service-account", "scope": "global"}],
            },
            "rate_limit": {"rps": _UNREACHED, "burst": _UNREACHED},
            "event_store": {"driver": "sqlite", "path": str(root / "hangar.db")},
        }
    )


def _key_server_token(directory: Path, port: int) -> str:
    """A token of an issuer whose keys lie in the directory."""
    key = jwk.ECKey.generate_key("P-256", parameters={"kid": "one", "alg": "ES256", "use": "sig"})
    directory.mkdir()
    (directory / "jwks.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}), encoding="utf-8")
    now = int(time.time())
    claims = {"iss": f"http://127.0.0.1:{port}", "aud": "hangar", "sub": "clerk", "tenant_id": "shop", "jti": "one"}
    return jwt.encode({"alg": "ES256", "kid": "one"}, {**claims, "iat": now, "exp": now + _TOKEN_S}, key)


@contextmanager
def _contextforge(root: Path, upstream: int) -> Iterator[tuple[Lane, Calls]]:
    port = free_port()
    at = environment("contextforge", [CONTEXTFORGE.requirement])
    variables = {
        "JWT_SECRET_KEY": _SECRET,
        "AUTH_ENCRYPTION_SECRET": _SECRET[::-1],
        "PLATFORM_ADMIN_EMAIL": _ADMIN,
        "PLATFORM_ADMIN_PASSWORD": f"A1-{_SECRET}",
        "BASIC_AUTH_PASSWORD": f"B2-{_SECRET}",
        "DATABASE_URL": f"sqlite:///{root / 'contextforge.db'}",
        "CACHE_TYPE": "memory",
        "MCPGATEWAY_UI_ENABLED": "false",
        "MCPGATEWAY_ADMIN_API_ENABLED": "true",
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        "TOOL_RATE_LIMIT": str(_UNREACHED),
        "RATE_LIMITING_ENABLED": "false",
    }
    program = Program(str(at / "mcpgateway"), variables)
    command = ["--host", "127.0.0.1", "--port", port]
    log = root / "contextforge.log"
    with started(command, cpu=cpus().measured, log=log, ports=[port], program=program) as process:
        headers = _bearer(_contextforge_token(root, at / "python", variables))
        path = f"/servers/{_virtual_server(port, upstream, headers)}/mcp/"
        calls = Calls(f"orders-{tools.READ.replace('_', '-')}", headers=[headers], legacy=True)
        yield Lane(Place(port, path), process), calls


def _contextforge_token(root: Path, python: Path, variables: dict[str, str]) -> str:
    log = root / "contextforge-token"
    command = ["-m", "mcpgateway.utils.create_jwt_token", "--username", _ADMIN, "--exp", "60", "--secret", _SECRET]
    program = Program(str(python), variables)
    with started(command, cpu=cpus().rest, log=log, ports=[], program=program) as making:
        making.popen.wait(_WAIT_S)
    return next(line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("eyJ"))


def _virtual_server(port: int, upstream: int, headers: dict[str, str]) -> str:
    """Register the tool server, and one virtual server with all its tools, whose id is returned."""
    gateway = {"name": "orders", "url": f"http://127.0.0.1:{upstream}/mcp", "transport": "STREAMABLEHTTP"}
    _asked(port, "POST", "/gateways", headers=headers, body=gateway)
    ids = [tool["id"] for tool in _asked(port, "GET", "/tools", headers=headers)]
    server = {"server": {"name": "orders", "description": "orders", "associated_tools": ids}}
    return str(_asked(port, "POST", "/servers", headers=headers, body=server)["id"])


def _asked(port: int, method: str, path: str, *, headers: dict[str, str], body: Any = None) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, {**headers, "Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return json.loads(answer)
    finally:
        connection.close()


FASTMCP: Final = Peer(
    name="FastMCP `create_proxy`",
    requirement="fastmcp==4.1.2",
    settings='`create_proxy(url).run(transport="http")`, nothing else set; calls of the modern revision',
    start=_fastmcp,
)
HANGAR: Final = Peer(
    name="mcp-hangar",
    requirement="mcp-hangar==2.34.4",
    settings=(
        "`serve --http`; front door; tokens of an OIDC issuer (ES256), tenant required; role `service-account`; all "
        "tools pinned with `pin --write`; events in SQLite; rate limit out of reach; log level "
        "WARNING; calls of the modern revision"
    ),
    start=_hangar,
)
CONTEXTFORGE: Final = Peer(
    name="IBM ContextForge",
    requirement="mcp-contextforge-gateway==1.0.7",
    settings=(
        "`mcpgateway`, one worker as by default; SQLite, `CACHE_TYPE=memory`, no UI; loopback upstreams allowed; rate "
        "limits off; the administrator's JWT; one virtual server; calls of the older revision, "
        "all it speaks. Its makers recommend PostgreSQL, Redis and several workers in production"
    ),
    start=_contextforge,
)
PEERS: Final = (FASTMCP, HANGAR, CONTEXTFORGE)
