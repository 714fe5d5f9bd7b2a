"""`remit ledger`: what happened, in order; and the proof of it, for people who were not there."""

from argparse import Namespace
from pathlib import Path

from remit.edge.cli.door import Door
from remit.edge.cli.home import existing
from remit.edge.cli.output import Screen
from remit.edge.cli.parser import Parser


def declare(parser: Parser) -> None:
    """Add the command's own commands."""
    parser.command("show", "show what happened, line by line", _declare_show)
    parser.command("export", "write the record to a directory, to be verified elsewhere", _declare_export)
    parser.command("verify", "check an exported record or receipt against keys you trust", _declare_verify)
    parser.command("prove", "write one receipt as a file that verifies by itself", _declare_prove)
    parser.command("consistency", "check that the record still begins with what a checkpoint said", _declare_consistency)
    parser.command("erase", "erase the values beside receipts; the receipts stay", _declare_erase)


def _declare_show(parser: Parser) -> None:
    parser.leaf(
        _show,
        "Show the record as a timeline: when (local time, and seconds since its first line), receipt, who, what, the\n"
        "decision and its reason, how it ended, by which policies, and the data it touched. It needs no gateway.",
        ("remit ledger show", "remit ledger show --task TASK", "remit ledger show --follow"),
    )
    parser.add_argument("--task", metavar="ID", help="only what belongs to this task")
    parser.add_argument("--follow", action="store_true", help="go on as it happens, until interrupted")


def _declare_export(parser: Parser) -> None:
    parser.leaf(
        _export,
        "Write receipts, values, what they name by digest, and the proofs to a new directory.",
        ("remit ledger export ./incident", "remit ledger export ./incident --task TASK"),
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a directory that does not exist yet")
    parser.add_argument("--task", metavar="ID", help="only this task's receipts, each with its proof")


def _declare_verify(parser: Parser) -> None:
    parser.leaf(
        _verify,
        "Verify an exported directory, or one receipt's file. It needs no gateway, no home and no network, and it\n"
        "trusts only the keys and checkpoints named here; without a key, those of this home. It names the first thing\n"
        "wrong and exits with 8.",
        (
            "remit ledger verify ./incident --key ledger.pub --checkpoint checkpoints",
            "remit ledger verify receipt-17.json --key remit.local/remit+6f9c0a1b+AbCd",
        ),
    )
    parser.add_argument("path", type=Path, metavar="PATH", help="what `export` or `prove` wrote")
    parser.add_argument(
        "--key", action="append", default=[], metavar="KEY", help="a verifier key, or a file that holds some; repeatable"
    )
    _checkpoints(parser)


def _declare_prove(parser: Parser) -> None:
    parser.leaf(
        _prove,
        "Write one receipt with its inclusion proof and the signed checkpoint it leads to.",
        ("remit ledger prove 17 -o receipt-17.json", "remit ledger prove 17"),
    )
    parser.add_argument("receipt", type=int, metavar="RECEIPT", help="the receipt's number")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="where to; else standard output")


def _declare_consistency(parser: Parser) -> None:
    parser.leaf(
        _consistency,
        "Check that this home's record extends checkpoints that were saved elsewhere: nothing before them was changed,\n"
        "dropped or reordered.",
        ("remit ledger consistency --checkpoint checkpoints",),
    )
    _checkpoints(parser)


def _declare_erase(parser: Parser) -> None:
    parser.leaf(
        _erase,
        "Erase the arguments, results and other values kept beside receipts. Their hashes stay, so the record still\n"
        "verifies; the erasure is a receipt under your name. It cannot be undone.",
        ('remit ledger erase 17 18 --reason "personal data, request of 3 May"',),
    )
    parser.add_argument("receipts", type=int, nargs="+", metavar="RECEIPT", help="the receipts' numbers")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; kept in the receipt")


def _checkpoints(parser: Parser) -> None:
    parser.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a checkpoint saved earlier elsewhere, or a file of published ones; repeatable",
    )


def _show(options: Namespace, screen: Screen) -> None:
    import asyncio

    from remit.edge.cli.records import show

    asyncio.run(show(existing(options.home), screen, task=options.task, follow=options.follow))


def _export(options: Namespace, screen: Screen) -> None:
    import asyncio

    from remit.edge.cli.proof import export

    asyncio.run(export(existing(options.home), screen, directory=options.directory, task=options.task))


def _verify(options: Namespace, screen: Screen) -> None:
    from remit.edge.cli.proof import verify

    verify(options, screen)


def _prove(options: Namespace, screen: Screen) -> None:
    import asyncio

    from remit.edge.cli.proof import prove

    asyncio.run(prove(existing(options.home), screen, seq=options.receipt, out=options.out))


def _consistency(options: Namespace, screen: Screen) -> None:
    import asyncio

    from remit.edge.cli.proof import consistency

    asyncio.run(consistency(existing(options.home), screen, files=options.checkpoint))


def _erase(options: Namespace, screen: Screen) -> None:
    answer = Door(existing(options.home)).post(
        "/v1/erasures", {"receipts": options.receipts, "reason": options.reason}
    )
    told = f"values beside {', '.join(map(str, options.receipts))} are erased, receipt {answer['receipt']}"
    screen.answer(answer, (told,))
