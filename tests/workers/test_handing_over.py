"""Two servers in one loop, as two workers are: a connection goes where its next request belongs, in clear or TLS."""

import asyncio
import datetime as dt
import io
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from remit.edge.serving import Serving, Tls, listener, serve
from remit.edge.workers.passage import Passed
from remit.edge.workers.routing import Router
from tests.workers.test_routing import OWNER, RIVAL, SCOUT, token

LARGE = 3_000_000


def certificate(directory: Path) -> Tls:
    key, name = generate_private_key(SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = Tls(directory / "cert.pem", directory / "key.pem")
    paths.cert.write_bytes(made.public_bytes(Encoding.PEM))
    paths.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


class Pair:
    """Two servers with one client-facing address, the first's; both say who they are and what they got."""

    def __init__(self) -> None:
        self.servers: list[Serving] = []
        self.url = ""
        self.trust: ssl.SSLContext | bool = True
        self.adopting: set[asyncio.Task[None]] = set()
        self.gone = asyncio.Event()

    async def start(self, tls: Tls | None) -> None:
        for index in (0, 1):
            sock = listener("127.0.0.1", 0)
            router = Router(OWNER, own=index, send=self._pass)
            self.servers.append(await serve(self._app(index), sock, tls=tls, divert=router))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.servers[0].port}/"
        if tls:
            self.trust = ssl.create_default_context(cafile=str(tls.cert))

    def _pass(self, passed: Passed) -> None:
        task = asyncio.ensure_future(self.servers[passed.to].adopt(*passed.taken()))
        self.adopting.add(task)
        task.add_done_callback(self.adopting.discard)

    def _app(self, index: int) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            size, more = 0, True
            while more:
                event = await receive()
                size, more = size + len(event.get("body", b"")), event.get("more_body", False)
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["path"] == "/wait":
                await send({"type": "http.response.body", "body": b"begun", "more_body": True})
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.gone.set()
                return
            told = json.dumps({"served by": index, "size": size, "rest": "x" * (LARGE if size == LARGE else 0)})
            for at in range(0, len(told), 50_000):
                body = told[at : at + 50_000].encode()
                await send({"type": "http.response.body", "body": body, "more_body": at + 50_000 < len(told)})

        return app


@pytest.fixture(params=["in clear", "under TLS"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair()
    await made.start(certificate(tmp_path) if request.param == "under TLS" else None)
    yield made
    for server in made.servers:
        await server.stop()


def as_agent(subject: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub=subject)}"}


async def test_each_request_of_one_connection_is_served_where_it_belongs(pair: Pair) -> None:
    connections = aiohttp.TCPConnector(limit=1, ssl=pair.trust)
    async with aiohttp.ClientSession(connector=connections) as http:
        for subject, index in ((SCOUT, 0), (RIVAL, 1), (RIVAL, 1), (SCOUT, 0), (RIVAL, 1)):
            for size in (0, 10, LARGE):
                async with http.post(pair.url, data=io.BytesIO(b"x" * size), headers=as_agent(subject)) as response:
                    assert await response.json() == {
                        "served by": index,
                        "size": size,
                        "rest": "x" * (LARGE if size == LARGE else 0),
                    }
                assert len(connections._conns) == 1


async def test_a_client_that_leaves_is_missed_where_it_is_served(pair: Pair) -> None:
    connections = aiohttp.TCPConnector(ssl=pair.trust)
    async with aiohttp.ClientSession(connector=connections) as http:
        async with http.post(f"{pair.url}wait", headers=as_agent(RIVAL)) as response:
            assert await response.content.readexactly(5) == b"begun"
            response.close()
        async with asyncio.timeout(10):
            await pair.gone.wait()


async def test_a_head_that_does_not_end_is_left_to_the_parser(pair: Pair) -> None:
    trust = pair.trust if isinstance(pair.trust, ssl.SSLContext) else None
    reader, writer = await asyncio.open_connection("127.0.0.1", pair.servers[0].port, ssl=trust)
    writer.write(b"POST / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\0broken: z\r\n\r\n")
    assert b" 400 " in await reader.readline()
    writer.close()
