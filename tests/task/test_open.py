"""A task is never wider than its purpose, whoever asks for what."""

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from remit.catalogue.model import TIERS, Template
from remit.catalogue.patterns import covers, reaches
from remit.errors import CallerFault, NotPermitted
from remit.limits import REQUEST_TEXT_CHARS_MAX, TASK_CALLS_MAX, TASK_LIFETIME_MAX_S
from remit.reasons import Denied
from remit.task import TaskSpec, opened, renewed, template
from remit.task.model import Party, Requester, Stamp, State
from tests.catalogue.given import CLASSES, agent, call, purpose
from tests.task.given import ALICE, FLOW, NOW, setting, task, within

OPERATOR = Party(kind="human", id="op", roles=frozenset({"operator"}))
STAMP = Stamp(id="t9", at=NOW)
AT_WORK = {"properties": {"repo": {"type": "string", "pattern": "^/work/"}}, "required": ["repo"]}
PURPOSE = purpose(
    tools=("git/git_log", "git/git_commit", "files/resource:file:///src/*"),
    tiers=("read", "write"),
    data_classes=("public", "internal"),
    calls=50,
    minutes=60,
    arguments={"git/git_log": AT_WORK},
)


def ask(by=ALICE, *, under=PURPOSE, worker=None, **spec):
    made = TaskSpec(**{"agent": "coder", "purpose": "work"} | spec)
    return opened(made, by, purpose=under, agent=worker or agent(), stamp=STAMP)


def test_a_task_that_says_nothing_has_all_of_its_purpose():
    found = ask()
    assert (found.id, found.agent, found.purpose, found.state) == ("t9", "coder", "work", State.OPEN)
    assert found.scope.tools == PURPOSE.tools
    assert (found.scope.tiers, found.scope.data_classes) == (PURPOSE.tiers, PURPOSE.data_classes)
    assert (found.scope.environment, found.scope.tenant) == ("dev", "default")
    assert found.scope.arguments == PURPOSE.arguments
    assert (found.budget.calls, found.expires_at - NOW) == (50, 60 * 60_000)
    assert (found.origin, found.idle_s, found.opened_by) == ("declared", None, "alice")


def test_a_step_is_one_tool_called_once():
    found = ask(tools=("git/git_log",), calls=1, minutes=5, per_tool={"git/git_log": 1})
    assert (found.scope.tools, found.budget.calls) == (("git/git_log",), 1)
    assert found.budget.per_tool == {"git/git_log": 1}


@pytest.mark.holds("TASK-SCOPE")
@pytest.mark.parametrize(
    "dimension, spec",
    [
        ("tool `git/\\*`", {"tools": ("git/*",)}),
        ("tool `git/Git_log`", {"tools": ("git/git_log", "git/Git_log")}),
        ("tool `svn/log`", {"tools": ("svn/log",)}),
        ("tool `files/resource:file:///\\*`", {"tools": ("files/resource:file:///*",)}),
        ("tool `files/resource:file:///src/../etc`", {"tools": ("files/resource:file:///src/../etc",)}),
        ("names no tool", {"tools": ("git/git_*",)}),
        ("names no tool", {"tools": ()}),
        ("no tier", {"tiers": ()}),
        ("tier `privileged`", {"tiers": ("read", "privileged")}),
        ("data class `restricted`", {"data_classes": ("public", "restricted")}),
        ("data class `Public`", {"data_classes": ("Public",)}),
        ("environment `prod`", {"environment": "prod"}),
        ("tenant `acme`", {"tenant": "acme"}),
        ("51 calls", {"calls": 51}),
        ("0 calls", {"calls": 0}),
        ("61 minutes", {"minutes": 61}),
        ("0 minutes", {"minutes": 0}),
        ("budget for `git/git_push`", {"per_tool": {"git/git_push": 1}}),
        ("budget for `files/resource", {"per_tool": {"files/resource:file:///src/*": 1}}),
        ("budget for `git/git_commit`", {"tools": ("git/git_log",), "per_tool": {"git/git_commit": 1}}),
        ("6 calls of `git/git_log`", {"calls": 5, "per_tool": {"git/git_log": 6}}),
        ("0 calls of `git/git_log`", {"per_tool": {"git/git_log": 0}}),
        ("not a JSON Schema keyword", {"arguments": {"git/git_log": {"requird": ["a"]}}}),
        ("names no tool", {"arguments": {"git": {}}}),
        ("text is longer", {"text": "x" * (REQUEST_TEXT_CHARS_MAX + 1)}),
    ],
)
def test_what_is_wider_than_the_purpose_is_refused_by_its_dimension(dimension, spec):
    with pytest.raises(CallerFault, match=dimension):
        ask(**spec)


