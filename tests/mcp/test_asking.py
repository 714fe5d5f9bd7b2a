"""What a server asks, on both wires: to whom it goes, whose answers count, and how long."""

import asyncio
from typing import Any

import msgspec
import pytest

from remit.call import Round
from remit.edge.mcp import asking, calls
from remit.edge.mcp.rounds import Rounds
from remit.edge.mcp.rpc import Fault
from tests.mcp.conftest import Door, headers_for, modern, plain, simulated_door
from tests.mcp.simulated import BOB
from tests.mcp.talking import ABLE, PATIENCE_S, ROOTS, WORD, able, answers, call, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

YES = {"action": "accept", "content": {"word": "fig"}}


@pytest.fixture
def asks(door: Door) -> Door:
    """A door whose server asks for one word."""
    door.backend.questions = {"a": WORD}
    return door


@pytest.mark.holds("ASK-RELAY")
async def test_a_session_is_asked_on_the_stream_of_its_call_and_what_it_posts_is_the_next_call(asks: Door) -> None:
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        question = await back.next()
        assert question == {
            "jsonrpc": "2.0",
            "id": "remit-1",
            "method": "elicitation/create",
            "params": {"message": "which word?", "requestedSchema": {}},
        }
        assert await answers(asks, session, "remit-1", result=YES) == 202
        last = await back.next()
        assert msgspec.json.decode(last["result"]["content"][0]["text"]) == {"a": YES}
        assert await back.over()
    first, second = asks.backend.asked
    assert (first.round, second.round.asked) == (None, {"a": "elicitation/create"})
    assert second.params == {"name": "asks", "inputResponses": {"a": YES}}
    assert asks.backend.abandoned == []


async def test_an_answer_comes_with_a_token_and_that_is_the_next_calls(asks: Door) -> None:
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        question = await back.next()
        assert await answers(asks, session | {"Authorization": "Bearer expired"}, question["id"], result=YES) == 401
        del session["Authorization"]
        assert await answers(asks, session, question["id"], result=YES) == 401
        assert await answers(asks, session | plain(), question["id"], result=YES) == 202
        assert "result" in await back.next()


async def test_a_client_may_answer_that_it_does_not(asks: Door) -> None:
    session = await able(asks)
    no = {"code": -1, "message": "user rejected"}
    async with told(asks, call("asks"), session) as back:
        await answers(asks, session, (await back.next())["id"], error=no)
        last = await back.next()
    assert msgspec.json.decode(last["result"]["content"][0]["text"]) == {"a": {"error": no}}


async def test_several_questions_are_asked_at_once_and_answered_in_any_order(door: Door) -> None:
    door.backend.questions = {"a": WORD, "b": ROOTS}
    session = await able(door)
    async with told(door, call("asks"), session) as back:
        first, second = await back.next(), await back.next()
        assert [first["method"], second["method"]] == ["elicitation/create", "roots/list"]
        await answers(door, session, second["id"], result={"roots": []})
        await answers(door, session, first["id"], result=YES)
        last = await back.next()
    assert msgspec.json.decode(last["result"]["content"][0]["text"]) == {"a": YES, "b": {"roots": []}}


@pytest.mark.holds("ASK-BOUND")
async def test_only_the_session_that_was_asked_can_answer_and_once(asks: Door) -> None:
    session, another, foreign = await able(asks), await able(asks), await able(asks, token=BOB)
    async with told(asks, call("asks"), session) as back:
        number = (await back.next())["id"]
        assert await answers(asks, another, number, result=YES) == 202
        assert await answers(asks, foreign, number, result=YES) == 202
        assert await answers(asks, foreign | {"Mcp-Session-Id": session["Mcp-Session-Id"]}, number, result=YES) == 404
        assert await answers(asks, session, "remit-2", result=YES) == 202
        assert await answers(asks, session, 1, result=YES) == 202
        assert await answers(asks, plain(), number, result=YES) == 400
        assert len(asks.backend.asked) == 1
        assert await answers(asks, session, number, result=YES) == 202
        await back.next()
        assert await back.over()
    assert await answers(asks, session, number, result=YES) == 202
    assert asks.backend.counted["call.answer"] == 5
    assert len(asks.backend.asked) == 2


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": "remit-1"},
        {"jsonrpc": "2.0", "id": "remit-1", "result": {}, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": "remit-1", "result": []},
        {"jsonrpc": "2.0", "id": "remit-1", "result": {}, "more": 1},
        {"jsonrpc": "2.0", "id": None, "result": {}},
        {"jsonrpc": "1.0", "id": "remit-1", "result": {}},
        {"jsonrpc": "2.0", "result": {}},
    ],
)
async def test_what_is_no_response_answers_nothing(asks: Door, message: Any) -> None:
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        number = (await back.next())["id"]
        assert (await asks.send(msgspec.json.encode(message), session))[0] == 400
        assert len(asks.backend.asked) == 1
        await answers(asks, session, number, result=YES)
        await back.next()


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/event-stream"])
async def test_only_a_client_that_reads_streams_says_what_it_can_do(asks: Door, accept: str) -> None:
    session = await able(asks) | {"Accept": accept}
    await asks.send(msgspec.json.encode(call("echo")), session)
    assert asks.backend.asked[0].speaks.capabilities == (ABLE if "event-stream" in accept else {})


