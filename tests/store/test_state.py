"""The state machine every store shares: conditions before changes, and a refused write leaves nothing."""

from itertools import count

import msgspec
import pytest
from hypothesis import given, strategies as st

from remit.canonical import digest
from remit.commit.model import Put, Reserve, Row, Write
from remit.commit.state import Saved, State
from remit.errors import CallerFault, Conflict
from remit.ledger.merkle import Tree
from remit.ledger.receipt import Draft, Receipt
from remit.limits import CLOCK_REGRESSION_MS, VALUES_PER_RECEIPT_MAX
from remit.reasons import Denied, Reason, Restart
from tests.ledger.story import denial, erasure, intent, noise, outcome

NOW = 1_700_000_000_000
_salts = count()


def salt() -> bytes:
    return next(_salts).to_bytes(16, "big")


def put(key: str, value: bytes | None, expect: int | None = None) -> Write:
    return Write(puts=(Put(kind="task", key=key, value=value, expect=expect),))


def everything(state: State) -> object:
    """All of it, to compare before and after."""
    return (
        state.epoch, state.high, state.counters(""), state.rows("task"), dict(state.open), state.frontier.size,
        state.frontier.root(),
    )  # fmt: skip


def busy() -> State:
    state = State(Saved(counters={"task/t1/calls": 3}, rows={("task", "a"): Row(value=b"1", version=1)}, revision=1))
    state.apply(Write(drafts=(noise(), intent("c0", "t1")), raise_epoch=True), NOW, salts=salt)
    return state


