"""What the story is played with: a git repository, two tool servers from PyPI, and the catalogue that names them."""

import os
import pwd
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from string import Template
from typing import Final

from remit.edge.cli.init import person_name
from remit.errors import ConfigFault

_NEEDED: Final = ("mcp", "mcp_server_git", "mcp_server_time")
_NOTES: Final = "# Notes\n\n- the agent may stage this file\n"

_CATALOGUE: Final = Template("""\
version: 1
trust_domain: remit.local
environments: [demo]
gateway:
  listen: "127.0.0.1:$port"
  checkpoint_to: "$checkpoints"
people:
  $person: {email: "$person@localhost", os_user: "$os_user", roles: [requester, operator, auditor]}
agents:
  scout:
    owner: $person
    model: {provider: example, name: scripted, version: "1"}
    version: "1"
    environment: demo
connectors:
  git:
    owner: $person
    environment: demo
    command: ["$python", -m, mcp_server_git, --repository, "$repository"]
    env: [PATH]
    tools:
      git_status: {tier: read, data: {internal: [/repo_path]}}
      git_log: {tier: read, data: {internal: [/repo_path]}}
      git_add: {tier: write, data: {internal: [/repo_path]}}
      git_create_branch: {tier: write, data: {internal: [/repo_path]}}
      git_reset: {tier: privileged, data: {internal: [/repo_path]}}
  time:
    owner: $person
    environment: demo
    command: ["$python", -m, mcp_server_time]
    env: [PATH, TZ]
    stateless: true
    tools:
      get_current_time: {tier: read, data: {public: []}}
purposes:
  tidy-notes:
    owner: $person
    tools: ["git/*", "time/*"]
    tiers: [read, write, privileged]
    data_classes: [public, internal]
    environments: [demo]
    calls: 50
    minutes: 30
    arguments:
      "git/*": {properties: {repo_path: {const: "$repository"}}, required: [repo_path]}
""")


def check_installed() -> None:
    """Raises `ConfigFault` when a tool server, the MCP client or git is missing."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigFault(
            f"the demo needs {', '.join(missing)}", "`make demo` installs it, or `pip install 'remit[demo]'`"
        )
    if which("git") is None:
        raise ConfigFault("the demo needs git", "install git; it makes the repository the agent works in")


def repository(directory: Path) -> Path:
    """A fresh git repository with one commit and one file that is not staged."""
    directory.mkdir()
    _git(directory, "init", "-q", "-b", "main")
    _git(directory, "commit", "-q", "--allow-empty", "-m", "Begin")
    (directory / "notes.md").write_text(_NOTES)
    return directory


def staged(directory: Path) -> str:
    """The files of the repository that are staged, as git itself says it."""
    return _git(directory, "diff", "--cached", "--name-only").strip()


def catalogue(*, port: int, repository: Path, checkpoints: Path) -> str:
    """The text of remit.yaml: one agent, two tool servers, one purpose, all owned by whoever runs this."""
    os_user = pwd.getpwuid(os.getuid()).pw_name
    return _CATALOGUE.substitute(
        port=port,
        person=person_name(os_user),
        os_user=os_user,
        python=sys.executable,
        repository=repository,
        checkpoints=checkpoints,
    )


def _git(directory: Path, *arguments: str) -> str:
    who = {"NAME": "Demo", "EMAIL": "demo@localhost"}
    named = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
    # The person's own git configuration is not part of the story.
    plain = {"PATH": os.environ.get("PATH", ""), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    ran = subprocess.run(
        ["git", "-C", str(directory), *arguments],  # noqa: S607 - the git of the person's PATH is meant
        env={**plain, **named},
        check=True,
        capture_output=True,
        text=True,
        start_new_session=True,  # ctrl-C is the story's to hear
    )
    return ran.stdout
