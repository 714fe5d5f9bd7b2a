"""What one row of the file says of another: every name it mentions exists, and nothing is shared that must not be."""

from collections.abc import Collection, Iterator, Mapping

from remit.catalogue.model import Agent, Connector, Declared, ExternalIdentity, IssuerRow, Purpose, Service, ToolRow
from remit.catalogue.patterns import covers
from remit.catalogue.typed import Path, nearest

Faults = Iterator[tuple[Path, str]]


def owners(declared: Declared) -> Faults:
    """No owner, no service."""
    rows: dict[str, Mapping[str, Agent | Service | Connector | Purpose | IssuerRow]] = {
        "agents": declared.agents,
        "services": declared.services,
        "connectors": declared.connectors,
        "purposes": declared.purposes,
        "issuers": declared.issuers,
    }
    for kind, named in rows.items():
        for name, row in named.items():
            yield from _known((kind, name, "owner"), row.owner, known=declared.people, where="people")


def places(declared: Declared) -> Faults:
    """Environments and tenants."""
    for kind, rows in (("agents", declared.agents), ("connectors", declared.connectors)):
        for name, row in rows.items():
            yield from _known(
                (kind, name, "environment"), row.environment, known=declared.environments, where="environments"
            )
            yield from _known((kind, name, "tenant"), row.tenant, known=declared.tenants, where="tenants")
    for name, purpose in declared.purposes.items():
        for i, environment in enumerate(purpose.environments):
            at = ("purposes", name, "environments", i)
            yield from _known(at, environment, known=declared.environments, where="environments")
        for i, tenant in enumerate(purpose.tenants):
            yield from _known(("purposes", name, "tenants", i), tenant, known=declared.tenants, where="tenants")


def data_classes(declared: Declared) -> Faults:
    for name, purpose in declared.purposes.items():
        for i, data_class in enumerate(purpose.data_classes):
            yield from _known(
                ("purposes", name, "data_classes", i), data_class, known=declared.data_classes, where="data_classes"
            )
    for path, row in tool_rows(declared):
        for data_class in row.data:
            yield from _known(
                (*path, "data", data_class), data_class, known=declared.data_classes, where="data_classes"
            )


def tool_rows(declared: Declared) -> Iterator[tuple[Path, ToolRow]]:
    """Every tool row of the file, with its path."""
    for name, connector in declared.connectors.items():
        for tool, row in connector.tools.items():
            yield ("connectors", name, "tools", tool), row
        yield ("connectors", name, "resources"), connector.resources
        yield ("connectors", name, "prompts"), connector.prompts


def purpose_tools(declared: Declared) -> Faults:
    """The connectors a purpose's tools name, and that its constraints are about tools it has."""
    for name, purpose in declared.purposes.items():
        for i, tool in enumerate(purpose.tools):
            at = ("purposes", name, "tools", i)
            yield from _known(at, tool.partition("/")[0], known=declared.connectors, where="connectors")
        for key in purpose.arguments:
            if not any(covers(wide, key) for wide in purpose.tools):
                yield ("purposes", name, "arguments", key), f"`{key}` is none of the purpose's tools"


def templates(declared: Declared) -> Faults:
    """A default task: reads under a purpose that covers its tools and is for where the agent works."""
    for name, agent in declared.agents.items():
        row, at = agent.template, ("agents", name, "template")
        if row is None:
            continue
        if row.tools == ():
            yield (*at, "tools"), "`tools` is empty, so nothing could be done"
        yield from _known((*at, "purpose"), row.purpose, known=declared.purposes, where="purposes")
        purpose = declared.purposes.get(row.purpose)
        if purpose is None:
            continue
        if "read" not in purpose.tiers:
            yield (*at, "purpose"), f"`{row.purpose}` has no tier `read`, and a default task only reads"
        if agent.environment not in purpose.environments or agent.tenant not in purpose.tenants:
            yield (*at, "purpose"), f"`{row.purpose}` is not for the agent's environment and tenant"
        for i, tool in enumerate(row.tools or ()):
            if not any(covers(wide, tool) for wide in purpose.tools):
                yield (*at, "tools", i), f"`{tool}` is beyond the purpose `{row.purpose}`"


def identities(declared: Declared) -> Faults:
    """Agents and services never share an identity, and none comes from an issuer of people."""
    taken: dict[ExternalIdentity, str] = {}
    for kind, rows in (("agents", declared.agents), ("services", declared.services)):
        for name, row in rows.items():
            if row.identity is None:
                continue
            at = (kind, name, "identity")
            yield from _known((*at, "issuer"), row.identity.issuer, known=declared.issuers, where="issuers")
            issuer = declared.issuers.get(row.identity.issuer)
            if issuer is not None and issuer.for_people:
                yield (*at, "issuer"), f"`{row.identity.issuer}` is for people, who are no agents or services"
            if not row.identity.subject:
                yield (*at, "subject"), "the subject is empty"
            if (first := taken.setdefault(row.identity, name)) is not name:
                yield at, f"`{first}` has the same issuer and subject"


def issuers(declared: Declared) -> Faults:
    """An issuer stands once, and is not the gateway's own, which is called `local`."""
    if "local" in declared.issuers:
        yield ("issuers", "local"), "`local` is the gateway's own trust domain, choose another name"
    taken: dict[str, str] = {f"spiffe://{declared.trust_domain}": "trust_domain"}
    for name, row in declared.issuers.items():
        if (first := taken.setdefault(row.issuer, name)) is not name:
            yield ("issuers", name, "issuer"), f"the same issuer as `{first}`"


def os_users(declared: Declared) -> Faults:
    taken: dict[str, str] = {}
    for name, person in declared.people.items():
        if person.os_user is not None and (first := taken.setdefault(person.os_user, name)) is not name:
            yield ("people", name, "os_user"), f"`{first}` has the same os_user"


def _known(at: Path, name: str, *, known: Collection[str], where: str) -> Faults:
    if name not in known:
        yield at, f"`{name}` is not under `{where}`{nearest(name, known)}"
