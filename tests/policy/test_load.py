"""A policy set is loaded whole or not at all, and what is wrong is said where it is."""

import pytest

from remit.canonical import digest
from remit.errors import ConfigFault
from remit.limits import UNSCOPED_POLICIES_MAX
from remit.policy import STARTER, difference, load, merged
from remit.policy.model import Known
from tests.policy.world import KNOWN, in_force

PERMIT = '@id("a") permit (principal, action == Action::"desk/read", resource);'
STEP = 'unless { context.approvals.contains("boss") }'

# what, text, the place, what is said, the advice
FAULTS: list[tuple[str, str, str, str, str]] = [
    ("no id", "permit (principal, action, resource);", "p.cedar:1", "a policy has no id", "give it one"),
    ("an empty id", "@id permit (principal, action, resource);", "p.cedar:1", "a policy has no id", "give it one"),
    ("a loud id", '@id("A B") permit (principal, action, resource);', "p.cedar:1", "has the id `A B`", "lower case"),
    ("an id twice", f"{PERMIT}\n\n{PERMIT}", "p.cedar:3", "policy id `a` is taken", "it stands at p.cedar:1 too"),
    ("no end", f"{PERMIT}\n// done\npermit(principal, action, resource)", "p.cedar:3", "does not end", "`;`"),
    ("no policy", f"{PERMIT}\n;", "p.cedar:2", "not a Cedar policy: unexpected token `;`", "grammar"),
    ("not Cedar", '\n\n@id("a")\npermit (principal);', "p.cedar:3", "not a Cedar policy", "grammar"),
    ("a slot", '@id("a") permit (principal == ?principal, action, resource);', "p.cedar:1", "has a slot", "?principal"),
    (
        "an action with a typing error",
        '@id("a") permit (principal, action == Action::"desk/raed", resource);',
        "p.cedar:1",
        'policy `a`: unrecognized action `Action::"desk/raed"`',
        "did you mean `desk/read`?",
    ),
    (
        "an action from nowhere",
        '@id("a") permit (principal, action == Action::"zzz", resource);',
        "p.cedar:1",
        "unrecognized action",
        "remit tool list",
    ),
    (
        "an action that is not pinned",
        '@id("a") permit (principal, action == Action::"desk/zzzzzz", resource);',
        "p.cedar:1",
        "unrecognized action",
        "`desk/zzzzzz` is not pinned yet: `remit tool diff desk`",
    ),
    (
        "an action that is not pinned, or misspelt",
        '@id("a") permit (principal, action == Action::"desk/raed", resource);',
        "p.cedar:1",
        "unrecognized action",
        "`desk/raed` is not pinned yet: `remit tool diff desk`; or did you mean `desk/read`?",
    ),
    (
        "an action of another tool server",
        '@id("a") permit (principal, action == Action::"dsek/read", resource);',
        "p.cedar:1",
        "unrecognized action",
        "did you mean `desk/read`?",
    ),
    (
        "an unknown attribute",
        '// why\n@id("a") permit (principal, action == Action::"desk/run", resource) when { context.task.why == 1 };',
        "p.cedar:2",
        "policy `a`: attribute `task.why` in context",
        "policy reference",
    ),
    (
        "an unknown argument",
        '@id("a") permit (principal, action == Action::"desk/read", resource) when { context.args.paht == "x" };',
        "p.cedar:1",
        "attribute `args.paht` in context",
        "policy reference",
    ),
    (
        "an argument that may be missing",
        '@id("a") permit (principal, action == Action::"desk/read", resource) when { context.args.size > 3 };',
        "p.cedar:1",
        "policy `a`: unable to guarantee safety of access to optional attribute `args.size`",
        "ask first",
    ),
    (
        "a wrong type",
        '@id("a") permit (principal, action == Action::"desk/read", resource) when { context.args.path > 3 };',
        "p.cedar:1",
        "policy `a`: ",
        "policy reference",
    ),
    (
        "two wrong ones",
        PERMIT[:-1] + " when { context.x };\n" + PERMIT.replace('"a"', '"b"')[:-1] + " when { context.y };",
        "p.cedar:1",
        "policy `a`: ",
        "also wrong: `b` (p.cedar:2)",
    ),
    (
        "an approval that permits",
        f'@id("a") @approval("boss") permit (principal, action, resource) {STEP};',
        "p.cedar:1",
        "not of the approval form",
        "write: @approval",
    ),
    (
        "an approval without its clause",
        '@id("a") @approval("boss") forbid (principal, action, resource);',
        "p.cedar:1",
        "not of the approval form",
        "write: @approval",
    ),
    (
        "an approval of another name",
        f'@id("a") @approval("chef") forbid (principal, action, resource) {STEP};',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "an approval twice",
        f'@id("a") @approval("boss") forbid (principal, action, resource) {STEP} {STEP};',
        "p.cedar:1",
        "not of the approval form",
        "write: @approval",
    ),
    (
        "an approval with a loud name",
        f'@id("a") @approval("The Boss") forbid (principal, action, resource) {STEP};'.replace('"boss"', '"The Boss"'),
        "p.cedar:1",
        "not of the approval form",
        "write: @approval",
    ),
    (
        "an approval with no name",
        '@id("a") @approval forbid (principal, action, resource) unless { context.approvals.contains("") };',
        "p.cedar:1",
        "not of the approval form",
        "write: @approval",
    ),
    (
        "a clause without its approval",
        f'@id("a") forbid (principal, action, resource) {STEP};',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "a permit by approval",
        '@id("a") permit (principal, action, resource) when { context.approvals.contains("boss") };',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "a denial by approval",
        '@id("a") forbid (principal, action, resource) when { context.approvals.contains("boss") };',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "a weakened approval",
        f'@id("a") @approval("boss") forbid (principal, action, resource) {STEP[:-2]} || true }};',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "asking whether anything is approved",
        '@id("a") forbid (principal, action, resource) unless { context.approvals.isEmpty() };',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "asking whether approvals exist",
        '@id("a") permit (principal, action, resource) when { context has approvals };',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "approvals by another spelling",
        '@id("a") permit (principal, action, resource) when { context["approvals"].contains("boss") };',
        "p.cedar:1",
        "outside of the approval form",
        "write: @approval",
    ),
    (
        "the context through a choice",
        '@id("a") permit (principal, action, resource) when { (if true then context else context).approvals == [] };',
        "p.cedar:1",
        "reads the context as a whole",
        "name the attribute",
    ),
    (
        "the context through a record",
        '@id("a") permit (principal, action, resource) when { {x: context}.x.approvals.contains("boss") };',
        "p.cedar:1",
        "reads the context as a whole",
        "name the attribute",
    ),
]


