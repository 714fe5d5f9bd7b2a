"""The bridge of one agent: its profile read, its tokens minted here, its messages passed on."""

import asyncio
import secrets
import time
from argparse import Namespace
from pathlib import Path

from remit.edge.cli.profile import load
from remit.edge.mcp.bridge import Destination, bridge_stdio


def bridge(file: Path, options: Namespace) -> None:
    """Pass on what comes over standard input until it ends, as the agent of this profile."""
    profile = load(file, options.agent)
    issuer, url = profile.issuer(), profile.endpoint(options.connector)

    def token() -> str:
        return issuer.mint(profile.agent, audience=url, now_s=int(time.time()), task=options.task)

    client = options.label or f"bridge-{secrets.token_hex(8)}"
    asyncio.run(bridge_stdio(Destination(url=url, token=token, client=client, task=options.task)))
