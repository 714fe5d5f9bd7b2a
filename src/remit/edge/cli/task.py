"""`remit task`: the declared work of agents, opened, seen and ended by people."""

from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from remit.edge.cli.door import Door, segment
from remit.edge.cli.files import read_json, read_text
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen, distance, moment, now_ms, table, visible
from remit.edge.cli.parser import Parser
from remit.errors import CallerFault

# Move → (what the summary says, what `--help` adds).
_MOVES: Final = {
    "suspend": ("stop a task until it is resumed", "Calls under it are refused meanwhile."),
    "resume": ("let a suspended task go on", "Its budget and expiry are what they were."),
    "renew": (
        "give an open, suspended or expired task more time",
        "Its purpose bounds how long it may live; scope and budget stay.",
    ),
    "complete": ("end a task whose work is done", "Everything issued under it dies. It cannot be opened again."),
    "revoke": ("end a task that must stop", "Everything issued under it dies. It cannot be opened again."),
}


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("open", "open a task for an agent", fill=_declare_open)
    parser.command("list", "list tasks", fill=_declare_list)
    parser.command("show", "show one task and what is used of its budget", fill=_declare_show)
    for move, (summary, _) in _MOVES.items():
        parser.command(move, summary, fill=lambda parser, move=move: _declare_move(parser, move))  # type: ignore[misc]


def _declare_open(parser: Parser) -> None:
    parser.leaf(
        _open,
        "Open a task under a catalogued purpose. What is not narrowed here is as wide as the purpose allows, never "
        "wider. With --token the one line on standard output is a step token: a token of the agent that names the "
        "task, for a workflow engine to hand to one step. It is good at `/mcp`, for ten minutes.",
        examples=(
            "remit task open --agent scout --purpose triage --minutes 30",
            "remit task open --agent scout --purpose triage --tool git/git_log --calls 1 --token",
            "remit task open --agent scout --purpose triage --argument git/git_log=only-this-repo.json",
            "remit task open --agent scout --purpose triage --requester person/bo --per-tool git/git_log=3",
        ),
    )
    add = parser.add_argument
    add("--agent", required=True, metavar="NAME", help="the agent the work is for")
    add("--purpose", required=True, metavar="NAME", help="the catalogued purpose")
    add("--tool", action="append", metavar="TARGET", help="only this tool, `connector/name`; may be repeated")
    add("--calls", type=int, metavar="N", help="at most this many calls in all")
    add("--per-tool", action="append", metavar="TARGET=N", help="at most this many calls of one tool; may be repeated")
    add("--minutes", type=int, metavar="M", help="how long it stays open")
    add("--tier", action="append", choices=("read", "write", "privileged"), help="only this tier; may be repeated")
    add("--data-class", action="append", metavar="CLASS", help="only this class of data; may be repeated")
    add("--argument", action="append", metavar="TARGET=FILE", help="a JSON Schema a tool's arguments must also fit")
    add("--environment", metavar="NAME", help="the environment, which has to be the agent's")
    add("--tenant", metavar="NAME", help="the tenant, which has to be the agent's")
    add("--requester", metavar="WHO", help="who the work is for, if not you; on record as your word for it")
    add("--text", metavar="TEXT", help="the request in the requester's words, kept as evidence")
    add("--subject-token", type=Path, metavar="FILE", help="the requester's ID token, if you open it for another")
    add("--token", action="store_true", help="print a step token and nothing else: for `/mcp`, ten minutes")


def _declare_list(parser: Parser) -> None:
    parser.leaf(
        _list,
        "List tasks, newest first.",
        examples=("remit task list", "remit task list --agent scout --state open"),
    )
    parser.add_argument("--agent", metavar="NAME", help="only this agent's")
    parser.add_argument(
        "--state", choices=("open", "suspended", "completed", "revoked", "expired"), help="only those in this state"
    )


def _declare_show(parser: Parser) -> None:
    parser.leaf(_show, "Show one task: who asked, what it may reach, what is used.", examples=("remit task show TASK",))
    parser.add_argument("task", metavar="TASK", help="the task's id")


def _declare_move(parser: Parser, move: str) -> None:
    summary, more = _MOVES[move]
    example = f"remit task {move} TASK" + {"renew": " --minutes 60", "revoke": ' --reason "wrong repository"'}.get(
        move, ""
    )
    parser.leaf(_move, f"{summary.capitalize()}. {more}", examples=(example,))
    parser.set_defaults(move=move)
    parser.add_argument("task", metavar="TASK", help="the task's id")
    parser.add_argument("--reason", metavar="TEXT", help="why; kept in the receipt")
    if move == "renew":
        parser.add_argument("--minutes", type=int, required=True, metavar="M", help="how long it stays open from now")


