"""One gateway with every published server behind it that is installed here."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.gateway.running import House, free_port, left_of, until
from tests.real.clients import Place
from tests.real.database import a_database
from tests.real.servers import RESOURCES, SERVERS, Server, Side, data


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    where = tmp_path_factory.mktemp("real")
    with ExitStack() as ended:
        database = ended.enter_context(a_database()) if "db" in SERVERS else 0
        via, direct = Side(data(where / "via"), database), Side(data(where / "direct"), database)
        ended.callback(until, lambda: not left_of(where), "processes were left behind")
        web = ended.enter_context(_web(via)) if "web" in SERVERS else ""
        rows = "".join(_row(name, server, via, url=web) for name, server in SERVERS.items())
        patterns = [f'"{name}/*", "{name}/prompt:*"' for name in SERVERS]
        patterns += [f'"{name}/resource:{scheme}://*"' for name, scheme in RESOURCES.items() if name in SERVERS]
        house = House(where / "home", connectors=rows, tools=", ".join(patterns))
        ended.callback(house.kill)
        house.start(env={"MEMORY_FILE_PATH": str(via.here / "memory.json")})
        house.pin(*SERVERS)
        house.enrol("scout")
        yield Place(house, via, direct, web)
        assert house.stop() == 0


@contextmanager
def _web(side: Side) -> Iterator[str]:
    """The URL of the server that is reached over HTTP."""
    port = free_port()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(SERVERS["web"].started(side), env={**os.environ, "PORT": str(port)}, **quiet)
    try:
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


def _row(name: str, server: Server, side: Side, *, url: str) -> str:
    how = f"url: {url}" if name == "web" else f"command: {json.dumps(server.started(side))}"
    tools = "".join(f"      {tool}: {row}\n" for tool, row in server.rows.items())
    env = f"    env: {json.dumps(list(server.env))}\n" if server.env else ""
    return f"  {name}:\n    owner: op\n    environment: dev\n    {how}\n{env}{server.more}    tools:\n{tools}"
