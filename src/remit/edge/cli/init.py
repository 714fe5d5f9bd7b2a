"""`remit init`: a new home, whole or not at all.

Everything is made in a directory beside its final place and moved there at the end, remit.yaml last: a home that has a
catalogue has all of it. A failure half way removes what was made.
"""

import json
import os
import pwd
import re
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Final

from remit.edge.cli.door import checked
from remit.edge.cli.home import Home, find
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser
from remit.errors import CallerFault, RemitError

TRUST_DOMAIN: Final = "remit.local"
_STARTER: Final = "starter.cedar"
# What a home consists of, in the order it is moved into place.
_ENTRIES: Final = ("keys", "state", "policy", "remit.yaml")

_CATALOGUE: Final = Template("""\
# What exists and who answers for it. Unknown keys are errors; `remit doctor` checks the file.
version: 1
trust_domain: $trust_domain    # names the agents of this gateway: spiffe://$trust_domain/agent/NAME
environments: [dev]

gateway:
  listen: "127.0.0.1:8700"     # the agents' door
  boundary: same-user          # what separates agents from this gateway; separate-user allows more

people:
  $person:
    email: "$person@localhost"
    os_user: "$os_user"
    roles: [requester, operator, auditor]

# A tool server, an agent and what it may be for. No owner, no service; no tier counts as privileged.
#
# connectors:
#   git:
#     owner: $person
#     environment: dev
#     command: [mcp-server-git, --repository, /srv/repo]
#     env: [PATH]
#     tools:
#       git_log: {tier: read, data: {internal: [/repo_path]}}
#
# agents:
#   scout:
#     owner: $person
#     model: {provider: example, name: model, version: "1"}
#     version: "1"
#     environment: dev
#
# purposes:
#   triage:
#     owner: $person
#     tools: ["git/*"]
#     tiers: [read]
#     data_classes: [internal]
#     environments: [dev]
""")


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Make a new home: remit.yaml with you as its one person, keys, the starter policy in force, an empty ledger "
        "whose first receipts say so. Nothing that exists is overwritten; a failure half way leaves nothing.",
        examples=("remit init", "remit init /srv/remit"),
    )
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="where; else --home, else here")


def _run(options: Namespace, screen: Screen) -> None:
    home = Home(options.directory.resolve()) if options.directory else _here(options)
    key = make(home)
    lines = (
        f"made a home in {home.root}",
        f"  the ledger's public key, for whoever verifies it elsewhere: {key}",
        f"  next: edit {home.catalogue.name}, then `remit up`",
    )
    screen.answer({"home": str(home.root), "ledger_key": key}, lines)


def make(home: Home) -> str:
    """Make the home; returns the ledger's public key. Raises `CallerFault` when something is there already."""
    for name in _ENTRIES:
        if os.path.lexists(home.root / name):
            raise CallerFault(
                f"`{home.root / name}` exists already", "nothing is overwritten; choose another directory"
            )
    with _staged(home.root) as draft:
        key = _fill(draft)
        _move(draft, home)
    return key


def _here(options: Namespace) -> Home:
    return find(options.home or Path(os.environ.get("REMIT_HOME") or Path.cwd()))


def _fill(home: Home) -> str:
    from remit.catalogue import load
    from remit.edge.cli.offline import ask
    from remit.edge.keys.files import make_key
    from remit.edge.keys.signing import make_signer
    from remit.policy import STARTER

    text = catalogue_text(pwd.getpwuid(os.getuid()).pw_name)
    load(text, home.catalogue.name)
    home.catalogue.write_text(text, encoding="utf-8")
    home.policy.mkdir()
    (home.policy / _STARTER).write_text(STARTER, encoding="utf-8")
    home.keys.mkdir(mode=0o700)
    home.state.mkdir(mode=0o700)
    signer = make_signer(f"{TRUST_DOMAIN}/remit")
    signer.save(home.keys / "ledger.key")
    make_key(home.keys / "tokens.key")
    files = json.dumps({"files": {_STARTER: STARTER}}).encode()
    status, answer = ask(home, "POST", path="/v1/policy/apply", body=files)
    checked(status, answer)
    return signer.verifier_key()


def catalogue_text(os_user: str) -> str:
    """The remit.yaml a new home begins with: one person with every role, and examples as comments."""
    return _CATALOGUE.substitute(trust_domain=TRUST_DOMAIN, person=person_name(os_user), os_user=os_user)


def person_name(os_user: str) -> str:
    """A catalogue name for a user of this machine: lower case, digits, dashes."""
    return re.sub(r"[^a-z0-9]+", "-", os_user.lower()).strip("-") or "operator"


@contextmanager
def _staged(root: Path) -> Iterator[Home]:
    """A home to fill, beside its final place; gone at the end, and the directory too if it was made for this."""
    made = not root.exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".remit-", dir=root))
    except OSError as e:
        raise CallerFault(f"`{root}` cannot be written: {e.strerror}", "choose another directory") from e
    try:
        yield Home(draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if made and not any(root.iterdir()):
            root.rmdir()


def _move(draft: Home, home: Home) -> None:
    """A crash in here leaves a home without remit.yaml, which is none, and nothing is overwritten by trying again."""
    moved: list[Path] = []
    try:
        for name in _ENTRIES:
            (draft.root / name).rename(home.root / name)
            moved.append(home.root / name)
    except OSError as e:
        for path in moved:
            shutil.rmtree(path, ignore_errors=True)
        raise RemitError(f"`{home.root}` cannot be written: {e.strerror}") from e
