"""The official MCP suite finds nothing in the gateway that it does not find in the server behind it.

No failure is expected here and none is excused: a check that passes directly and not through the gateway is a fault.
"""

from collections.abc import Iterator

import pytest

from tools.conformance.__main__ import DISABLED
from tools.conformance.legs import (
    ALONE,
    NOT_APPLICABLE,
    TASKS,
    UPSTREAMS,
    Leg,
    Servers,
    alone,
    clients,
    not_applicable,
    servers,
    tasks,
)
from tools.conformance.peers import REVISIONS, ROOT, missing, scored
from tools.conformance.results import passed

pytestmark = [pytest.mark.slow, pytest.mark.real, pytest.mark.skipif(bool(missing()), reason=missing() or "never")]

SCORED = {"2025-11-25": 30, "2026-07-28": 37}
CLIENT_SCORED = {"2025-11-25": 4, "2026-07-28": 7}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("conformance")) as found:
        yield found


def nothing_is_worse(leg: Leg) -> None:
    worsened = "".join(f"\n{change}" for change in leg.difference.worsened)
    assert not worsened, worsened
    assert not leg.failed


def test_nothing_is_switched_off_for_the_suite():
    assert DISABLED == ()


@pytest.mark.holds("WIRE-TRANSPARENT")
@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_passes_directly_passes_through_the_gateway(started, revision, upstream):
    leg = started.leg(revision, upstream)
    assert len(leg.required) == SCORED[revision]
    nothing_is_worse(leg)


@pytest.mark.holds("WIRE-ALONE")
def test_what_a_careless_server_lets_through_the_gateway_refuses(tmp_path):
    leg = alone(tmp_path)
    assert not any(passed(scenario, leg.direct) for scenario in ALONE)
    nothing_is_worse(leg)


@pytest.mark.holds("OPERATION-RELAY")
def test_operations_pass_through_the_gateway_as_the_suite_wants_tasks(tmp_path):
    leg = tasks(tmp_path)
    assert all(passed(scenario, leg.through) for scenario in TASKS)
    nothing_is_worse(leg)


@pytest.mark.holds("WIRE-SENDS")
@pytest.mark.parametrize("revision", REVISIONS)
def test_what_remit_sends_is_what_a_client_has_to_send(tmp_path, revision):
    leg = clients(tmp_path, revision)
    assert len(leg.required) == CLIENT_SCORED[revision]
    nothing_is_worse(leg)


def test_what_is_not_compared_has_its_reason_and_is_not_required_of_a_server():
    assert set(NOT_APPLICABLE) == {"http", "stdio", "client"}
    page = (ROOT / "docs" / "reference" / "conformance.md").read_text()
    assert all(name in page and why in page for side in NOT_APPLICABLE.values() for name, why in side.items())
    required = {scenario for revision in REVISIONS for scenario in scored(revision)}
    assert not [one for one in required for side in ("http", "stdio") if not_applicable(one, side)]
