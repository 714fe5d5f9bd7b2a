"""Started by a test as a desktop client starts the bridge: `run_bridge.py URL TOKEN`."""

import asyncio
import sys

from remit.edge.mcp.bridge import Destination, bridge_stdio

url, token = sys.argv[1:]
asyncio.run(bridge_stdio(Destination(url=url, token=lambda: token, client="bridge-1", task="task-1")))
