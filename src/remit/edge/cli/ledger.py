"""`remit ledger`: what happened, in order; and the proof of it, for people who were not there."""

from argparse import Namespace
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from remit.edge.cli.door import Door
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("show", "show what happened, line by line", fill=_declare_show)
    parser.command("export", "write the record to a directory, to be verified elsewhere", fill=_declare_export)
    parser.command("verify", "check an exported record or receipt against keys you trust", fill=_declare_verify)
    parser.command("prove", "write one receipt as a file that verifies by itself", fill=_declare_prove)
    parser.command(
        "consistency", "check that the record still begins with what a checkpoint said", fill=_declare_consistency
    )
    parser.command("erase", "erase the values beside receipts; the receipts stay", fill=_declare_erase)


def _declare_show(parser: Parser) -> None:
    parser.leaf(
        _show,
        "Show the record as a timeline: when (local time, and seconds since its first line), receipt, who, what, the "
        "decision and its reason, how it ended, by which policies, and the data it touched. It needs no gateway.",
        examples=("remit ledger show", "remit ledger show --task TASK", "remit ledger show --follow"),
    )
    parser.add_argument("--task", metavar="ID", help="only what belongs to this task")
    parser.add_argument("--follow", action="store_true", help="go on as it happens, until interrupted")


def _declare_export(parser: Parser) -> None:
    parser.leaf(
        _export,
        "Write receipts, values, what they name by digest, and the proofs to a new directory.",
        examples=(
            "remit ledger export ./incident",
            "remit ledger export ./incident --task TASK --checkpoint checkpoints",
        ),
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that does not exist yet")
    parser.add_argument("--task", metavar="ID", help="only this task's receipts, each with its proof")
    _checkpoints(parser)


def _declare_verify(parser: Parser) -> None:
    parser.leaf(
        _verify,
        "Verify an exported directory, or one receipt's file. It needs no gateway, no home and no network, and it "
        "trusts only the keys and checkpoints named here; without a key, those of this home. It names the first thing "
        "wrong and exits with 8.",
        examples=(
            "remit ledger verify ./incident --key ledger.pub --checkpoint checkpoints",
            "remit ledger verify receipt-17.json --key remit.local/remit+6f9c0a1b+AbCd",
        ),
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="what `export` or `prove` wrote")
    _keys(parser)
    _checkpoints(parser)


def _declare_prove(parser: Parser) -> None:
    parser.leaf(
        _prove,
        "Write one receipt with its inclusion proof and the signed checkpoint it leads to.",
        examples=("remit ledger prove 17 -o receipt-17.json", "remit ledger prove 17"),
    )
    parser.add_argument("receipt", type=int, metavar="RECEIPT", help="the receipt's number")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where to; else standard output")
    _checkpoints(parser)


def _declare_consistency(parser: Parser) -> None:
    parser.leaf(
        _consistency,
        "Check that this home's record extends checkpoints that were saved elsewhere: nothing before them was changed, "
        "dropped or reordered.",
        examples=("remit ledger consistency --checkpoint checkpoints",),
    )
    _keys(parser)
    _checkpoints(parser, required=True)


def _declare_erase(parser: Parser) -> None:
    parser.leaf(
        _erase,
        "Erase the arguments, results and other values kept beside receipts. Their hashes stay, so the record still "
        "verifies; the erasure is a receipt under your name. It cannot be undone.",
        examples=('remit ledger erase 17 18 --reason "personal data, request of 3 May"',),
    )
    parser.add_argument("receipts", type=int, nargs="+", metavar="RECEIPT", help="the receipts' numbers")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; kept in the receipt")


def _keys(parser: Parser) -> None:
    told = "a verifier key, or a file that holds some; else this home's; repeatable"
    parser.add_argument("--key", action="append", default=[], metavar="KEY", help=told)


def _checkpoints(parser: Parser, *, required: bool = False) -> None:
    parser.add_argument(
        "--checkpoint",
        action="append",
        required=required,
        default=[],
        type=Path,
        metavar="FILE",
        help="a checkpoint saved earlier elsewhere, or a file of published ones; repeatable",
    )


def _show(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.records import show

    show(existing(options.home), screen, task=options.task, follow=options.follow)


def _export(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.proof import export

    _run(export(options, screen))


def _verify(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.proof import verify

    verify(options, screen)


def _prove(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.proof import prove

    _run(prove(options, screen))


def _consistency(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.proof import consistency

    _run(consistency(options, screen))


def _erase(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).post("/v1/erasures", {"receipts": options.receipts, "reason": options.reason})
    told = f"values beside {', '.join(map(str, options.receipts))} are erased, receipt {answer['receipt']}"
    screen.answer(answer, (told,))


def _run(work: Coroutine[Any, Any, None]) -> None:
    import asyncio

    asyncio.run(work)
