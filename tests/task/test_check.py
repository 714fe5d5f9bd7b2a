"""A call is within its task, or the reason says where it is not."""

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from remit.catalogue import classify
from remit.catalogue.model import TierRule, Tool, ToolRow
from remit.reasons import Denied, Reason
from remit.task import visible
from remit.task.model import State
from tests.catalogue.given import CLASSES, call, connector, contract
from tests.task.given import NOW, setting, task, within

LOG = call("git_log", {"repo": "/work/a"})
MINUTE = 60_000


def denied(given_task, this_call, around):
    with pytest.raises(Denied) as no:
        within(given_task, this_call, setting=around)
    return no.value


def scoped(**changes):
    found = task()
    return replace(found, scope=replace(found.scope, **changes))


def test_a_call_in_scope_passes_and_its_task_comes_back():
    assert within(task(), LOG, setting=setting()) == task()


@pytest.mark.holds("INV-12", "INV-12-TENANT")
@pytest.mark.parametrize(
    "given_task, around, reason",
    [
        (None, setting(), Reason.TASK_MISSING),
        (task(), setting(agent="other"), Reason.TASK_UNKNOWN),
        (task(), setting(agent="Coder"), Reason.TASK_UNKNOWN),
        (task(), setting(tenant="acme"), Reason.TASK_UNKNOWN),
        (task(state=State.REVOKED), setting(agent="other"), Reason.TASK_UNKNOWN),
        (task(state=State.SUSPENDED), setting(), Reason.TASK_NOT_OPEN),
        (task(state=State.COMPLETED), setting(), Reason.TASK_NOT_OPEN),
        (task(state=State.REVOKED), setting(now=NOW + 60 * MINUTE), Reason.TASK_NOT_OPEN),
        (task(state=State.EXPIRED), setting(), Reason.TASK_EXPIRED),
        (task(), setting(now=NOW + 10 * MINUTE), Reason.TASK_EXPIRED),
        (task(idle_s=60), setting(now=NOW + MINUTE), Reason.TASK_EXPIRED),
        (task(idle_s=60), setting(now=NOW + 3 * MINUTE, last_used=NOW + 2 * MINUTE), Reason.TASK_EXPIRED),
        (scoped(tools=()), setting(), Reason.TASK_SCOPE),
        (scoped(tools=("git/git_commit", "git/Git_log", "svn/*")), setting(), Reason.TASK_SCOPE),
        (scoped(tiers=()), setting(), Reason.TASK_SCOPE),
        (scoped(tiers=("write", "privileged")), setting(), Reason.TASK_SCOPE),
        (task(), setting(on=connector(tenant="acme")), Reason.TASK_TENANT),
        (task(), setting(on=connector(environment="prod")), Reason.TASK_ENVIRONMENT),
        (scoped(data_classes=()), setting(), Reason.TASK_DATA_CLASS),
        (scoped(data_classes=("public", "restricted")), setting(), Reason.TASK_DATA_CLASS),
        (task(), setting(classified=replace(setting().classified, data_classes=())), Reason.TASK_DATA_CLASS),
    ],
)
def test_what_is_not_within_says_why(given_task, around, reason):
    assert denied(given_task, LOG, around).reason is reason


def test_an_idle_limit_counts_from_the_last_call():
    idle = task(idle_s=60)
    assert within(idle, LOG, setting=setting(now=NOW + 2 * MINUTE, last_used=NOW + 2 * MINUTE - 1)) == idle
    assert within(idle, LOG, setting=setting(now=NOW + MINUTE - 1)) == idle
    assert within(task(), LOG, setting=setting(now=NOW + 9 * MINUTE))


def test_a_tier_by_arguments_says_that_the_arguments_are_beyond():
    rules = (TierRule(when={"required": ["dry"]}, tier="read"),)
    row = connector(tools={"run": ToolRow(rules=rules, data={"public": ()})})
    wet = call("run")
    around = setting(on=row, classified=classify(row, wet, classes=CLASSES))
    assert denied(task(), wet, around).reason is Reason.TASK_ARGUMENTS
    dry = call("run", {"dry": 1})
    assert within(task(), dry, setting=setting(on=row, classified=classify(row, dry, classes=CLASSES)))


AT_WORK = {"properties": {"repo": {"type": "string", "pattern": "^/work/"}}, "required": ["repo"]}


