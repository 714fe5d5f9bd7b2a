"""The official MCP conformance suite as a gate: what passes against a tool server has to pass through Remit.

`python -m tools.conformance` runs the suite against the MCP SDK's own test server, then against the same server behind
a real gateway, over HTTP and over stdio, and compares check by check. It knows no expected failures: a check that
passed directly and does not pass through the gateway is a fault. `make peers` installs the suite and the test server
into `.peers`; nothing of either is part of this repository.
"""
