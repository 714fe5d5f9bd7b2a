"""Policy files applied as they change, for development."""

from pathlib import Path

from remit.answer import Refusal, Released
from remit.edge.acts.watch import WatchedPolicies
from remit.ledger.receipt import PolicyEvent
from tests.world import World


async def test_files_are_applied_when_they_change_and_a_broken_set_changes_nothing(tmp_path: Path) -> None:
    world = await World.made()
    task = await world.task()
    watched = WatchedPolicies(world.policies, world.who(), directory=tmp_path)
    await watched.apply_changes()
    assert len(await world.bodies(PolicyEvent)) == 1

    (tmp_path / "none.cedar").write_text('@id("none") forbid (principal, action in Action::"read", resource);')
    await watched.apply_changes()
    await watched.apply_changes()
    assert isinstance(await world.call(task), Refusal)
    assert len(await world.bodies(PolicyEvent)) == 2

    (tmp_path / "none.cedar").write_text("permit (")
    await watched.apply_changes()
    assert len(await world.bodies(PolicyEvent)) == 2

    (tmp_path / "none.cedar").write_text('@id("all") permit (principal, action in Action::"read", resource);')
    await watched.apply_changes()
    assert isinstance(await world.call(task), Released)
    await world.holds()