@pytest.mark.holds("TASK-SCOPE", "INV-12-TENANT")
@pytest.mark.parametrize(
    "dimension, worker", [("environment `prod`", {"environment": "prod"}), ("tenant `acme`", {"tenant": "acme"})]
)
def test_an_agent_works_where_the_purpose_is_for(dimension, worker):
    with pytest.raises(CallerFault, match=dimension):
        ask(worker=agent(**worker))


def test_no_task_lives_or_calls_beyond_what_holds_for_everybody():
    endless = purpose(calls=TASK_CALLS_MAX * 2, minutes=TASK_LIFETIME_MAX_S)
    found = ask(under=endless)
    assert found.budget.calls == TASK_CALLS_MAX
    assert found.expires_at == NOW + TASK_LIFETIME_MAX_S * 1000


VERIFIED = Party(kind="service", id=FLOW.id, roles=FLOW.roles, on_behalf="https://login.example#42")


@pytest.mark.parametrize(
    "by, spec, requester, source",
    [
        (ALICE, {}, ("alice", "authenticated"), "requester"),
        (ALICE, {"requester": "alice"}, ("alice", "authenticated"), "requester"),
        (ALICE, {"text_source": "agent"}, ("alice", "authenticated"), "agent"),
        (OPERATOR, {"requester": "bob"}, ("bob", "asserted"), "orchestrator"),
        (FLOW, {"requester": "bob"}, ("bob", "asserted"), "orchestrator"),
        (FLOW, {"requester": "bob", "text_source": "requester"}, ("bob", "asserted"), "orchestrator"),
        (FLOW, {"requester": "bob", "text_source": "agent"}, ("bob", "asserted"), "agent"),
        (VERIFIED, {}, ("https://login.example#42", "id_token"), "orchestrator"),
        (VERIFIED, {"requester": "https://login.example#42"}, ("https://login.example#42", "id_token"), "orchestrator"),
    ],
)
def test_the_requester_is_stamped_with_how_we_know_and_the_text_with_who_said_it(by, spec, requester, source):
    found = ask(by, **spec)
    assert found.requester == Requester(id=requester[0], proof=requester[1])
    assert (found.text_source, found.opened_by) == (source, by.id)


@pytest.mark.parametrize("by, spec", [(FLOW, {}), (FLOW, {"requester": FLOW.id}), (VERIFIED, {"requester": "alice"})])
def test_a_service_says_who_the_work_is_for(by, spec):
    with pytest.raises(CallerFault):
        ask(by, **spec)


@pytest.mark.holds("INV-15-DOOR")
@pytest.mark.parametrize(
    "by",
    [
        Party(kind="agent", id="coder", roles=frozenset({"operator"})),
        Party(kind="gateway", id="gateway", roles=frozenset({"operator"})),
        Party(kind="human", id="aud", roles=frozenset({"auditor"})),
        Party(kind="service", id="flow"),
    ],
    ids=lambda by: by.kind,
)
def test_only_requesters_and_operators_open_tasks(by):
    with pytest.raises(NotPermitted):
        ask(by)


