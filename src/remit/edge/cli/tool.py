"""`remit tool`: what tool servers advertise, against what an operator accepted."""

from argparse import Namespace

from remit.edge.cli.door import Door
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, table, visible
from remit.edge.cli.parser import Parser
from remit.edge.cli.standing import add_reason, restore, revoke

_STYLES = {"pinned": "good", "drifted": "bad", "missing": "bad", "new": "wait"}


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("list", "list contracts: pinned, new, drifted, missing", fill=_declare_list)
    parser.command("diff", "show what a tool server says now against what is pinned", fill=_declare_diff)
    parser.command("pin", "accept exactly what `diff` showed", fill=_declare_pin)
    parser.command("revoke", "refuse every call of a tool server, from the next one on", fill=_declare_revoke)
    parser.command("restore", "let calls of a revoked tool server pass again", fill=_declare_restore)


def _declare_list(parser: Parser) -> None:
    parser.leaf(
        _list,
        "List every tool, prompt, resource and server contract, and whether it is what was pinned. What is not pinned "
        "is quarantined: no call of it passes.",
        examples=("remit tool list", "remit tool list --connector git"),
    )
    parser.add_argument("--connector", metavar="NAME", help="only this tool server's")


def _declare_diff(parser: Parser) -> None:
    parser.leaf(
        _diff,
        "Show the difference between the pinned contract and the one advertised now, and the digest that pins it. "
        "The target `CONNECTOR` alone is everything of it that is new or drifted, under one digest.",
        examples=(
            "remit tool diff time",
            "remit tool diff time/get_current_time",
            "remit tool diff docs/prompt:summarise",
        ),
    )
    _target(parser)


def _declare_pin(parser: Parser) -> None:
    parser.leaf(
        _pin,
        "Pin what `remit tool diff` showed. The digest has to be the one shown there: what changed since is refused.",
        examples=("remit tool pin time --digest sha256:…",),
    )
    _target(parser)
    parser.add_argument("--digest", required=True, metavar="D", help="the digest `remit tool diff` showed")


def _declare_revoke(parser: Parser) -> None:
    parser.leaf(
        _revoke,
        "Revoke a tool server, with all its tools. When this returns, no call of it commits any more and its sessions "
        "are closed. Its pins stay.",
        examples=('remit tool revoke git --reason "its package was tampered with"',),
    )
    _connector(parser)
    add_reason(parser, required=True)


def _declare_restore(parser: Parser) -> None:
    parser.leaf(
        _restore,
        "Let calls of a revoked tool server pass again. What it says differently by then is quarantined.",
        examples=('remit tool restore git --reason "reinstalled"',),
    )
    _connector(parser)
    add_reason(parser, required=False)


def _connector(parser: Parser) -> None:
    parser.add_argument("connector", metavar="CONNECTOR", help="the tool server's name in the catalogue")


def _target(parser: Parser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", help="`connector/tool`, `connector/prompt:NAME`, … or `connector` for all of it"
    )


def _list(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get("/v1/contracts", connector=options.connector)
    contracts = answer["contracts"]
    rows = [
        (one["target"], one["kind"], one["status"], one.get("tier") or "", " ".join(one.get("data_classes", ())))
        for one in contracts
    ]
    head, *lines = table(("target", "kind", "status", "tier", "data"), rows) or ["no contracts were seen yet"]
    painted = [_painted(screen, line, status=one["status"]) for line, one in zip(lines, contracts, strict=True)]
    screen.answer(answer, (head, *painted))


def _painted(screen: Screen, line: str, *, status: str) -> str:
    return line if status == "pinned" else screen.paint(line, _STYLES.get(status, "wait"))


def _diff(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get("/v1/contracts/diff", target=options.target)
    lines = [_coloured(screen, line) for line in answer["diff"].splitlines()]
    lines += [f"open: {visible(place)} takes arguments its schema does not name" for place in answer.get("open", ())]
    pin = f"remit tool pin {visible(answer['target'])} --digest {visible(answer['digest'])}"
    nothing = f"nothing of `{visible(answer['target'])}` waits: what it advertises is what is pinned"
    screen.answer(answer, (*lines, "", f"accept it with: {pin}") if lines else (nothing,))


def _coloured(screen: Screen, line: str) -> str:
    style = {"+": "good", "-": "bad", "@": "dim"}.get(line[:1])
    shown = visible(line, most=None)
    return screen.paint(shown, style) if style else shown


def _pin(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).post(
        "/v1/contracts/pin", {"target": options.target, "digest": options.digest}
    )
    pinned = [f"pinned {visible(target)}" for target in answer["pinned"]]
    screen.answer(answer, (*pinned, f"receipt {answer['receipt']}"))


def _revoke(options: Namespace, screen: Screen) -> None:
    revoke(options, screen, what="connector", name=options.connector)


def _restore(options: Namespace, screen: Screen) -> None:
    restore(options, screen, what="connector", name=options.connector)