@pytest.mark.holds("ASK-CANCEL")
async def test_a_call_that_is_cancelled_while_it_asks_is_over_and_the_client_need_not_answer(asks: Door) -> None:
    session = await able(asks)
    async with told(asks, call("asks", 5), session) as back:
        number = (await back.next())["id"]
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
        assert (await asks.send(msgspec.json.encode(cancel), session))[0] == 202
        assert await back.next() == {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": number},
        }
        last = await back.next()
        assert last["result"]["_meta"]["io.remit/decision"]["reason"] == "call.answer"
        assert await back.over()
    assert len(asks.backend.abandoned) == 1


@pytest.mark.holds("ASK-CANCEL")
async def test_a_client_that_leaves_while_it_is_asked_is_not_waited_for(asks: Door) -> None:
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        await back.next()
        back.response.close()
    async with asyncio.timeout(PATIENCE_S):
        while not asks.backend.abandoned:  # noqa: ASYNC110 - the server notices when it does
            await asyncio.sleep(0.01)
    assert len(asks.backend.asked) == 1


@pytest.mark.holds("ASK-CANCEL")
async def test_closing_the_session_ends_the_question(asks: Door) -> None:
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        await back.next()
        async with asks.client.delete(asks.url + "/mcp/notes", headers=session) as response:
            assert response.status == 204
        await back.next()
        await back.next()
        assert await back.over()
    assert len(asks.backend.abandoned) == 1


async def test_an_answer_that_does_not_come_in_time_is_not_waited_for(asks: Door, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "ANSWER_WAIT_S", 0.05)
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        await back.next()
        assert (await back.next())["method"] == "notifications/cancelled"
        assert (await back.next())["result"]["isError"]
    assert len(asks.backend.abandoned) == 1


async def test_a_server_may_ask_so_often_and_no_more(asks: Door, monkeypatch: Any) -> None:
    monkeypatch.setattr(calls, "ROUNDS_MAX", 3)
    asks.backend.asks_again = 100
    session = await able(asks)
    async with told(asks, call("asks"), session) as back:
        for _ in range(2):
            question = await back.next()
            assert question["method"] == "elicitation/create"
            await answers(asks, session, question["id"], result=YES)
        assert (await back.next())["result"]["isError"]
    assert len(asks.backend.asked) == 3
    assert len(asks.backend.abandoned) == 1


async def test_a_server_that_only_wants_to_be_asked_again_is(door: Door, monkeypatch: Any) -> None:
    monkeypatch.setattr(asking, "_AGAIN_S", 0.0)
    session = await able(door)
    status, _, body = await door.send(msgspec.json.encode(call("asks")), session)
    assert (status, body["result"]["content"][0]["text"]) == (200, "{}")
    assert [ask.token for ask in door.backend.asked] == [door.backend.asked[0].token] * 2


# The modern wire: the client carries our state from the question to its answers.


async def asked(door: Door, **params: Any) -> Any:
    """The result that asks."""
    status, _, body = await door.modern("tools/call", {"name": "asks", **params})
    assert status == 200
    assert body["result"]["resultType"] == "input_required"
    return body["result"]


@pytest.mark.holds("ASK-RELAY")
async def test_a_modern_client_gets_the_questions_as_a_result_and_a_state_only_we_can_read(asks: Door) -> None:
    result = await asked(asks)
    assert result["inputRequests"] == {
        "a": {"method": "elicitation/create", "params": {"message": "which word?", "requestedSchema": {}}}
    }
    assert result["_meta"]["io.remit/labels"] == ["untrusted"]
    assert "secret" not in result["requestState"]

    retry = {"name": "asks", "inputResponses": {"a": YES}, "requestState": result["requestState"]}
    _, _, body = await asks.modern("tools/call", retry)
    assert msgspec.json.decode(body["result"]["content"][0]["text"]) == {"a": YES}
    about = asks.backend.asked[1].round
    assert (about.state, about.held, about.call) == ("the server's secret", "held", "call-1")