@pytest.mark.holds("POLICY-LOAD")
@pytest.mark.parametrize("text,where,says,advice", [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_fault_is_said_with_its_place_and_a_way_out(text: str, where: str, says: str, advice: str) -> None:
    with pytest.raises(ConfigFault) as fault:
        load({"p.cedar": text}, KNOWN)
    assert fault.value.where == where
    assert says in fault.value.message
    assert advice in fault.value.advice


def test_conditions_may_stand_beside_an_approval() -> None:
    clauses = f'when {{ context.environment == "prod" }} {STEP} unless {{ context.method == "x" }}'
    text = f'@id("a") @approval("boss") forbid (principal, action, resource) {clauses};'
    assert in_force(text).ids == ("a",)


def test_strings_and_comments_may_hold_what_ends_a_policy() -> None:
    text = "// it's; \"odd\n" + PERMIT[:-1] + '\nwhen { context.args.path == "a;b\\";" /* */ };'
    with pytest.raises(ConfigFault, match="not a Cedar policy"):
        load({"p.cedar": text}, KNOWN)
    assert load({"p.cedar": text.replace("/* */", "// ; end\n")}, KNOWN).ids == ("a",)


def test_two_policies_cannot_hide_in_one() -> None:
    hidden = PERMIT[:-1] + "\r; " + PERMIT.replace('"a"', '"b"')
    assert load({"p.cedar": hidden}, KNOWN).ids == ("a", "b")


FILES = {
    "b.cedar": PERMIT + " // a note\n" + '@id("c") forbid (principal, action == Action::"desk/run", resource);',
    "a.cedar": '// first\r\n@id("b")\r\npermit (principal, action == Action::"desk/write", resource);\n// the end\n',
}


def test_the_digest_is_of_the_policies_and_not_of_their_files() -> None:
    whole = load(FILES, KNOWN)
    assert whole.ids == ("a", "b", "c")
    assert whole.digest == digest(whole.text.encode())
    turned = {"z.cedar": FILES["a.cedar"], "y.cedar": FILES["b.cedar"]}
    assert load(turned, KNOWN).digest == whole.digest
    assert load({"policy": whole.text}, KNOWN).text == whole.text
    assert merged(FILES) == whole.text
    assert load({"b.cedar": FILES["b.cedar"]}, KNOWN).digest != whole.digest


def test_a_difference_names_what_was_added_removed_and_changed() -> None:
    old, new = (
        merged(FILES),
        merged({"n": PERMIT.replace("permit", "forbid") + FILES["a.cedar"] + '@id("d") ' + PERMIT[9:]}),
    )
    found = difference(old, new)
    assert (found.added, found.removed, found.changed) == (("d",), ("c",), ("a",))
    assert '-@id("a") permit (principal, action == Action::"desk/read", resource);' in found.text
    assert difference(old, old).text == ""


def test_policies_that_name_their_actions_are_validated_apart_and_alike() -> None:
    """More than a batch of them; one may compare with an action it is not scoped to."""
    fine = "".join(
        f'@id("p{n}") permit (principal, action in [Action::"desk/read", Action::"desk/write"], resource)\n'
        'when { action != Action::"shop/buy" && context.args.path == "/a" };\n'
        for n in range(150)
    )
    assert len(load({"p": fine}, KNOWN).ids) == 150
    mixed = '@id("q") permit (principal, action in [Action::"desk/read", Action::"read"], resource) when { context.x };'
    with pytest.raises(ConfigFault) as fault:
        load({"p": fine + mixed, "z": '@id("z") permit (principal, action == Action::"nope", resource);'}, KNOWN)
    assert fault.value.where == "p:301"
    assert fault.value.advice.endswith("also wrong: `z` (z:1)")


def test_an_empty_set_is_one() -> None:
    nothing = load({}, KNOWN)
    assert (nothing.ids, nothing.text, nothing.warnings, nothing.needs_history) == ((), "", (), False)
    assert load({"p.cedar": "// nothing yet\n"}, KNOWN).digest == nothing.digest


def test_policies_without_a_scope_are_warned_about_unless_they_say_why() -> None:
    text = '@id("all") permit (principal, action, resource is Connector);'
    (warning,) = load({"p.cedar": text}, KNOWN).warnings
    assert warning == "p.cedar:1: `all` has no scope: it speaks of every call (say why with @unscoped)"
    assert load({"p.cedar": '@unscoped("a demo") ' + text}, KNOWN).warnings == ()
    (warning,) = load({"p.cedar": "@unscoped " + text}, KNOWN).warnings
    assert "no scope" in warning


def test_names_the_catalogue_does_not_know_are_warned_about() -> None:
    text = '@id("x") permit (principal == Agent::"trіage", action, resource in Connector::"Desk");'
    assert load({"p.cedar": text}, KNOWN).warnings == (
        'p.cedar:1: `x` names `Agent::"trіage"`, which is not in the catalogue',
        'p.cedar:1: `x` names `Connector::"Desk"`, which is not in the catalogue',
    )


def test_there_may_be_so_many_policies_without_a_scope() -> None:
    many = [
        f'@id("p{n}") @unscoped("x") forbid (principal, action, resource);\n' for n in range(UNSCOPED_POLICIES_MAX + 1)
    ]
    assert len(load({"p": "".join(many[1:])}, KNOWN).ids) == UNSCOPED_POLICIES_MAX
    with pytest.raises(ConfigFault, match="201 policies have no scope, at most 200 may"):
        load({"p": "".join(many)}, KNOWN)


def test_needing_history_is_known_at_load() -> None:
    permit = 'permit(principal, action == Action::"desk/read", resource) when {{ {} }};'
    assert in_force(permit.format("context.history.calls < 3")).needs_history
    assert in_force(permit.format("context.task.calls_left > 3")).needs_history
    assert in_force(permit.format("context.task == context.task")).needs_history
    assert not in_force(permit.format('context.task.purpose == "x"')).needs_history


@pytest.mark.parametrize("known", [Known(), KNOWN, Known(actions=KNOWN.actions[:1])])
def test_the_starter_set_holds_over_any_catalogue(known: Known) -> None:
    assert load({"starter.cedar": STARTER}, known).warnings == ()


def test_an_unfinished_file_is_refused_at_once() -> None:
    """Blank lines and comments before a policy that does not end must not be read again and again."""
    with pytest.raises(ConfigFault, match="does not end") as fault:
        load({"p": " \n" * 5_000 + "// a // b // c\n" * 5_000 + "permit"}, KNOWN)
    assert fault.value.where == "p:10001"
