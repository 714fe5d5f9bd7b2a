"""What a task was narrowed to and can hardly have been meant: tools nobody has seen, tools beyond its tiers.

The task is open and what it says holds; this only tells whoever opened it, if they may see the contracts.
"""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from remit.catalogue.patterns import concerns
from remit.edge.cli.door import Door
from remit.edge.cli.output import visible
from remit.errors import RemitError


def doubts(tools: Sequence[str], task: dict[str, Any], *, door: Door) -> Iterator[str]:
    """A sentence about each of the `--tool` patterns that lets no call through, as far as can be seen."""
    try:
        contracts = door.get("/v1/contracts")["contracts"]
    except RemitError:  # not theirs to see; the task is open all the same
        return
    seen = {one["target"]: one.get("tier") for one in contracts if one["kind"] != "server"}
    allowed = task["scope"].get("tiers", ("read",))
    for tool in tools if seen else ():
        tiers = [tier for target, tier in seen.items() if concerns(tool, target)]
        if not tiers:
            near = difflib.get_close_matches(tool, seen, 1)
            yield f"no gateway has seen `{visible(tool)}`" + (f"; did you mean `{visible(near[0])}`?" if near else "")
        elif not any(tier is None or tier in allowed for tier in tiers):
            yield f"`{visible(tool)}` is {' or '.join(sorted(set(tiers)))}; this task allows {', '.join(allowed)} only"
