"""Clients of the tool servers: the hands of step 10.

`sessions` keeps the sessions and decides which one a call goes through; a `session` looks at what its server offers
before it lets a call out. `opening` and `conversation` find out which generation of the protocol a server speaks;
`mcp_http`, `mcp_sse` and `mcp_stdio` carry messages, each to the contract in `wire`; `pool` and `pending` are what
they share; `message`, `params`, `headers` and `sse` are the forms on the wire; `listing` asks a server what it offers;
`process`, `keeper` and `origin` start, watch and describe a server on this machine. Nothing here decides whether a call
may pass.
"""
