"""What is in force: what the file declares, less what the store says was revoked or has changed.

A view is one consistent look at both; a reload or a change of the store makes a new one. It only ever takes away: a
contract without a pin, a revoked name, a key of an agent the file does not declare are not there, whatever else is.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from remit.call import Call
from remit.catalogue.classify import row_of
from remit.catalogue.contracts import read
from remit.catalogue.model import (
    Agent,
    AgentKey,
    Connector,
    Contract,
    Declared,
    ExternalIdentity,
    Service,
    StandingToken,
    Tool,
)
from remit.catalogue.resources import covers
from remit.errors import StoreFault
from remit.reasons import Denied, Reason

_NO_ROWS: Final[Mapping[str, bytes]] = MappingProxyType({})


class View(Struct, frozen=True, kw_only=True):
    """An immutable snapshot. `digest` is that of the file's text; `servers` are the pinned `server` contracts by
    connector, `standing` every standing token by its `jti`, revoked and expired ones too. Made by `View.of`.
    """

    declared: Declared
    digest: str
    revoked: frozenset[str]
    keys: Mapping[str, AgentKey]
    callables: Mapping[str, Tool]
    templates: Mapping[str, Sequence[Tool]]
    servers: Mapping[str, Contract]
    standing: Mapping[str, StandingToken] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        declared: Declared,
        digest: str,
        *,
        pins: Mapping[str, bytes],
        seen: Mapping[str, bytes],
        keys: Mapping[str, bytes],
        revoked: Mapping[str, bytes],
        standing: Mapping[str, bytes] = _NO_ROWS,
    ) -> "View":
        """The view of a file and the rows `pin`, `seen`, `agent_key`, `revoked` and `standing`; `StoreFault` if one is
        none.
        """
        pinned, now = _contracts(declared, pins), _contracts(declared, seen)
        callables = dict(_callables(declared, pins=pinned, seen=now))
        templates: dict[str, list[Tool]] = {}
        for tool in callables.values():
            if tool.contract.kind == "template":
                templates.setdefault(tool.contract.connector, []).append(tool)
        return cls(
            declared=declared,
            digest=digest,
            revoked=frozenset(revoked),
            keys=_keys(declared, keys),
            callables=callables,
            templates=templates,
            servers={pin.connector: pin for pin in pinned.values() if pin.kind == "server"},
            standing=_standing(declared, standing),
        )

    def agent(self, name: str) -> Agent:
        """A catalogued agent that is owned and not revoked; else `Denied(identity.*)`."""
        found = self.declared.agents.get(name)
        if found is None:
            raise Denied(Reason.IDENTITY_UNMAPPED, f"`{name}` is not catalogued")
        if self.is_revoked("agent", name):
            raise Denied(Reason.IDENTITY_REVOKED, f"`{name}` is revoked")
        self._owned(found.owner, name)
        return found

    def service(self, name: str) -> Service:
        """A catalogued service that is owned and not revoked; else `Denied(identity.*)`."""
        found = self.declared.services.get(name)
        if found is None:
            raise Denied(Reason.IDENTITY_UNMAPPED, f"`{name}` is not catalogued")
        if self.is_revoked("service", name):
            raise Denied(Reason.IDENTITY_REVOKED, f"`{name}` is revoked")
        self._owned(found.owner, name)
        return found

    def connector(self, name: str) -> Connector:
        """A catalogued connector that is owned and not revoked; else `Denied`, alike for unknown and revoked."""
        found = self.declared.connectors.get(name)
        if found is None or self.is_revoked("connector", name):
            raise Denied(Reason.TASK_SCOPE, f"`{name}` is no connector in force")
        self._owned(found.owner, name)
        return found

    def tool(self, call: Call) -> Tool:
        """The callable a call names, `quarantined` if what the server advertises is not what was pinned.

        A resource is its own pinned row's, else that of a pinned template that covers its URI, one in force first.
        Raises `Denied(schema.unknown)` when nothing of the name was ever seen.
        """
        found = self.callables.get(f"{call.connector}/{call.kind}/{call.name}")
        # A resource that was merely seen does not stand in the way of a template that covers it.
        if call.kind == "resource" and (found is None or found.quarantined == found.contract.digest):
            found = self._template(call, found)
        if found is None:
            raise Denied(Reason.SCHEMA_UNKNOWN, f"`{call.target}` was never seen")
        return found

    def tools(self, connector: str | None = None) -> tuple[Tool, ...]:
        """Every callable of a connector, or of all in force, quarantined ones too, by connector, kind and name."""
        return tuple(
            tool
            for _, tool in sorted(self.callables.items())
            if connector in (None, tool.contract.connector)
            and not self.is_revoked("connector", tool.contract.connector)
        )

    def agent_by_identity(self, issuer: str, subject: str) -> str | None:
        """The agent an external token stands for; `issuer` is a name under `issuers`."""
        return _by_identity(self.declared.agents, ExternalIdentity(issuer=issuer, subject=subject))

    def service_by_identity(self, issuer: str, subject: str) -> str | None:
        """The service an external token stands for; `issuer` is a name under `issuers`."""
        return _by_identity(self.declared.services, ExternalIdentity(issuer=issuer, subject=subject))

    def agent_key(self, kid: str) -> AgentKey | None:
        """The key an agent of the local trust domain was enrolled with; None when it or the agent is revoked."""
        found = self.keys.get(kid)
        if found is None or self.is_revoked("key", kid) or self.is_revoked("agent", found.agent):
            return None
        return found

    def standing_token(self, jti: str | None) -> StandingToken:
        """The standing token of that id, issued and not revoked; else `Denied(identity.*)`."""
        found = self.standing.get(jti or "")
        if found is None:
            raise Denied(Reason.IDENTITY_INVALID)
        if self.is_revoked("token", jti or ""):
            raise Denied(Reason.IDENTITY_REVOKED, "the token is revoked")
        return found

    def is_revoked(self, what: str, name: str) -> bool:
        """Whether `what` (`agent`, `connector`, `service`, `key` or `token`) of that name was revoked."""
        return f"{what}/{name}" in self.revoked

    def _owned(self, owner: str, name: str) -> None:
        if owner not in self.declared.people:
            raise Denied(Reason.IDENTITY_NO_OWNER, f"`{name}` has no owner")

    def _template(self, call: Call, otherwise: Tool | None) -> Tool | None:
        # A completion names the template itself, a read one of the resources it covers.
        covered = str.__eq__ if call.method == "completion/complete" else covers
        found = [tool for tool in self.templates.get(call.connector, ()) if covered(tool.contract.name, call.name)]
        in_force = [tool for tool in found if tool.quarantined is None]
        return next(iter(in_force or ([otherwise] if otherwise else found)), None)


class _KeyRow(Struct):
    agent: str
    jwk: dict[str, Any]
    at: int = 0


_KEYS: Final = msgspec.json.Decoder(_KeyRow)
_STANDING: Final = msgspec.json.Decoder(StandingToken)


def _contracts(declared: Declared, rows: Mapping[str, bytes]) -> dict[str, Contract]:
    return {key: read(key, rows[key]) for key in sorted(rows) if key.split("/", 1)[0] in declared.connectors}


def _callables(
    declared: Declared, *, pins: Mapping[str, Contract], seen: Mapping[str, Contract]
) -> Iterator[tuple[str, Tool]]:
    differing = {key: now for key, now in seen.items() if key not in pins or now.digest != pins[key].digest}
    servers = {now.connector: now.digest for now in differing.values() if now.kind == "server"}
    for key in sorted(pins.keys() | seen.keys()):
        contract = pins.get(key) or seen[key]
        if contract.kind == "server":
            continue
        changed = differing[key].digest if key in differing else servers.get(contract.connector)
        row = row_of(declared.connectors[contract.connector], contract.kind, name=contract.name)
        yield key, Tool(contract=contract, row=row, quarantined=changed)


def _keys(declared: Declared, rows: Mapping[str, bytes]) -> dict[str, AgentKey]:
    found: dict[str, AgentKey] = {}
    for kid, row in rows.items():
        try:
            key = _KEYS.decode(row)
        except msgspec.DecodeError as e:
            raise StoreFault(f"the stored agent key `{kid}` cannot be read") from e
        agent = declared.agents.get(key.agent)
        # An agent mapped from an external issuer is not of the local trust domain: a key of its own signs nothing.
        if agent is not None and agent.identity is None:
            found[kid] = AgentKey(agent=key.agent, jwk=key.jwk)
    return found


def _standing(declared: Declared, rows: Mapping[str, bytes]) -> dict[str, StandingToken]:
    found: dict[str, StandingToken] = {}
    for jti, row in rows.items():
        try:
            token = _STANDING.decode(row)
        except msgspec.DecodeError as e:
            raise StoreFault(f"the stored standing token `{jti}` cannot be read") from e
        agent = declared.agents.get(token.agent)
        if agent is not None and agent.identity is None:
            found[jti] = token
    return found


def _by_identity(rows: Mapping[str, Agent] | Mapping[str, Service], identity: ExternalIdentity) -> str | None:
    for name, row in rows.items():
        if row.identity == identity:
            return name
    return None
