"""What a gateway does by the clock goes on after a fault, and is missed when it breaks."""

import asyncio

from remit.edge.routine import Routine
from remit.errors import StoreFault


async def test_an_act_that_fails_is_tried_again_in_its_own_time() -> None:
    routine, done, tried = Routine(), asyncio.Event(), []

    async def act() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise StoreFault("not now")
        done.set()

    routine.every(0, act)
    await done.wait()
    await routine.stop()
    assert not routine.broken.is_set()


async def test_an_act_that_breaks_is_not_silently_gone() -> None:
    routine = Routine()

    async def act() -> None:
        raise ZeroDivisionError

    routine.every(0, act)
    await asyncio.wait_for(routine.broken.wait(), 5)
    await routine.stop()


async def test_what_is_stopped_is_not_broken() -> None:
    routine, started = Routine(), asyncio.Event()

    async def act() -> None:
        started.set()
        await asyncio.Event().wait()

    routine.every(0, act)
    await started.wait()
    await routine.stop()
    assert not routine.broken.is_set()
