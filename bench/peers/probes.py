"""What a gateway lets through, found out by asking: one call each, and a look at what reached the tool server.

A probe says yes or no to a question about one lane; it never says why.
"""

import http.client
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from bench.cells import Ground, Lane
from bench.load import Calls, rendered

_WAIT_S: Final = 60


class Probed(NamedTuple):
    """Answers about one lane."""

    refuses_no_token: bool
    refuses_bad_arguments: bool
    refuses_unknown_arguments: bool
    sends_token_on: bool


def probed(ground: Ground, lane: Lane, calls: Calls) -> Probed:
    """Ask everything."""
    serial = next(ground.serials)
    good = {"customer": f"cus_{serial}", "serial": serial}
    reached = _reached(ground, lane, calls, good)
    if reached is None:
        raise RuntimeError("a proper call does not reach the tool server")
    token = calls.headers[0].get("Authorization", "")
    return Probed(
        refuses_no_token=_reached(ground, lane, calls._replace(headers=[{}]), good) is None,
        refuses_bad_arguments=_reached(ground, lane, calls, {**good, "customer": "nobody"}) is None,
        refuses_unknown_arguments=_reached(ground, lane, calls, {**good, "unheard_of": True}) is None,
        sends_token_on=bool(token) and reached["authorization"] == token,
    )


def _reached(ground: Ground, lane: Lane, calls: Calls, arguments: Mapping[str, Any]) -> dict[str, str] | None:
    """What the tool server saw of one call; None if it saw none."""
    before = _asked(ground.upstream, "GET", "/last", b"", headers={})
    body, headers = rendered(calls, {**arguments, "note": f"probe {next(ground.serials)}"})
    _asked(lane.place.port, "POST", lane.place.path, body, headers=headers)
    after: dict[str, str] = msgspec.json.decode(_asked(ground.upstream, "GET", "/last", b"", headers={}))
    return None if msgspec.json.encode(after) == before else after


def _asked(port: int, method: str, path: str, body: bytes, *, headers: Mapping[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().read()
    finally:
        connection.close()
