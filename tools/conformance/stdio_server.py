"""The SDK's test server on standard input and output: `stdio_server.py DIRECTORY`. By itself it only serves HTTP."""

import importlib
import sys


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    importlib.import_module("mcp_everything_server.server").mcp.run(transport="stdio")


if __name__ == "__main__":
    main()
