"""The guide to a governed agent is followed to the letter: every marked block, and the client it configures."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from tools.readme_commands import blocks

pytest.importorskip("mcp_server_git")
pytest.importorskip("mcp")
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

GUIDE = (Path(__file__).parents[2] / "docs/guides/govern-your-agent.md").read_text()
BIN = Path(sys.executable).parent
GATEWAY = "remit up"
DIGEST = "sha256:…"


class Reader:
    """Someone at a terminal who follows the guide, with a home directory and a repository of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._port = free_port()
        self._gateway: subprocess.Popen[str] | None = None
        self.environment = {"HOME": str(home), "PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        self.run("git init -q ~/shop && touch ~/shop/notes.md")

    def follow(self, block: str) -> str:
        """Do what a block says; the gateway goes on in a terminal of its own."""
        if block.strip() == GATEWAY:
            return self._start()
        if DIGEST in block:
            shown = self.run("remit --json tool diff git")
            block = block.replace(DIGEST, json.loads(shown)["digest"])
        said = self.run(block)
        if "remit init" in block:
            catalogue = self.home / "remit/remit.yaml"
            catalogue.write_text(catalogue.read_text().replace(":8700", f":{self._port}"))
            self.environment["REMIT_HOME"] = str(self.home / "remit")
        return said

    def run(self, commands: str) -> str:
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, f"{commands}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def leave(self) -> None:
        if self._gateway is not None:
            self._gateway.send_signal(signal.SIGTERM)
            self._gateway.communicate(timeout=30)

    def _start(self) -> str:
        self._gateway = subprocess.Popen(
            [BIN / "remit", "up"], cwd=self.home, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self._gateway.stdout is not None
        said = ""
        for line in self._gateway.stdout:
            said += line
            if line.startswith("git:"):
                return said
        raise AssertionError(f"the gateway ended: {said}")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    # A home directory as people have one; the guide works whatever else is in theirs.
    made = Reader(tmp_path)
    yield made
    made.leave()


async def asked(reader: Reader, *more: str) -> tuple[list[str], dict[str, bool]]:
    """What a client with the guide's settings sees, and which calls of it are refused."""
    settings = json.loads(GUIDE.split("```json client\n")[1].split("```")[0])["mcpServers"]["remit"]
    assert Path(settings["command"]).name == "remit"
    arguments = [one.replace("/home/you", str(reader.home)) for one in settings["args"]]
    server = StdioServerParameters(command=str(BIN / "remit"), args=[*arguments, *more], env=reader.environment)
    shop = str(reader.home / "shop")
    calls = {"git/git_status": {"repo_path": shop}, "git/git_add": {"repo_path": shop, "files": ["notes.md"]}}
    async with stdio_client(server) as (reading, writing), ClientSession(reading, writing) as client:
        await client.initialize()
        listed = [tool.name for tool in (await client.list_tools()).tools]
        refused = {name: bool((await client.call_tool(name, given)).is_error) for name, given in calls.items()}
    return sorted(listed), refused


@pytest.mark.slow
@pytest.mark.skipif(which("git") is None, reason="the guide's example is a git repository")
async def test_the_guide_leads_where_it_says(reader: Reader) -> None:
    said = [reader.follow(block.commands) for block in blocks(GUIDE)]
    assert "quarantined until reviewed" in said[2]
    assert "verified: the whole record" in said[-1]
    [task] = re.findall(r"^task (\w+) is open$", "\n".join(said), re.MULTILINE)

    assert await asked(reader) == (["git/git_log", "git/git_status"], {"git/git_status": False, "git/git_add": True})
    listed, refused = await asked(reader, "--task", task)
    assert "git/git_add" in listed
    assert not any(refused.values())
    assert reader.run("git -C ~/shop diff --cached --name-only").strip() == "notes.md"

    reader.run(f"remit task revoke {task}")
    with pytest.raises(BaseExceptionGroup):
        await asked(reader, "--task", task)


def test_every_block_but_the_installation_is_executed() -> None:
    assert len(list(blocks(GUIDE))) == GUIDE.count("```sh\n") - 1
