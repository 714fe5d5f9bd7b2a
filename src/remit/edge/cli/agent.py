"""`remit agent`: the workloads of the catalogue, their keys, and whether they may still ask."""

import json
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from remit.edge.cli.door import Door, Refused, segment
from remit.edge.cli.files import read_json, read_text
from remit.edge.cli.home import Home, existing, profile_of
from remit.edge.cli.output import Screen, moment, table, visible
from remit.edge.cli.parser import Parser, label
from remit.edge.cli.standing import add_reason, restore, revoke, told
from remit.errors import CallerFault, ConfigFault, Conflict, NotPermitted, RemitError

# After these nothing was enrolled; after others it may have been.
_REFUSALS: Final = (CallerFault, ConfigFault, Conflict, NotPermitted, Refused)


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("list", "list agents: owner, model, keys, state", fill=_declare_list)
    parser.command("enroll", "give an agent a key of its own", fill=_declare_enroll)
    parser.command("token", "print one token of an agent, for a client that speaks HTTP", fill=_declare_token)
    parser.command("headers", "print the HTTP headers of an agent's request, as JSON", fill=_declare_headers)
    parser.command("standing-token", "issue a token that stands for days, on record", fill=_declare_standing)
    parser.command("revoke", "refuse an agent, or one of its keys or tokens, from now on", fill=_declare_revoke)
    parser.command("restore", "let a revoked agent or key act again", fill=_declare_restore)


def _declare_list(parser: Parser) -> None:
    parser.leaf(_list, "List the agents of the catalogue and what is in force of them.", examples=("remit agent list",))


def _declare_enroll(parser: Parser) -> None:
    parser.leaf(
        _enroll,
        "Give a catalogued agent a key that signs for it alone. Without --public-key a key is made here and the "
        "profile with its private half is written, readable by its owner only; hand it to the agent's own user.",
        examples=(
            "remit agent enroll scout",
            "remit agent enroll scout --out /home/scout/.config/remit/scout.json",
            "remit agent enroll scout --public-key scout.jwk",
        ),
    )
    _named(parser)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--out", type=Path, metavar="FILE", help="where the profile goes; else agents/NAME.json")
    either.add_argument(
        "--public-key", type=Path, metavar="FILE", help="a public JWK made elsewhere; no profile is written"
    )


def _declare_token(parser: Parser) -> None:
    parser.leaf(
        _token,
        "Print one new token of an agent, signed with the key of its profile, for a client that speaks HTTP itself. It "
        "is good for ten minutes, at one endpoint: `/mcp`, or `/mcp/CONNECTOR` if one is named; send it there as "
        "`Authorization: Bearer TOKEN`. It needs no gateway. Whoever has it is the agent: it is a secret.",
        examples=(
            "remit agent token scout",
            "remit agent token scout --connector git --task TASK",
            "remit agent token scout --profile ~/.config/remit/scout.json",
        ),
    )
    _named(parser)
    _at(parser)
    parser.add_argument("--task", metavar="ID", help="the task to work under; else the agent's default one")
    _signed_with(parser)


def _declare_headers(parser: Parser) -> None:
    parser.leaf(
        _headers,
        "Print the headers of a request of an agent as one JSON object: `Authorization` with a new token as "
        "`remit agent token` makes it, `Remit-Client` with a label, `Remit-Task` if a task is named. For clients that "
        "run a command to get their headers; `remit connect claude-code --http` configures one.",
        examples=("remit agent headers scout", "remit agent headers scout --connector git --client laptop"),
    )
    _named(parser)
    _at(parser)
    parser.add_argument("--task", metavar="ID", help="the task to work under; else the agent's default one")
    parser.add_argument(
        "--client",
        type=label,
        metavar="LABEL",
        default="headers",
        help="what tells this client from others; else `headers`",
    )
    _signed_with(parser)


def _declare_standing(parser: Parser) -> None:
    parser.leaf(
        _standing,
        "Issue a token that stands for days, for a client that can hold nothing but a static header, and print it "
        "once. Whoever has it is the agent until it expires or is revoked: prefer `remit connect`. It is on record, "
        "named in `remit agent list` with its age, and `remit doctor` asks about it when it is old.",
        examples=('remit agent standing-token scout --connector git --days 30 --reason "the editor runs no helper"',),
    )
    _named(parser)
    parser.add_argument("--days", type=int, required=True, metavar="N", help="how long it stands, 1 to 90")
    add_reason(parser, required=True)
    _at(parser)


def _declare_revoke(parser: Parser) -> None:
    parser.leaf(
        _revoke,
        "Revoke an agent, or one of its keys or standing tokens and none of the others. When this returns, no call of "
        "it commits any more and the agent's sessions are closed.",
        examples=(
            'remit agent revoke scout --reason "its host was taken over"',
            'remit agent revoke --key PLt1EHNmfCSdpzGwkTr1GYizPiwAQ12Yn1sGkmtM2j0 --reason "replaced"',
            'remit agent revoke --token 5f0c9a1be2d34c6b7a80 --reason "the laptop is gone"',
        ),
    )
    _agent_or_key(parser, or_token=True)
    add_reason(parser, required=True)


