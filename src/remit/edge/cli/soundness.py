"""Whether keys, ledger and clock of a home fit: the signed root is that of the receipts, time has not run back."""

from collections.abc import Iterator

from remit.edge.cli.finding import Finding, problem
from remit.edge.cli.home import Home
from remit.edge.cli.output import now_ms
from remit.edge.cli.records import Record
from remit.edge.keys.files import load_key
from remit.edge.keys.signing import LedgerSigner, load_signer
from remit.errors import RemitError, Unverified
from remit.ledger.checkpoint import parse_key, verify
from remit.ledger.merkle import Tree, split
from remit.ledger.walk import decode
from remit.limits import CLOCK_REGRESSION_MS


def soundness(home: Home) -> Iterator[Finding]:
    """Findings about keys, ledger and clock; raises nothing."""
    try:
        signer = load_signer(home.keys / "ledger.key")
        load_key(home.keys / "tokens.key")
        yield Finding("keys", "ok", f"the ledger's public key is {signer.verifier_key()}")
    except RemitError as e:
        yield problem("keys", e)
        return
    try:
        yield from _ledger(home, signer)
    except RemitError as e:
        yield problem("ledger", e)


def _ledger(home: Home, signer: LedgerSigner) -> list[Finding]:
    with Record(home) as record:
        checkpoint = verify(record.ledger.checkpoint(), (parse_key(signer.verifier_key()),))
        if Tree(split(record.ledger.hashes(0, checkpoint.size))).root() != checkpoint.root:
            raise Unverified("the receipts do not lead to the signed root", "export and verify it; keep a copy")
        told = (
            f"{checkpoint.size} receipts lead to the signed root; `remit ledger export` and `verify` read each of them"
        )
        found = [Finding("ledger", "ok", told)]
        last = record.ledger.leaf(checkpoint.size - 1)
    behind = decode(checkpoint.size - 1, last).at - now_ms() if last else 0
    if behind > CLOCK_REGRESSION_MS:
        told = f"the clock is {behind // 1000} s behind the last receipt: every call is denied"
        return [*found, Finding("clock", "problem", told, "set the clock")]
    return [*found, Finding("clock", "ok", "not behind the last receipt")]
