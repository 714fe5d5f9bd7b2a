"""Who asks: challenges, documents for everybody, and what the gateway is told of the sender."""

from typing import Any

import msgspec
import pytest

from tests.mcp.conftest import Door, headers_for, legacy, modern, plain

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_missing_token_is_challenged_with_where_to_learn_more(door: Door) -> None:
    headers = plain()
    del headers["Authorization"]
    status, answered, _ = await door.send(b"", headers)
    where = f'resource_metadata="{door.url}/.well-known/oauth-protected-resource/mcp/notes"'
    assert (status, answered["www-authenticate"]) == (401, f"Bearer {where}")


async def test_a_bad_token_is_challenged_as_such(door: Door) -> None:
    _, answered, _ = await door.send(b"", plain("expired"))
    assert answered["www-authenticate"].startswith('Bearer error="invalid_token", ')
    assert f'resource_metadata="{door.url}/.well-known' in answered["www-authenticate"]


@pytest.mark.parametrize("path, resource", [("", "/mcp"), ("/mcp", "/mcp"), ("/mcp/notes", "/mcp/notes")])
async def test_each_endpoint_is_a_resource_of_its_own(door: Door, path: str, resource: str) -> None:
    async with door.client.get(f"{door.url}/.well-known/oauth-protected-resource{path}") as response:
        assert await response.json() == {"resource": door.url + resource, "bearer_methods_supported": ["header"]}


@pytest.mark.parametrize("path, document", [("/healthz", {"status": "ok"}), ("/.well-known/jwks.json", {"keys": []})])
async def test_documents_for_everybody(door: Door, path: str, document: Any) -> None:
    async with door.client.get(door.url + path) as response:
        assert await response.json() == document


async def test_what_the_ask_says_of_its_sender(door: Door) -> None:
    message = modern("tools/call", {"name": "echo"})
    await door.send(msgspec.json.encode(message), headers_for(message) | {"Remit-Task": "t-1", "Remit-Client": "desk"})
    [ask] = door.backend.asked
    assert (ask.connector, ask.audience, ask.task, ask.client) == ("notes", f"{door.url}/mcp/notes", "t-1", "desk")
    assert "ada" in str(ask.token)


async def test_a_session_names_its_client_without_giving_its_id_away(door: Door) -> None:
    session = await door.session()
    await door.send(legacy("tools/call", {"name": "echo"}), session)
    [ask] = door.backend.asked
    assert ask.client.startswith("session:")
    assert session["Mcp-Session-Id"] not in ask.client


@pytest.mark.parametrize("token, sender", [("", "ada"), ("expired", None)], ids=["proven", "unproven"])
async def test_what_is_refused_before_it_is_a_call_is_told_with_its_sender_if_proven(
    door: Door, token: str, sender: str | None
) -> None:
    door.backend.senders.clear()
    await door.send(b'{"jsonrpc": "2.0", "id": 1, "id": 2}', plain(token) if token else plain())
    assert door.backend.senders == [sender]
