"""`remit doctor`: whether a home is in order, finding by finding."""

from argparse import Namespace

from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, visible
from remit.edge.cli.parser import Parser

_SIGNS = {"ok": ("✓", "good"), "warning": ("!", "wait"), "problem": ("✗", "bad")}


def declare(parser: Parser) -> None:
    """Add what the command takes."""
    parser.leaf(
        _run,
        "Check this home: catalogue, keys and their modes, store and ledger, policies, clock, disk, the people's door, "
        "the executables of stdio tool servers, and what separates agents from the gateway. Nothing is changed, "
        "except that looking without a gateway closes calls a crash left open, as every start does. Exits with 1 if "
        "there is a problem; a warning is none.",
        examples=("remit doctor", "remit doctor --json"),
    )


def _run(options: Namespace, screen: Screen) -> int:
    from remit.edge.cli.checkup import checkup

    findings = list(checkup(existing(options.home)))
    healthy = all(finding.state != "problem" for finding in findings)
    lines = []
    for finding in findings:
        sign, style = _SIGNS[finding.state]
        first, *more = [visible(line, most=None) for line in finding.told.splitlines()] or [""]
        lines.append(f"{screen.paint(sign, style)} {finding.what:<11} {first}")
        lines += [f"  {'':<11} {line}" for line in (*more, visible(finding.advice)) if line]
    screen.answer({"healthy": healthy, "findings": [finding._asdict() for finding in findings]}, lines)
    return 0 if healthy else 1
