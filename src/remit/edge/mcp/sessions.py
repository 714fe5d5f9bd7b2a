"""Sessions of legacy clients: which revision was agreed, and which calls of it are in flight.

A session is no proof of anything: each request is authenticated anew, and a session is looked for only among the
caller's own at this endpoint, so another's id is as unknown as an invented one. An agent holds a bounded number; a
new one takes the place of the one longest unused. They live in memory: after a restart clients open new ones, as the
protocol tells them to.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from typing import Any, Final, NamedTuple

from remit.edge.mcp.leaving import Cancelled
from remit.edge.mcp.rpc import Fault, Id
from remit.edge.mcp.wire import Code
from remit.identity.model import Principal
from remit.limits import SESSION_IDLE_S
from remit.reasons import Reason

_LABEL_DIGITS: Final = 16


class Given(NamedTuple):
    """A client's answer, and the token it came with: it is a call of its own."""

    answer: dict[str, Any]
    token: str | None


class Session:
    """One legacy session at one endpoint (`connector` None: the aggregate). `used` is monotonic seconds."""

    def __init__(self, session_id: str, connector: str | None, *, revision: str, used: float) -> None:
        self.id = session_id
        self.connector = connector
        self.revision = revision
        self.used = used
        self.calls: dict[Id, Cancelled] = {}
        self.capabilities: Mapping[str, Any] = {}
        # The least severe log message the client wants; until it says so, the server decides.
        self.level = ""
        self.subscribed: set[str] = set()
        self.stream: asyncio.Event | None = None
        self._asked = count(1)
        self._questions: dict[str, asyncio.Future[Given]] = {}
        # What the record calls this client: the id itself is the client's handle and stays out of it.
        self.label = "session:" + hashlib.sha256(session_id.encode()).hexdigest()[:_LABEL_DIGITS]

    @property
    def busy(self) -> bool:
        """Whether a call runs in it, or a stream is open."""
        return bool(self.calls) or self.stream is not None

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """While inside, the session has this stream, which ends when the event is set; another one ends the first."""
        self.end_stream()
        ended = self.stream = asyncio.Event()
        try:
            yield ended
        finally:
            if self.stream is ended:
                self.stream = None

    def end_stream(self) -> None:
        """The session's stream ends, if it has one."""
        if self.stream is not None:
            self.stream.set()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[tuple[str, asyncio.Future["Given"]]]:
        """A new request of ours to the client: its id, and what will be answered to it while inside."""
        name = f"remit-{next(self._asked)}"
        future: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
        self._questions[name] = future
        try:
            yield name, future
        finally:
            del self._questions[name]

    def answered(self, name: Id, given: "Given") -> bool:
        """The client answers a request of ours; whether one of that name waits."""
        future = self._questions.get(name) if isinstance(name, str) else None
        if future is None or future.done():
            return False
        future.set_result(given)
        return True

    @contextmanager
    def running(self, call: Id | None, cancelled: Cancelled) -> Iterator[None]:
        """While inside, `cancel` finds the call by its request id, which must not be in use."""
        if call is None or call in self.calls:
            raise Fault(200, Code.INVALID_REQUEST, message="a request with this id is still running")
        self.calls[call] = cancelled
        try:
            yield
        finally:
            del self.calls[call]

    def cancel(self, call: Id) -> None:
        """The client no longer wants the answer to that request; unknown ones are ignored, as the protocol says."""
        found = self.calls.get(call)
        if found is not None:
            found.set()


class Sessions:
    """All legacy sessions, by principal. `clock` gives monotonic seconds."""

    def __init__(self, *, idle_s: float = SESSION_IDLE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_s = idle_s
        self._clock = clock
        # The innermost mappings are in order of last use.
        self._of: dict[str, dict[str, Session]] = {}

    def open(self, principal: Principal, connector: str | None, *, revision: str, most: int) -> Session:
        """A new session, or `Fault` (429) when `most` are open and all are busy."""
        own = self._of.setdefault(principal.id, {})
        self._expire(own)
        while len(own) >= most:
            unused = next((session for session in own.values() if not session.busy), None)
            if unused is None:
                raise Fault(
                    429, Code.INVALID_REQUEST, message="too many sessions are open", reason=Reason.IDENTITY_IN_FLIGHT
                )
            del own[unused.id]
        session = Session(secrets.token_urlsafe(24), connector, revision=revision, used=self._clock())
        own[session.id] = session
        return session

    def find(self, principal: Principal, connector: str | None, *, session_id: str | None) -> Session:
        """The caller's own session at this endpoint, now the last used; `Fault` (400 if none is named, else 404)."""
        if session_id is None:
            raise Fault(400, Code.INVALID_REQUEST, message="open a session with `initialize` first")
        own = self._of.get(principal.id, {})
        self._expire(own)
        session = own.get(session_id)
        if session is None or session.connector != connector:
            raise Fault(404, Code.INVALID_REQUEST, message="there is no such session; open a new one with `initialize`")
        session.used = self._clock()
        own[session_id] = own.pop(session_id)
        return session

    def close(self, principal: Principal, session: Session) -> None:
        """End a session; what runs in it is cancelled, since nobody will read it."""
        self._of.get(principal.id, {}).pop(session.id, None)
        session.end_stream()
        for cancelled in session.calls.values():
            cancelled.set()

    def _expire(self, own: dict[str, Session]) -> None:
        due = self._clock() - self._idle_s
        for session in list(own.values()):
            if session.used >= due:
                return
            if not session.busy:
                del own[session.id]
