"""Clients of the tool servers: the hands of step 10.

`sessions` keeps the conversations and decides which one a call goes through; `conversation` opens one and speaks the
protocol's two generations; `mcp_http` and `mcp_stdio` carry messages; `message`, `headers` and `sse` are the forms on
the wire; `listing` asks a server what it offers; `process`, `keeper` and `origin` start, watch and describe a server
on this machine. Nothing here decides whether a call may pass.
"""
