"""The two doors from outside: who gets in where, and who does not."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from remit.edge.cli.home import Home
from remit.errors import NotPermitted
from tests.gateway.running import House, Upstream, a_house, free_port, talking, until
from tests.identity.conftest import IssuerProcess, issuer

__all__ = ["issuer"]  # the fixture, made known here

pytestmark = pytest.mark.slow

ISSUER = "https://ci.test"
SERVICE = "ci/scheduler"
WORKLOAD = "ci/bot"
AUDIENCE = "https://gate.test"


class Outside:
    """A house whose people's door also listens on TCP, for a service with tokens of an issuer."""

    def __init__(self, house: House, upstream: Upstream, *, people: str, issuer: IssuerProcess) -> None:
        self.house, self.upstream, self.people, self._issuer = house, upstream, people, issuer

    def issued(self, subject: str, **claims: Any) -> str:
        now = int(time.time())
        given = {"iss": ISSUER, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300}
        return self._issuer.mint({**given, **claims})

    async def knock(self, method: str, path: str, *, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, f"http://{self.people}{path}", json=body, headers=headers) as response,
        ):
            return response.status, json.loads(await response.read())


@pytest.fixture
def outside(tmp_path: Path, issuer: IssuerProcess) -> Iterator[Outside]:
    people = f"127.0.0.1:{free_port()}"
    more = f"""
issuers:
  ci:
    kind: oidc
    issuer: {ISSUER}
    owner: op
    audiences: ["{AUDIENCE}"]
    jwks_url: {issuer.url}/jwks
services:
  scheduler: {{owner: op, identity: {{issuer: ci, subject: {SERVICE}}}, roles: [requester]}}
"""
    with a_house(tmp_path, gateway=f"  people: {people}", more=more) as (house, upstream):
        yield Outside(house, upstream, people=people, issuer=issuer)


@pytest.mark.holds("IDENT-DOOR", "INV-15-DOOR")
async def test_each_credential_opens_its_own_door_and_no_other(outside: Outside) -> None:
    house = outside.house
    service = {"Authorization": f"Bearer {outside.issued(SERVICE)}"}
    asked = {"agent": "scout", "purpose": "look", "requester": "ada@house.test"}
    status, opened = await outside.knock("POST", "/v1/tasks", body=asked, **service)
    assert status == 200
    agent_token = house.token(task=opened["task"]["id"])
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=agent_token)).value == {"n": 1}
        # People and services at the agents' door.
        assert (await agent.call("echo", token=outside.issued(SERVICE))).status == 401
        assert (await agent.call("echo", token="")).status == 401
    # Agents at the people's door: their own tokens, and step tokens the gateway signed for them.
    step = house.open(token=True)["token"]
    for token in (agent_token, step, "", "garbage"):
        for method, path, body in (
            ("GET", "/v1/status", None),
            ("POST", "/v1/tasks", {"agent": "scout", "purpose": "work"}),
            ("POST", "/v1/revocations", {"what": "agent", "name": "rival", "reason": "spite"}),
        ):
            status, answer = await outside.knock(method, path, body=body, Authorization=f"Bearer {token}")
            assert (status, answer["error"]["fault"]) == (401, "Denied")
    # Nobody at all, and a service beyond its role.
    assert (await outside.knock("GET", "/v1/status"))[0] == 401
    given = {"what": "agent", "name": "rival", "reason": "r"}
    assert (await outside.knock("POST", "/v1/restorations", body=given, **service))[0] == 403


@pytest.mark.holds("IDENT-DOOR", "INV-15-DOOR")
async def test_an_agents_token_at_the_socket_is_not_taken_for_the_person_who_runs_it(outside: Outside) -> None:
    token = outside.house.token(task=outside.house.open())
    connector = aiohttp.UnixConnector(str(outside.house.home.socket))
    async with aiohttp.ClientSession(connector=connector) as http:
        async with http.get("http://door/v1/status") as response:
            assert response.status == 200
        async with http.get("http://door/v1/status", headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == 401


FOREIGN = {
    "another host": {"Host": "evil.example"},
    "another host with our port": {"Host": "evil.example:8700"},
    "a page of another origin": {"Origin": "https://evil.example"},
    "a page without an origin": {"Origin": "null"},
}


@pytest.mark.holds("IDENT-ORIGIN")
@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
async def test_a_foreign_host_or_origin_is_refused(running: tuple[House, Upstream], headers: dict[str, str]) -> None:
    house, upstream = running
    before = len(upstream.settled())
    token = house.token(task=house.open())
    async with talking(house) as agent:
        assert (await agent.call("echo", {"n": 1}, token=token, headers=headers)).status == 403
    assert len(upstream.settled()) == before


@pytest.mark.holds("IDENT-AUDIENCE", "IDENT-CHALLENGE", "IDENT-METADATA")
async def test_a_401_says_where_the_endpoint_describes_itself(running: tuple[House, Upstream]) -> None:
    house, _ = running
    async with talking(house) as agent:
        refused = await agent.call("echo", {"n": 1}, token=house.token(task=house.open(), connector="other"))
    assert refused.status == 401
    about = f"{house.url}/.well-known/oauth-protected-resource/mcp/desk"
    assert about in refused.headers["www-authenticate"]
    connection = http.client.HTTPConnection("127.0.0.1", house.port)
    connection.request("GET", about.removeprefix(house.url))
    assert json.loads(connection.getresponse().read())["resource"] == f"{house.url}/mcp/desk"
    connection.close()


def test_somebody_the_catalogue_does_not_know_is_turned_away_at_the_socket(own: tuple[House, Upstream]) -> None:
    house, _ = own
    text = house.home.catalogue.read_text()
    house.stop()
    house.home.catalogue.write_text(text.replace('os_user: "', 'os_user: "not-'))
    house.begin()
    until(house.door.runs, "the gateway did not start")
    with pytest.raises(NotPermitted):
        house.door.get("/v1/status")


def test_keys_and_state_are_for_their_owner_only(running: tuple[House, Upstream]) -> None:
    home: Home = running[0].home
    for private in (home.keys, home.state, *home.keys.iterdir(), home.database, home.profile("scout")):
        assert private.stat().st_mode & 0o077 == 0, private
