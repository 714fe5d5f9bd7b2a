"""Serving the people's door: on the unix socket, where the kernel says who is there, and on TCP for services."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from remit.edge.api.peer import PeerProtocol
from remit.errors import ConfigFault

_BACKLOG: Final = 128
_GRACE_S: Final = 5


class PeopleServer:
    """One listener of the people's door. Start it with `serve_people`."""

    def __init__(self, server: uvicorn.Server, task: asyncio.Task[None]) -> None:
        self._server = server
        self._task = task

    async def stop(self) -> None:
        """Accept nothing more and return when all is closed."""
        self._server.should_exit = True
        await self._task


def unix_listener(path: Path) -> socket.socket:
    """A bound unix socket that everybody on this machine may knock at; who they are is asked of the kernel.

    A socket left by a gateway that was killed is replaced: the store's lock says that no other gateway runs here.
    The path may be longer than the 107 bytes a socket address holds.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        sock.bind(f"/proc/self/fd/{directory}/{path.name}")
        path.chmod(0o666)
    except OSError as e:
        sock.close()
        raise ConfigFault(f"cannot listen at `{path}`", "check who owns the directory") from e
    finally:
        os.close(directory)
    return sock


async def serve_people(app: Any, sock: socket.socket) -> PeopleServer:
    """Serve the people's door on a bound socket; returns when it accepts connections."""
    config = uvicorn.Config(
        app,
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
    )
    sock.listen(_BACKLOG)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    while not server.started and not task.done():
        await asyncio.sleep(0.005)
    return PeopleServer(server, task)


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
