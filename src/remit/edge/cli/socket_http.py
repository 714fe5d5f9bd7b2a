"""HTTP over a unix socket, one request a connection. Apart from `door.py` because not every command needs it."""

import http.client
import os
import socket
from pathlib import Path
from typing import Final

from remit.errors import NotPermitted, UpstreamFault

_TIMEOUT_S: Final = 120


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = connected(self._path)


def connected(path: Path) -> socket.socket:
    """A connection to the socket; whoever asks what is there closes it. Raises `OSError`.

    The path may be longer than the 107 bytes a socket address holds: it is reached through its directory's descriptor,
    for which the right to search the directory is enough.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(_TIMEOUT_S)
        made.connect(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        made.close()
        raise
    finally:
        os.close(directory)
    return made


def ask(at: Path, method: str, *, path: str, body: bytes | None) -> tuple[int, bytes]:
    """One request and its answer: status and body. Raises `FileNotFoundError` or `ConnectionRefusedError` when nobody
    listens, `NotPermitted` when it is not for you, `UpstreamFault` when nobody answers.
    """
    connection = _SocketConnection(at)
    try:
        connection.connect()
        connection.request(method, path, body, {"content-type": "application/json"} if body is not None else {})
        response = connection.getresponse()
        return response.status, response.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise
    except PermissionError as e:
        raise NotPermitted(f"you may not use the people's door at `{at}`", "ask whoever runs the gateway") from e
    except (OSError, http.client.HTTPException) as e:
        raise UpstreamFault(f"the gateway did not answer: {e}", "`remit doctor` looks at it", sent=True) from e
    finally:
        connection.close()
