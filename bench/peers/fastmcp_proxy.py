"""FastMCP's proxy, in its own environment. `PORT UPSTREAM_URL`."""

import sys

from fastmcp.server import create_proxy  # type: ignore[import-not-found,unused-ignore]

if __name__ == "__main__":
    proxy = create_proxy(sys.argv[2], name="proxy")
    proxy.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False, log_level="WARNING")
