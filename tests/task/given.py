"""Tasks and parties as tests need them."""

from typing import Any, NamedTuple

from remit.call import Call
from remit.catalogue import Classified, classify
from remit.catalogue.model import Connector
from remit.task import Standing, Task, TaskSpec, assigned, opened, within as covered
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


class Setting(NamedTuple):
    """Everything step 3 asks besides the task and the call."""

    standing: Standing
    connector: Connector
    classified: Classified


def setting(name: str = "git_log", *, on: Connector | None = None, **changes: Any) -> Setting:
    row = changes.pop("connector", on or connector())
    classified = changes.pop("classified", None) or classify(row, call(name), classes=CLASSES)
    return Setting(Standing(**{"agent": "coder", "tenant": "default", "now": NOW} | changes), row, classified)


def within(task: Task | None, this: Call, *, setting: Setting) -> Task:
    """Both halves of step 3, in the flow's order."""
    found = assigned(task, setting.standing)
    return covered(found, this, connector=setting.connector, classified=setting.classified)