def test_constraints_come_on_top_of_the_purposes():
    narrow = {"properties": {"n": {"maximum": 3}}}
    found = ask(arguments={"git/git_log": narrow, "git/git_commit": narrow}).scope.arguments
    assert found == {
        "git/git_log": {"allOf": [{"$id": "urn:remit:purpose", **AT_WORK}, {"$id": "urn:remit:task", **narrow}]},
        "git/git_commit": narrow,
    }


SCHEMAS = st.sampled_from(
    [{}, {"required": ["n"]}, {"properties": {"n": {"maximum": 3}}}, {"not": {"required": ["x"]}}]
)
ARGUMENTS = st.fixed_dictionaries(
    {}, optional={"repo": st.sampled_from(["/work/a", "/etc"]), "n": st.integers(0, 9), "x": st.none()}
)


@given(SCHEMAS, ARGUMENTS)
def test_a_conjunction_only_narrows(schema, arguments):
    this = call("git_log", arguments)

    def passes(given_task):
        try:
            return within(given_task, this, setting=setting()) is given_task
        except Denied:
            return False

    if passes(ask(arguments={"git/git_log": schema})):
        assert passes(ask())


TOOLS = st.sampled_from(
    ["git/*", "git/git_log", "git/git_commit", "git/prompt:*", "git/prompt:a", "git/resource:*", "git/resource:file:///s/*",
     "git/resource:file:///s/a", "git/resource:file:///s/../a", "svn/*"]
)  # fmt: skip
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "tools": st.lists(TOOLS, max_size=3).map(tuple),
        "tiers": st.lists(st.sampled_from(TIERS), max_size=3).map(tuple),
        "data_classes": st.lists(st.sampled_from(CLASSES), max_size=3).map(tuple),
        "environment": st.sampled_from(["dev", "prod"]),
        "tenant": st.sampled_from(["default", "acme"]),
        "calls": st.integers(-1, 20),
        "minutes": st.integers(-1, 20),
        "per_tool": st.dictionaries(TOOLS, st.integers(-1, 20), max_size=2),
        "arguments": st.dictionaries(TOOLS, SCHEMAS, max_size=2),
    },
)
PURPOSES = st.builds(
    purpose,
    tools=st.lists(TOOLS, min_size=1, max_size=3).map(tuple),
    tiers=st.lists(st.sampled_from(TIERS), min_size=1, max_size=3).map(tuple),
    data_classes=st.lists(st.sampled_from(CLASSES), max_size=3).map(tuple),
    calls=st.integers(1, 10),
    minutes=st.integers(1, 10),
    arguments=st.dictionaries(TOOLS, SCHEMAS, max_size=2),
)


@pytest.mark.holds("TASK-SCOPE")
@given(SPECS, PURPOSES, TOOLS)
def test_a_task_opened_is_never_wider_than_its_purpose(spec, under, target):
    try:
        found = ask(under=under, **spec)
    except CallerFault:
        return
    scope = found.scope
    assert all(any(covers(wide, tool) for wide in under.tools) for tool in scope.tools)
    assert not any(reaches(tool, target) for tool in scope.tools) or any(reaches(wide, target) for wide in under.tools)
    assert set(scope.tiers) <= set(under.tiers)
    assert set(scope.data_classes) <= set(under.data_classes)
    assert scope.environment in under.environments
    assert scope.tenant in under.tenants
    assert scope.arguments.keys() >= under.arguments.keys()
    assert 1 <= found.budget.calls <= under.calls
    assert all(1 <= calls <= found.budget.calls for calls in found.budget.per_tool.values())
    assert NOW < found.expires_at <= NOW + under.minutes * 60_000


DEFAULT = Template(purpose="work", tools=("git/git_log",), calls=1000, minutes=480, idle_minutes=15)


