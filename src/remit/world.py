"""The ports a governed call needs, in one place: what `flow.govern` may ask of the world, and nothing else.

`app.py` fills it with drivers; `tests/world.py` with a simulated world. Nothing here decides anything.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from remit.call import Ask
from remit.catalogue import View
from remit.catalogue.model import AgentLimits
from remit.commit.facts import Sequenced
from remit.forward.facts import Upstreams
from remit.identity.facts import Authenticator
from remit.identity.model import Principal
from remit.ledger.receipt import Draft
from remit.policy import Policies
from remit.task.model import Task


class Tasks(Protocol):
    """Finds the task a call is made under."""

    async def of(self, principal: Principal, ask: Ask, *, view: View) -> Task | None:
        """The task the token or the header names; without one, the agent's default task for this client, opened now if
        its catalogue row has a template. None if there is none. Raises `Denied(task.conflict)` when token and header
        name different ones, `Denied(task.limit)` when the agent has too many open.
        """
        ...

    def last_used(self, task_id: str) -> int | None:
        """When a call of a default task was last committed (epoch ms); None counts from its opening."""
        ...

    def used(self, task: Task) -> None:
        """A call of the task was committed now."""
        ...


class Admission(Protocol):
    """Bounds what one valid agent may ask at once."""

    def enter(self, agent: str, limits: AgentLimits, *, now: int) -> None:
        """Count one call in, or raise `Denied(identity.rate)` or `Denied(identity.in_flight)`."""
        ...

    def leave(self, agent: str) -> None:
        """Count it out again."""
        ...

    def open_stream(self, agent: str, limits: AgentLimits) -> None:
        """Count one listening stream in, or raise `Denied(identity.in_flight)`."""
        ...

    def close_stream(self, agent: str) -> None:
        """Count it out again."""
        ...


class Denials(Protocol):
    """Puts denials on record."""

    async def record(self, draft: Draft) -> str:
        """Sequence one denial (a draft whose body is a `Denial`) and return its receipt's name.

        Identical ones within `DENIAL_WINDOW_MS` of the first are counted, and recorded together when the window ends.
        Raises `StoreFault` or `Denied` when it cannot.
        """
        ...

    def noise(self, reason: str) -> None:
        """Count one unauthenticated request; the counts become one receipt per `NOISE_WINDOW_MS`."""
        ...


class World(Struct, frozen=True, kw_only=True):
    """`now` is epoch milliseconds; `new_id` gives unguessable ids. `view` and `policies` are what is in force now.

    `recent` remembers that a call with this digest is about to be sent, and names the one before it ("" if none).
    """

    store: Sequenced
    authenticator: Authenticator
    upstreams: Upstreams
    admission: Admission
    tasks: Tasks
    denials: Denials
    view: Callable[[], View]
    policies: Callable[[], Policies]
    recent: Callable[[str, str], str]
    now: Callable[[], int]
    new_id: Callable[[], str]
