"""The page on receipts names every kind, every field and every value there is."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from remit.ledger.receipt import FORMAT, Actor, AnyBody, Asked, Intent, Receipt
from tests.flow.following import ASKED, QUESTION, YES, Setting
from tests.flow.test_questions import ABLE, ACCEPTED, ELICITATION, again, asked, asks
from tests.world import World

PAGE = (Path(__file__).parents[2] / "docs/reference/receipts.md").read_text()
KINDS = {body.__struct_config__.tag: body for body in get_args(AnyBody)}
SECTIONS = {"The receipt": Receipt, "`asked`": Asked, "`actor`": Actor} | {f"`{kind}`": KINDS[kind] for kind in KINDS}


def section(name: str) -> str:
    return PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]


def listed(name: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", section(name), re.MULTILINE)


def test_every_kind_has_a_section_and_every_section_a_kind() -> None:
    assert set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE)) == {*SECTIONS, "Values"}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_field_is_there(name: str) -> None:
    assert sorted(listed(name)) == sorted(SECTIONS[name].__struct_fields__)


def test_the_example_is_a_receipt_of_this_format() -> None:
    text = PAGE.split("```json intent\n")[1].split("```")[0]
    made = msgspec.json.decode(text, type=Receipt)
    assert isinstance(made.body, Intent)
    assert msgspec.json.decode(msgspec.json.encode(made)) == msgspec.json.decode(text)
    assert (made.v, FORMAT) == (1, 1)


async def test_the_values_beside_receipts_are_those_of_the_page() -> None:
    world = await World.made()
    task = await world.task(purpose="upkeep")
    await world.call(task)
    await world.call(task, "wipe")
    await world.call(await world.task(), "add")
    world.server.answers = asks(a=ELICITATION)
    ask = world.ask(task, speaks=ABLE)
    await world.answer(again(ask, await asked(world, ask), {"a": ACCEPTED}))
    operation = await Setting.made("add", client=ASKED)
    operation.jobs.asks(one=QUESTION)
    await operation.now("update", answers={"one": YES}, speaks=ASKED)
    receipts = [*await world.receipts(), *await operation.world.receipts()]
    assert {name for receipt in receipts for name in receipt.values} == set(listed("Values"))
