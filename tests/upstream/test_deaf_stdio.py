"""A tool server that takes a call and then closes its ears: what was sent stays sent."""

import sys
from pathlib import Path

import pytest
from msgspec import Raw

from remit.edge.upstream.mcp_stdio import StdioWire
from remit.edge.upstream.message import Request
from remit.edge.upstream.process import Launcher
from remit.errors import UpstreamFault
from remit.forward.model import Outgoing

pytestmark = pytest.mark.slow

# Reads one message, closes its stdin and lives on, its stdout open.
DEAF = "import os, sys, time; sys.stdin.buffer.raw.readline(); os.close(0); time.sleep(60)"


@pytest.mark.holds("INV-13-RETURN")
async def test_a_call_that_was_sent_is_not_unsent_because_withdrawing_it_fails(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path)
    wire = StdioWire(launcher, "deaf", heard=lambda method, params: None)
    await wire.start((sys.executable, "-c", DEAF), ())
    outgoing = Outgoing(method="tools/call", name="echo", arguments=Raw(b"{}"), meta={}, timeout_s=1)
    request = Request(method="tools/call", params=b"{}", timeout_s=1, outgoing=outgoing)
    with pytest.raises(UpstreamFault) as told:
        await wire.exchange(request)
    assert (told.value.sent, told.value.why) == (True, "timeout")
    await wire.close()
    await launcher.close()