REFUSED = {
    "an epoch that moved": (Write(expect_epoch=0), Restart),
    "a counter that moved": (Write(expect_counters={"task/t1/calls": 2}), Restart),
    "a counter that was never touched": (Write(expect_counters={"task/t9/calls": 1}), Restart),
    "a row that has another version": (put("a", b"2", expect=7), Conflict),
    "a row that must not exist": (put("a", b"2", expect=0), Conflict),
    "a row that must exist": (put("b", b"2", expect=1), Conflict),
    "a budget used up": (Write(reserves=(Reserve(counter="task/t1/calls", most=3),)), Denied),
    "a budget used up by the same write": (
        Write(reserves=(Reserve(counter="x", most=1), Reserve(counter="x", most=1))), Denied,
    ),
    "a counter below nothing": (Write(reserves=(Reserve(counter="task/t1/calls", amount=-4),)), Denied),
    "a blob under another digest": (Write(blobs={digest(b"a"): b"b"}), CallerFault),
    "an outcome of no intent": (Write(drafts=(outcome("c0", "t1", 0),)), CallerFault),
    "an outcome of another call": (Write(drafts=(outcome("c9", "t1", 1),)), CallerFault),
    "an outcome in another task": (Write(drafts=(outcome("c0", "t2", 1),)), CallerFault),
    "an intent answered twice": (Write(drafts=(outcome("c0", "t1", 1), outcome("c0", "t1", 1))), CallerFault),
    "an erasure of the future": (Write(drafts=(erasure(2),)), CallerFault),
    "an erasure of nothing": (Write(drafts=(erasure(-1),)), CallerFault),
    "too many values": (
        Write(drafts=(intent("c", "t1", **{f"v{n}": b"" for n in range(VALUES_PER_RECEIPT_MAX + 1)}),)), CallerFault,
    ),
    "a body that cannot be written": (Write(drafts=(noise(), Draft(body=object()))), TypeError),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_write_leaves_nothing(name: str) -> None:
    write, error = REFUSED[name]
    state = busy()
    before = everything(state)
    # Whatever else the same write holds must not happen either.
    rest = Write(
        drafts=(denial("c", "t1"), *write.drafts) if name != "an erasure of the future" else write.drafts,
        puts=(Put(kind="task", key="new", value=b"{}"), *write.puts),
        reserves=(Reserve(counter="other"), *write.reserves),
        blobs={digest(b"x"): b"x", **write.blobs},
        expect_epoch=write.expect_epoch,
        expect_counters=write.expect_counters,
        raise_epoch=True,
    )
    with pytest.raises(error):
        state.apply(rest, NOW + 1, salts=salt)
    assert everything(state) == before


def test_expectations_that_hold_let_a_write_pass() -> None:
    state = busy()
    write = Write(
        expect_epoch=1,
        expect_counters={"task/t1/calls": 3, "never": 0},
        reserves=(Reserve(counter="task/t1/calls", most=4),),
    )
    state.apply(write, NOW, salts=salt)
    assert state.counter("task/t1/calls") == 4


def test_reasons_say_what_was_refused() -> None:
    state = busy()
    with pytest.raises(Denied) as over:
        state.apply(Write(reserves=(Reserve(counter="task/t1/calls", most=3),)), NOW, salts=salt)
    assert over.value.reason is Reason.COMMIT_BUDGET
    with pytest.raises(Denied) as back:
        state.apply(Write(expect_epoch=1), NOW - CLOCK_REGRESSION_MS - 1, salts=salt)
    assert back.value.reason is Reason.CLOCK_REGRESSED


def test_a_clock_that_went_back_a_little_or_for_the_record_s_own_sake_writes_the_mark() -> None:
    state = busy()
    a_little = state.apply(Write(drafts=(noise(),), expect_epoch=1), NOW - CLOCK_REGRESSION_MS, salts=salt)
    a_lot = state.apply(Write(drafts=(noise(),)), 0, salts=salt)
    for delta in (a_little, a_lot):
        assert msgspec.json.decode(delta.leaves[0].data, type=Receipt).at == NOW
        assert delta.high == NOW


def test_rows_change_under_the_version_that_was_read_and_versions_never_return() -> None:
    state = busy()
    made = state.apply(put("b", b"1", expect=0), NOW, salts=salt).rows["task", "b"]
    assert made is not None
    assert state.row("task", "b") == made
    state.apply(put("b", b"2", expect=made.version), NOW, salts=salt)
    state.apply(put("b", None), NOW, salts=salt)
    assert state.row("task", "b") is None
    state.apply(put("b", None), NOW, salts=salt)
    state.apply(put("b", b"3", expect=0), NOW, salts=salt)
    with pytest.raises(Conflict):
        state.apply(put("b", b"4", expect=made.version), NOW, salts=salt)


def test_a_write_sees_its_own_rows() -> None:
    state = busy()
    first = Put(kind="task", key="b", value=b"1", expect=0)
    state.apply(Write(puts=(first, Put(kind="task", key="b", value=None))), NOW, salts=salt)
    assert state.rows("task").keys() == {"a"}
    with pytest.raises(Conflict):
        state.apply(Write(puts=(first, first)), NOW, salts=salt)


def test_deleting_the_only_row_of_a_kind_that_never_was_is_nothing() -> None:
    state = State(Saved())
    state.apply(Write(puts=(Put(kind="pin", key="x", value=None),)), NOW, salts=salt)
    assert state.rows("pin") == {}


def test_counters_are_found_by_any_prefix() -> None:
    state = busy()
    names = ("task/t1/tier/read", "task/t1/tool/git/log", "task/t10/calls", "loose", "a/b")
    state.apply(Write(reserves=tuple(Reserve(counter=name) for name in names)), NOW, salts=salt)
    assert state.counters("task/t1/") == {"task/t1/calls": 3, "task/t1/tier/read": 1, "task/t1/tool/git/log": 1}
    assert state.counters("task/t1/tool/") == {"task/t1/tool/git/log": 1}
    assert state.counters("task/t1").keys() == {
        name for name in (*names, "task/t1/calls") if name.startswith("task/t1")
    }
    assert state.counters("lo") == {"loose": 1}
    assert state.counters("task/t2/") == {}
    assert len(state.counters("")) == 6
    assert state.counter("a/b") == 1
    assert state.counter("a/c") == 0


def test_values_are_hashed_with_their_salt_and_kept_unless_only_the_hash_is_wanted() -> None:
    state = State(Saved())
    draft = msgspec.structs.replace(intent("c1", "t1", a=b"1", b=b"2"), hash_only=frozenset({"b"}))
    delta = state.apply(Write(drafts=(draft,)), NOW, salts=salt)
    receipt = msgspec.json.decode(delta.leaves[0].data, type=Receipt)
    ((kept,),) = delta.values.values()
    assert receipt.values.keys() == {"a", "b"}
    assert receipt.values["a"] == digest(kept.salt + b"1")
    assert len(kept.salt) == 16


def test_a_blob_is_persisted_once() -> None:
    state = State(Saved())
    write = Write(blobs={digest(b"policy"): b"policy"})
    assert state.apply(write, NOW, salts=salt).blobs == write.blobs
    assert state.apply(write, NOW, salts=salt).blobs == {}


def test_an_intent_and_its_outcome_may_stand_in_one_write() -> None:
    state = State(Saved())
    delta = state.apply(Write(drafts=(intent("c1", "t1"), outcome("c1", "t1", 0))), NOW, salts=salt)
    assert delta.written().seqs == (0, 1)
    assert state.open == {}


steps = st.lists(
    st.tuples(
        st.sampled_from(["intent", "outcome", "denial", "noise"]), st.sampled_from(["t1", "t2"]), st.integers(0, 9)
    ),
    max_size=30,
)


@given(steps)
def test_receipts_are_numbered_in_one_order_and_each_task_without_a_gap(steps: list[tuple[str, str, int]]) -> None:
    state, leaves = State(Saved()), []
    for n, (kind, task, pick) in enumerate(steps):
        draft = {"intent": intent(f"c{n}", task), "denial": denial(f"c{n}", task), "noise": noise()}.get(kind)
        if kind == "outcome" and state.open:
            seq, found = sorted(state.open.items())[pick % len(state.open)]
            draft = outcome(found.intent.asked.call, found.task or "", seq)
        if draft:
            leaves += state.apply(Write(drafts=(draft,)), NOW + n, salts=salt).leaves
    receipts = [msgspec.json.decode(leaf.data, type=Receipt) for leaf in leaves]
    assert [r.seq for r in receipts] == list(range(len(receipts)))
    for task in ("t1", "t2"):
        numbers = [r.n for r in receipts if r.task == task]
        assert numbers == list(range(len(numbers)))
    assert state.frontier.root() == Tree([leaf.hash for leaf in leaves]).root()
