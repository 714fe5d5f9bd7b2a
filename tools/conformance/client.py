"""What the suite starts as its client: a gateway in front of the suite's server, and the SDK's client before it.

`python -m tools.conformance.client URL`. It ends as the SDK's client ends. Told to end before, it ends the gateway too.
"""

import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from .gateway import Gateway
from .peers import CLIENT


async def driven(gateway: Gateway) -> int:
    """Let the SDK's client talk through a running gateway; its exit status."""
    async with gateway.endpoint("suite") as url:
        process = await asyncio.create_subprocess_exec(sys.executable, str(CLIENT), url)
        return await process.wait()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="remit-conformance-") as directory:
        gateway = Gateway(Path(directory) / "home", {"suite": sys.argv[-1]})
        with gateway.running():
            return asyncio.run(driven(gateway))


if __name__ == "__main__":
    sys.exit(main())
