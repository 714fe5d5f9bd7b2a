"""Tasks and parties as tests need them."""

from typing import Any

from remit.catalogue import classify
from remit.catalogue.model import Connector
from remit.task import Setting, Task, TaskSpec, opened
from remit.task.model import Party, Stamp
from tests.catalogue.given import CLASSES, agent, call, connector, purpose

NOW = 1_700_000_000_000
ALICE = Party(kind="human", id="alice", roles=frozenset({"requester"}))
FLOW = Party(kind="service", id="spiffe://mesh.example/flow", roles=frozenset({"requester"}))


def task(**changes: Any) -> Task:
    """Alice's task of ten minutes for `coder` under `purpose()`, changed as said."""
    spec = TaskSpec(agent="coder", purpose="work", minutes=10)
    found = opened(spec, ALICE, purpose=purpose(tiers=("read", "write")), agent=agent(), stamp=Stamp(id="t1", at=NOW))
    return Task(**{name: getattr(found, name) for name in found.__struct_fields__} | changes)


def setting(name: str = "git_log", *, on: Connector | None = None, **changes: Any) -> Setting:
    row = on or connector()
    classified = classify(row, call(name), classes=CLASSES)
    made = {"agent": "coder", "tenant": "default", "connector": row, "classified": classified, "now": NOW}
    return Setting(**made | changes)
