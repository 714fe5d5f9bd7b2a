"""Where things are: the one directory a gateway lives in. Naming a path touches nothing."""

import os
from pathlib import Path
from typing import NamedTuple

from remit.errors import CallerFault


class Home(NamedTuple):
    """The paths under a home. `keys` and `state` are for their owner only."""

    root: Path

    @property
    def catalogue(self) -> Path:
        return self.root / "remit.yaml"

    @property
    def policy(self) -> Path:
        return self.root / "policy"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def agents(self) -> Path:
        return self.root / "agents"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def database(self) -> Path:
        return self.state / "remit.db"

    @property
    def socket(self) -> Path:
        """The people's door: beside the catalogue, where people who may not read the state can knock."""
        return self.root / "door.sock"

    @property
    def checkpoints(self) -> Path:
        return self.state / "checkpoints"

    def profile(self, agent: str) -> Path:
        """What one agent signs its tokens with."""
        return self.agents / f"{agent}.json"


def find(named: Path | None) -> Home:
    """The home that is meant: `--home`, else `$REMIT_HOME`, else the nearest directory upwards holding remit.yaml, else
    the current one. It need not exist.
    """
    if named is not None:
        return Home(named.resolve())
    if from_environment := os.environ.get("REMIT_HOME"):
        return Home(Path(from_environment).resolve())
    here = Path.cwd()
    return Home(next((place for place in (here, *here.parents) if (place / "remit.yaml").is_file()), here))


def profile_of(named: Path | None, agent: str) -> Path:
    """Where an agent's profile is in the home that is meant. Raises `CallerFault` when there is no home."""
    home = find(named)
    if not home.agents.is_dir() and not home.catalogue.is_file():
        raise CallerFault("no home here", "pass `--home DIR` (MCP clients start in a directory of their own)")
    return home.profile(agent)


def existing(named: Path | None) -> Home:
    """The home that is meant, which has to be one. Raises `CallerFault`."""
    home = find(named)
    if not home.catalogue.is_file():
        raise CallerFault(
            f"there is no remit.yaml in `{home.root}`", "`remit init` makes a home here; `--home DIR` names another"
        )
    return home
