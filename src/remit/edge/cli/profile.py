"""An agent's profile: the file its bridge signs tokens with, and the only secret an agent's user holds.

JSON, mode 0600: {agent, url, trust_domain, key}. `key` is the agent's own private JWK (P-256), which signs for
that agent alone; `url` is the gateway's. A profile others could read is refused.
"""

from pathlib import Path
from typing import Any

import msgspec
from joserfc.jwk import ECKey
from msgspec import Struct

from remit.edge.cli.files import write_secret
from remit.edge.keys.files import TokenKey
from remit.edge.keys.local import LocalIssuer
from remit.edge.keys.secret import read_secret
from remit.errors import CallerFault, ConfigFault


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `remit agent enroll` wrote. Its repr keeps the key to itself."""

    agent: str
    url: str
    trust_domain: str
    key: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Profile {self.agent} at {self.url}>"

    def endpoint(self, connector: str | None = None) -> str:
        """The URL that its requests go to and its tokens are for: one tool server's, or the one for all."""
        return f"{self.url}/mcp/{connector}" if connector else f"{self.url}/mcp"

    def issuer(self) -> LocalIssuer:
        """What mints this agent's tokens. Raises `ConfigFault` when the key is none."""
        return LocalIssuer(_token_key(self.key), self.trust_domain)

    def public(self) -> dict[str, Any]:
        """The public half, as it is enrolled."""
        return dict(_token_key(self.key).public.jwk)


def make(agent: str, *, url: str, trust_domain: str) -> Profile:
    """A profile with a new key."""
    key = ECKey.generate_key("P-256", private=True)
    return Profile(agent=agent, url=url, trust_domain=trust_domain, key=dict(key.as_dict(private=True)))


def save(profile: Profile, file: Path) -> Path:
    """Write it for its owner only, to a new file. Raises `ConfigFault`, `CallerFault` when something is there."""
    return write_secret(file, msgspec.json.encode(profile) + b"\n")


def load(file: Path, agent: str) -> Profile:
    """Read this agent's. Raises `ConfigFault` when it is missing, open to others or not a profile, `CallerFault` when
    it is another agent's.
    """
    found = read(file)
    if found.agent != agent:
        raise CallerFault(f"the profile is `{found.agent}`'s, not `{agent}`'s", "name the right file")
    return found


def read(file: Path) -> Profile:
    """Read anybody's. Raises `ConfigFault` when it is missing, open to others or not a profile."""
    data = read_secret(file, what="profile", advice="`remit agent enroll NAME` makes one")
    try:
        return msgspec.json.decode(data, type=Profile)
    except msgspec.MsgspecError:
        # The cause could quote the key.
        raise ConfigFault(f"`{file}` is no agent's profile", "`remit agent enroll NAME` makes one") from None


def _token_key(jwk: dict[str, Any]) -> TokenKey:
    fault = ConfigFault("the profile's key is no P-256 key", "`remit agent enroll NAME` makes a new profile")
    try:
        private = ECKey.import_key(jwk).private_key
    except Exception:
        raise fault from None  # the cause could quote the key
    if private is None:
        raise fault
    return TokenKey(private)
