"""A world whose fake tool server ends its calls later, and one such call."""

from typing import Any

from remit.answer import Accepted, Refusal
from remit.call import Client
from remit.ledger.receipt import Completion
from remit.reasons import Reason
from remit.task.model import Task
from tests.jobs import Jobs
from tests.world import World

FOLLOWS = Client(operations=True)
ASKED = Client(operations=True, capabilities={"elicitation": {}})
QUESTION: dict[str, Any] = {"method": "elicitation/create", "params": {"message": "sure?", "requestedSchema": {}}}
YES = {"action": "accept", "content": {"confirm": True}}
UNKNOWN = Refusal(reason=Reason.CALL_OPERATION, detail="", verdict="DENY")


class Setting:
    """A world whose tool server makes tasks, and one call it accepted."""

    def __init__(self, world: World, task: Task, jobs: Jobs) -> None:
        self.world, self.task, self.jobs = world, task, jobs
        self.id = ""

    @classmethod
    async def made(cls, name: str = "read", *, jobs: Jobs | None = None, client: Client = FOLLOWS) -> "Setting":
        world = await World.made()
        setting = cls(world, await world.task(purpose="upkeep", tiers=("read", "write")), jobs or Jobs())
        setting.serve()
        setting.id = (await setting.accepted(name, speaks=client, arguments={"path": "a"})).operation
        return setting

    def serve(self) -> None:
        self.world.server.answers, self.world.server.tends = self.jobs.answers, self.jobs.tends

    async def accepted(self, name: str = "read", **more: Any) -> Accepted:
        said = await self.world.call(self.task, name, **({"speaks": FOLLOWS} | more))
        assert isinstance(said, Accepted), said
        return said

    async def get(self, **more: Any) -> Any:
        """How it stands, asked after its server may be asked again."""
        self.world.now += 60_000
        return await self.now(**more)

    async def now(self, does: str = "get", **more: Any) -> Any:
        return await self.world.follow(self.task, self.id, does, **({"speaks": FOLLOWS} | more))

    async def completions(self) -> list[Completion]:
        return await self.world.bodies(Completion)