BENT = {
    "a changed letter": lambda state: ("B" if state[40] == "A" else "A").join((state[:40], state[41:])),
    "a letter less": lambda state: state[:-4],
    "nothing": lambda state: "",
    "another text": lambda state: "the server's secret",
    "half of it twice": lambda state: state[: len(state) // 2] * 2,
    "letters beyond ASCII": lambda state: "é" + state,
}


@pytest.mark.holds("ASK-BOUND")
@pytest.mark.parametrize("bend", BENT.values(), ids=BENT)
async def test_a_state_that_was_tampered_with_is_refused(asks: Door, bend: Any) -> None:
    state = bend((await asked(asks))["requestState"])
    status, _, body = await asks.modern(
        "tools/call", {"name": "asks", "inputResponses": {"a": YES}, "requestState": state}
    )
    assert (status, body["error"]["code"]) == (400, -32602)
    assert body["error"]["message"] == "`requestState` is not one of this gateway"
    assert len(asks.backend.asked) == 1
    assert asks.backend.counted["call.answer"] == 1


@pytest.mark.holds("ASK-BOUND")
async def test_the_state_of_another_gateway_is_refused(asks: Door) -> None:
    async with simulated_door() as other:
        other.backend.questions = {"a": WORD}
        state = (await asked(other))["requestState"]
        status, _, _ = await asks.modern("tools/call", {"name": "asks", "requestState": state, "inputResponses": {}})
    assert status == 400
    assert asks.backend.asked == []


async def test_no_two_states_are_alike(asks: Door) -> None:
    assert len({(await asked(asks))["requestState"] for _ in range(5)}) == 5


@pytest.mark.holds("ASK-BOUND")
async def test_answers_without_a_state_are_to_the_same_agents_last_questions_about_the_same_call(asks: Door) -> None:
    asks.backend.state = None  # what the server wants back, the client has to bring
    await asked(asks, arguments={"text": "x"})
    given = {"name": "asks", "inputResponses": {"a": YES}}
    message = modern("tools/call", {**given, "arguments": {"text": "x"}})
    for changed in (
        msgspec.json.encode(modern("tools/call", {**given, "arguments": {"text": "y"}})),
        msgspec.json.encode(modern("tools/call", given)),
    ):
        await asks.send(changed, headers_for(message))
    await asks.send(msgspec.json.encode(message), headers_for(message) | {"Authorization": f"Bearer {BOB}"})
    assert [ask.round for ask in asks.backend.asked] == [None] * 4
    await asks.send(msgspec.json.encode(message), headers_for(message))
    assert asks.backend.asked[-1].round.call == "call-1"


@pytest.mark.holds("ASK-BOUND")
async def test_answers_without_the_servers_own_state_are_to_nothing(asks: Door) -> None:
    await asked(asks)
    message = modern("tools/call", {"name": "asks", "inputResponses": {"a": YES}})
    await asks.send(msgspec.json.encode(message), headers_for(message))
    assert asks.backend.asked[-1].round is None


@pytest.mark.holds("ASK-BOUND")
@pytest.mark.parametrize("name", ["Remit-Task", "Remit-Client"])
async def test_answers_without_a_state_are_to_the_same_tasks_and_clients_questions(asks: Door, name: str) -> None:
    asks.backend.state = None
    message = modern("tools/call", {"name": "asks", "inputResponses": {"a": YES}})
    for whose in ("one", "other"):
        asked_as = modern("tools/call", {"name": "asks"})
        await asks.send(msgspec.json.encode(asked_as), headers_for(asked_as) | {name: whose})
    await asks.send(msgspec.json.encode(message), headers_for(message))
    assert asks.backend.asked[-1].round is None
    for whose in ("one", "other"):  # neither took the place of the other
        await asks.send(msgspec.json.encode(message), headers_for(message) | {name: whose})
        assert asks.backend.asked[-1].round is not None


async def test_a_session_cannot_bring_answers_in_its_request(asks: Door) -> None:
    state = (await asked(asks))["requestState"]
    session = await able(asks)
    async with told(asks, call("asks", inputResponses={"a": YES}, requestState=state), session) as back:
        assert (await back.next())["method"] == "elicitation/create"
    assert asks.backend.asked[-1].round is None


async def test_a_state_is_opened_by_who_sealed_it_alone() -> None:
    about = Round(call="c", digest="d", principal="p", expires=1, asked={"a": "roots/list"}, state="s", held="h")
    ours, theirs = Rounds(), Rounds()
    assert ours.opened(ours.sealed(about)) == about
    with pytest.raises(Fault):
        theirs.opened(ours.sealed(about))
