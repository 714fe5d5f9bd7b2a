"""An issuer in a process of its own: keys, a key document over loopback HTTP, and bad behaviour on request.

`python issuer.py` prints its port. `POST /control` with a JSON object: `do` is `mint` (claims → token, with the newest
key), `rotate` (a new key; `keep`: how many of the older stay published), `behave` (`as`: how `/jwks` answers) or
`count` (how often `/jwks` was asked). Private keys never leave the process.
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc.jwk import ECKey
from joserfc.jws import serialize_compact


class Issuer:
    def __init__(self) -> None:
        self.made = 0
        self.keys: list[ECKey] = []
        self.behaviour = "well"
        self.asked = 0
        self.do_rotate(keep=0)

    def do_rotate(self, keep: int) -> str:
        self.made += 1
        key = ECKey.generate_key("P-256", {"kid": f"key-{self.made}", "alg": "ES256", "use": "sig"})
        self.keys = [*self.keys[len(self.keys) - keep :], key]
        return str(key.kid)

    def do_mint(self, claims: dict[str, Any]) -> str:
        key = self.keys[-1]
        header = {"alg": "ES256", "typ": "JWT", "kid": key.kid}
        return serialize_compact(header, json.dumps(claims), key)

    def do_behave(self, manner: str) -> str:
        self.behaviour = manner
        return manner

    def do_count(self) -> int:
        return self.asked

    def document(self) -> bytes:
        private = self.behaviour == "private"
        keys: list[Any] = [key.as_dict(private=private) for key in self.keys]
        if self.behaviour == "symmetric":
            keys = [{"kty": "oct", "kid": key.kid, "k": "c2VjcmV0", "use": "sig"} for key in self.keys]
        if self.behaviour == "odd":
            keys = [7, {"kty": "ML-DSA", "kid": "pq"}, {"kty": ["EC"], "use": ["sig"]}, *keys]
        if self.behaviour == "empty":
            keys = []
        return json.dumps({"keys": keys}).encode()


class Handler(BaseHTTPRequestHandler):
    issuer = Issuer()

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            return self.answer(200, self.issuer.document())
        self.issuer.asked += 1
        manner = self.issuer.behaviour
        if manner == "redirect":
            return self.answer(302, b"", Location="/elsewhere")
        if manner == "error":
            return self.answer(500, self.issuer.document())
        if manner == "garbage":
            return self.answer(200, b"<html>down for maintenance</html>")
        if manner == "huge":
            return self.answer(200, self.issuer.document() + b" " * 1_000_000)
        if manner == "slow":
            time.sleep(0.3)
        if manner == "hanging":
            time.sleep(30)
        if manner == "silent":
            return self.connection.close()
        return self.answer(200, self.issuer.document())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        done = getattr(self.issuer, "do_" + asked.pop("do"))(**asked)
        self.answer(200, json.dumps(done).encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: standard output carries the port only."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
