"""What a modern client carries from a question to its answers: our own `requestState`, sealed.

It wraps what the server wants back, and says whose call it is about and until when; step 4 holds the retry to that. It
is encrypted and authenticated under a key that lives as long as the process, so nothing of it can be read, changed or
made up; after a restart the questions of before can no longer be answered. A client that sends its answers without the
state (where servers give none, some do) means the last questions about the same call.
"""

import base64
import binascii
import hashlib
import os
from collections import OrderedDict
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from remit.call import Round
from remit.edge.mcp.request import Request
from remit.edge.mcp.rpc import Fault
from remit.edge.mcp.wire import Code
from remit.reasons import Reason

_NONCE_BYTES: Final = 12
_REMEMBERED_MAX: Final = 64  # of one agent
_RETRIED: Final = frozenset({"inputResponses", "requestState", "_meta"})
_PURPOSE: Final = b"remit round 1"


class Rounds:
    """Seals rounds and opens them again."""

    def __init__(self) -> None:
        self._cipher = ChaCha20Poly1305(ChaCha20Poly1305.generate_key())
        self._last: dict[str, OrderedDict[bytes, Round]] = {}

    def resumed(self, request: Request) -> Round | None:
        """The round a retry belongs to; None for a call that is none, or answers what nobody asked."""
        params = request.message.params or {}
        state = params.get("requestState")
        if isinstance(state, str):
            return self.opened(state)
        if "inputResponses" not in params:
            return None
        return self._last.get(request.principal.id, OrderedDict()).get(_fingerprint(request))

    def asked(self, request: Request, about: Round) -> str:
        """The state a client gets with the questions."""
        if about.state is None:
            own = self._last.setdefault(request.principal.id, OrderedDict())
            own[_fingerprint(request)] = about
            if len(own) > _REMEMBERED_MAX:
                own.popitem(last=False)
        return self.sealed(about)

    def sealed(self, about: Round) -> str:
        """A round as text that only this process can open."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(about), _PURPOSE)
        return base64.urlsafe_b64encode(nonce + sealed).decode()

    def opened(self, state: str) -> Round:
        """What it stands for; `Fault` for anything this process did not seal."""
        try:
            data = base64.b64decode(state, altchars=b"-_", validate=True)
            opened = self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _PURPOSE)
        except (binascii.Error, ValueError, InvalidTag) as e:
            raise Fault(
                400, Code.INVALID_PARAMS, message="`requestState` is not one of this gateway", reason=Reason.CALL_ANSWER
            ) from e
        return msgspec.msgpack.decode(opened, type=Round)


def _fingerprint(request: Request) -> bytes:
    """Which call of which task and client a request is, whatever it answers."""
    call = {key: value for key, value in (request.message.params or {}).items() if key not in _RETRIED}
    whose = [request.principal.task, *map(request.headers.get, ("remit-task", "remit-client"))]
    said = [request.endpoint.url, whose, request.message.method, call]
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest()
