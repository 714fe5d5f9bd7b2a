"""What Remit must do, one row each: an id, where the requirement comes from, and the sentence.

A test says which rows it holds with `@pytest.mark.holds("INV-01", …)`; the marks are the only place that says so, and
`tests/test_requirements.py` checks both ways: no mark names an unknown id, and no built row is without a test.
A row that is not built yet says so and why, and no test may claim it. Ids never change meaning.

`python -m tests.requirements` lists every row with the tests that hold it.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent


class Requirement(NamedTuple):
    """One thing Remit must do. `unbuilt` is empty, or the reason why nothing can hold it yet."""

    id: str
    source: str
    sentence: str
    unbuilt: str = ""


NO_PEOPLE_ASKED = "people are not asked yet: a call that needs a yes is withheld"
NO_CHILDREN = "tasks have no children yet"
NO_LOANS = "no credential is lent yet: upstreams hold their own"
NO_MODIFY = "no policy rewrites arguments yet"
NO_REPLICAS = "one gateway has one store; there are no replicas yet"

INVARIANTS = (
    Requirement("INV-01", "invariant 1", "nothing is sent before a durable intent receipt with the same digest exists"),
    Requirement("INV-01-ONCE", "invariant 1", "Remit never sends a call twice, not after an upstream's restart either"),
    Requirement("INV-02", "invariant 2", "any error, timeout, unknown or absence is a denial with a listed reason"),
    Requirement("INV-02-GROUND", "invariant 2", "without policy, store, ledger or disk reserve nothing passes"),
    Requirement("INV-03", "invariant 3", "the bytes sent hash to what was decided"),
    Requirement("INV-03-ALLOW", "invariant 3", "headers are regenerated and `_meta` passes by allow-list only"),
    Requirement("INV-03-MODIFY", "invariant 3", "rewritten arguments are decided again from step 4", NO_MODIFY),
    Requirement(
        "INV-04", "invariant 4", "an approval fits one digest, basis and expiry, and is used once", NO_PEOPLE_ASKED
    ),
    Requirement("INV-04-WHO", "invariant 4", "approvers are eligible people, never the requester", NO_PEOPLE_ASKED),
    Requirement("INV-04-NEEDED", "invariant 4", "a call that needs an approval is withheld and names each it needs"),
    Requirement("INV-05", "invariant 5", "a warrant is used once"),
    Requirement("INV-05-END", "invariant 5", "ending a task ends its sessions, processes and calls not yet sent"),
    Requirement("INV-05-LEASE", "invariant 5", "a lease never outlives its task", NO_LOANS),
    Requirement("INV-06", "invariant 6", "a child task is never wider than its parent in any dimension", NO_CHILDREN),
    Requirement("INV-07", "invariant 7", "a secret never reaches the agent, a log, a receipt or the terminal"),
    Requirement("INV-08", "invariant 8", "every tool result is labelled before the agent sees it"),
    Requirement("INV-09", "invariant 9", "every receipt verifies offline after every step, restart and failed write"),
    Requirement("INV-10", "invariant 10", "an acknowledged revocation is in force at the next commit"),
    Requirement("INV-10-REPLICAS", "invariant 10", "a revocation is in force on every replica", NO_REPLICAS),
    Requirement(
        "INV-11", "invariant 11", "text of an agent, tool or requester is shown as untrusted, controls removed"
    ),
    Requirement("INV-12", "invariant 12", "absence never means more power: no owner, pin, tier, label or data class"),
    Requirement("INV-12-TENANT", "invariant 12", "agent, task and connector share a tenant; another's ids are unknown"),
    Requirement("INV-13", "invariant 13", "64 concurrent calls under a budget of 1 reach the upstream once"),
    Requirement("INV-13-RETURN", "invariant 13", "budget is returned on `not_sent` and on nothing else"),
    Requirement("INV-14", "invariant 14", "time never runs back; a clock behind the mark denies `clock.regressed`"),
    Requirement("INV-15", "invariant 15", "a shared OS user is said in receipts and by the doctor"),
    Requirement("INV-15-DOOR", "invariant 15", "nothing an agent holds opens, pins, applies or stops anything"),
)

INPUT = (
    Requirement("INPUT-KEYS", "RFC 8259 §4", "an object that names a key twice is refused"),
    Requirement("INPUT-DEPTH", "threat model: input", "deep nesting is refused before it costs anything"),
    Requirement("INPUT-SIZE", "threat model: input", "a body, string or result past its limit is refused"),
    Requirement("INPUT-NUMBER", "RFC 7493 §2.2", "huge integers, NaN and infinities are refused; 1.0 is no integer"),
    Requirement("INPUT-TEXT", "RFC 7493 §2.1", "lone surrogates are refused"),
    Requirement("INPUT-ESCAPE", "Cedar JSON format", "keys that are Cedar escapes are refused"),
    Requirement("INPUT-NAME", "threat model: input", "look-alike, case-changed and path-like names match nothing"),
    Requirement("INPUT-HEADER", "MCP 2026-07-28 transports", "header and body that disagree are refused"),
    Requirement("INPUT-BATCH", "MCP 2025-06-18 changes", "a batch is refused"),
    Requirement("INPUT-METHOD", "threat model: input", "a method outside the closed list is refused"),
    Requirement("INPUT-ANY", "threat model: input", "whatever the bytes, a parser reads them as others do, or refuses"),
    Requirement(
        "INPUT-SCHEMA", "JSON Schema 2020-12", "arguments outside the pinned schema's closed world are refused"
    ),
)

IDENTITY = (
    Requirement("IDENT-EVERY", "MCP authorization", "proof is verified on every request"),
    Requirement("IDENT-EXPIRED", "RFC 9068 §4", "an expired or not yet valid token is refused"),
    Requirement("IDENT-ALGORITHM", "RFC 8725 §3.1", "an algorithm outside the allow-list, `none` included, is refused"),
    Requirement("IDENT-AUDIENCE", "RFC 8707, RFC 9068 §4", "a token for another endpoint is refused"),
    Requirement("IDENT-ISSUER", "RFC 9068 §4", "issuer and subject match exactly or not at all"),
    Requirement("IDENT-ROTATION", "RFC 7517", "an issuer rotates its keys without a restart"),
    Requirement("IDENT-SPIFFE", "SPIFFE JWT-SVID", "a JWT-SVID is verified against its trust domain's bundle"),
    Requirement("IDENT-DOOR", "two doors", "a person's token is 401 at the agents' door, and the other way round"),
    Requirement("IDENT-REVOKED", "invariant 10", "a revoked agent or key is refused"),
    Requirement(
        "IDENT-STANDING",
        "zero standing privilege",
        "a standing token is refused without its row, or once it is revoked",
    ),
    Requirement("IDENT-ONE", "exact mapping", "two agents mapped from one issuer and subject is a load error"),
    Requirement("IDENT-METADATA", "RFC 9728 §3", "the protected resource describes itself"),
    Requirement("IDENT-CHALLENGE", "RFC 9728 §5.1", "a 401 says where the metadata is"),
    Requirement("IDENT-ORIGIN", "MCP transports", "a foreign Origin or Host is refused"),
    Requirement("IDENT-PASS", "MCP security practices", "the caller's token never travels upstream"),
)

LIMITS = (
    Requirement("LIMIT-RATE", "threat model: exhaustion", "an agent past its rate is denied, others are not"),
    Requirement("LIMIT-FLIGHT", "threat model: exhaustion", "calls in flight are bounded per agent"),
    Requirement("LIMIT-TASKS", "threat model: exhaustion", "open tasks are bounded per agent"),
    Requirement("LIMIT-STREAMS", "threat model: exhaustion", "streams and processes are bounded per agent"),
    Requirement("LIMIT-DENIALS", "threat model: exhaustion", "identical repeated denials become one counted receipt"),
    Requirement("LIMIT-NOISE", "threat model: exhaustion", "noise without a valid token is counted, not recorded"),
    Requirement("LIMIT-KIDS", "threat model: exhaustion", "unknown key ids cause a bounded number of key fetches"),
    Requirement(
        "LIMIT-STEADY", "threat model: exhaustion", "under lasting load and trouble nothing of the gateway grows"
    ),
    Requirement("LIMIT-DISK", "threat model: exhaustion", "below the disk reserve nothing passes"),
)

LEDGER = (
    Requirement("TAMPER-BYTE", "RFC 9162 §2.1", "a changed byte is found and its receipt named"),
    Requirement("TAMPER-TAIL", "RFC 9162 §2.1.4", "a truncated tail is found against an earlier checkpoint"),
    Requirement("TAMPER-DROP", "gap-free counters", "dropping one task's receipts is found"),
    Requirement("TAMPER-ORDER", "RFC 9162 §2.1", "reordered receipts are found"),
    Requirement("TAMPER-FORK", "RFC 9162 §2.1.4", "a fork is found against an earlier checkpoint"),
    Requirement("TAMPER-RESIGN", "threat model: key theft", "history signed anew with the real key is found"),
    Requirement("LEDGER-TREE", "RFC 6962 §2.1", "roots and proofs equal the published vectors and an oracle's"),
    Requirement("LEDGER-NOTE", "C2SP signed-note, tlog-checkpoint", "checkpoints are signed notes of the usual form"),
    Requirement("LEDGER-CRASH", "crash test", "what reached an upstream has a durable intent, whatever was killed"),
    Requirement("LEDGER-UNKNOWN", "crash test", "a crash between intent and outcome is recorded as unknown"),
    Requirement("LEDGER-ERASE", "values beside leaves", "a value can be erased and the log still verifies"),
    Requirement("LEDGER-EXPLAIN", "policy explain", "an exported bundle alone re-derives the identical decision"),
)

WORK = (
    Requirement("TASK-PURPOSE", "tasks", "one call, one policy set: allowed for one purpose, denied for another"),
    Requirement("TASK-SCOPE", "tasks", "a task's scope is within its purpose"),
    Requirement("TASK-TABLE", "tasks", "an illegal move of a task's lifecycle is refused"),
    Requirement("TASK-TEMPLATE", "tasks", "a template task reads only and is not reopened after a revocation"),
    Requirement("POLICY-MONOTONE", "approval in Cedar", "adding a permit never removes a needed approval"),
    Requirement("POLICY-INDEX", "scope index", "the scope index decides, explains and errs as the whole set does"),
    Requirement("POLICY-LOAD", "policy", "a policy set is loaded whole or not at all, its faults named"),
    Requirement("CATALOGUE-STRICT", "catalogue", "an unknown key is an error with line and suggestion"),
    Requirement("CATALOGUE-PIN", "catalogue", "a contract first seen or changed is quarantined until pinned"),
    Requirement("CATALOGUE-REVOKED", "catalogue", "a reload never resurrects what was revoked"),
    Requirement("WIRE-ALIKE", "what an agent sees", "out of reach and non-existent answer byte for byte alike"),
    Requirement("WIRE-REVISIONS", "MCP revisions", "2025-06-18, 2025-11-25 and 2026-07-28 are served"),
    Requirement("WIRE-UPSTREAM", "MCP servers", "a server of any revision from 2024-11-05 on is listed and called"),
    Requirement("WIRE-REFUSAL", "what an agent sees", "a refused call reaches an agent's model as text, word for word"),
    Requirement("WIRE-TRANSPARENT", "MCP conformance suite", "what passes at the server passes through Remit"),
    Requirement("WIRE-ALONE", "MCP conformance suite", "Remit refuses what a careless server would let pass"),
    Requirement("WIRE-SENDS", "MCP conformance suite", "Remit sends what a client has to send"),
    Requirement("WIRE-REAL", "MCP servers", "published servers and clients work through Remit over HTTP and stdio"),
    Requirement(
        "WIRE-STDIO", "upstream processes", "a stdio upstream has a listed environment and dies with its group"
    ),
    Requirement("CLI-REFERENCE", "command line", "the reference holds every command and exit code, and no other"),
    Requirement("CLI-START", "command line", "help and questions to a running gateway import nothing heavy"),
    Requirement("CLI-WHOLE", "command line", "a new home is whole or not there, and nothing is overwritten"),
    Requirement("CLI-SECRET", "command line", "no secret is in the bridge's arguments, environment or output"),
    Requirement("DEMO", "demo", "the whole story goes as told, with published servers and client, and leaves nothing"),
    Requirement("BENCH-COUNT", "bench", "every measured call's intent and outcome is in the exported ledger"),
)

AROUND = (
    Requirement("ASK-CALLS", "invariant 3", "a client's answers to a server are a governed call of their own"),
    Requirement("ASK-BOUND", "threat model: answers", "answers fit the call they are to, its caller and a time"),
    Requirement("ASK-MAY", "catalogue: may_ask", "a server asks only for what client and catalogue both allow"),
    Requirement(
        "ASK-RELAY", "MCP 2025-11-25, 2026-07-28", "questions and answers pass between servers and clients of any era"
    ),
    Requirement("ASK-NOBODY", "threat model: answers", "a question that could be two calls' goes to nobody"),
    Requirement("ASK-CANCEL", "MCP cancellation", "a client that leaves ends its call at the server, asked or not"),
    Requirement(
        "OPERATION-BOUND", "invariants 5, 12", "an operation is its caller's own, as long as all it came of is in force"
    ),
    Requirement(
        "OPERATION-COMPLETION", "flow step 12", "how an operation ended is on record once, before anybody is told"
    ),
    Requirement("OPERATION-ANSWERS", "invariant 3", "answers to an operation are a call, decided with its arguments"),
    Requirement(
        "OPERATION-RELAY", "SEP-2663", "what the suite checks of the tasks extension holds through the gateway"
    ),
    Requirement("OPERATION-STOP", "invariant 5", "an operation can always be stopped, and is when its task ends"),
    Requirement("NOTE-RECORD", "invariant 8", "what a server says while a call runs is bounded, labelled, on record"),
    Requirement("NOTE-ASKED", "MCP logging, progress", "a client hears only what it asked to hear"),
)

REQUIREMENTS = (*INVARIANTS, *INPUT, *IDENTITY, *LIMITS, *LEDGER, *WORK, *AROUND)


class Unreadable(Exception):
    """A mark whose ids cannot be read without running the test: they must be plain strings."""


def marks(source: str, where: str) -> Iterator[tuple[str, str]]:
    """Each id a test file claims, with the test that claims it (`file::test`, or the file for a mark of all its tests).

    Raises `Unreadable`.
    """
    tree = ast.parse(source, where)
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    owners = {id(inner): test.name for test in tests for part in test.decorator_list for inner in ast.walk(part)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.holds"):
            owner = owners.get(id(node))
            for given in node.args:
                if not (isinstance(given, ast.Constant) and isinstance(given.value, str)):
                    raise Unreadable(f"{where}:{given.lineno}: `{ast.unparse(given)}` is not a plain string")
                yield given.value, f"{where}::{owner}" if owner else where


def held(tests: Path = TESTS) -> Mapping[str, list[str]]:
    """Each claimed id with the tests that claim it. Raises `Unreadable`."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(tests.rglob("test_*.py")):
        where = path.relative_to(tests.parent).as_posix()
        for requirement, test in marks(path.read_text(), where):
            found[requirement].append(test)
    return found


def main() -> None:
    claims = held()
    for row in REQUIREMENTS:
        print(f"{row.id}  {row.sentence} ({row.source})")
        for test in claims.get(row.id, [f"not built yet: {row.unbuilt}" if row.unbuilt else "no test yet"]):
            print(f"    {test}")


if __name__ == "__main__":
    main()