@pytest.mark.holds("TASK-TEMPLATE")
def test_a_default_task_only_reads_and_ends_where_its_purpose_does():
    found = template("coder", agent(template=DEFAULT), purpose=PURPOSE, client="desk", stamp=STAMP)
    assert (found.origin, found.client, found.idle_s) == ("template", "desk", 900)
    assert (found.scope.tiers, found.scope.tools) == (("read",), ("git/git_log",))
    assert found.scope.arguments == PURPOSE.arguments
    assert (found.budget.calls, found.expires_at) == (50, NOW + 60 * 60_000)
    assert found.requester == Requester(id="alice", proof="asserted")
    everything = template("coder", agent(template=Template(purpose="work")), purpose=PURPOSE, client="", stamp=STAMP)
    assert everything.scope.tools == PURPOSE.tools


@pytest.mark.holds("TASK-TEMPLATE")
@pytest.mark.parametrize(
    "worker, under",
    [
        (agent(), PURPOSE),
        (agent(template=DEFAULT), replace(PURPOSE, tiers=("write",))),
        (agent(template=DEFAULT), replace(PURPOSE, tools=("git/git_commit",))),
        (agent(template=DEFAULT, environment="prod"), PURPOSE),
    ],
)
def test_a_default_task_its_purpose_does_not_cover_is_not_opened(worker, under):
    with pytest.raises(CallerFault):
        template("coder", worker, purpose=under, client="", stamp=STAMP)


def renew(given_task, *, by=ALICE, under=PURPOSE, minutes=None, now=NOW + 60_000):
    return renewed(given_task, by, purpose=under, minutes=minutes, now=now)


def test_a_renewed_task_lives_on_from_now():
    found = ask(minutes=5)
    assert renew(found, minutes=30) == replace(found, expires_at=NOW + 31 * 60_000)
    late = NOW + 6 * 60_000
    assert renew(found, now=late) == replace(found, expires_at=late + 60 * 60_000)
    assert renew(replace(found, state=State.EXPIRED)).state is State.OPEN
    assert renew(replace(found, state=State.SUSPENDED)).state is State.SUSPENDED


def test_no_renewal_goes_beyond_the_longest_life():
    found, end = ask(), NOW + TASK_LIFETIME_MAX_S * 1000
    assert renew(found, now=end - 60_000).expires_at == end
    with pytest.raises(CallerFault, match="as long as a task may"):
        renew(found, now=end)


@pytest.mark.holds("TASK-TEMPLATE", "TASK-TABLE")
@pytest.mark.parametrize(
    "before, how",
    [
        (ask(), {"minutes": 61}),
        (ask(), {"under": replace(PURPOSE, tools=("git/git_log",))}),
        (ask(), {"under": replace(PURPOSE, tiers=("read",))}),
        (ask(), {"under": replace(PURPOSE, tenants=("acme",))}),
        (ask(), {"under": replace(PURPOSE, arguments={"git/git_log": {"required": ["other"]}})}),
        (ask(), {"under": replace(PURPOSE, arguments={"git/git_commit": AT_WORK})}),
        (replace(ask(), state=State.REVOKED), {}),
        (replace(ask(), state=State.COMPLETED), {}),
        (replace(ask(), origin="template"), {}),
    ],
)
def test_what_ended_or_outgrew_its_purpose_is_not_renewed(before, how):
    with pytest.raises(CallerFault):
        renew(before, **how)


def test_a_conjunction_with_the_purposes_constraint_is_renewed():
    narrowed = ask(arguments={"git/git_log": {"required": ["n"]}})
    assert renew(narrowed).scope == narrowed.scope


@pytest.mark.parametrize(
    "by", [Party(kind="human", id="alice"), Party(kind="human", id="bob", roles=frozenset({"requester"}))]
)
def test_a_task_is_renewed_by_those_who_could_have_opened_it(by):
    with pytest.raises(NotPermitted):
        renew(task(), by=by)


def test_a_request_cannot_redefine_what_the_purpose_refers_to_by_name():
    safe = {"properties": {"repo": {"$ref": "#safe"}}, "$defs": {"safe": {"$anchor": "safe", "pattern": "^/work/"}}}
    with pytest.raises(CallerFault, match="anchor"):
        ask(under=replace(PURPOSE, arguments={}), arguments={"git/git_log": safe})