def _open(options: Namespace, screen: Screen) -> None:
    door = Door(existing(options.home))
    answer = door.post("/v1/tasks", _order(options))
    if options.tool:
        from remit.edge.cli.doubts import doubts

        for doubt in doubts(options.tool, answer["task"], door=door):
            screen.note(screen.paint(f"warning: {doubt}", "wait"))
    if options.token and not screen.json:
        print(answer["token"], file=screen.out)
        return
    task = answer["task"]
    screen.answer(answer, (screen.paint(f"task {visible(task['id'])} is open", "good"), *_lines(task, now_ms())))


def _order(options: Namespace) -> dict[str, Any]:
    per_tool = {target: _number(target, given) for target, given in _pairs(options.per_tool, "--per-tool")}
    arguments = {target: read_json(Path(file)) for target, file in _pairs(options.argument, "--argument")}
    subject = options.subject_token
    return {
        "agent": options.agent,
        "purpose": options.purpose,
        "tools": options.tool,
        "calls": options.calls,
        "per_tool": per_tool or None,
        "minutes": options.minutes,
        "tiers": options.tier,
        "data_classes": options.data_class,
        "arguments": arguments or None,
        "environment": options.environment,
        "tenant": options.tenant,
        "requester": options.requester,
        "text": options.text,
        "subject_token": read_text(subject).strip() if subject else None,
        "token": options.token or None,
    }


def _list(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get("/v1/tasks", agent=options.agent, state=options.state)
    now = now_ms()
    tasks = sorted(answer["tasks"], key=lambda task: task["opened_at"], reverse=True)
    rows = [
        (
            task["id"],
            task["agent"],
            task["purpose"],
            task.get("state", "open"),
            task["requester"]["id"],
            _until(task, now),
        )
        for task in tasks
    ]
    lines = table(("task", "agent", "purpose", "state", "requester", "expires"), rows)
    screen.answer(answer, lines or ["no tasks"])


def _show(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).get(f"/v1/tasks/{segment(options.task)}")
    used = answer.get("used", {})
    spent = [f"  used      {visible(name)} {count}" for name, count in sorted(used.items()) if isinstance(count, int)]
    screen.answer(answer, (f"task {visible(answer['task']['id'])}", *_lines(answer["task"], now_ms()), *spent))


def _move(options: Namespace, screen: Screen) -> None:
    body = {"reason": options.reason, "minutes": getattr(options, "minutes", None)}
    answer = Door(existing(options.home)).post(f"/v1/tasks/{segment(options.task)}/{options.move}", body)
    task = answer["task"]
    line = f"task {visible(task['id'])} is {task.get('state', 'open')}"
    screen.answer(answer, (f"{line}, expires {_until(task, now_ms())}" if options.move == "renew" else line,))


def _lines(task: dict[str, Any], now: int) -> list[str]:
    scope, requester = task["scope"], task["requester"]
    lines = [
        f"  agent     {visible(task['agent'])}",
        f"  purpose   {visible(task['purpose'])}",
        f"  state     {task.get('state', 'open')}, expires {_until(task, now)}",
        f"  requester {visible(requester['id'])} ({requester['proof']})",
        f"  tools     {visible(', '.join(scope['tools']))}",
        f"  tiers     {', '.join(scope.get('tiers', ('read',)))}",
        f"  budget    {task['budget']['calls']} calls",
    ]
    return [*lines, f"  text      {visible(task['text'])}"] if task.get("text") else lines


def _until(task: dict[str, Any], now: int) -> str:
    return f"{moment(task['expires_at'])} ({distance(task['expires_at'], now)})"


def _pairs(given: list[str] | None, flag: str) -> list[tuple[str, str]]:
    pairs = [one.rpartition("=") for one in given or ()]
    for target, _, value in pairs:
        if not target or not value:
            raise CallerFault(f"`{flag}` takes TARGET=VALUE", "the target is `connector/name`")
    return [(target, value) for target, _, value in pairs]


def _number(target: str, given: str) -> int:
    if not given.isdecimal():
        raise CallerFault(f"`{given}` is no number of calls for `{target}`", "give a whole number")
    return int(given)