@pytest.mark.parametrize(
    "constraints, where",
    [
        ({"git/*": AT_WORK}, "at `/repo`"),
        ({"git/git_log": AT_WORK}, "at `/repo`"),
        ({"git/*": {}, "git/git_log": AT_WORK}, "at `/repo`"),
        ({"git/git_log": {"required": ["since"]}}, "as a whole"),
        ({"git/git_log": {"type": "nonsense"}}, "cannot be read"),
    ],
)
def test_every_constraint_about_a_call_holds_and_its_value_is_not_told(constraints, where):
    no = denied(scoped(arguments=constraints), call("git_log", {"repo": "/secret"}), setting())
    assert no.reason is Reason.TASK_ARGUMENTS
    assert where in no.detail
    assert "secret" not in no.detail


@pytest.mark.parametrize("key", ["git/*", "git/git_log", "git/git_commit"])
def test_arguments_that_fit_and_constraints_of_other_tools_pass(key):
    assert within(scoped(arguments={key: AT_WORK}), LOG, setting=setting())
    other = {"git/git_commit": AT_WORK, "svn/*": AT_WORK}
    assert within(scoped(arguments=other), call("git_log"), setting=setting())


RESOURCES = connector(resources=ToolRow(tier="read", data={"internal": ("/uri",)}))


def reading(uri):
    this = call(uri, method="resources/read")
    return this, setting(on=RESOURCES, classified=classify(RESOURCES, this, classes=CLASSES))


@pytest.mark.holds("INPUT-NAME")
@pytest.mark.parametrize(
    "uri",
    ["file:///d/../etc", "file:///d/%2e%2e/etc", "file:///d%2Fa", "file:///D/a", "FILE:///d/a", "file:///d/..\\a"],
)
def test_a_prefix_is_not_left_by_a_path_trick(uri):
    this, around = reading(uri)
    assert denied(scoped(tools=("git/resource:file:///d/*",)), this, around).reason is Reason.TASK_SCOPE


def test_a_constraint_on_a_prefix_holds_for_tricky_uris_too():
    this, around = reading("file:///d/../etc")
    never = scoped(tools=("git/*",), arguments={"git/resource:file:///d/*": {"not": {}}})
    assert denied(never, this, around).reason is Reason.TASK_ARGUMENTS
    assert within(scoped(tools=("git/*",)), this, setting=around)


def tool(name, *, kind="tool", row=None):
    return Tool(contract=contract(name, kind=kind), row=row or ToolRow(tier="read"))


TOOLS = (
    tool("git_log"),
    tool("git_commit", row=ToolRow(tier="write")),
    tool("drop", row=ToolRow()),
    tool("ask", kind="prompt"),
    tool("file:///d/a", kind="resource"),
    tool("file:///d/{name}", kind="template"),
    tool("file:///{+path}", kind="template"),
)


@pytest.mark.holds("WIRE-ALIKE")
@pytest.mark.parametrize(
    "scope, shown",
    [
        ({"tools": ("git/*",)}, [0, 1, 3, 4, 5, 6]),
        ({"tools": ("git/*",), "tiers": ("read",)}, [0, 3, 4, 5, 6]),
        ({"tools": ("git/git_log", "git/prompt:*")}, [0, 3]),
        ({"tools": ("git/resource:file:///d/*",)}, [4, 5, 6]),
        ({"tools": ("git/resource:file:///e/*",)}, [6]),
        ({"tools": ("git/resource:file:///d/b",)}, [5, 6]),
        ({"tools": ("git/resource:file:///d/a",)}, [4, 5, 6]),
        ({"tools": ("svn/*", "svn/resource:*")}, []),
        ({"tools": ("git/*",), "tenant": "acme"}, []),
        ({"tools": ("git/*",), "tiers": ("privileged",)}, [2]),
    ],
)
def test_what_is_shown_is_what_is_not_answered_as_unknown(scope, shown):
    assert visible(scoped(**scope), TOOLS, connector=connector()) == tuple(TOOLS[i] for i in shown)


@given(st.sampled_from(["git_log", "git_commit", "other"]), st.sampled_from([("read",), ("write",), ("read", "write")]))
def test_a_tool_is_shown_exactly_when_its_call_is_not_answered_as_unknown(name, tiers):
    row = connector().tools.get(name, ToolRow())
    limited = scoped(tiers=tiers, data_classes=CLASSES)
    try:
        within(limited, call(name), setting=setting(name))
        is_unknown = False
    except Denied as no:
        is_unknown = no.reason in (Reason.TASK_SCOPE, Reason.TASK_TENANT)
    assert bool(visible(limited, [tool(name, row=row)], connector=connector())) is not is_unknown
