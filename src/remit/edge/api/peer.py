"""Who is at the other end of a unix socket: the kernel's word, not the client's.

`PeerProtocol` puts the peer's user id, as SO_PEERCRED gives it, into `scope["extensions"]["remit.peer_uid"]`. On a TCP
connection there is none and the key is absent. It reaches into uvicorn's protocol class, which is pinned to a minor
version for that reason.
"""

import socket
import struct
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER_UID: Final = "remit.peer_uid"
_UCRED: Final = struct.Struct("3i")


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, and the peer's user id in the scope."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        uid = peer_uid(self.transport.get_extra_info("socket"))
        if uid is not None:
            self.scope["extensions"] = {PEER_UID: uid}  # type: ignore[dict-item]


def peer_uid(sock: socket.socket | None) -> int | None:
    """The user id at the other end, None when the socket is not a unix socket."""
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)
