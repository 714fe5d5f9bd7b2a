"""Whose request it is: read from the head without believing it, and never a way around anything."""

import asyncio
import socket
from base64 import urlsafe_b64encode
from pathlib import Path

import msgspec
import pytest

from remit.catalogue import load
from remit.edge.workers.passage import Passage, Passed, packed
from remit.edge.workers.routing import Owned, Router, owners
from remit.reasons import Denied, Reason
from tests.world import CATALOGUE, URL, World

SCOUT, RIVAL = "spiffe://world.test/agent/scout", "spiffe://world.test/agent/rival"
OWNER = {SCOUT: 0, RIVAL: 1}


def token(**claims: object) -> str:
    """A token nobody signed."""
    return ".".join(_part(part) for part in ({"alg": "none"}, claims, {}))


def _part(value: object) -> str:
    return urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def head(*lines: str, body: str = "") -> bytes:
    return "\r\n".join(["POST /mcp/notes HTTP/1.1", "Host: 127.0.0.1", *lines, "", body]).encode("latin-1")


RIVALS = token(sub=RIVAL)

ROUTED = {
    "its own": (f"Authorization: Bearer {token(sub=SCOUT)}", 0),
    "another worker's": (f"Authorization: Bearer {RIVALS}", 1),
    "in capitals": (f"AUTHORIZATION: BEARER {RIVALS}", 1),
    "with blanks": (f"authorization:\t bearer   {RIVALS}  ", 1),
    "without a blank": (f"Authorization:Bearer {RIVALS}", 1),
    "nobody's": ("Accept: */*", 0),
    "an unknown subject": (f"Authorization: Bearer {token(sub='spiffe://world.test/agent/nobody')}", 0),
    "no subject": (f"Authorization: Bearer {token(iss='x')}", 0),
    "a subject that is no text": (f"Authorization: Bearer {token(sub=[RIVAL])}", 0),
    "claims that are no object": (f"Authorization: Bearer a.{_part([1])}.c", 0),
    "junk": ("Authorization: Bearer a.b.c", 0),
    "another scheme": (f"Authorization: Basic {RIVALS}", 0),
    "in another header": (f"X-Authorization: Bearer {RIVALS}", 0),
    "inside a value": (f"X-Note: authorization: Bearer {RIVALS}", 0),
}


@pytest.mark.parametrize("line, to", ROUTED.values(), ids=ROUTED)
def test_a_request_goes_where_its_token_says_and_stays_where_it_says_nothing(line: str, to: int) -> None:
    router = Router(OWNER, own=0, send=Passed.close)
    for _ in range(2):
        assert router.of(head(line)) == to


def test_a_token_in_the_body_routes_nothing() -> None:
    body = f"\r\nAuthorization: Bearer {RIVALS}\r\n\r\n"
    assert Router(OWNER, own=0, send=Passed.close).of(head("Accept: */*", body=body)) == 0


def test_what_is_remembered_of_tokens_is_bounded() -> None:
    router = Router(OWNER, own=0, send=Passed.close)
    for number in range(5000):
        router.of(head(f"Authorization: Bearer {token(sub=RIVAL, jti=number)}"))
    assert len(router._remembered) <= 1024


@pytest.mark.holds("LIMIT-RATE")
async def test_a_request_steered_to_another_worker_is_refused_there() -> None:
    """Two heads in one, say: the router believes one, the door the other. What is proven decides, and limits hold."""
    world = await World.made()
    own, other = (Owned(world.ports.authenticator, OWNER, own=index) for index in (0, 1))
    proof = world.token("scout")
    assert (await own.agent(proof, f"{URL}/mcp/notes")).name == "scout"
    with pytest.raises(Denied) as refused:
        await other.agent(proof, f"{URL}/mcp/notes")
    assert refused.value.reason is Reason.IDENTITY_INVALID
    # And naming somebody else leads nowhere but to a worker that asks for their signature.
    with pytest.raises(Denied):
        await other.agent(RIVALS, f"{URL}/mcp/notes")


def test_agents_are_spread_evenly_and_each_has_one_worker() -> None:
    declared = load(CATALOGUE, "remit.yaml")
    found = owners(declared, 2)
    assert sorted(found.values()) == [0, 1]
    assert set(found) == {SCOUT, RIVAL}
    assert set(owners(declared, 1).values()) == {0}


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


class Ends:
    """Both ends of a passage, and what arrived at the far one."""

    def __init__(self) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.arrived: asyncio.Queue[Passed] = asyncio.Queue()
        self.near = Passage(near, Passed.close)
        self.far = Passage(far, self.arrived.put_nowait)


async def test_a_connection_arrives_with_what_was_read_of_it() -> None:
    ends, before = Ends(), descriptors()
    for size in (0, 1, 300_000):
        client, accepted = socket.socketpair()
        with client, accepted:
            ends.near.send(packed(7, accepted.fileno(), read=b"x" * size))
            passed = await ends.arrived.get()
        assert passed.to == 7
        connection, read = passed.taken()
        connection.close()
        assert read == b"x" * size
    assert descriptors() == before
    ends.near.close()
    ends.far.close()


async def test_what_cannot_be_passed_on_is_hung_up_on_and_nothing_leaks() -> None:
    before = descriptors()
    ends = Ends()
    client, accepted = socket.socketpair()
    with client, accepted:
        ends.near._loop.remove_reader(ends.far._sock.fileno())
        for _ in range(3000):
            ends.near.send(packed(1, accepted.fileno(), read=b""))
        ends.near.close()
        ends.near.send(packed(1, accepted.fileno(), read=b""))
    ends.far.close()
    assert descriptors() == before


async def test_a_packet_that_is_none_is_dropped(tmp_path: Path) -> None:
    ends = Ends()
    with (tmp_path / "file").open("wb") as file:
        socket.send_fds(ends.near._sock, [b"\0\1"], [file.fileno()])
    client, accepted = socket.socketpair()
    with client, accepted:
        ends.near.send(packed(3, accepted.fileno(), read=b""))
        passed = await ends.arrived.get()
    assert passed.to == 3
    passed.close()
    ends.near.close()
    while ends.far._sock.fileno() >= 0:  # noqa: ASYNC110 - the end of a line is heard by whoever reads it
        await asyncio.sleep(0)
