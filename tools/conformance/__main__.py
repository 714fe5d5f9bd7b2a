"""Run the whole comparison and say what got worse: `python -m tools.conformance [options]`.

Exit status 1 if a check that passed directly does not pass through the gateway, or a required scenario fails.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .legs import NOT_APPLICABLE, UPSTREAMS, Leg, alone, clients, servers, tasks
from .peers import REVISIONS, missing

SIDES: Final = (*UPSTREAMS, "alone", "tasks", "client")

# What is switched off in the gateway for the suite: nothing, and so it stays.
DISABLED: Final[tuple[str, ...]] = ()


def main() -> int:
    options = parsed()
    if why := missing():
        sys.exit(why)
    print(f"disabled features: {', '.join(DISABLED) or 'none'}")
    for side in options.side or SIDES:
        for name, why in NOT_APPLICABLE.get(side, {}).items():
            print(f"not applicable, {side}: {name}: {why}")
    with tempfile.TemporaryDirectory(prefix="remit-conformance-") as scratch:
        good = [told(leg, options.into) for leg in legs(options, options.into or Path(scratch))]
    return 0 if good and all(good) else 1


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.conformance", description=__doc__)
    parser.add_argument("--revision", choices=REVISIONS, action="append", help="only this revision")
    parser.add_argument("--side", choices=SIDES, action="append", help="only this side")
    parser.add_argument("--scenario", default="", help="only this scenario")
    parser.add_argument("--into", type=Path, metavar="DIR", help="keep results, reports and logs in this new directory")
    return parser.parse_args()


def legs(options: argparse.Namespace, where: Path) -> Iterator[Leg]:
    """Each comparison that was asked for, as it is done."""
    revisions, sides = options.revision or REVISIONS, options.side or SIDES
    if upstreams := [side for side in sides if side in UPSTREAMS]:
        with servers(where) as started:
            for revision in revisions:
                for upstream in upstreams:
                    yield started.leg(revision, upstream, scenario=options.scenario)
    if "alone" in sides:
        yield alone(where, scenario=options.scenario)
    if "tasks" in sides:
        yield tasks(where, scenario=options.scenario)
    if "client" in sides:
        for revision in revisions:
            yield clients(where, revision, scenario=options.scenario)


def told(leg: Leg, into: Path | None) -> bool:
    """Print one comparison, and keep it if there is a place; whether nothing got worse."""
    text = "\n".join(report(leg))
    print(f"\n{text}", flush=True)
    if into:
        (into / f"REPORT-{leg.title.replace(' ', '-')}.md").write_text(f"# {text}\n", encoding="utf-8")
    return not (leg.difference.worsened or leg.failed)


def report(leg: Leg) -> Iterator[str]:
    """A comparison in lines."""
    worsened, improved = leg.difference
    good = len(leg.required) - len(leg.failed)
    yield f"{leg.title}: {good}/{len(leg.required)} required scenarios pass, {len(leg.through)} checks"
    yield f"\nfailed scenarios: {' '.join(leg.failed) or 'none'}"
    for what, changes in (("worse", worsened), ("better", improved)):
        yield f"\n{what} than directly: {len(changes) or 'none'}\n"
        yield from (f"- {change}" for change in changes)


if __name__ == "__main__":
    sys.exit(main())