def _declare_restore(parser: Parser) -> None:
    parser.leaf(
        _restore,
        "Let a revoked agent ask again, or a revoked key sign again. Tasks that were revoked meanwhile stay ended.",
        examples=('remit agent restore scout --reason "host rebuilt"',),
    )
    _agent_or_key(parser)
    add_reason(parser, required=False)


def _named(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="the agent's name in the catalogue")


def _at(parser: Parser) -> None:
    parser.add_argument("--connector", metavar="C", help="for `/mcp/C`, this tool server alone; else for `/mcp`")


def _signed_with(parser: Parser) -> None:
    parser.add_argument("--profile", type=Path, metavar="FILE", help="the agent's profile; else agents/NAME.json")


def _agent_or_key(parser: Parser, *, or_token: bool = False) -> None:
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("name", nargs="?", metavar="NAME", help="the agent's name in the catalogue")
    either.add_argument(
        "--key", metavar="KID", help="one key, as `remit agent list` shows it; `--key=KID` if it begins with `-`"
    )
    if or_token:
        meant = "one standing token, as `remit agent list` shows it; it stays revoked"
        either.add_argument("--token", metavar="JTI", help=meant)


def _list(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get("/v1/agents")
    rows = [
        (
            agent["name"],
            agent.get("owner", ""),
            agent.get("model", ""),
            agent.get("environment", ""),
            "revoked" if agent.get("revoked") else "active",
            " ".join(agent.get("keys", ())) or "none",
        )
        for agent in answer["agents"]
    ]
    lines = table(("agent", "owner", "model", "environment", "state", "keys"), rows)
    standing = [token for agent in answer["agents"] for token in agent.get("standing", ())]
    screen.answer(answer, [*(lines or ["no agents"]), *map(told, standing)])


def _enroll(options: Namespace, screen: Screen) -> None:
    home = existing(options.home)
    door = Door(home)
    if options.public_key is None:
        _enroll_new(options, screen, home=home, door=door)
        return
    answer = door.post(_enrolment(options.name), {"jwk": read_json(options.public_key)})
    screen.answer(answer, (_enrolled(options.name, answer),))


def _enroll_new(options: Namespace, screen: Screen, *, home: Home, door: Door) -> None:
    from remit.catalogue import load
    from remit.edge.cli.profile import make, save

    name = options.name
    declared = load(read_text(home.catalogue), str(home.catalogue))
    profile = make(name, url=door.get("/v1/status")["url"], trust_domain=declared.trust_domain)
    # Saved first: a crash in between leaves a key that opens no door, not one in force that nobody holds.
    file = save(profile, options.out or home.profile(name))
    try:
        answer = door.post(_enrolment(name), {"jwk": profile.public()})
    except _REFUSALS:
        file.unlink()
        raise
    except RemitError:
        screen.note(f"whether it is enrolled is not known: `remit agent list` shows it; its profile is kept in {file}")
        raise
    named = "" if options.out is None else f" --profile {visible(file.resolve(), most=None)}"
    lines = (
        _enrolled(name, answer),
        f"its profile is {visible(file, most=None)}",
        f"connect it with: remit connect --agent {visible(name)}{named}",
    )
    screen.answer({**answer, "profile": str(file)}, lines)


def _token(options: Namespace, screen: Screen) -> None:
    token, url = _minted(options)
    screen.answer({"token": token, "url": url}, (token,))


def _headers(options: Namespace, screen: Screen) -> None:
    headers = {"Authorization": f"Bearer {_minted(options)[0]}", "Remit-Client": options.client}
    screen.exactly(json.dumps(headers | ({"Remit-Task": options.task} if options.task else {})))


def _minted(options: Namespace) -> tuple[str, str]:
    """A new token of the agent, and the URL it is for."""
    from remit.edge.cli.profile import load

    profile = load(options.profile or profile_of(options.home, options.name), options.name)
    url = profile.endpoint(options.connector)
    return profile.issuer().mint(profile.agent, audience=url, now_s=int(time.time()), task=options.task), url


def _standing(options: Namespace, screen: Screen) -> None:
    about = {"days": options.days, "reason": options.reason, "connector": options.connector}
    answer = Door(existing(options.home)).post(f"/v1/agents/{segment(options.name)}/standing-tokens", about)
    screen.note(
        f"it is for {visible(answer['url'])} until {moment(answer['expires'])}; whoever has it is "
        f"{visible(options.name)}; `remit agent revoke --token {visible(answer['jti'])}` ends it; "
        f"receipt {answer['receipt']}"
    )
    screen.answer(answer, (answer["token"],))


def _enrolment(name: str) -> str:
    return f"/v1/agents/{segment(name)}/enroll"


def _enrolled(name: str, answer: dict[str, Any]) -> str:
    return f"{visible(name)} is enrolled with key {visible(answer['kid'])}, receipt {answer['receipt']}"


def _revoke(options: Namespace, screen: Screen) -> None:
    what, name = _meant(options)
    revoke(options, screen, what=what, name=name)


def _restore(options: Namespace, screen: Screen) -> None:
    what, name = _meant(options)
    restore(options, screen, what=what, name=name)


def _meant(options: Namespace) -> tuple[str, str]:
    if getattr(options, "token", None) is not None:
        return "token", options.token
    return ("agent", options.name) if options.key is None else ("key", options.key)
